# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Inputs that once broke a reader (for checkpoints, see tests/runs/test_checkpoint_index.py)."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from examples.midi.data import archives
from examples.text.cli import program
from tests.in_process import runner
from tests.robustness.zip_bomb import write_zip_bomb
from vaeseq.hparams import HParams
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.metrics import JsonLines


def test_an_archive_member_that_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "rolls.npz", "w") as file:
        file.writestr("train", b"x" * 88)
        file.writestr("train_lengths", b"x")
    with pytest.raises(ValueError, match="archive of piano rolls .*'train' is not an array"):
        archives.load(tmp_path / "rolls.npz", ["train"])


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    write_zip_bomb(tmp_path / "rolls.npz")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="train.npy claims .* bytes; expected at most"):
            archives.load(tmp_path / "rolls.npz", ["train"])
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rolls", [
    np.zeros([3, 88], [("a", np.uint8)]), np.full([3, 88], "1"), np.zeros([3, 88], "V1")],
    ids=["records", "text", "void"])
def test_an_array_that_is_not_of_numbers_is_refused(tmp_path, rolls):
    np.savez(tmp_path / "rolls.npz", train=rolls, train_lengths=np.array([3]))
    with pytest.raises(ValueError, match="'train' is not an array of numbers"):
        archives.load(tmp_path / "rolls.npz", ["train"])


def test_an_archive_with_damaged_compression_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.zeros([9, 88], np.uint8))
    with zipfile.ZipFile(tmp_path / "rolls.npz", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("train.npy", buffer.getvalue())
    content = bytearray((tmp_path / "rolls.npz").read_bytes())
    content[60:70] = b"\xff" * 10
    (tmp_path / "rolls.npz").write_bytes(content)
    with pytest.raises(ValueError, match="expected an archive of piano rolls"):
        archives.load(tmp_path / "rolls.npz", ["train"])


def test_an_error_line_is_shorter_than_4000_characters(capsys):
    ended = runner(program, capsys)("x" * 100_000)
    assert ended.status == 2 and ended.err.count("\n") == 1 and len(ended.err) < 4000
    assert ended.err.startswith("vaeseq-text: error: argument COMMAND: invalid choice: 'xxx")
    assert ended.err.endswith("(see vaeseq-text --help)\n")


@pytest.mark.parametrize("name", ["metrics.jsonl", "lock", "checkpoints", "events"])
def test_links_inside_a_log_directory_are_refused(tmp_path, name):
    log_dir = LogDir(tmp_path / "log")
    log_dir.create(HParams(), 0)
    outside = tmp_path / "outside"
    if name in ("checkpoints", "events"):
        outside.mkdir()
    else:
        outside.write_text("mine")
    (log_dir.path / name).symlink_to(outside)
    with pytest.raises(ValueError, match=f"{name}': expected .*, not a link. Remove it"), \
            log_dir.locked():
        pass
    assert outside.is_dir() or outside.read_text() == "mine"


def test_temporary_files_do_not_follow_links(tmp_path):
    log_dir = LogDir(tmp_path / "log")
    log_dir.create(HParams(), 0)
    (tmp_path / "outside").write_text("mine")
    (log_dir.path / "run.json.writing").symlink_to(tmp_path / "outside")
    log_dir.create(HParams(), 0)
    log_dir.metrics.write_text('{"step": 1}\n')
    (log_dir.path / "metrics.jsonl.kept").symlink_to(tmp_path / "outside")
    JsonLines(log_dir.metrics, last_step=0).close()
    assert (tmp_path / "outside").read_text() == "mine"
    assert log_dir.metrics.read_text() == ""
