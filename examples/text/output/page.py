# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Renders a text as HTML, each symbol coloured by its surprise (negative log-probability)."""
from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterable, Iterator

_LEVELS = 10  # of colour
_NATS_PER_LEVEL = 0.8
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
  body {{ font: 16px/1.6 ui-monospace, monospace; max-width: 60em; margin: 2em auto; color: #111;
         background: #fff; padding: 0 1em; }}
  pre {{ font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }}
  .legend span {{ padding: 0.2em 0.6em; }}
{colours}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{steps:,} characters, on average {mean:.4f} nats per character. Darker ones are more
surprising; point at one for its surprise in nats.</p>
<p class="legend">{legend}</p>
<pre dir="auto">"""
_FOOT = "</pre>\n</body>\n</html>\n"


def render(
    name: str, spans: Iterable[tuple[str, float]], num_characters: int, mean: float
) -> Iterator[str]:
    """Yields the page in pieces.

    Args:
      name: the title.
      spans: pieces of the text, of one character or several, with the nats of each. Colours are of
        the nats per character.
      num_characters: of the whole text.
      mean: nats per character of the whole text.
    """
    yield _head(name, num_characters, mean)
    for text, nats in spans:
        per_character = nats / len(text) / _NATS_PER_LEVEL
        level = int(min(max(per_character, 0), _LEVELS - 1)) if math.isfinite(nats) else 0
        visible = "".join(map(_visible, text))
        yield f'<span class="s{level}" title="{nats:.2f}">{visible}</span>'
    yield _FOOT


def _head(name: str, num_characters: int, mean: float) -> str:
    colours = "\n".join(
        f"  .s{level} {{ background: hsl(14 90% {98 - 5 * level}%); }}" for level in range(_LEVELS))
    legend = "".join(
        f'<span class="s{level}">{level * _NATS_PER_LEVEL:.1f}'
        f'{"+" if level == _LEVELS - 1 else ""}</span>' for level in range(_LEVELS))
    return _HEAD.format(title=html.escape(name), colours=colours, legend=legend,
                        steps=num_characters, mean=mean)


def is_text(character: str) -> bool:
    """Whether a character may stand in a page or a terminal: no control character.

    Spaces of all widths may, and format characters, which join or direct their neighbours.
    """
    return character in "\n\t" or character.isprintable() or unicodedata.category(
        character) in ("Zs", "Cf")


def _visible(character: str) -> str:
    """Returns the character as HTML, with a mark before each line break."""
    if character == "\n":
        return "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}\n"
    return html.escape(character) if is_text(character) else "\ufffd"
