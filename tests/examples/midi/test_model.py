# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The model of music: exact densities by enumeration, the history agent, given latents, sound."""

import itertools
import wave

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from examples.midi.data import parts, piano_roll
from examples.midi.data.piano_roll import Grid
from examples.midi.hparams import MidiHParams
from examples.midi.model import MidiModel, observations
from examples.midi.model.observations import Scored
from examples.midi.output import audio, plots, roll_statistics
from tests import small
from vaeseq import data, seeds
from vaeseq.bounds import ELBO
from vaeseq.evaluate import latents

TINY = MidiHParams().parse(
    "lowest_note=60,highest_note=63,rnn_hidden_sizes=[5],masked_hidden_size=8,most_notes=2,"
    "relative_channels=0,recall=0,context_skip=false,"
    "batch_size=2,sequence_size=8,num_shards=1,latent_size=2,latent_decoder_fc_layers=[4]")
MEAN = np.array([0.1, 0.2, 0.4, 0.3])


def _params(hparams, mean=MEAN, scale=0.7):
    """Returns a decoder with weights drawn from a seed, and its parameters for a frame."""
    decoder = observations.make_decoder(hparams, mean)
    features = tf.random.stateless_normal([1, 5], [1, 2])
    decoder(features)
    observed = decoder.dist(decoder(features)).sample(seed=seeds.make(0))
    decoder.dist(decoder(features)).log_prob(observed)
    small.set_weights(decoder, scale)
    return decoder, decoder(features)


@pytest.mark.parametrize("overrides", [
    "decoder=bernoulli", "decoder=masked", "decoder=bernoulli,obs_decoder_fc_hidden_layers=[6]",
    "decoder=masked,onsets=true,highest_note=61", "decoder=bernoulli,onsets=true,highest_note=61"])
def test_the_probabilities_of_all_frames_sum_to_one(overrides):
    decoder, params = _params(TINY.parse(overrides))
    frames = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32)
    log_prob = decoder.dist(params).log_prob(frames).numpy()
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)
    assert log_prob.std() > 0.1


def test_a_model_in_float64_is_so_throughout(tmp_path):
    hparams = TINY.parse("precision=float64,decoder=bernoulli,recall=4,beats=4")
    model = MidiModel(hparams, tmp_path / "log", mean=MEAN)
    loss = model.make_loss(ELBO())
    batch = data.pad([np.eye(4, dtype=np.float32)], 4)
    out, _ = loss(batch, loss.initial_state(1), seed=0)
    generated, _ = model.gen_core.generate(2, model.gen_core.initial_state(1), seed=small.SEED)
    assert out.loss.dtype == generated.observed.dtype == tf.float64


def test_latents_of_a_model_in_float64_are_so_too(tmp_path):
    hparams = TINY.parse("precision=float64,vae_type=VRNN,latent_size=3")
    model = MidiModel(hparams, tmp_path / "log", mean=MEAN)
    decoded = list(latents.decode(model.gen_core, np.zeros([2, 3, 3])))
    assert [observed.dtype for observed in decoded] == [np.float64, np.float64]


def test_the_density_of_scores_is_beta_times_categorical():
    decoder, params = _params(TINY.parse("decoder=scores"))
    scores = np.array([0.95, 0.05, 0.05, 0.95], np.float32)
    one, zero = (np.asarray(x)[0] for x in params.scores)
    logits = np.asarray(params.count)[0]
    for count in range(3):
        expected = stats.beta.logpdf(scores, one, zero).sum() + special.log_softmax(logits)[count]
        actual = decoder.dist(params).log_prob(Scored(scores[None], np.array([count], np.int32)))
        np.testing.assert_allclose(actual, [expected], rtol=1e-4)


def test_the_density_of_scores_integrates_to_one():
    hparams = TINY.parse("decoder=scores,highest_note=60,most_notes=1")
    decoder, params = _params(hparams, np.array([0.3]), scale=0.2)
    grid = (np.arange(20_000) + 0.5) / 20_000
    dist = decoder.dist(tf.nest.map_structure(lambda x: x[0], params))
    total = sum(np.exp(dist.log_prob(Scored(
        np.float32(grid[:, None]), np.full([20_000], count, np.int32)))).mean()
        for count in range(2))
    assert total == pytest.approx(1, abs=5e-3)


@pytest.mark.slow
def test_the_score_decoder_trains_on_pieces_of_unequal_length(tmp_path):
    hparams = TINY.parse("decoder=scores,transpose=0")
    model = MidiModel(hparams, tmp_path, mean=MEAN)
    pieces = [np.eye(8, 4, dtype=np.uint8), np.eye(3, 4, dtype=np.uint8)]
    trained = model.train(pieces, num_steps=3, valid=pieces)
    assert np.isfinite(trained.best) and np.isfinite(model.evaluate(pieces[1:]).nats_per_step)


@pytest.mark.parametrize("overrides", [
    "history_size=2,history_encoder_fc_layers=[3]",
    "masked_hidden_size=0,relative_channels=2,recall=2,beats=2,context_skip=true",
    "decoder=bernoulli,relative_channels=2,recall=2,context_skip=true"])
def test_the_probabilities_of_all_short_pieces_sum_to_one(overrides, tmp_path):
    hparams = TINY.parse("highest_note=61").parse(overrides)
    model = MidiModel(hparams, tmp_path, mean=MEAN[:2])
    model.build()
    small.set_weights(model.gen_core, 0.8)
    model._ready = True
    frames = [np.array(frame, np.uint8) for frame in itertools.product([0, 1], repeat=2)]
    pieces = [np.stack(piece) for piece in itertools.product(frames, repeat=2)]
    total = sum(np.exp(model.evaluate([piece], batch_size=1, window=2).nats) for piece in pieces)
    assert len(pieces) == 16 and total == pytest.approx(1, abs=1e-4)


def test_the_score_decoder_uses_no_recall(tmp_path):
    sizes = [MidiModel(TINY.parse(f"decoder={decoder},recall={recall}"), tmp_path, mean=MEAN)
             .gen_core.agent.context_size
             for decoder in ("scores", "masked") for recall in (0, 4)]
    assert sizes[0] == sizes[1] and sizes[2] < sizes[3]


def test_scores_keep_the_notes_of_a_roll():
    hparams = TINY.parse("decoder=scores")
    roll = np.array([[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 0, 1]], np.uint8)
    observed = observations.observe(roll, hparams)
    assert observed.count.tolist() == [0, 2, 2]  # at most two notes
    np.testing.assert_array_equal(observations.to_roll(observed, hparams)[:2], roll[:2])
    top = Scored(np.array([[0.3, 0.9, 0.2, 0.8]]), np.array([2]))
    np.testing.assert_array_equal(observations.to_roll(top, hparams), [[0, 1, 0, 1]])


def test_means_average_over_transpositions():
    roll = np.array([[0, 1, 0, 0]] * 3 + [[0, 0, 0, 0]], np.uint8)
    hparams = TINY.parse("transpose=1")
    np.testing.assert_allclose(observations.means([roll], hparams), [0.25, 0.25, 0.25, 0])


@pytest.mark.parametrize("parts", [1, 2])
def test_means_of_drums_are_theirs(parts):
    roll = np.array([[0, 1, 0, 0] * parts] * 3 + [[0, 0, 0, 0] * parts], np.uint8)
    hparams = TINY.parse(f"transpose=1,drums=true,parts={parts}")
    expected = [0.25, 0.25, 0.25, 0] * (parts - 1) + [0, 0.75, 0, 0]
    np.testing.assert_allclose(observations.means([roll], hparams), expected)


def test_a_model_without_recurrent_layers_is_built(tmp_path):
    hparams = TINY.parse("vae_type=RNN,decoder=masked,rnn_hidden_sizes=[],context_skip=true")
    model = MidiModel(hparams, tmp_path, mean=MEAN)
    model.build()
    assert model.gen_core.trainable_variables


@pytest.mark.parametrize("overrides, message", [
    ("lowest_note=70,highest_note=60", "lowest_note: expected at most highest_note=60; got 70"),
    ("decoder=scores,highest_note=60", "expected at most the number of columns, 1; got 2"),
    ("rate=0", "rate: expected a finite number, at least 0.5"),
    ("masked_hidden_size=0", "relative_channels or masked_hidden_size above 0; got 0"),
    ("parts=2,programs=[1,2,3]", "programs: expected one for each of parts=2; got 3"),
    ("bars=2,grid=16", "at most sequence_size=8 frames; got 2 bars of 32 frames together"),
])
def test_contradictory_hyperparameters_are_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        TINY.parse(overrides)


@pytest.mark.parametrize("pitches", [(69,), (60, 64, 67)])
def test_the_sound_has_the_duration_and_the_pitches_of_the_roll(pitches, tmp_path):
    grid = Grid(rate=7)
    roll = np.zeros([21, 88], np.uint8)
    for pitch in pitches:
        roll[:, pitch - 21] = 1
    audio.save(tmp_path / "a.wav", audio.synthesize(roll, grid))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getnframes() == 3 * audio.RATE and file.getframerate() == audio.RATE
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(samples).max() == pytest.approx(0.9 * 32767, rel=1e-3)
    magnitude = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = np.fft.rfftfreq(len(samples), 1 / audio.RATE)
    loudest = []
    for _ in pitches:
        peak = int(np.argmax(magnitude))
        loudest.append(hertz[peak])
        magnitude[np.abs(hertz - hertz[peak]) < 10] = 0
    np.testing.assert_allclose(
        sorted(loudest), [440 * 2 ** ((pitch - 69) / 12) for pitch in sorted(pitches)], atol=1)


def test_drums_sound_where_they_are_hit():
    grid = Grid(rate=4, parts=2, programs=(0, parts.DRUMS))
    rolls = {pitch: np.zeros([16, 2 * 88], np.uint8) for pitch in (36, 42)}
    for pitch, roll in rolls.items():
        roll[[2, 10], 88 + pitch - 21] = 1
    bass, hi_hat = (audio.synthesize(roll, grid) for roll in rolls.values())
    for samples in (bass, hi_hat):
        frames = np.abs(samples.reshape(16, -1)).max(1)
        assert frames[[2, 10]].min() > 0.5 and not frames[[0, 1, 7, 8, 9]].any()

    def mean_hertz(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        return (power * np.fft.rfftfreq(len(samples), 1 / audio.RATE)).sum() / power.sum()

    assert mean_hertz(bass) < 300 and mean_hertz(hi_hat) > 3000


def test_silence_is_silent():
    assert not audio.play(np.zeros([8, 88], np.uint8), Grid()).any()


def test_pitch_names():
    assert [plots.pitch_name(pitch) for pitch in (21, 60, 66, 108)] == ["A0", "C4", "F#4", "C8"]


def test_plots_are_png_files(tmp_path):
    grid = Grid(onsets=True)
    for name, roll in {"silent": np.zeros([0, 176]), "notes": np.eye(40, 176)}.items():
        plots.save_roll(tmp_path / name, roll, grid, title="$a <", prime_frames=min(5, len(roll)))
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    bitmap = plots.bitmap(piano_roll.sounding(np.eye(3, 176), grid))
    assert bitmap.shape == (264, 9, 1) and bitmap[-1, 0, 0] == 255 and bitmap[0].sum() == 0


def test_statistics_equal_those_counted_by_hand():
    # C4 held for three frames, E4 with it in the last two, then silence.
    piece = np.array([[1, 0, 0, 0, 0], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    result = roll_statistics.statistics_of([piece], lowest=60)
    assert result["notes_per_frame"] == 1.25 and result["silent_frames"] == 0.25
    assert result["density"][:3] == [0.25, 0.25, 0.5]
    assert result["pitch_classes"][0] == 0.6 and result["pitch_classes"][4] == 0.4
    assert result["intervals"][4] == 1.0 and result["held"] == 2.5
