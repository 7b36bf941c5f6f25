# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Writes samples into a folder as MIDI, MusicXML, sound and pictures, with a page of them.

The page plays and shows them, and loads only files of its folder.
"""
from __future__ import annotations

import html
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data import piano_roll
from ..data.piano_roll import Grid
from . import audio, musicxml, plots

_SCROLLED = 1200  # pixels; a wider picture is not shrunk into its box, but scrolled
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 160em; margin: 1.5em auto;
         padding: 0 1em; color: #111; background: #fff; }}
  main {{ display: grid; gap: 2em; align-items: start;
         grid-template-columns: repeat(auto-fit, minmax(min(100%, 34em), 1fr)); }}
  figure {{ margin: 0; min-width: 0; max-width: 80em; }}
  .box {{ overflow-x: auto; border: 1px solid #ccc; }}
  .roll {{ position: relative; cursor: pointer; }}
  .roll img {{ display: block; width: 100%; height: auto; }}
  .line {{ position: absolute; top: 0; bottom: 0; width: 2px; background: #c0392b; display: none; }}
  .current .box {{ border-color: #1f5a94; box-shadow: 0 0 0 1px #1f5a94; }}
  .started .line {{ display: block; }}
  audio {{ width: 100%; margin: 0.5em 0; }}
  kbd {{ border: 1px solid #999; border-radius: 3px; padding: 0 0.3em; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{subtitle}</p>
<p><kbd>Space</kbd> starts and stops the marked sample, <kbd>1</kbd> to <kbd>9</kbd> another one;
<kbd>&larr;</kbd> and <kbd>&rarr;</kbd> move by five seconds, <kbd>Home</kbd> to the beginning.
A click on a picture plays from there.</p>
<main>
{figures}
</main>
<script>
"use strict";
const figures = [...document.querySelectorAll("figure")];
const audioOf = figure => figure.querySelector("audio");
let current = figures[0];

function mark(figure) {{
  current = figure;
  figures.forEach(one => one.classList.toggle("current", one === figure));
}}

function toggle(figure) {{
  mark(figure);
  const audio = audioOf(figure);
  if (audio.paused) audio.play(); else audio.pause();
}}

function seek(audio, seconds) {{
  audio.currentTime = Math.min(Math.max(seconds, 0), audio.duration || 0);
}}

for (const figure of figures) {{
  const audio = audioOf(figure), box = figure.querySelector(".box");
  const roll = figure.querySelector(".roll"), line = figure.querySelector(".line");
  const left = Number(roll.dataset.left), right = Number(roll.dataset.right);
  const draw = () => {{
    const share = left + (right - left) * audio.currentTime / (audio.duration || 1);
    line.style.left = 100 * share + "%";
    const x = share * roll.clientWidth - box.scrollLeft;
    if (x < 0 || x > box.clientWidth) box.scrollLeft += x - box.clientWidth / 4;
    if (!audio.paused) requestAnimationFrame(draw);
  }};
  audio.addEventListener("play", () => {{
    mark(figure);
    figure.classList.add("started");
    figures.filter(one => one !== figure).forEach(one => audioOf(one).pause());
    draw();
  }});
  audio.addEventListener("seeked", () => {{ figure.classList.add("started"); draw(); }});
  roll.addEventListener("click", event => {{
    const bounds = roll.getBoundingClientRect();
    const share = (event.clientX - bounds.left) / bounds.width;
    seek(audio, audio.duration * (share - left) / (right - left));
    audio.play();
  }});
}}

document.addEventListener("keydown", event => {{
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "A") return;
  const audio = audioOf(current), number = Number(event.key);
  if (event.key === " ") toggle(current);
  else if (number >= 1 && number <= figures.length) toggle(figures[number - 1]);
  else if (event.key === "ArrowLeft") seek(audio, audio.currentTime - 5);
  else if (event.key === "ArrowRight") seek(audio, audio.currentTime + 5);
  else if (event.key === "Home") seek(audio, 0);
  else return;
  event.preventDefault();
  event.stopPropagation();
}}, true);

mark(current);
</script>
</body>
</html>
"""
_FIGURE = """<figure>
<figcaption>{caption} (<a href="{name}.mid" download>MIDI</a>,
<a href="{name}.musicxml" download>MusicXML</a>, <a href="{name}.wav" download>WAV</a>)</figcaption>
<audio controls preload="metadata" src="{name}.wav"></audio>
<div class="box"><div class="roll" style="min-width: {min_width}px" data-left="{left:.5f}"
data-right="{right:.5f}"><img src="{name}.png" alt="Piano roll of {caption}"><div
class="line"></div></div></div>
</figure>"""


class Sample(NamedTuple):
    """A sample to show."""

    name: str  # the name of its files, without a suffix
    caption: str  # the caption above it
    roll: np.ndarray  # `[T, P]`, with onsets `[T, 2 P]`
    prime_frames: int = 0  # number of frames at its beginning that are the prime
    # The kept notes among those of a harmonised piece, `[T, P]`; None for none
    kept_notes: np.ndarray | None = None


def write(
    folder: Path, samples: Iterable[Sample], grid: Grid, *, title: str, subtitle: str
) -> int:
    """Writes the files of samples and their page, and returns the number of samples.

    Each sample is written before the next one is drawn. Replaces symbolic links in the place of its
    files, so that it writes nothing outside the folder, which it creates.

    Raises:
      OSError: the folder cannot be created or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for sample in samples:
        path = folder / sample.name
        piano_roll.to_midi(sample.roll, grid).write(_unlinked(f"{path}.mid"))
        musicxml.save(
            _unlinked(f"{path}.musicxml"), sample.roll, grid, title=sample.caption)
        audio.save(_unlinked(f"{path}.wav"), audio.play(sample.roll, grid))
        picture = plots.save_roll(
            _unlinked(f"{path}.png"), sample.roll, grid, title=sample.caption,
            prime_frames=sample.prime_frames, kept_notes=sample.kept_notes)
        figures.append(_FIGURE.format(
            name=html.escape(sample.name, quote=True),
            caption=html.escape(sample.caption, quote=True), left=picture.left,
            right=picture.right, min_width=picture.width * (picture.width > _SCROLLED)))
    Path(_unlinked(f"{folder / 'index.html'}")).write_text(_PAGE.format(
        title=html.escape(title), subtitle=html.escape(subtitle), figures="\n".join(figures)),
        encoding="utf-8")
    return len(figures)


def _unlinked(path: str) -> str:
    if os.path.islink(path):
        os.unlink(path)
    return path
