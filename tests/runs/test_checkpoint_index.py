# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Indexes of checkpoints that lie: refused before TensorFlow's reader, which would end it all."""

from __future__ import annotations

import contextlib
import os
import struct

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import tensor_bundle_pb2

from benchmarks import fuzz_files
from vaeseq.runs import checkpoint_index
from vaeseq.runs.checkpoint import Checkpoints, SavedNest

KEY = b"_kept/0/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.fixture
def prefix(tmp_path):
    """A checkpoint of a matrix, a scalar and the graph of both."""
    carried = SavedNest((tf.ones([3, 2]), tf.constant(7, tf.int64)))
    tf.train.Checkpoint(kept=carried).write(str(tmp_path / "state"))
    return tmp_path / "state"


def _index(prefix):
    return prefix.with_name("state.index")


def _number(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _block(entries):
    """A block, with no packing and the right checksum, of keys written out whole."""
    body = b"".join(
        _number(0) + _number(len(key)) + _number(len(value)) + key + value
        for key, value in entries)
    body += struct.pack("<II", 0, 1)
    return body + b"\0" + struct.pack("<I", fuzz_files.masked(fuzz_files.crc(body + b"\0")))


def _table(entries):
    """An index of these entries, as TensorFlow writes one."""
    blocks, handles = b"", []
    for part in (entries, []):
        handles.append(_number(len(blocks)) + _number(len(_block(part)) - 5))
        blocks += _block(part)
    named = _block([(entries[-1][0], handles[0])])
    footer = handles[1] + _number(len(blocks)) + _number(len(named) - 5)
    return blocks + named + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def _entries(prefix):
    return list(checkpoint_index._entries(_index(prefix).read_bytes()))


def test_a_whole_one_has_no_damage_and_neither_has_a_copy(prefix):
    assert checkpoint_index.damage(prefix) == ""
    _index(prefix).write_bytes(_table(_entries(prefix)))
    assert checkpoint_index.damage(prefix) == ""
    reader = tf.train.load_checkpoint(str(prefix))
    np.testing.assert_array_equal(reader.get_tensor("kept/" + KEY.decode()), np.ones([3, 2]))


def _large(entry):
    entry.shape.dim[0].size = 1 << 40


def _negative(entry):
    entry.shape.dim[0].size = -3


def _beyond(entry):
    entry.offset = 1 << 50


def _before(entry):
    entry.offset = -8


def _twice(entry):
    entry.size *= 400
    entry.shape.dim[0].size *= 400


def _sliced(entry):
    entry.slices.add()


def _elsewhere(entry):
    entry.shard_id = 3


def _text(entry):
    entry.dtype = tf.string.as_datatype_enum


def _nothing(entry):
    entry.dtype = 99


def _of_any_rank(entry):
    entry.shape.unknown_rank = True


@pytest.mark.parametrize(("change", "said"), [
    (_large, "another size than its shape"), (_negative, "no shape"),
    (_beyond, "not in the file of tensors"), (_before, "not in the file of tensors"),
    (_twice, "not in the file of tensors"), (_sliced, "not in the file of tensors"),
    (_elsewhere, "not in the file of tensors"), (_text, "more than one text"),
    (_nothing, "an entry is none"), (_of_any_rank, "no shape")],
    ids=lambda value: value.__name__ if callable(value) else "")
def test_an_entry_that_lies(prefix, change, said):
    entries = dict(_entries(prefix))
    key = b"kept/" + KEY
    entry = tensor_bundle_pb2.BundleEntryProto.FromString(entries[key])
    change(entry)
    entries[key] = entry.SerializeToString()
    _index(prefix).write_bytes(_table(list(entries.items())))
    assert said in checkpoint_index.damage(prefix)


def test_a_text_longer_than_it_is(prefix):
    entries = dict(_entries(prefix))
    entry = tensor_bundle_pb2.BundleEntryProto.FromString(
        entries[b"_CHECKPOINTABLE_OBJECT_GRAPH"])
    data = prefix.with_name("state.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[entry.offset] ^= 1
    data.write_bytes(content)
    assert "a text has another size than it says" in checkpoint_index.damage(prefix)


@pytest.mark.parametrize(("spoilt", "said"), [
    (lambda entries: entries[1:], "of several files"),
    (lambda entries: [(b"", b"\x08\x02"), *entries[1:]], "of several files"),
    (lambda entries: [*entries[:2], entries[1]], "not in order"),
    (lambda entries: [*entries[:2], (b"z", b"\xff\xff")], "an entry is none"),
    (lambda entries: [*entries[:2], (b"z", entries[1][1] + b"\x50\x01")], "not in the file"),
], ids=["no header", "two files", "twice", "no message", "more"])
def test_a_table_that_lies(prefix, spoilt, said):
    _index(prefix).write_bytes(_table(spoilt(_entries(prefix))))
    assert said in checkpoint_index.damage(prefix)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\0" * 40 + checkpoint_index._MAGIC,
                                     b"\xff" * 40 + checkpoint_index._MAGIC])
def test_what_is_no_table(prefix, content):
    _index(prefix).write_bytes(content)
    assert checkpoint_index.damage(prefix).startswith("state.index: ")


@pytest.mark.parametrize("name", ["state.index", "state.data-00000-of-00001"])
def test_a_pipe_is_not_waited_for(prefix, name):
    prefix.with_name(name).unlink()
    assert f"{name} is missing" in checkpoint_index.damage(prefix)
    os.mkfifo(prefix.with_name(name))
    assert f"{name} is missing, or no file" in checkpoint_index.damage(prefix)


def test_what_passes_is_read_without_ending_the_process(prefix):
    whole, passed = _index(prefix).read_bytes(), 0
    for number in range(300):
        _index(prefix).write_bytes(fuzz_files.index(whole, np.random.default_rng(number)))
        if not checkpoint_index.damage(prefix):
            passed += 1
            with contextlib.suppress(tf.errors.OpError, IndexError, UnicodeDecodeError):
                reader = tf.train.load_checkpoint(str(prefix))
                for name in reader.get_variable_to_shape_map():
                    reader.get_tensor(name)
    assert 0 < passed < 300


def test_a_checkpoint_that_lies_is_passed_over(tmp_path, capsys):
    carried = SavedNest(tf.ones([3]))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"kept": carried})
    carried.assign(tf.zeros([3]))
    checkpoints.save(2, {"kept": carried})
    index = tmp_path / "step-000000002" / "state.index"
    index.write_bytes(index.read_bytes()[:-1])
    assert checkpoints.restore({"kept": carried}) == 1
    np.testing.assert_array_equal(carried.value(), np.ones([3]))
    assert "is damaged (state.index: it is no index)" in capsys.readouterr().err


def test_an_object_graph_that_makes_no_sense(tmp_path, capfd):
    carried = SavedNest(tf.ones([3]))
    Checkpoints(tmp_path).save(1, {"kept": carried})
    prefix = str(tmp_path / "step-000000001" / "state")
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["_CHECKPOINTABLE_OBJECT_GRAPH"],
                      shape_and_slices=[""], tensors=[tf.constant(b"\xff\xff\xff")])
    with pytest.raises(ValueError, match="expected a checkpoint of this model"):
        Checkpoints(tmp_path).restore({"kept": carried})


def test_a_checkpoint_without_one_of_the_tensors_is_told_once(tmp_path, capfd):
    Checkpoints(tmp_path).save(1, {"kept": SavedNest(tf.ones([3])), "more": SavedNest(tf.ones([3]))})
    new = tf.Module()
    new.one, new.two = tf.Variable(1.0), tf.Variable(2.0)
    with pytest.raises(ValueError, match="whose weights do not fit"):
        Checkpoints(tmp_path).restore({"other": new})
    assert capfd.readouterr().err == ""
