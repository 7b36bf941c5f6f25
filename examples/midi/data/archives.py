# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Archives of piano rolls, such as the music sets of Boulanger-Lewandowski et al. (2012).

An archive is a NumPy `.npz` with, for each split "train", "valid" and "test", the array `<split>`,
uint8 [frames, 88], pieces laid end to end, 1 where a note sounds (MIDI pitches 21 to 108), and
`<split>_lengths`, int32 [pieces]. It may say how long a frame is: `rate`, frames per second, or
`grid`, the note value of a frame (16 for sixteenth notes).
"""
from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vaeseq.fields import Range

from .piano_roll import MAX_GRID, RATES, Grid

LOWEST, NOTES = 21, 88
SPLITS = ("train", "valid", "test")
_MAX_ARRAY_BYTES = 1 << 28  # unpacked
_MOST_LISTED = 200  # characters of the names of arrays in a message


class Clock(NamedTuple):
    """How long the frames of an archive are; nothing is known of both 0."""

    rate: float = 0.0  # frames per second
    grid: int = 0  # note value of a frame

    @property
    def is_known(self) -> bool:
        """Whether the archive says how long a frame is."""
        return bool(self.rate or self.grid)

    @property
    def frames(self) -> Grid:
        """The columns of the archive and, of a known clock, the frames."""
        return Grid(rate=self.rate, note=self.grid, lowest=LOWEST, highest=LOWEST + NOTES - 1)


UNKNOWN = Clock()


def load(
    path: str | os.PathLike[str], splits: Sequence[str] = SPLITS
) -> dict[str, list[np.ndarray]]:
    """Returns the pieces of each split in `splits`, uint8 `[frames, 88]`.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not an archive of piano rolls, or lacks a split.
    """
    name = repr(os.fspath(path))
    arrays = _arrays(
        path, name, [key for split in splits for key in (split, f"{split}_lengths")])
    for split in splits:
        if not {split, f"{split}_lengths"} <= {*arrays}:
            with zipfile.ZipFile(path) as archive:
                names = [member.removesuffix(".npy") for member in archive.namelist()]
            raise ValueError(f"{name}: expected the arrays {split!r} and '{split}_lengths', found "
                             f"{', '.join(sorted(names))[:_MOST_LISTED] or 'none'}.")
    return {split: _pieces(arrays, split, name) for split in splits}


def load_clock(path: str | os.PathLike[str]) -> Clock:
    """Returns how long the frames of an archive are.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no archive, or its `rate` or `grid` is not a number in range.
    """
    name, keys = repr(os.fspath(path)), Clock._fields
    arrays = _arrays(path, name, keys)
    if len(arrays) > 1:
        raise ValueError(f"{name}: expected a rate or a grid, found both.")
    for key, allowed in zip(keys, (RATES, Range(1, MAX_GRID))):
        value = arrays.get(key, np.zeros(()))
        valid = value.size == 1 and (key == "rate" or value.dtype.kind in "iu")
        if key in arrays and not (valid and allowed.low <= value.item() <= allowed.high):
            number = "a number" if key == "rate" else "a whole number"
            raise ValueError(f"{name}: expected {key!r} to be {number} from {allowed.low:g} to "
                             f"{allowed.high:g}, found {value.dtype} {value.tolist()!r:.40}.")
    return Clock(**{key: value.item() for key, value in arrays.items()})


def save(
    path: str | os.PathLike[str], pieces: dict[str, list[np.ndarray]], clock: Clock = UNKNOWN
) -> None:
    """Writes an archive that `load` reads."""
    arrays: dict[str, Any] = {
        key: np.array(value) for key, value in clock._asdict().items() if value}
    for split in pieces:
        arrays[split] = np.concatenate(pieces[split]).astype(np.uint8)
        arrays[f"{split}_lengths"] = np.array([len(piece) for piece in pieces[split]], np.int32)
    np.savez_compressed(path, **arrays)


def _arrays(
    path: str | os.PathLike[str], name: str, keys: Sequence[str]
) -> dict[str, np.ndarray]:
    """Returns those of the arrays `keys` that an archive has."""
    try:
        _check_sizes(path, name)
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: _array(archive[key], key) for key in archive.files if key in keys}
    except OSError:
        raise
    except Exception as error:  # NumPy and the decompressors raise many types
        reason = str(error) or type(error).__name__
        raise ValueError(f"{name}: expected an archive of piano rolls (.npz); {reason}") from None


def _array(value: Any, name: str) -> np.ndarray:
    """Checks a member of an archive; NumPy returns the bytes of one that is not an array."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise ValueError(f"{name!r} is not an array of numbers")
    return value


def _check_sizes(path: str | os.PathLike[str], name: str) -> None:
    """Raises ValueError where a member claims to unpack to more memory than is allowed."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size > _MAX_ARRAY_BYTES:
                raise ValueError(f"{name}: {member.filename} claims {member.file_size} bytes; "
                                 f"expected at most {_MAX_ARRAY_BYTES}")


def _pieces(arrays: dict[str, np.ndarray], split: str, name: str) -> list[np.ndarray]:
    frames, lengths = arrays[split], arrays[f"{split}_lengths"]
    if frames.ndim != 2 or frames.shape[1] != NOTES:
        raise ValueError(f"{name}: expected {split!r} of shape [frames, {NOTES}], got "
                         f"{list(frames.shape)}.")
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any() or (
            lengths > len(frames)).any():
        raise ValueError(f"{name}: expected '{split}_lengths' to be whole numbers from 1 to "
                         f"{len(frames)}, one a piece, got {lengths.dtype} {list(lengths.shape)}.")
    if lengths.sum(dtype=np.int64) != len(frames):
        raise ValueError(f"{name}: '{split}_lengths' add up to {lengths.sum(dtype=np.int64)}, but "
                         f"{split!r} has {len(frames)} frames.")
    is_binary = (frames == 0) | (frames == 1)
    if not is_binary.all():
        raise ValueError(f"{name}: expected only 0 and 1 in {split!r}, found "
                         f"{frames[~is_binary][0]}.")
    return np.split(frames.astype(np.uint8), np.cumsum(lengths, dtype=np.int64)[:-1])
