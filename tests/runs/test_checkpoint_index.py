# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Forged checkpoint indexes are refused before TensorFlow's reader, which they would abort."""

import contextlib
import os
import struct

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import tensor_bundle_pb2

from vaeseq.runs import checkpoint_index
from vaeseq.runs.checkpoint import Checkpoints, SavedNest

MATRIX = b"nest/_kept/0/.ATTRIBUTES/VARIABLE_VALUE"
GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)


@pytest.fixture
def prefix(tmp_path):
    """A checkpoint of a matrix and a scalar."""
    nest = SavedNest((tf.ones([3, 2]), tf.constant(7, tf.int64)))
    tf.train.Checkpoint(nest=nest).write(str(tmp_path / "state"))
    return tmp_path / "state"


def _index(prefix):
    return prefix.with_name("state.index")


# A writer of tables, with right checksums.


def _masked_crc(data):
    """Returns the CRC-32C of some bytes, masked as in LevelDB."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _block(body):
    return body + b"\0" + struct.pack("<I", _masked_crc(body + b"\0"))


def _body(entries):
    return b"".join(
        _varint(0) + _varint(len(key)) + _varint(len(value)) + key + value
        for key, value in entries) + struct.pack("<II", 0, 1)


def _table(body, last_key=b"zz"):
    """Returns an index whose only block of entries is `body`."""
    entries, empty = _block(body), _block(_body([]))
    handle = _varint(0) + _varint(len(body))
    block_list = _block(_body([(last_key, handle)]))
    start = len(entries) + len(empty)
    footer = (_varint(len(entries)) + _varint(len(empty) - 5)
              + _varint(start) + _varint(len(block_list) - 5))
    return entries + empty + block_list + footer.ljust(40, b"\0") + MAGIC


def _entries(prefix):
    """Returns the entries of TensorFlow's index, which has one block."""
    return list(checkpoint_index._read_table(_index(prefix).read_bytes()))


def _set(**changes):
    """Returns a change of a tensor's entry; `rows` sets its first dimension."""
    def change(entry):
        for name, value in changes.items():
            if name == "rows":
                entry.shape.dim[0].size = value
            else:
                setattr(entry, name, value)
    return change


def test_an_intact_index_has_no_damage_and_neither_has_a_copy(prefix):
    assert checkpoint_index.damage(prefix) == ""
    _index(prefix).write_bytes(_table(_body(_entries(prefix))))
    assert checkpoint_index.damage(prefix) == ""
    reader = tf.train.load_checkpoint(str(prefix))
    np.testing.assert_array_equal(reader.get_tensor(MATRIX.decode()), np.ones([3, 2]))


@pytest.mark.parametrize(("change", "message"), [
    (_set(rows=1 << 40), "size does not match its shape"),
    (_set(rows=-3), "a shape is invalid"),
    (_set(offset=1 << 50), "outside the data file"),
    (_set(offset=-8), "outside the data file"),
    (_set(size=24 * 400, rows=3 * 400), "outside the data file"),
    (lambda entry: entry.slices.add(), "outside the data file"),
    (_set(shard_id=3), "outside the data file"),
    (_set(dtype=tf.string.as_datatype_enum), "only scalar strings"),
    (_set(dtype=99), "invalid entry"),
    (lambda entry: setattr(entry.shape, "unknown_rank", True), "a shape is invalid"),
], ids=["large", "negative", "beyond", "before", "longer than the file", "sliced", "another file",
        "strings", "no dtype", "no rank"])
def test_a_forged_entry_is_refused(prefix, change, message):
    entries = dict(_entries(prefix))
    entry = tensor_bundle_pb2.BundleEntryProto.FromString(entries[MATRIX])
    change(entry)
    entries[MATRIX] = entry.SerializeToString()
    _index(prefix).write_bytes(_table(_body(entries.items())))
    assert message in checkpoint_index.damage(prefix)


def test_a_forged_length_of_a_string_is_refused(prefix):
    entry = tensor_bundle_pb2.BundleEntryProto.FromString(dict(_entries(prefix))[GRAPH])
    data = prefix.with_name("state.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[entry.offset] ^= 1
    data.write_bytes(content)
    assert "a string's size does not match its length" in checkpoint_index.damage(prefix)


@pytest.mark.parametrize(("change", "message"), [
    (lambda entries: entries[1:], "one little-endian data file"),
    (lambda entries: [(b"", b"\x08\x02"), *entries[1:]], "one little-endian data file"),
    (lambda entries: [*entries[:2], entries[1]], "keys are not in order"),
    (lambda entries: [*entries[:2], (b"z", b"\xff\xff")], "invalid entry"),
    (lambda entries: [*entries[:2], (b"z", entries[1][1])], "outside the data file"),
], ids=["no header", "two files", "twice", "no message", "shared data"])
def test_a_forged_table_is_refused(prefix, change, message):
    entries = _entries(prefix)
    big = max(entries[1:], key=lambda item: tensor_bundle_pb2.BundleEntryProto.FromString(
        item[1]).size)
    _index(prefix).write_bytes(_table(_body(change([entries[0], big, *entries[1:]]))))
    assert message in checkpoint_index.damage(prefix)


@pytest.mark.parametrize("content", [
    b"", b"x" * 100, b"\0" * 40 + MAGIC, b"\xff" * 40 + MAGIC], ids=["", "x", "zeros", "ones"])
def test_a_file_that_is_no_table_is_refused(prefix, content):
    _index(prefix).write_bytes(content)
    assert checkpoint_index.damage(prefix).startswith("state.index: ")


@pytest.mark.parametrize("name", ["state.index", "state.data-00000-of-00001"])
def test_a_pipe_is_refused_without_reading(prefix, name):
    prefix.with_name(name).unlink()
    assert f"{name} is missing" in checkpoint_index.damage(prefix)
    os.mkfifo(prefix.with_name(name))
    assert f"{name} is missing or not a file" in checkpoint_index.damage(prefix)


def test_an_index_that_passes_does_not_abort_tensorflow(prefix):
    body, passed = _body(_entries(prefix)), 0
    for number in range(300):
        rng = np.random.default_rng(number)
        forged = bytearray(body)
        for at in rng.integers(len(body), size=int(2 ** rng.uniform(0, 4))):
            forged[at] = rng.choice([0, 1, 2, 8, 0x10, 0x7F, 0x80, 0xFF, rng.integers(256)])
        _index(prefix).write_bytes(_table(bytes(forged)))
        if not checkpoint_index.damage(prefix):
            passed += 1
            with contextlib.suppress(tf.errors.OpError, IndexError, UnicodeDecodeError):
                reader = tf.train.load_checkpoint(str(prefix))
                for name in reader.get_variable_to_shape_map():
                    reader.get_tensor(name)
    assert 0 < passed < 300


def test_an_invalid_object_graph_is_an_error(tmp_path):
    nest = SavedNest(tf.ones([3]))
    Checkpoints(tmp_path).save(1, {"nest": nest})
    prefix = str(tmp_path / "step-000000001" / "state")
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=[GRAPH.decode()], shape_and_slices=[""],
                      tensors=[tf.constant(b"\xff\xff\xff")])
    with pytest.raises(ValueError, match="expected a checkpoint of this model"):
        Checkpoints(tmp_path).restore({"nest": nest})
