# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A disk that fills up while a run trains; needs the permission to mount one."""

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


def fill(disk, free):
    """Leaves `free` bytes free."""
    status = os.statvfs(disk)
    with open(disk / "ballast", "wb") as file:
        file.write(bytes(status.f_bavail * status.f_frsize - free))


@pytest.mark.slow
def test_a_full_disk_stops_training_and_leaves_the_checkpoints_intact(run, trained, disk):
    log_dir = disk / "log"
    shutil.copytree(trained.log_dir, log_dir)
    checkpoints = Checkpoints(log_dir / "checkpoints")
    saved = {kind: checkpoints.steps(kind) for kind in ("step", "best")}
    command = ("train", "--log-dir", log_dir, "--train-corpus", trained.corpus, "--hparams", SMALL,
               "--num-steps", 63, "--valid-every", 1)
    fill(disk, free=12 << 10)  # room for metrics but not for a checkpoint
    ended = run(*command)
    assert ended.status == 1
    assert ended.err.splitlines()[-1].startswith("vaeseq-text: error: no space left on the device")
    assert "Traceback" not in ended.err
    assert {kind: checkpoints.steps(kind) for kind in ("step", "best")} == saved
    assert not list((log_dir / "checkpoints").glob("writing-*"))

    (disk / "ballast").unlink()
    ended = run(*command, status=0)
    assert "step 60: going on from here" in ended.err and "Step 63: done." in ended.out
    assert checkpoints.steps()[-1] == 63
