# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Checks the index of a checkpoint before TensorFlow reads it.

TensorFlow's reader checks checksums, and trusts what has the right one: an index that was made to
mislead ends the whole process, or asks for more memory than there is. Here nothing is believed that
the files do not bear out. What is damaged by chance, TensorFlow finds.

`state.index` is a table: blocks, each followed by a byte for its packing and a checksum, and a
footer that says where the block of blocks is. An entry of a block is

    shared, unshared, size     numbers of variable length
    unshared bytes of the key  after `shared` bytes of the key before
    size bytes of the value

and a block ends with the offsets of some entries (32 bits each) and their number. The first entry
is a `BundleHeaderProto`, each other one a tensor's `BundleEntryProto`: where in
`state.data-00000-of-00001` it is.
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
_TRAILER = 5  # bytes after a block
_MOST_BYTES = 1 << 24  # of an index; a hundred bytes a tensor is usual
_MOST_DIGITS = 10  # bytes of a number of variable length


class _BadIndexError(ValueError):
    """The index claims what cannot be; the message says what."""


def damage(prefix: Path) -> str:
    """What is wrong with the checkpoint of the files `prefix`.index and .data; "" for nothing.

    Raises:
      OSError: they cannot be read.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    tensors = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    for path in (index, tensors):
        if not path.is_file():  # a pipe would be waited for
            return f"{path.name} is missing, or no file"
    try:
        with open(index, "rb") as file, open(tensors, "rb") as data:
            _check_entries(_entries(file.read(_MOST_BYTES + 1)), data, tensors.stat().st_size)
    except _BadIndexError as error:
        return f"{index.name}: {error}"
    except (IndexError, struct.error):
        return f"{index.name}: it ends too early"
    except (DecodeError, TypeError):
        return f"{index.name}: an entry is none"
    return ""


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _BadIndexError(otherwise)


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, in order."""
    _check(_FOOTER <= len(data) <= _MOST_BYTES and data.endswith(_MAGIC), "it is no index")
    _, at = _handle(data, len(data) - _FOOTER)
    blocks, _ = _handle(data, at)
    last = None
    for _, value in _block(data, blocks):
        handle, end = _handle(value, 0)
        _check(end == len(value), "a block is nowhere")
        for key, entry in _block(data, handle):
            _check(last is None or key > last, "its keys are not in order")
            last = key
            yield key, entry


def _block(data: bytes, handle: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    start, size = handle
    _check(size >= 4 and start + size + _TRAILER <= len(data) - _FOOTER, "a block is nowhere")
    _check(data[start + size] == 0, "a block is packed")
    block = data[start:start + size]
    count = struct.unpack_from("<I", block, size - 4)[0]
    end = size - 4 * (count + 1)
    _check(count >= 1 and end >= 0, "a block has no beginning")
    restarts = set(struct.unpack_from(f"<{count}I", block, end))
    whole, at, key = set(), 0, b""
    while at < end:
        began = at
        shared, at = _number(block, at)
        unshared, at = _number(block, at)
        length, at = _number(block, at)
        _check(shared <= len(key) and at + unshared + length <= end, "an entry is too long")
        key = key[:shared] + block[at:at + unshared]
        at += unshared + length
        if not shared:
            whole.add(began)
        yield key, block[at - length:at]
    _check(restarts <= whole | {0}, "a block has no such entry")


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Where a block is, its start and size; and what comes after that."""
    offset, at = _number(data, at)
    size, at = _number(data, at)
    return (offset, size), at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and what comes after it."""
    value = 0
    for digit in range(_MOST_DIGITS):
        value |= (data[at + digit] & 0x7F) << 7 * digit
        if data[at + digit] < 0x80:
            return value, at + digit + 1
    raise _BadIndexError("a number is too long")


def _check_entries(entries: Iterator[tuple[bytes, bytes]], data: Any, size: int) -> None:
    """Raises `_BadIndexError` where an entry is not borne out by a file of `size` bytes."""
    key, value = next(entries, (b"?", b""))
    header = _parsed(tensor_bundle_pb2.BundleHeaderProto(), value)
    _check(key == b"" and header.num_shards == 1 and not header.endianness,
           "it is of several files, or of another machine")
    left = size
    for _, value in entries:
        entry = _parsed(tensor_bundle_pb2.BundleEntryProto(), value)
        left -= entry.size
        _check(not entry.slices and not entry.shard_id and entry.offset >= 0 <= entry.size
               and entry.offset + entry.size <= size and left >= 0,
               "a tensor is not in the file of tensors")
        _check_size(entry, data)


def _parsed(message: Any, value: bytes) -> Any:
    """The message that `value` is, written in the one way in which it is written."""
    message.ParseFromString(value)
    _check(message.SerializeToString(deterministic=True) == value, "an entry is none")
    return message


def _check_size(entry: Any, data: Any) -> None:
    """Raises `_BadIndexError` where a tensor's shape does not agree with its size."""
    shape = [dim.size for dim in entry.shape.dim]
    _check(min(shape, default=0) >= 0 and not entry.shape.unknown_rank, "a tensor has no shape")
    dtype = tf.dtypes.as_dtype(entry.dtype)
    if dtype != tf.string:
        _check(dtype.size > 0 and math.prod(shape) * dtype.size == entry.size,
               "a tensor has another size than its shape")
        return
    _check(not shape, "it holds more than one text in a tensor")
    data.seek(entry.offset)
    length, at = _number(data.read(min(entry.size, _MOST_DIGITS)), 0)
    _check(at + 4 + length == entry.size, "a text has another size than it says")
