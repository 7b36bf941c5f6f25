# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Writes samples into a folder as MIDI, sound and pictures, with a page that plays and shows them.

The page loads only files of its folder.
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
from . import audio, plots

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em;
         color: #111; background: #fff; }}
  figure {{ margin: 0 0 2.5em; }}
  .roll {{ overflow-x: auto; border: 1px solid #ccc; }}
  img {{ display: block; max-height: 28em; }}
  audio {{ width: 100%; margin: 0.5em 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{subtitle}</p>
{figures}
</body>
</html>
"""
_FIGURE = """<figure>
<figcaption>{caption} (<a href="{name}.mid" download>MIDI</a>,
<a href="{name}.wav" download>WAV</a>)</figcaption>
<audio controls preload="metadata" src="{name}.wav"></audio>
<div class="roll"><img src="{name}.png" alt="Piano roll of {caption}"></div>
</figure>"""


class Sample(NamedTuple):
    """A sample to show.

    Attributes:
      name: the name of its files, without a suffix.
      caption: the caption above it.
      roll: `[T, P]`, with onsets `[T, 2 P]`.
      prime_frames: number of frames at its beginning that are the prime.
      kept: the kept notes among those of a harmonised piece, `[T, P]`; None for none.
    """

    name: str
    caption: str
    roll: np.ndarray
    prime_frames: int = 0
    kept: np.ndarray | None = None


def write(
    folder: Path, samples: Iterable[Sample], grid: Grid, *, title: str, subtitle: str
) -> int:
    """Writes the files of samples and their page.

    Replaces symbolic links in the place of its files, so that it writes nothing outside the folder.

    Args:
      folder: created if it does not exist.
      samples: the samples; each is written before the next one is drawn.
      grid: the frames and columns of their rolls.
      title: the title of the page.
      subtitle: the line below.

    Returns:
      The number of samples.

    Raises:
      OSError: the folder cannot be created or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for sample in samples:
        path = folder / sample.name
        piano_roll.to_midi(sample.roll, grid).write(_unlinked(f"{path}.mid"))
        audio.save(_unlinked(f"{path}.wav"), audio.play(sample.roll, grid))
        plots.save_roll(_unlinked(f"{path}.png"), sample.roll, grid, title=sample.caption,
                        prime_frames=sample.prime_frames, kept=sample.kept)
        figures.append(_FIGURE.format(name=html.escape(sample.name, quote=True),
                                      caption=html.escape(sample.caption, quote=True)))
    Path(_unlinked(f"{folder / 'index.html'}")).write_text(_PAGE.format(
        title=html.escape(title), subtitle=html.escape(subtitle), figures="\n".join(figures)),
        encoding="utf-8")
    return len(figures)


def _unlinked(path: str) -> str:
    if os.path.islink(path):
        os.unlink(path)
    return path
