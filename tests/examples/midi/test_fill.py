# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi fill: bars drawn anew, and wrong use."""

import numpy as np
import pretty_midi
import pytest

from examples.midi.cli import program
from examples.midi.commands import _shared
from examples.midi.data import midi_reader, piano_roll
from examples.midi.hparams import MidiHParams
from tests.examples.midi import midi_files
from tests.examples.midi.midi_files import off, on
from tests.in_process import assert_one_line

SMALL = ("vae_type=MASKDIFF,rnn_hidden_sizes=[8],lowest_note=55,highest_note=79,parts=2,"
         "sequence_size=16,batch_size=4,relative_channels=2,num_shards=1,grid=4,log_prob_samples=2,dropout=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scales of 20 frames, five bars, over a bass of its own program; a run trained on them."""
    folder = tmp_path_factory.mktemp("fill")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for number in range(8):
            tracks = [(55, 1, 32), (62, 0, 40)]  # the bass comes first
            (folder / f"{number}.mid").write_bytes(midi_files.file(*(
                [(0, midi_files.program(sound, channel)), *(
                    event for step in range(20)
                    for pitch in [lowest + (number + step) % 7]
                    for event in [(0, on(pitch, channel)), (480, off(pitch, channel))])]
                for lowest, channel, sound in tracks)))
        assert program.run([
            "train", "--log-dir", str(folder / "log"), "--train-files", str(folder / "[0-7].mid"),
            "--hparams", SMALL, "--num-steps", "4", "--valid-every", "4"]) == 0
        yield folder


def test_bars_are_drawn_and_the_others_stay(folder, midi):
    out = folder / "out"
    midi("fill", folder / "3.mid", "--log-dir", folder / "log", "--from", 2, "--to", 3,
         "--num-samples", 2, "--out-dir", out, status=0)
    grid = MidiHParams().parse(SMALL).frames
    before, *after = (piano_roll.from_notes(midi_reader.read(path.read_bytes()), grid) for path in (
        folder / "3.mid", out / "sample-1.mid", out / "sample-2.mid"))
    assert before[:, :25].sum() == before[:, 25:].sum() == 20
    for roll in after:
        assert roll.shape == before.shape
        np.testing.assert_array_equal(roll[:4], before[:4])
        np.testing.assert_array_equal(roll[12:], before[12:])
    assert not np.array_equal(*after)


def test_a_part_is_written_as_a_track_with_the_program_of_the_training_music(folder, midi):
    midi("fill", folder / "3.mid", "--log-dir", folder / "log", "--from", 2, "--to", 2,
         "--out-dir", folder / "one", status=0)
    written = pretty_midi.PrettyMIDI(str(folder / "one" / "sample-1.mid"))
    assert [(part.name, part.program) for part in written.instruments] == [
        ("Part 1", 40), ("Part 2", 32)]


def test_a_piece_that_is_cut_is_reported(folder, midi, monkeypatch):
    words = ["fill", folder / "3.mid", "--log-dir", folder / "log", "--from", 1, "--to", 1,
             "--out-dir", folder / "cut"]
    assert "cut to" not in midi(*words, status=0).err
    monkeypatch.setattr(_shared, "MAX_SECONDS", 6)
    assert "3.mid': cut to its first 12 of 20 frames" in midi(*words, status=0).err
    grid = MidiHParams().parse(SMALL).frames
    filled = midi_reader.read((folder / "cut" / "sample-1.mid").read_bytes())
    assert len(piano_roll.from_notes(filled, grid)) == 12


@pytest.mark.parametrize(("words", "message"), [
    (["--from", "3", "--to", "2"], "--to: expected a bar from --from 3 on, got 2"),
    (["--from", "6", "--to", "7"], "which has 5 bars of 4 frames; got 6"),
    (["--from", "0", "--to", "7"], "at least 1"),
], ids=lambda value: "")
def test_wrong_use_of_fill(folder, midi, words, message):
    ended = midi("fill", folder / "3.mid", "--log-dir", folder / "log", *words)
    assert_one_line(ended, message)


def test_a_line_is_not_kept_by_a_model_of_whole_sequences(folder, midi):
    words = ["harmonise", "--log-dir", folder / "log", "--melody", folder / "3.mid"]
    assert_one_line(midi(*words), "step by step; MaskDiff generates a sequence as a whole")


def test_latents_need_a_model_that_has_them(folder, midi):
    assert_one_line(midi("latent", "--log-dir", folder / "log"),
                    "expected a model with latents, found vae_type=MASKDIFF")
