# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Validates the index of a checkpoint before TensorFlow reads it.

TensorFlow verifies checksums but trusts an index with the right ones: a forged index aborts the
process or allocates all memory. This module checks every offset, size and shape against the files,
so that a shared checkpoint can be opened safely; TensorFlow detects accidental damage.

`state.index` is a LevelDB table: blocks, each followed by a compression byte and a checksum, and a
footer with the position of the block that lists the others. An entry of a block is

    shared, unshared, size     variable-length integers
    unshared bytes of the key  after the first `shared` bytes of the previous key
    size bytes of the value

and a block ends with the offsets of some entries (restarts, 32 bits each) and their number. The
first entry of the table is a `BundleHeaderProto`. Each other one is the `BundleEntryProto` of a
tensor, with its position in `state.data-00000-of-00001`.
"""
from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import tensor_bundle_pb2

_FOOTER = 48
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER = 5  # compression byte and checksum of a block
_MOST_BYTES = 1 << 24  # of an index; about a hundred bytes per tensor are usual
_CHUNK_BYTES = 1 << 22
_MOST_VARINT_BYTES = 10


class _BadIndexError(ValueError):
    """The index contradicts itself or the data file."""


def damage(prefix: Path) -> str:
    """Returns the damage to the checkpoint files `prefix`.index and .data; "" if there is none.

    Raises:
      OSError: a file cannot be read.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    tensors = _data(prefix)
    for path in (index, tensors):
        if not path.is_file():  # reading a pipe would block
            return f"{path.name} is missing or not a file"
    try:
        with open(index, "rb") as file, open(tensors, "rb") as data:
            _check_entries(_read_table(file.read(_MOST_BYTES + 1)), data, tensors.stat().st_size)
    except _BadIndexError as error:
        return f"{index.name}: {error}"
    except (IndexError, struct.error, DecodeError, TypeError):
        return f"{index.name}: invalid entry"
    return ""


def read_data(prefix: Path) -> None:
    """Reads the data file of the checkpoint files `prefix` to its end, for an OSError it raises."""
    with open(_data(prefix), "rb") as file:
        while file.read(_CHUNK_BYTES):
            pass


def _data(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.data-00000-of-00001")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise _BadIndexError(message)


def _read_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a table in order."""
    _check(_FOOTER <= len(data) <= _MOST_BYTES and data.endswith(_MAGIC), "not an index")
    _, at = _handle(data, len(data) - _FOOTER)
    block_list, _ = _handle(data, at)
    previous = None
    for _, value in _read_block(data, block_list):
        handle, end = _handle(value, 0)
        _check(end == len(value), "invalid block")
        for key, entry in _read_block(data, handle):
            _check(previous is None or key > previous, "keys are not in order")
            previous = key
            yield key, entry


def _read_block(data: bytes, handle: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of the block at `handle`, its start and size."""
    start, size = handle
    _check(size >= 4 and start + size + _TRAILER <= len(data) - _FOOTER
           and data[start + size] == 0, "invalid block")
    block = data[start:start + size]
    num_restarts = struct.unpack_from("<I", block, size - 4)[0]
    end = size - 4 * (num_restarts + 1)
    _check(num_restarts >= 1 and end >= 0, "invalid block")
    restarts = set(struct.unpack_from(f"<{num_restarts}I", block, end))
    whole_keys, at, key = {0}, 0, b""
    while at < end:
        entry = at
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        _check(shared <= len(key) and at + unshared + length <= end, "invalid entry")
        key = key[:shared] + block[at:at + unshared]
        at += unshared + length
        if not shared:
            whole_keys.add(entry)
        yield key, block[at - length:at]
    _check(restarts <= whole_keys, "invalid block")


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Reads the start and size of a block; also returns the next position."""
    start, at = _varint(data, at)
    size, at = _varint(data, at)
    return (start, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Reads a variable-length integer; also returns the next position."""
    value = 0
    for i in range(_MOST_VARINT_BYTES):
        value |= (data[at + i] & 0x7F) << 7 * i
        if data[at + i] < 0x80:
            return value, at + i + 1
    raise _BadIndexError("invalid entry")


def _check_entries(entries: Iterator[tuple[bytes, bytes]], data: Any, data_size: int) -> None:
    """Checks the header and every tensor's entry against the data file."""
    key, value = next(entries, (b"?", b""))
    header = _parse(tensor_bundle_pb2.BundleHeaderProto(), value)
    _check(key == b"" and header.num_shards == 1 and not header.endianness,
           "expected one little-endian data file")
    remaining = data_size
    for _, value in entries:
        entry = _parse(tensor_bundle_pb2.BundleEntryProto(), value)
        remaining -= entry.size
        _check(not entry.slices and not entry.shard_id and entry.offset >= 0 <= entry.size
               and entry.offset + entry.size <= data_size and remaining >= 0,
               "a tensor lies outside the data file")
        _check_size(entry, data)


def _parse(message: Any, value: bytes) -> Any:
    """Parses a protocol buffer in its canonical form."""
    message.ParseFromString(value)
    _check(message.SerializeToString(deterministic=True) == value, "invalid entry")
    return message


def _check_size(entry: Any, data: Any) -> None:
    """Checks the size of a tensor against its shape, or that of a string against its length."""
    shape = [dim.size for dim in entry.shape.dim]
    _check(min(shape, default=0) >= 0 and not entry.shape.unknown_rank, "a shape is invalid")
    dtype = tf.dtypes.as_dtype(entry.dtype)
    if dtype != tf.string:
        _check(dtype.size > 0 and math.prod(shape) * dtype.size == entry.size,
               "a tensor's size does not match its shape")
        return
    _check(not shape, "expected only scalar strings")
    data.seek(entry.offset)
    length, at = _varint(data.read(min(entry.size, _MOST_VARINT_BYTES)), 0)
    _check(at + 4 + length == entry.size, "a string's size does not match its length")
