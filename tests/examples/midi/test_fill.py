# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi fill: bars drawn anew, and wrong use."""

from __future__ import annotations

import numpy as np
import pytest

from examples.midi.cli import program
from examples.midi.data import midi_reader, piano_roll
from examples.midi.hparams import MidiHParams
from tests.examples.midi import midi_files
from tests.in_process import assert_one_line, runner

SMALL = ("vae_type=MASKDIFF,rnn_hidden_sizes=[8],lowest_note=55,highest_note=79,sequence_size=16,"
         "batch_size=4,relative_channels=2,num_shards=1,grid=4,log_prob_samples=2,dropout=0")


@pytest.fixture
def midi(capsys):
    """Runs a command of vaeseq-midi in this process."""
    return runner(program, capsys)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scales of 20 frames, five bars, and a run trained on them."""
    folder = tmp_path_factory.mktemp("fill")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for number in range(8):
            scale = [60 + (number + step) % 12 for step in range(20)]
            (folder / f"{number}.mid").write_bytes(midi_files.melody(scale, ticks=480))
        assert program.run([
            "train", "--log-dir", str(folder / "log"), "--train-files", str(folder / "[0-7].mid"),
            "--hparams", SMALL, "--num-steps", "4", "--valid-every", "4"]) == 0
        yield folder


def test_bars_are_drawn_and_the_others_stay(folder, midi):
    out = folder / "out"
    ended = midi("fill", folder / "3.mid", "--log-dir", folder / "log", "--from", 2, "--to", 3,
                 "--num-samples", 2, "--out-dir", out)
    assert ended.status == 0, ended.err
    grid = MidiHParams().parse(SMALL).frames
    before, *after = (piano_roll.from_notes(midi_reader.read(path.read_bytes()), grid) for path in (
        folder / "3.mid", out / "sample-1.mid", out / "sample-2.mid"))
    for roll in after:
        assert roll.shape == before.shape
        np.testing.assert_array_equal(roll[:4], before[:4])
        np.testing.assert_array_equal(roll[12:], before[12:])
    assert not np.array_equal(*after)


@pytest.mark.parametrize(("words", "message"), [
    (["--from", "3", "--to", "2"], "--to: expected a bar from --from 3 on, got 2"),
    (["--from", "6", "--to", "7"], "which has 5 bars of 4 frames; got 6"),
    (["--from", "0", "--to", "7"], "at least 1"),
], ids=lambda value: "")
def test_wrong_use_of_fill(folder, midi, words, message):
    ended = midi("fill", folder / "3.mid", "--log-dir", folder / "log", *words)
    assert_one_line(ended, program, message)


def test_latents_need_a_model_that_has_them(folder, midi):
    assert_one_line(midi("latent", "--log-dir", folder / "log"), program,
                    "expected a model with latents, found vae_type=MASKDIFF")
