# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Scores: pooled, whole, and with a standard error that is one."""

import math

import numpy as np
import pytest

from tests import small
from vaeseq import agent, data, seeds, vae
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.cli import options
from vaeseq.codec import decoders, encoders
from vaeseq.evaluate import likelihood
from vaeseq.evaluate.likelihood import Evaluator, Window, pool

pytestmark = pytest.mark.contract

SIZES = (5, 1, 7, 2)


def sequences(*sizes):
    return [small.reals(size, number=i).numpy() for i, size in enumerate(sizes)]


def evaluator(model, bound=None):
    return Evaluator(model.agent, model.core, bound or ELBO(), jit_compile=False)


def log_probs(model, sequence):
    """log p(x_t | x_1:t-1) of an RNN, by its parts."""
    contexts, _ = model.agent.contexts(
        sequence[None], model.agent.initial_state(1), seed=small.SEED)
    outputs, _ = model.core.encode_contexts(contexts, model.core.initial_state(1).context)
    return model.core.decoder.dist(model.core.decoder(outputs)).log_prob(sequence[None])[0].numpy()


def test_an_exact_score_is_the_same_however_it_is_computed():
    model, rows = small.gen_core("RNN"), sequences(*SIZES)
    expected = np.concatenate([log_probs(model, sequence) for sequence in rows])
    for batch_size, window in ((1, 7), (1, 2), (2, 3), (4, 10), (5, 1)):
        scorer = evaluator(model)
        score = scorer.score(data.windows(rows, batch_size, window), seed=small.SEED)
        assert score.nats == pytest.approx(expected.sum(), 1e-5)
        assert score.steps == 15
        assert score.nats_per_step == pytest.approx(-expected.mean(), 1e-5)
        assert score.bits_per_step == pytest.approx(-expected.mean() / math.log(2), 1e-5)
        assert score.perplexity == pytest.approx(math.exp(-expected.mean()), 1e-4)
        assert (score.bound, score.num_samples, score.standard_error) == ("exact", 1, 0.0)
        assert (score.kl, score.active_units) == (0.0, 0)
        assert score.effective_sample_size == 1.0


def test_each_step_is_scored_in_its_place():
    model, rows = small.gen_core("RNN"), sequences(*SIZES)
    parts = [[] for _ in rows]
    for window in evaluator(model).windows(data.windows(rows, 4, 3), seed=small.SEED):
        for row, length in enumerate(window.lengths):
            parts[row].extend(window.increments[row, :length])
            np.testing.assert_array_equal(window.increments[row, length:], 0)
            np.testing.assert_array_equal(window.effective_sample_size[row, length:], 0)
    for row, sequence in zip(parts, rows):
        np.testing.assert_allclose(row, log_probs(model, sequence), rtol=1e-4, atol=1e-5)


def test_a_latent_of_a_whole_sequence_is_active_by_its_nats_of_a_sequence():
    """Nats per step would be few in a long sequence."""
    def window(latent_kl):
        zeros = np.zeros([2, 100])
        return Window(zeros, latent_kl.sum(2), latent_kl, zeros + 1, np.zeros(2),
                      np.array([100, 60]))
    latent_kl = np.zeros([2, 100, 2])
    latent_kl[:, 0] = [0.5, 0.001]
    later = np.zeros([2, 100, 2])  # the state is carried, and no latent drawn
    score = pool([window(latent_kl), window(later)], "elbo", 1)
    np.testing.assert_allclose(score.latent_kl, [0.5, 0.001])
    assert score.active_units == 1 and score.kl == pytest.approx(2 * 0.501 / 320)


@pytest.mark.parametrize("bound", [ELBO(4), IWAE(4), FIVO(4)])
def test_padding_is_in_no_figure(bound):
    model, rows = small.gen_core("SRNN"), sequences(*SIZES)
    scorer = evaluator(model, bound)
    batches = [batch._replace(observed=small.garbage_after(batch.observed, batch.lengths))
               for batch in data.windows(rows, 4, 7)]
    score = scorer.score(batches, seed=small.SEED)
    small.same(tuple(score), tuple(scorer.score(data.windows(rows, 4, 7), seed=small.SEED)))
    assert 1.0 <= score.effective_sample_size <= 4.0
    assert score.latent_kl.shape == (2,)
    assert score.latent_kl.sum() == pytest.approx(score.kl, 1e-4)
    assert score.active_units == 2
    assert (score.bound, score.num_samples) == (bound.name, 4)
    assert math.isfinite(score.standard_error)


def test_the_seed_fixes_the_score():
    model = small.gen_core("VRNN")
    scorer = evaluator(model, IWAE(2))
    one, other, third = (
        scorer.score(data.windows(sequences(4, 3), 2, 2), seed=seeds.make(n)).nats
        for n in (1, 1, 2))
    assert one == other != third


@pytest.mark.parametrize(("bound", "scale"), [(ELBO(8), 0.3), (IWAE(32), 0.1)])
def test_the_standard_error_is_that_of_repeated_evaluations(bound, scale):
    """In windows too, whose samples are not independent of those of the window before.

    (For IWAE where the weights are not too uneven: the delta method knows no heavy tails.)
    """
    model, rows = small.gen_core("SRNN", scale=scale), sequences(6, 3)
    scorer, runs = evaluator(model, bound), 300
    scores = [scorer.score(data.windows(rows, 2, 3), seed=seeds.make(n)) for n in range(runs)]
    spread = np.var([score.nats for score in scores], ddof=1)
    estimate = np.mean([score.variance for score in scores])
    # The standard error of a variance is about sqrt(2 / runs) of it; 4 of them is 33 %.
    assert estimate == pytest.approx(spread, rel=4 * math.sqrt(2 / runs))
    assert scores[0].standard_error == pytest.approx(math.sqrt(scores[0].variance) / 9)


def test_one_sample_does_not_tell_its_error():
    model = small.gen_core("SRNN")
    score = evaluator(model).score(data.windows(sequences(3), 2, 2), seed=small.SEED)
    assert math.isnan(score.standard_error)
    values = score.as_dict()
    assert values["standard_error"] is None
    assert list(values) == ["nats_per_step", "bits_per_step", "perplexity", "steps", "bound",
                            "num_samples", "standard_error"]


def score_of(nats, variance=0.0):
    return likelihood.Score(nats, 2, "iwae", 2, variance, 0.0, np.zeros(0), 1.0)


def test_extreme_figures():
    assert score_of(-1e9).perplexity == math.inf
    assert score_of(-1e9).as_dict()["perplexity"] is None
    assert score_of(-1.0, -1e-9).standard_error == 0.0
    assert score_of(-1.0, 16.0).standard_error == 2.0
    assert math.isnan(score_of(-1.0, math.nan).standard_error)


def test_what_has_no_probability_is_named():
    (batch,) = data.windows(sequences(3, 4), 2, 4)
    batch.observed[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"row 1, step 2 of a batch: expected an observation in "
                                         r"the support of the decoder's .*, got \[nan, "):
        evaluator(small.gen_core("RNN")).score([batch], seed=small.SEED)
    with pytest.raises(ValueError, match=r"expected whole numbers from .* got 0\.5"):
        evaluator(small.gen_core("RNN", small.symbol_codec)).score(
            data.windows([np.array([1.0, 0.5])], 1, 2), seed=small.SEED)


def test_an_input_that_is_no_number_is_named():
    encoder, decoder = small.real_codec()
    core = vae.make(small.HPARAMS, decoder, encoder)
    score = Evaluator(agent.ExternalInputs(encoder), core, ELBO()).score
    (batch,) = data.windows(sequences(3, 4), 2, 4)
    inputs = np.zeros([2, 4, 2], np.float32)
    inputs[0, 3], inputs[1, 2, 0] = np.nan, np.nan  # padding, and a step
    assert np.isfinite(score([batch._replace(inputs=np.nan_to_num(inputs))], seed=1).nats)
    with pytest.raises(ValueError, match=r"row 1, step 2 of .* numbers in Batch.inputs, got \[nan"):
        score([batch._replace(inputs=inputs)], seed=1)


@pytest.mark.parametrize("vae_type", ["VRNN", "SRNN"])
def test_what_is_no_number_is_named_where_later_steps_are_read_too(vae_type):
    (batch,) = data.windows(sequences(3, 4), 2, 4)
    batch.observed[0, 3] = np.nan  # padding
    batch.observed[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"row 1, step 2 of .*, got \[nan, .*, whose score is NaN"):
        evaluator(small.gen_core(vae_type)).score([batch], seed=small.SEED)


@pytest.mark.parametrize("sizes", [(3, 2), (1, 3)])
def test_batches_of_other_numbers_of_rows_are_refused(sizes):
    batches = [next(iter(data.windows(sequences(*[4] * size), size, 4))) for size in sizes]
    batches[1].is_start[:] = False
    with pytest.raises(ValueError, match="batch 1: expected {} rows.*, got {}".format(*sizes)):
        evaluator(small.gen_core("RNN")).score(batches, seed=small.SEED)


class NeverTwo(decoders.Categorical):
    """Three classes; the last has no probability."""

    def __call__(self, features):
        return super().__call__(features) + [0.0, 0.0, -math.inf]


@pytest.mark.parametrize("bound", [IWAE(2), FIVO(2)])
def test_a_step_without_probability_is_named_and_not_the_one_after_it(bound):
    model = small.gen_core("SRNN", lambda: (encoders.Embed(3, 3), NeverTwo(3)))
    with pytest.raises(ValueError, match=r"row 0, step 1 of .*, got 2, whose score is -inf"):
        evaluator(model, bound).score(
            data.windows([np.array([0, 2, 1, 1])], 1, 4), seed=small.SEED)


@pytest.mark.parametrize("rows", [[], [np.zeros([0, 2], np.float32)]])
def test_nothing_to_score(rows):
    with pytest.raises(ValueError, match="at least one step to score, got none"):
        evaluator(small.gen_core("RNN")).score(data.windows(rows, 2, 3), seed=small.SEED)


@pytest.mark.parametrize(("latent_kl", "note"), [
    ([], None), ([0.0, 0.001], "0 active units: posterior collapse"),
    ([0.5, 0.0], "1 active units")])
def test_active_units_are_told_where_the_kl_of_each_dimension_is_known(latent_kl, note):
    score = likelihood.Score(-3.0, 2, "elbo", 2, 0.0, 0.5, np.array(latent_kl), 1.0)
    expected = ["elbo, 2 samples +- 0.0000", "KL 0.5000 nats/frame"]
    assert options.bound_notes(score, "frame") == expected + ([note] if note else [])
