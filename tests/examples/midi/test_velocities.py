# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Velocities: their exact probability, the files that carry them, and the program."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from examples.midi.cli import program
from examples.midi.data import midi_reader, piano_roll
from examples.midi.data.piano_roll import Grid
from examples.midi.hparams import MidiHParams
from examples.midi.model import observations
from examples.midi.model.velocities import VelocityDecoder, VelocityParams
from examples.midi.output import plots
from examples.midi.tuning import rewards
from tests import small
from tests.examples.midi import midi_files
from tests.examples.midi.midi_files import file, off
from tests.in_process import assert_one_line, runner
from vaeseq import seeds
from vaeseq.codec import missing
from vaeseq.data import Masked

SMALL = ("lowest_note=60,highest_note=67,rnn_hidden_sizes=[6],relative_channels=1,recall=4,"
         "sequence_size=8,batch_size=4,num_shards=1,grid=8,transpose=2,velocity=true,dropout=0")


@pytest.fixture(scope="module", params=["masked", "bernoulli"])
def decoder(request):
    """A decoder of two pitches with weights from a seed, and its parameters for a frame."""
    hparams = MidiHParams().parse(SMALL).parse(
        f"highest_note=61,decoder={request.param},context_skip=false,recall=0")
    module = observations.make_decoder(hparams, np.array([0.3, 0.4, 0.2, 0.3]))
    features = tf.random.stateless_normal([1, 5], [1, 2])
    module.dist(module(features)).log_prob(np.zeros([1, 4], np.float32))
    small.set_weights(module, 0.15)
    return module, module(features)


def _twin(module: VelocityDecoder, params: VelocityParams, frame: np.ndarray) -> np.ndarray:
    """Returns log p(v | notes) of every velocity `[2, 127]` of a frame, with NumPy in float64."""
    network = module._network
    w_in, w_out, b_out, hidden = (np.asarray(each, float) for each in (
        network._input.w, network._head._linear.w, network._head._linear.b, params.hidden[0]))
    mean, raw = np.split(np.maximum(frame @ w_in + hidden, 0) @ w_out + b_out, 2)
    mean, scale = 64 + 32 * mean, 32 * (np.logaddexp(0, raw) + 1e-3)
    edges = np.concatenate([[-np.inf], np.arange(1.5, 127), [np.inf]])
    return np.log(np.diff(special.expit((edges - mean[:, None]) / scale[:, None])))


@pytest.mark.oracle
def test_the_density_is_that_of_notes_times_discretised_logistics(decoder):
    module, params = decoder
    notes = module._notes.dist(params.notes)
    for frame in itertools.product([0.0, 1.0], repeat=4):
        twin = _twin(module, params, np.array(frame))
        assert np.exp(twin).sum(axis=1) == pytest.approx(1)
        frames = np.tile(np.float32(frame), [127, 1])
        frames[:, :2] *= np.arange(1, 128)[:, None]
        expected = notes.log_prob(np.float32([frame])).numpy() + frame[:2] @ twin
        np.testing.assert_allclose(
            module.dist(params).log_prob(frames), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.oracle
def test_samples_have_the_frequencies_of_the_density(decoder):
    module, params = decoder
    count = 20_000
    samples = module.dist(params).sample(count, seed=seeds.make(1)).numpy()[:, 0]
    assert set(np.unique(samples[:, 2:])) <= {0, 1} and samples.max() <= 127
    notes, numbers = np.unique(np.minimum(samples, 1), axis=0, return_counts=True)
    frame = notes[np.argmax(numbers * (notes[:, 0] > 0))]
    velocity = samples[(np.minimum(samples, 1) == frame).all(1), 0]
    probability = np.exp(_twin(module, params, frame)[0])
    mean = probability @ np.arange(1, 128)
    error = np.sqrt(probability @ (np.arange(1, 128) - mean) ** 2 / len(velocity))
    assert abs(velocity.mean() - mean) < 5 * error


@pytest.mark.oracle
def test_the_mean_weight_of_given_columns_is_their_probability(decoder):
    module, params = decoder
    values = np.float32([90, 0, 0, 0])
    mask = np.array([True, False, True, False])
    count = 20_000
    masked = missing.MaskedDecoder(module).dist(
        tf.nest.map_structure(lambda leaf: tf.repeat(leaf, count, 0), params))
    completed, log_weight = masked.sample_given(
        Masked(*(tf.tile(each[None], [count, 1]) for each in (values, mask))), seed=seeds.make(2))
    np.testing.assert_array_equal(completed.values[:, ::2], np.tile(values[::2], [count, 1]))
    others = [np.array([90, v, 0, s], np.float32) for v in range(128) for s in (0, 1)]
    exact = np.exp(module.dist(params).log_prob(np.stack(others))).sum()
    weight = np.exp(log_weight)
    assert abs(weight.mean() - exact) < 5 * weight.std() / np.sqrt(count) + 1e-6


def test_a_low_temperature_draws_the_mean_velocity(decoder):
    module, params = decoder
    cold = module.temper(params, 1e-4)
    samples = module.dist(cold).sample(20, seed=seeds.make(3)).numpy()
    assert np.ptp(samples, axis=0).max() <= 1  # on both sides of a half


def _strike(pitch, velocity):
    return bytes([0x90, pitch, velocity])


def _crescendo(first):
    """Returns a file of eighth notes, each louder than the one before."""
    track = []
    for step in range(16):
        track += [(0, _strike(60 + (first + step) % 8, 40 + 5 * step)),
                  (240, off(60 + (first + step) % 8))]
    return file(track)


def test_a_roll_with_velocities_written_and_read_is_the_same():
    grid = Grid(note=8, onsets=True, velocity=True)
    roll = piano_roll.from_notes(midi_reader.read(_crescendo(3)), grid)
    assert sorted(roll[roll > 1].tolist()) == list(range(40, 120, 5))
    held = roll.copy()
    held[1:, 88:] = np.where(roll[1:, :88] == 0, roll[:-1, :88] > 0, 0)
    for each in (roll, held):
        midi = piano_roll.to_midi(each, grid)
        assert {note.velocity for note in midi.instruments[0].notes} == set(range(40, 120, 5))
        again = midi_reader.read(midi_files.content(midi))
        np.testing.assert_array_equal(piano_roll.from_notes(again, grid), each)
    without = piano_roll.played(roll[:, :88] > 0, Grid(note=8))
    assert set(without.velocity) == {piano_roll.VELOCITY}


def test_a_file_of_choices_keeps_velocities():
    grid = Grid(lowest=60, highest=61, onsets=True, velocity=True)
    roll = np.array([[90, 0, 0, 0], [0, 1, 1, 0]], np.uint8)
    content = rewards.from_roll(roll)
    assert content == [[[0, 90]], [1, 2]]
    np.testing.assert_array_equal(rewards.to_roll(content, grid), roll)
    plain = Grid(lowest=60, highest=63)
    for wrong, its_grid in ((content, plain), ([[[0, 128]]], grid), ([[[0]]], grid)):
        with pytest.raises(ValueError, match="expected a list of frames"):
            rewards.to_roll(wrong, its_grid)


def test_of_notes_that_begin_together_the_loudest_counts():
    content = file([(0, _strike(60, 30)), (0, _strike(60, 90)), (240, off(60))])
    roll = piano_roll.from_notes(
        midi_reader.read(content), Grid(note=8, onsets=True, velocity=True))
    assert roll.max() == 90


def test_soft_notes_are_paler(tmp_path):
    from matplotlib.image import imread
    grid = Grid(rate=1, lowest=60, highest=60, onsets=True, velocity=True)
    roll = np.array([[10, 0]] * 4 + [[127, 0]] * 4, np.uint8)
    picture = plots.save_roll(tmp_path / "a.png", roll, grid, title="")
    pixels = imread(tmp_path / "a.png")
    width = picture.width * (picture.right - picture.left)
    soft, loud = ((pixels[:, round(picture.left * picture.width + width * share), 2]
                   - pixels[:, round(picture.left * picture.width + width * share), 0]).max()
                  for share in (1 / 16, 13 / 16))  # how blue they are
    assert 0.05 < soft < 0.5 * loud


def test_velocity_needs_music_and_a_decoder_that_have_it(tmp_path, capsys):
    midi = runner(program, capsys)
    np.savez(tmp_path / "a.npz", train=np.ones([4, 88], np.uint8), train_lengths=np.array([4]))
    words = ["train", "--log-dir", tmp_path / "new", "--train-files", f"{tmp_path / 'a.npz'}:train"]
    assert_one_line(midi(*words, "--hparams", "velocity=true"), "an archive has no velocities")
    assert_one_line(midi(*words, "--hparams", "velocity=true,decoder=scores"),
                    "velocity: expected decoder=masked or bernoulli; got decoder=scores")
