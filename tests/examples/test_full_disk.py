# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A disk that fills up while a run trains: on a small one of our own, where we may mount it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.tiny_text import SMALL
from vaeseq.runs.checkpoint import Checkpoints


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only the superuser may mount a disk")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def fill(disk, left):
    """Leaves `left` bytes free."""
    status = os.statvfs(disk)
    with open(disk / "ballast", "wb") as file:
        file.write(bytes(status.f_bavail * status.f_frsize - left))


@pytest.mark.slow
def test_training_stops_with_a_line_and_what_was_saved_stays(run, trained, disk):
    log_dir = disk / "log"
    shutil.copytree(trained.log_dir, log_dir)
    checkpoints = Checkpoints(log_dir / "checkpoints")
    saved = {kind: checkpoints.steps(kind) for kind in ("step", "best")}
    command = ("train", "--log-dir", log_dir, "--train-corpus", trained.corpus, "--hparams", SMALL,
               "--num-steps", 63, "--valid-every", 1)
    fill(disk, left=12 << 10)  # metrics find room, a checkpoint does not
    ended = run(*command)
    assert ended.status == 1
    assert ended.err.splitlines()[-1].startswith("vaeseq-text: error: no space left on the device")
    assert "Traceback" not in ended.err
    assert {kind: checkpoints.steps(kind) for kind in ("step", "best")} == saved
    assert not list((log_dir / "checkpoints").glob("writing-*"))

    (disk / "ballast").unlink()
    ended = run(*command)
    assert ended.status == 0, ended.err
    assert "step 60: going on from here" in ended.err and "Step 63: done." in ended.out
    assert checkpoints.steps()[-1] == 63
