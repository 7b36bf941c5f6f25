# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""GIF films.

Axes: H height, W width.
"""
from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MAX_RATE = 30  # frames a second; faster films skip frames
_MAX_FRAMES = 2000  # held in memory until the film is written
_LARGEST, _SMALLEST = 320, 160  # pixels along the longer side of a picture
_COLOURS = 64
_LINE = 16  # pixels of a line of text
_PAPER, _INK = (255, 255, 255), (40, 44, 52)


class Film:
    """Collects pictures and writes them to a GIF file at the end of a `with` block.

    An exception within the block, such as KeyboardInterrupt, leaves the file unchanged.
    """

    def __init__(self, path: str | os.PathLike[str], rate: float):
        """Creates an empty film of `rate` pictures a second."""
        self._path = Path(path)
        self._every = max(1, math.ceil(rate / _MAX_RATE))
        self._milliseconds = 1000 * self._every / rate
        self._taken = 0
        self._frames: list[Image.Image] = []
        self._durations: list[float] = []
        self.is_cut = False  # whether pictures were left out at the end

    def add(self, picture: np.ndarray, *, hold: float = 0.0) -> None:
        """Adds a picture, uint8 `[H, W, 3]`, of the film's size, shown for `hold` seconds more."""
        self._taken += 1
        if not hold and (self._taken - 1) % self._every:
            return
        if len(self._frames) == _MAX_FRAMES:
            self.is_cut = True
            return
        image = Image.fromarray(picture).quantize(_COLOURS, dither=Image.Dither.NONE)
        self._frames.append(image)
        self._durations.append(self._milliseconds + 1000 * hold)

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None and self._frames:
            self._write()

    def _write(self) -> None:
        aside = self._path.with_name(f"{self._path.name}.writing")
        first, *others = self._frames
        try:
            first.save(aside, "GIF", save_all=True, append_images=others,
                       duration=[_hundredths(time) for time in self._durations], loop=0)
            aside.replace(self._path)
        finally:
            aside.unlink(missing_ok=True)


def fitted(picture: np.ndarray) -> np.ndarray:
    """Scales a picture to a readable size, uint8 `[H, W, 3]`."""
    longest = max(picture.shape[:2])
    if longest < _SMALLEST:
        return np.kron(picture, np.ones([-(-_SMALLEST // longest)] * 2 + [1], np.uint8))
    if longest <= _LARGEST:
        return picture
    size = (round(side * _LARGEST / longest) for side in picture.shape[1::-1])
    return np.asarray(Image.fromarray(picture).resize(tuple(size), Image.Resampling.BOX))


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """Returns the picture with a line of text below it, `[H + 16, W, 3]`."""
    height, width, _ = picture.shape
    image = Image.new("RGB", (width, height + _LINE), _PAPER)
    image.paste(Image.fromarray(picture))
    ImageDraw.Draw(image).text((3, height + 2), text, _INK, ImageFont.load_default())
    return np.asarray(image)


def _hundredths(milliseconds: float) -> int:
    """Rounds a duration to hundredths of a second, at least 2: many viewers slow shorter ones."""
    return max(20, 10 * round(milliseconds / 10))
