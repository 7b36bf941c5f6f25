# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Writers of metrics; a resumed file equals an uninterrupted one."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaeseq.train.metrics import JsonLines, MultiWriter, TensorBoard, Writer


def _read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _run(path, steps, last_step=-1):
    with JsonLines(path, last_step=last_step) as writer:
        for step in steps:
            writer.scalars(step, {"loss": 1 / (step + 1)})


def test_json_lines_take_numbers_of_all_kinds(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with JsonLines(path, last_step=-1) as writer:
        writer.scalars(
            np.int64(3),
            {"a": 1, "b": np.float32(0.5), "c": tf.constant(2.5), "d": np.int32(4)},
        )
        assert _read(path) == [{"step": 3, "a": 1, "b": 0.5, "c": 2.5, "d": 4}]  # before closing


def test_nan_and_infinity_become_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with JsonLines(path, last_step=-1) as writer:
        writer.scalars(1, {"a": float("nan"), "b": np.float32("inf"), "c": tf.constant(-np.inf)})
    assert path.read_text() == '{"step": 1, "a": null, "b": null, "c": null}\n'


@pytest.mark.parametrize("value", ["1", None, [1.0], np.ones([1]), 1j])
def test_values_that_are_not_numbers_are_errors(tmp_path, value):
    with (
        JsonLines(tmp_path / "m", last_step=-1) as writer,
        pytest.raises(TypeError, match="expected a number"),
    ):
        writer.scalars(1, {"a": value})
    assert (tmp_path / "m").read_text() == ""


def test_steps_must_increase(tmp_path):
    with JsonLines(tmp_path / "m", last_step=-1) as writer:
        writer.scalars(5, {})
        for step in (5, 4):
            with pytest.raises(ValueError, match=f"expected a step after 5.* got {step}"):
                writer.scalars(step, {})


@pytest.mark.parametrize("saved", [-1, 0, 1, 10, 19])
@pytest.mark.parametrize("cut", [0, 1, 7])
def test_resumed_file_equals_the_uninterrupted_one(tmp_path, saved, cut):
    expected, resumed = tmp_path / "expected", tmp_path / "resumed"
    _run(expected, range(20))
    _run(resumed, range(20))
    with open(resumed, "r+b") as file:  # A crash may leave half a line.
        file.truncate(os.path.getsize(resumed) - (cut if saved < 19 else 0))
    _run(resumed, range(saved + 1, 20), last_step=saved)
    assert resumed.read_bytes() == expected.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["expected", "resumed"]


def test_complete_line_without_newline_remains(tmp_path):
    (tmp_path / "m").write_text('{"step": 1}\n{"step": 2}')
    _run(tmp_path / "m", [3], last_step=2)
    assert [line["step"] for line in _read(tmp_path / "m")] == [1, 2, 3]


def test_invalid_lines_are_removed(tmp_path):
    path = tmp_path / "m"
    invalid = [b"", b"[1]", b"{}", b'{"step": "1"}', b'{"step": true}', b"\xff", b"[" * 5000]
    invalid += [b"x" * (3 << 20), b'{"step": 1e999}', b'{"step": 9}']
    path.write_bytes(b'{"step": 1}\n' + b"\n".join(invalid) + b'\n{"step": 2}\n{"step": 3')
    _run(path, [4], last_step=3)
    assert [line["step"] for line in _read(path)] == [1, 2, 4]


@pytest.mark.parametrize("name", ["plain", "a b\nc", "\udcff-not-utf-8"])
def test_tensorboard_reads_back_what_was_written(tmp_path, name):
    directory = tmp_path / name
    with TensorBoard(directory) as writer:
        for step in (1, 2):
            writer.scalars(step, {"loss": tf.constant(1.5 * step), "nan": float("nan")})
        writer.text(2, "sample", "# not a heading\n<b>\udcff")
        writer.image(2, "roll", np.zeros([5, 7, 1], np.uint8))
        writer.audio(2, "tune", np.zeros([100, 1], np.float32), 8000)
    (events,) = directory.iterdir()
    readable = events.rename(tmp_path / events.name)  # Its reader needs a UTF-8 path.
    read = EventAccumulator(os.fspath(readable)).Reload()
    points = [(e.step, tf.make_ndarray(e.tensor_proto).item()) for e in read.Tensors("loss")]
    assert points == [(1, 1.5), (2, 3.0)]
    text = tf.make_ndarray(read.Tensors("sample")[0].tensor_proto).item()
    assert text == b"    # not a heading\n    <b>?\n"
    assert {"roll", "tune", "nan"} <= set(read.Tags()["tensors"])


def test_multi_writer_writes_to_all_and_closes_all(tmp_path):
    class Failing(Writer):
        def scalars(self, step, values):
            calls.append((step, values))

        def text(self, step, name, text):
            calls.append((step, name, text))

        def close(self):
            raise OSError("cannot close")

    calls, path = [], tmp_path / "m"
    first, second = Failing(), JsonLines(path, last_step=-1)
    with pytest.raises(OSError, match="cannot close"), MultiWriter([first, second]) as writer:
        writer.scalars(1, {"a": 2})
        writer.text(1, "t", "x")
        writer.image(1, "i", np.zeros([1, 1, 3]))
        writer.audio(1, "s", np.zeros([4, 1]), 8)
        writer.flush()
    assert calls == [(1, {"a": 2}), (1, "t", "x")]
    assert _read(path) == [{"step": 1, "a": 2}]
    with pytest.raises(ValueError, match="closed file"):
        second.scalars(2, {})
