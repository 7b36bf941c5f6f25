# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Every dynamical `vae_type` in the programs of text and music: it works, or says why not."""

import numpy as np
import pytest
import tensorflow as tf

from examples.midi.cli import program as midi_program
from examples.midi.hparams import MidiHParams
from examples.midi.model import MidiModel
from examples.series.cli import program as series_program
from examples.text.cli import program as text_program
from tests.examples.midi import midi_files
from tests.examples.series import series_data
from tests.in_process import assert_one_line, runner
from tests.tiny_text import TEXT
from vaeseq import vae
from vaeseq.bounds import ELBO
from vaeseq.data import Batch
from vaeseq.train.loss import SequenceLoss

SIZES = "rnn_hidden_sizes=[4],latent_size=2,latent_decoder_fc_layers=[4],num_shards=1,batch_size=2"
TEXTS = f"{SIZES},embed_size=3,sequence_size=8"
MIDI = f"{SIZES},lowest_note=60,highest_note=67,relative_channels=2,recall=4,sequence_size=8"
NAMES = [name for name in vae.VAE_TYPES if name not in ("SEQAE", "MASKDIFF", "GAUSSDIFF")]
REFUSED = "TDVAE's belief reads encodings of the last observation"


def make_music_model(name, log_dir, **changes):
    hparams = MidiHParams().parse(f"{MIDI},vae_type={name}").replace(**changes)
    return MidiModel(hparams, log_dir, mean=np.full(8, 0.2))


def score_and_sample(model):
    """Returns the loss of zeros, traced as in training, and the shape of a sample."""
    gen_core = model.gen_core
    loss = SequenceLoss(gen_core.agent, gen_core.core, ELBO())
    observed = tf.nest.map_structure(
        lambda spec: np.zeros([2, 3, *spec.shape], spec.dtype.as_numpy_dtype),
        model.observation_spec)
    batch = (observed, np.array([3, 2], np.int32), np.ones(2, bool))

    @tf.function(autograph=False)
    def traced(observed, lengths, is_start):
        out, _ = loss(Batch(observed, lengths, is_start), loss.initial_state(2), seed=1)
        return out.loss

    generated, _ = gen_core.generate(1, gen_core.initial_state(1), seed=tf.constant([1, 2]))
    return float(traced(*batch)), generated.log_prob.shape


@pytest.mark.parametrize("name", NAMES)
def test_every_core_scores_and_samples_music(name, tmp_path):
    if name == "TDVAE":
        with pytest.raises(ValueError, match=REFUSED):
            score_and_sample(make_music_model(name, tmp_path))
        return
    loss, shape = score_and_sample(make_music_model(name, tmp_path))
    assert np.isfinite(loss) and shape == [1, 1]


def test_tdvae_models_music_without_recall(tmp_path):
    loss, _ = score_and_sample(make_music_model("TDVAE", tmp_path, recall=0))
    assert np.isfinite(loss)


@pytest.mark.parametrize(("program", "data", "hparams"), [
    (text_program, ("--train-corpus", "corpus.txt"), TEXTS),
    (midi_program, ("--train-files", "."), MIDI),
    (series_program, ("--train-data", "data.csv"), series_data.SMALL)])
def test_the_programs_refuse_a_core_that_cannot_generate_before_they_train(
        program, data, hparams, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "data.csv").write_text(series_data.csv(series_data.rows(days=104)))
    for number in range(4):
        (tmp_path / f"{number}.mid").write_bytes(midi_files.melody([60 + number, 62, 64] * 9))
    ended = runner(program, capsys)(
        "train", "--log-dir", "log", *data, "--num-steps", 2, "--hparams",
        f"{hparams},vae_type=RVAE,rvae_decoder=noncausal", status=2)
    assert_one_line(ended, "rvae_decoder: expected causal")
    assert not (tmp_path / "log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_core_trains_and_generates_in_the_programs(name, tmp_path, capsys):
    (tmp_path / "corpus.txt").write_text(TEXT, encoding="utf-8")
    for number in range(4):
        (tmp_path / f"{number}.mid").write_bytes(midi_files.melody([60 + number, 62, 64] * 9))
    text, midi = runner(text_program, capsys), runner(midi_program, capsys)
    assert text("train", "--log-dir", tmp_path / "text", "--train-corpus", tmp_path / "corpus.txt",
                "--num-steps", 2, "--hparams", f"{TEXTS},vae_type={name}").status == 0
    assert text("generate", "--log-dir", tmp_path / "text", "--length", 8).status == 0
    swapped = text("latent", "--log-dir", tmp_path / "text", "--length", 8, "--swap", "--from",
                   TEXT[:8], "--to", TEXT[8:16])
    if name == "DSAE":
        assert swapped.status == 0
    else:
        assert_one_line(swapped, f"vae_type={name}")
    options = ["--train-files", tmp_path, "--num-steps", 2, "--hparams"]
    ended = midi("train", "--log-dir", tmp_path / "midi", *options, f"{MIDI},vae_type={name}")
    if name == "TDVAE":
        assert_one_line(ended, REFUSED)
        return
    assert ended.status == 0
    assert midi("generate", "--log-dir", tmp_path / "midi", "--length", 1).status == 0
    swapped = midi("latent", "--log-dir", tmp_path / "midi", "--length", 1, "--swap",
                   "--from", tmp_path / "0.mid", "--to", tmp_path / "3.mid")
    if name == "DSAE":
        assert swapped.status == 0
    else:
        assert_one_line(swapped, f"vae_type={name}")
