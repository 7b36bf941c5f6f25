# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Binary files for `fuzz` that are wrong in their structure: MIDI, archives of arrays, checkpoints.

A spoilt byte is mostly caught by the first check of a reader; these get past it. Lengths claim more
than there is, members and types are others, checksums are right.
"""
from __future__ import annotations

import functools
import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np

from .fuzz_mutations import Rng, pick, pickled, spoil

_NOTES = 88
_LENGTHS = (0, 1, 7, 0x7F, 0x7FFFFFFF, 0xFFFFFFFF)


def midi(rng: Rng) -> bytes:
    """A MIDI file, whole in most parts: its header, chunk lengths or times may lie."""
    lies = rng.random() < 0.5
    tracks = [_track(rng, lies) for _ in range(int(rng.integers(1, 4)))]
    if not lies:
        return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), 480) + b"".join(tracks)
    division = pick((480, 480, 96, 1, 0, 0x7FFF, 0x8000, 0xE728), rng)
    count = pick((len(tracks), len(tracks), 0, 0xFFFF), rng)
    kind = pick((0, 1, 1, 2, 3, 0xFFFF), rng)
    length = pick((6, 6, 6, 5, 10, 1 << 31), rng)
    return b"MThd" + struct.pack(">IHHH", length, kind, count, division) + b"".join(tracks)


def _track(rng: Rng, lies: bool) -> bytes:
    deltas = _DELTAS if lies else _DELTAS[:6]
    body = b"".join(_variable(pick(deltas, rng)) + _event(rng, lies)
                    for _ in range(int(2 ** rng.uniform(0, 9))))
    if not lies or rng.random() < 0.8:
        body += b"\x00\xff\x2f\x00"
    if not lies:
        return b"MTrk" + struct.pack(">I", len(body)) + body
    length = len(body) if rng.random() < 0.8 else pick((*_LENGTHS, len(body) - 1), rng)
    return pick((b"MTrk",) * 9 + (b"XFIH",), rng) + struct.pack(">I", length & 0xFFFFFFFF) + body


_DELTAS = (0, 0, 1, 60, 120, 240, 480, 0x3FFF, 0xFFFFFFF, 1 << 40)


def _event(rng: Rng, lies: bool) -> bytes:
    channel, a, b = (int(rng.integers(n)) for n in (16, 128, 128))
    if not lies or rng.random() < 0.5:
        return bytes([pick((0x90, 0x90, 0x80, 0xB0), rng) | channel, pick((60, 64, 67), rng), b])
    status = pick((0x90, 0x90, 0x90, 0x80, 0x80, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0xFF), rng)
    if status in (0xC0, 0xD0):
        return bytes([status | channel, a])
    if status == 0xF0:
        return b"\xf0" + _variable(pick((0, 2, 200, 1 << 27), rng)) + bytes([a, b])
    if status == 0xFF:
        kinds = (0x01, 0x03, 0x20, 0x2F, 0x51, 0x51, 0x51, 0x54, 0x58, 0x59, 0x7F, a)
        size = pick((0, 1, 2, 3, 3, 4, 5, 127), rng)
        return bytes([0xFF, pick(kinds, rng)]) + _variable(size) + rng.bytes(size)
    if rng.random() < 0.1:
        return bytes([a, b])  # a running status, perhaps without one before
    return bytes([status | channel, pick((a, 60, 64), rng), b])


def _variable(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def archive(rng: Rng, directory: Path) -> bytes:
    """An archive of piano rolls: names, types, shapes, lengths or the packing may be wrong.

    Args:
      rng: what decides.
      directory: made by the pickle that is planted in an array of objects.
    """
    members = {}
    for split in ("train", "valid"):
        lengths = np.array([int(rng.integers(1, 30)) for _ in range(4)], np.int32)
        rolls = np.uint8(rng.random([int(lengths.sum()), _NOTES]) < 0.05)
        members |= {f"{split}.npy": _array(rolls), f"{split}_lengths.npy": _array(lengths)}
    for _ in range(int(rng.integers(1, 3))):
        name = pick(list(members), rng)
        change = int(rng.integers(4))
        if change == 0:
            members[pick(_NAMES, rng)] = members.pop(name)
        elif change == 1:
            members[name] = _header(rng) + rng.bytes(int(2 ** rng.uniform(0, 12)))
        elif change == 2:
            members[name] = _array(pick(_arrays(rng), rng))
        else:
            members[name] = pick((b"", pickled(directory), _objects(directory),
                                   spoil(members[name], rng)), rng)
    return _zipped(members, rng)


_NAMES = ("train", "train.npy", "TRAIN.npy", "../train.npy", "/etc/train.npy", "valid.npy", "x.npy",
          "train_lengths.npy", "a" * 3000 + ".npy", "\u00e9.npy", "train.npy/", "file\n.npy")
_DESCRIPTIONS = ("|u1", "|b1", "<f8", ">i4", "|O", "<U9999999", "|S0", "<M8[s]", "|V16", "u1,u1",
                 "(3)u1", "<c16", "zz", "[('a', 'O')]", "|u1' * 9 + '", "<f2")
_SHAPES = ("()", "(1,)", "(0, 88)", "(3, 88)", "(1099511627776, 88)", "(-1, 88)", "(4294967296,) ",
           "(3, 88, 0)", "(1.5,)", "(" * 40 + ")" * 40, "(9223372036854775807, 2)", "3", "None")


def _header(rng: Rng) -> bytes:
    """The beginning of an array's file, which may claim anything."""
    text = (f"{{'descr': '{pick(_DESCRIPTIONS, rng)}', 'fortran_order': "
            f"{pick(('False', 'True', '1', 'None'), rng)}, 'shape': {pick(_SHAPES, rng)}, }}\n")
    version = pick((1, 1, 1, 2, 3, 9), rng)
    length = len(text) if rng.random() < 0.8 else pick((0, 1, 65535), rng)
    packed = struct.pack("<H" if version == 1 else "<I", length)
    return b"\x93NUMPY" + bytes([version, 0]) + packed + text.encode()


def _arrays(rng: Rng) -> list[np.ndarray]:
    rolls = np.zeros([30, _NOTES])
    return [
        rolls, rolls + np.nan, rolls + np.inf, np.uint8(rolls + 2), np.zeros([0, _NOTES], np.uint8),
        np.zeros([30, 87], np.uint8), np.zeros([_NOTES], bool), np.int32(7), np.array("x" * 50),
        np.array([-1, 31], np.int32), np.array([2**31 - 1, 1], np.int32), np.ones([0], np.int64),
        np.array([2**63, 2**63, 30], np.uint64), np.array([1.5, 28.5]), np.asfortranarray(rolls),
        np.zeros([2, 15, _NOTES], np.uint8), rolls.astype(bool), rolls.astype("S1"),
        np.zeros([30, _NOTES], [("a", "u1")]), np.array([True] * 30), rolls.astype(np.complex64)]


def _array(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def _objects(directory: Path) -> bytes:
    """An array of objects: to read it is to load its pickle."""
    text = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + pickled(directory)


def _zipped(members: dict[str, bytes], rng: Rng) -> bytes:
    packing = pick((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED,
                     zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA), rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as file:
        for name, content in members.items():
            file.writestr(name, content)
    packed = buffer.getvalue() if rng.random() < 0.97 else _bomb()
    if rng.random() < 0.3:
        packed = _lying(packed, rng)
    return packed


@functools.cache
def _bomb() -> bytes:
    """300 MB of nothing in 300 kB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("train.npy", bytes(300 << 20))
        file.writestr("train_lengths.npy", b"")
    return buffer.getvalue()


def _lying(packed: bytes, rng: Rng) -> bytes:
    """The archive with another number in one field of its directory: a size, a flag, an offset."""
    spoilt = bytearray(packed)
    starts = [found.start() for found in re.finditer(rb"PK\x01\x02|PK\x03\x04", packed)]
    at = pick(starts, rng) + int(rng.integers(4, 46))
    value = pick((0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF), rng)
    for number, byte in enumerate(value.to_bytes(4, "little")[:pick((1, 2, 4), rng)]):
        if at + number < len(spoilt):
            spoilt[at + number] = byte
    return bytes(spoilt)


_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected


def _make_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _make_table()


def index(data: bytes, rng: Rng) -> bytes:
    """A checkpoint's index with a few bytes changed in its entries, and checksums that are right.

    The file is a table of blocks, each followed by one byte for its packing and a masked CRC; the
    last 48 bytes say where the block is that says where the others are.
    """
    if len(data) < 48 or data[-8:] != _MAGIC:
        return spoil(data, rng)
    _, at = _block_handle(data, len(data) - 48)
    (start, size), _ = _block_handle(data, at)
    (first, length), _ = _first_handle(data, start)
    spoilt = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 4))):
        spoilt[first + int(rng.integers(length))] = pick(
            (0, 1, 2, 8, 0x10, 0x7F, 0x80, 0xFF, int(rng.integers(256))), rng)
    for begin, count in ((first, length), (start, size)):
        checksum = masked(crc(bytes(spoilt[begin:begin + count + 1])))
        spoilt[begin + count + 1:begin + count + 5] = struct.pack("<I", checksum)
    return bytes(spoilt)


def _first_handle(data: bytes, start: int) -> tuple[tuple[int, int], int]:
    """Where the first block is that the block of blocks at `start` names."""
    _, at = _read(data, start)  # nothing is shared with a key before
    unshared, at = _read(data, at)
    _, at = _read(data, at)
    return _block_handle(data, at + unshared)


def _block_handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = _read(data, at)
    size, at = _read(data, at)
    return (offset, size), at


def _read(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def crc(data: bytes) -> int:
    """The CRC-32C of some bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def masked(value: int) -> int:
    """A CRC as it is kept in files that hold CRCs themselves."""
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
