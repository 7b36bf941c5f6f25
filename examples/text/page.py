# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A page that shows a text with each character coloured by its surprise."""
from __future__ import annotations

import html

import numpy as np

_LEVELS = 10  # of colour
_NATS_A_LEVEL = 0.8
_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
  body {{ font: 16px/1.6 ui-monospace, monospace; max-width: 60em; margin: 2em auto; color: #111; }}
  pre {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
  .legend span {{ padding: 0.2em 0.6em; }}
{colours}
</style>
<h1>{title}</h1>
<p>{steps:,} characters, {mean:.4f} nats each on average. The darker, the more surprising; point at a
character for its surprise in nats.</p>
<p class="legend">{legend}</p>
<pre>"""


def render(name: str, text: str, surprises: np.ndarray) -> str:
    """The page.

    Args:
      name: of the text.
      text: its N characters.
      surprises: nats of each, `[N]`.
    """
    levels = np.clip(surprises / _NATS_A_LEVEL, 0, _LEVELS - 1).astype(int)
    marked = "".join(
        f'<span class="s{level}" title="{surprise:.2f}">{_visible(character)}</span>'
        for character, level, surprise in zip(text, levels, surprises, strict=True))
    return _head(name, surprises) + marked + "</pre>\n</html>\n"


def _head(name: str, surprises: np.ndarray) -> str:
    colours = "\n".join(
        f"  .s{level} {{ background: hsl(14 90% {98 - 5 * level}%); }}" for level in range(_LEVELS))
    legend = "".join(
        f'<span class="s{level}">{level * _NATS_A_LEVEL:.1f}{"+" if level == _LEVELS - 1 else ""}'
        "</span>" for level in range(_LEVELS))
    return _HEAD.format(title=html.escape(name), colours=colours, legend=legend,
                        steps=len(surprises), mean=float(np.mean(surprises)))


def _visible(character: str) -> str:
    """The character in HTML; a line break is shown as a mark before it breaks the line."""
    if character == "\n":
        return "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}\n"
    return html.escape(character) if character.isprintable() or character == "\t" else "\ufffd"
