# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints: the latest intact one is restored, whatever happens to the files."""

import errno
import gc
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.runs import checkpoint, checkpoint_index
from vaeseq.runs.checkpoint import Checkpoints, SavedNest

pytestmark = pytest.mark.contract


class Weights(tf.Module):
    def __init__(self, value, size=3):
        super().__init__()
        self.w = tf.Variable(np.full([size], value, np.float32))


def save(checkpoints, *steps, best=()):
    for step in steps:
        checkpoints.save(step, {"model": Weights(step)}, best=step in best)


def restored(checkpoints, **options):
    weights = Weights(-1)
    step = checkpoints.restore({"model": weights}, **options)
    if step is not None:
        np.testing.assert_array_equal(weights.w, np.full([3], step))
    return step


def data_file(directory, name):
    (path,) = (directory / name).glob("state.data*")
    return path


def flip(path):
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def empty(path):
    path.write_bytes(b"")


def index_of(path):
    return path.with_name("state.index")


DAMAGE = {
    "a bit of the data": flip,
    "data cut short": truncate,
    "data empty": empty,
    "data missing": pathlib.Path.unlink,
    "index cut short": lambda path: truncate(index_of(path)),
    "index empty": lambda path: empty(index_of(path)),
    "index missing": lambda path: index_of(path).unlink(),
    "a bit of the index": lambda path: flip(index_of(path)),
}


def test_an_empty_directory_restores_nothing(tmp_path):
    assert restored(Checkpoints(tmp_path / "none")) is None
    assert Checkpoints(tmp_path / "none").steps() == []


def test_the_latest_is_restored_and_old_ones_are_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1, 5, 30, 2_000_000_000, best=[5])
    assert checkpoints.steps() == [30, 2_000_000_000]
    assert checkpoints.steps("best") == [5]
    assert restored(checkpoints) == 2_000_000_000
    assert restored(checkpoints, best=True) == 5
    save(checkpoints, 2_000_000_001, best=[2_000_000_001])
    assert checkpoints.steps("best") == [2_000_000_001]


def test_a_directory_may_have_a_name_that_looks_like_a_pattern(tmp_path):
    for name in ("run[1]", "a*b?", "b\\s"):
        checkpoints = Checkpoints(tmp_path / name)
        save(checkpoints, 1)
        assert restored(checkpoints) == 1


def test_without_a_best_the_latest_is_restored(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1, 2)
    assert restored(checkpoints, best=True) == 2


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_a_damaged_checkpoint_is_skipped(tmp_path, kind):
    lines = []
    checkpoints = Checkpoints(tmp_path, log=lines.append)
    save(checkpoints, 1, 2)
    DAMAGE[kind](data_file(tmp_path, "step-000000002"))
    assert restored(checkpoints) == 1
    (line,) = lines
    assert "step-000000002 is damaged" in line


def test_after_a_damaged_best_the_latest_is_restored(tmp_path):
    lines = []
    checkpoints = Checkpoints(tmp_path, log=lines.append)
    save(checkpoints, 1, 2, 3, best=[2])
    flip(data_file(tmp_path, "best-000000002"))
    assert restored(checkpoints, best=True) == 3
    assert "best-000000002 is damaged" in lines[0]


@pytest.mark.parametrize("moment", [(checkpoint, "_damage"), (tf.train.Checkpoint, "read")])
def test_a_checkpoint_that_training_replaces_meanwhile_is_not_damaged(
        tmp_path, monkeypatch, moment):
    lines = []
    checkpoints = Checkpoints(tmp_path, log=lines.append)
    save(checkpoints, 1, best=[1])
    function, training = getattr(*moment), iter((2, 3))

    def train_first(*arguments):
        with monkeypatch.context() as patched:
            patched.setattr(*moment, function)
            for step in training:
                save(checkpoints, step, best=[step])
                break
        return function(*arguments)

    monkeypatch.setattr(*moment, train_first)
    assert restored(checkpoints, best=True) == 3
    assert lines == []


def test_a_dangling_link_is_a_damaged_checkpoint(tmp_path):
    lines = []
    (tmp_path / "step-000000002").symlink_to(tmp_path / "nowhere")
    checkpoints = Checkpoints(tmp_path, log=lines.append)
    save(checkpoints, 1)
    assert restored(checkpoints) == 1
    assert len(lines) == 1


def test_an_old_checkpoint_is_removed_as_a_whole(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 1)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    save(checkpoints, 2)
    assert checkpoints.steps() == [2]
    monkeypatch.undo()
    save(checkpoints, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_file_that_the_system_refuses_to_read_is_not_damaged(tmp_path, monkeypatch, number):
    lines = []
    checkpoints = Checkpoints(tmp_path, log=lines.append)
    save(checkpoints, 1, 2)

    def refuse(*_):
        raise OSError(number, os.strerror(number), "state.index")

    monkeypatch.setattr(checkpoint_index, "damage", refuse)
    with pytest.raises(OSError, match="state.index") as refused:
        restored(checkpoints)
    assert refused.value.errno == number and lines == []


def test_data_that_the_system_refuses_to_read_are_not_damaged(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    flip(data_file(tmp_path, "step-000000001"))  # TensorFlow fails

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(checkpoint_index, "read_data", refuse)
    with pytest.raises(OSError, match="Input/output error: '.*step-000000001'"):
        restored(checkpoints)


def test_only_damaged_checkpoints_are_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path, log=lambda line: None)
    save(checkpoints, 1, 2, 3)
    for step in (1, 2, 3):
        truncate(data_file(tmp_path, f"step-{step:09d}"))
    with pytest.raises(ValueError, match=r"expected an intact checkpoint; all 3 are damaged"):
        restored(checkpoints)


def test_a_partly_written_checkpoint_is_ignored(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    (tmp_path / "writing-step-000000002").mkdir()
    (tmp_path / "writing-step-000000002" / "state.index").write_bytes(b"half")
    (tmp_path / "step-nine").mkdir()
    assert checkpoints.steps() == [1]
    assert restored(checkpoints) == 1
    save(checkpoints, 2)
    assert restored(checkpoints) == 2
    assert not list(tmp_path.glob("writing-*"))


@pytest.mark.parametrize("moment", ["write", "check", "rename"])
def test_an_interrupted_save_leaves_the_saved_checkpoints(tmp_path, monkeypatch, moment):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 1)

    def stop(*_, **__):
        raise KeyboardInterrupt

    where = {"write": (tf.train.Checkpoint, "write"), "rename": (pathlib.Path, "rename"),
             "check": (tf.train, "load_checkpoint")}[moment]
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(*where, stop)
        save(checkpoints, 2)
    assert checkpoints.steps() == [1]
    assert restored(checkpoints) == 1
    save(checkpoints, 2)
    assert restored(checkpoints) == 2


def test_an_interrupted_replacement_leaves_a_checkpoint_of_the_step(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)

    def stop(path, **_):
        data_file(path, ".").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "rmtree", stop)
        save(checkpoints, 1)
    assert restored(checkpoints) == 1
    save(checkpoints, 2)
    assert checkpoints.steps() == [1, 2] and not list(tmp_path.glob("writing-*"))


def test_a_save_killed_between_its_renames_leaves_the_replaced_checkpoint(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 1)
    rename = pathlib.Path.rename

    def stop(path, target):
        if path.name == "writing-step-000000001":
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(pathlib.Path, "rename", stop)
        save(checkpoints, 1)
    assert not (tmp_path / "step-000000001").exists()
    assert checkpoints.steps() == [1] and restored(checkpoints) == 1
    save(checkpoints, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000002"]


def test_a_checkpoint_that_cannot_be_read_back_is_an_error(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    write = tf.train.Checkpoint.write

    def bad_disk(self, path):
        write(self, path)
        truncate(data_file(pathlib.Path(path).parent, "."))

    monkeypatch.setattr(tf.train.Checkpoint, "write", bad_disk)
    with pytest.raises(OSError, match="step-000000002: the checkpoint cannot be read back"):
        save(checkpoints, 2)
    assert restored(checkpoints) == 1


@pytest.mark.parametrize("other", [Weights(1, size=4), SavedNest((tf.zeros([3]), tf.zeros([1])))])
def test_a_checkpoint_of_another_model_is_an_error(tmp_path, other):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    with pytest.raises(ValueError, match="expected a checkpoint of this model, got one whose"):
        checkpoints.restore({"model": other})


def test_tensorflow_logs_nothing_beside_the_error(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"model": Weights(1), "more": Weights(2)})
    records = []
    monkeypatch.setattr(tf.get_logger(), "handle", records.append)
    with pytest.raises(ValueError, match="expected a checkpoint of this model"):
        checkpoints.restore({"model": Weights(1, size=4)})
    gc.collect()
    assert records == []
    tf.get_logger().warning("seen")
    assert len(records) == 1


def test_some_of_the_objects_can_be_restored(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(4, {"model": Weights(4), "more": Weights(5)})
    assert restored(checkpoints) == 4


def test_an_unwritable_directory_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        save(Checkpoints(tmp_path / "file" / "below"), 1)
    if os.geteuid():  # the superuser may write anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(PermissionError):
            save(Checkpoints(tmp_path / "closed"), 1)


def test_a_nest_keeps_its_value_and_structure():
    value = {"a": (tf.ones([2]), tf.constant([True])), "b": tf.zeros([0, 3])}
    saved = SavedNest(value)
    saved.assign(tf.nest.map_structure(tf.zeros_like, value))
    assert not saved.value()["a"][1].numpy().any()
    tf.nest.assert_same_structure(saved.value(), value)
