# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Archives of piano rolls, such as the music sets of Boulanger-Lewandowski et al. (2012).

An archive is a NumPy `.npz` with, for each split "train", "valid" and "test", the array `<split>`,
uint8 [frames, 88], pieces laid end to end, 1 where a note sounds (MIDI pitches 21 to 108), and
`<split>_lengths`, int32 [pieces].
"""
from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

LOWEST, NOTES = 21, 88
SPLITS = ("train", "valid", "test")
_MAX_ARRAY_BYTES = 1 << 28  # unpacked


def load(
    path: str | os.PathLike[str], splits: Sequence[str] = SPLITS
) -> dict[str, list[np.ndarray]]:
    """Returns the pieces of each split in `splits`, uint8 `[frames, 88]`.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not an archive of piano rolls, or lacks a split.
    """
    name = repr(os.fspath(path))
    keys = [key for split in splits for key in (split, f"{split}_lengths")]
    try:
        _check_sizes(path, name)
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: _array(archive[key], key) for key in archive.files if key in keys}
    except OSError:
        raise
    except Exception as error:  # NumPy and the decompressors raise many types
        reason = str(error) or type(error).__name__
        raise ValueError(f"{name}: expected an archive of piano rolls (.npz); {reason}") from None
    return {split: _pieces(arrays, split, name) for split in splits}


def save(path: str | os.PathLike[str], pieces: dict[str, list[np.ndarray]]) -> None:
    """Writes an archive that `load` reads."""
    arrays: dict[str, Any] = {}
    for split in pieces:
        arrays[split] = np.concatenate(pieces[split]).astype(np.uint8)
        arrays[f"{split}_lengths"] = np.array([len(piece) for piece in pieces[split]], np.int32)
    np.savez_compressed(path, **arrays)


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
    for key in (split, f"{split}_lengths"):
        if key not in arrays:
            raise ValueError(f"{name}: expected the arrays {split!r} and '{split}_lengths', found "
                             f"{', '.join(sorted(arrays)) or 'none'}.")
    frames, lengths = arrays[split], arrays[f"{split}_lengths"]
    if frames.ndim != 2 or frames.shape[1] != NOTES:
        raise ValueError(f"{name}: expected {split!r} of shape [frames, {NOTES}], got "
                         f"{list(frames.shape)}.")
    if not np.isin(frames, (0, 1)).all():
        bad = frames[~np.isin(frames, (0, 1))].flat[0]
        raise ValueError(f"{name}: expected only 0 and 1 in {split!r}, found {bad}.")
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any():
        raise ValueError(f"{name}: expected '{split}_lengths' to be whole numbers above 0, one a "
                         f"piece, got {lengths.dtype} {list(lengths.shape)}.")
    if lengths.sum(dtype=np.int64) != len(frames):
        raise ValueError(f"{name}: '{split}_lengths' add up to {lengths.sum(dtype=np.int64)}, but "
                         f"{split!r} has {len(frames)} frames.")
    return np.split(frames.astype(np.uint8), np.cumsum(lengths, dtype=np.int64)[:-1])
