# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi with phrases as sequences, and the commands of an autoencoder."""

import re

import numpy as np
import pytest

from examples.midi.cli import program
from examples.midi.commands import autoencoding
from examples.midi.data import midi_reader, piano_roll, sources
from examples.midi.hparams import MidiHParams
from examples.midi.model import MidiModel, phrases
from tests.examples.midi import midi_files
from tests.in_process import assert_one_line
from vaeseq.cli import tuning_options

SMALL = ("vae_type=SEQAE,bars=2,grid=8,cell=gru,latent_size=2,latent_decoder_fc_layers=[4],"
         "rnn_hidden_sizes=[6],lowest_note=55,highest_note=79,decoder=bernoulli,sequence_size=16,"
         "batch_size=4,relative_channels=0,recall=0,num_shards=1,log_prob_samples=2,dropout=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scales of 40 eighths, which are 5 bars, and a run that was trained on them."""
    folder = tmp_path_factory.mktemp("phrases")
    midi_files.write_scales(folder / "music", notes=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert program.run(["train", "--log-dir", str(folder / "log"), "--train-files",
                            str(folder / "music"), "--hparams", SMALL, "--num-steps", "2"]) == 0
        yield folder


def test_pieces_are_split_at_multiples_of_a_phrase():
    hparams = MidiHParams().parse("bars=2,grid=4")
    rolls = [np.arange(20)[:, None], np.zeros([8, 1]), np.zeros([3, 1])]
    parts = phrases.split(rolls, hparams)
    assert [len(part) for part in parts] == [8, 8, 4, 8, 3]
    np.testing.assert_array_equal(np.concatenate(parts[:3]), rolls[0])
    assert MidiHParams().parse("bars=3,beats=12").phrase_frames == 36
    assert phrases.split(rolls, MidiHParams()) is rolls


def test_phrases_know_nothing_of_what_is_around_them(midi, folder, tmp_path):
    piece = str(next((folder / "music").iterdir()))
    for words in (["generate", "--prime", piece], ["harmonise", "--melody", piece]):
        ended = midi(*words, "--log-dir", folder / "log", "--out-dir", tmp_path / "out")
        assert ended.status == 2 and "a model of phrases (bars=2)" in ended.err


def test_no_output_replaces_music_of_training(midi, folder):
    piece = next((folder / "music").iterdir())
    before = piece.read_bytes()
    ended = midi("encode", "--log-dir", folder / "log", "--output", piece)
    assert ended.status == 2 and "--output: " in ended.err and "would replace" in ended.err
    assert piece.read_bytes() == before


def test_pieces_like_held_out_ones_are_not_trained_on(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    for path in (folder / "music").iterdir():
        for copy in ("", "a copy of "):
            (tmp_path / f"{copy}{path.name}").write_bytes(path.read_bytes())
    lines = []
    music = sources.read([str(tmp_path)], [], 0.15, MidiHParams().parse(SMALL).frames, lines.append)
    held = {piece.roll.tobytes() for piece in music.valid}
    assert held and not held & {piece.roll.tobytes() for piece in music.train}
    assert any("left out, as held-out ones are the same" in line for line in lines)


def test_tuning_and_latents_are_of_a_phrase_at_most(midi, folder, tmp_path, monkeypatch):
    tune = ("tune", "--log-dir", tmp_path / "log", "--from", folder / "log")
    assert_one_line(midi(*tune, "--bars", 3), "--bars: expected at most the 16 frames of a phrase "
                    "(bars=2); got 24, 3 x 8.")
    tuned = []
    monkeypatch.setattr(tuning_options, "run", lambda args, tuning, *words: tuned.append(
        (tuning._length, *words)))
    midi(*tune, status=0)
    assert tuned == [(16, "vaeseq-midi", "2 bars")]
    midi("latent", "--log-dir", folder / "log", "--out-dir", tmp_path, "--num-samples", 2, status=0)
    notes = midi_reader.read((tmp_path / "step-001.mid").read_bytes())
    assert len(piano_roll.from_notes(notes, MidiHParams().parse(SMALL).frames)) == 16


@pytest.mark.slow
def test_samples_are_phrases_laid_end_to_end(folder):
    model = MidiModel.load(folder / "log")
    rolls = model.compose(num_samples=2, length=20)
    assert [roll.shape for roll in rolls] == [(20, 25)] * 2
    roll = np.zeros([40, 25], np.uint8)
    assert model.evaluate([roll], bound="elbo").steps == 40


def test_encode_writes_the_latents_of_every_phrase(midi, folder, tmp_path):
    midi("encode", "--log-dir", folder / "log", "--input", folder / "music" / "0.mid",
         folder / "music" / "1.mid", "--output", tmp_path / "z.npz", status=0)
    with np.load(tmp_path / "z.npz", allow_pickle=False) as arrays:
        assert arrays["piece"].tolist() == [0, 0, 0, 1, 1, 1]
        assert arrays["phrase"].tolist() == [0, 1, 2] * 2
        assert arrays["mean"].shape == arrays["stddev"].shape == (6, 2)


@pytest.mark.slow
def test_pages_of_reconstructions_paths_and_variations(midi, folder, tmp_path):
    music = [folder / "music" / f"{number}.mid" for number in range(2)]
    commands = {
        "reconstruct": (["--num-samples", "2"], 4),
        "interpolate": (["--from", music[0], "--to", music[1], "--num-samples", "3"], 5),
        "vary": ([music[0], "--num-samples", "2", "--length", "8"], 3)}
    for command, (words, count) in commands.items():
        out = tmp_path / command
        midi(command, *words, "--log-dir", folder / "log", "--out-dir", out, status=0)
        page = (out / "index.html").read_text()
        sources = re.findall(r'src="([\w-]+)\.wav"', page)
        assert len(sources) == count == len(list(out.glob("*.mid")))
    assert "the first piece" in (tmp_path / "interpolate" / "index.html").read_text()


def test_no_distance_is_no_variation(midi, folder, tmp_path):
    words = ("vary", folder / "music" / "0.mid", "--log-dir", folder / "log", "--distance", "0",
             "--temperature", "0.0001", "--num-samples", "2", "--length", "4")
    assert midi(*words, "--out-dir", tmp_path).status == 0
    assert (tmp_path / "variation-001.mid").read_bytes() == (
        tmp_path / "variation-002.mid").read_bytes()


def test_models_of_whole_pieces_are_refused(midi, folder, tmp_path, monkeypatch):
    hparams = MidiHParams().parse(SMALL.replace("bars=2,", ""))
    for other, message in (
            (hparams.replace(vae_type="RNN"), "vae_type=SEQAE; got RNN. Train with --hparams vae"),
            (hparams, "expected a model of phrases, found bars=0")):
        model = MidiModel(other, tmp_path / "log", mean=np.zeros(25))
        monkeypatch.setattr(autoencoding, "load_model", lambda args, model=model: model)
        ended = midi("vary", folder / "music" / "0.mid", "--log-dir", folder / "log")
        assert ended.status != 0 and message in ended.err
