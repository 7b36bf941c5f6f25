# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Missing values: nothing unseen changes anything, and densities are exact marginals."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, vae
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.codec import decoders, encoders, missing
from vaeseq.data import Masked

LENGTHS = tf.constant([4, 3])
MASK = np.array([[[1, 1], [0, 1], [0, 0], [1, 0]], [[0, 0], [1, 1], [1, 0], [1, 1]]], bool)


def gen_core(vae_type, per_dimension=True, decoder=None):
    """A model of vectors of two numbers, and some are unseen."""
    encoder, normal = small.real_codec()
    decoder = missing.MaskedDecoder(decoder or normal, per_dimension=per_dimension)
    encoder = missing.MaskedEncoder(encoder, decoder.event_spec)
    core = vae.make(small.HPARAMS.replace(vae_type=vae_type), decoder, encoder)
    model = vae.GenCore(agent.EncodeObserved(encoder, decoder.event_spec), core)
    small.build(model)
    return small.set_weights(model)


def observations(unseen_value, mask=MASK):
    values = small.reals(2, 4).numpy()
    full = mask if mask.ndim == 3 else np.repeat(mask[..., None], 2, 2)
    return Masked(tf.constant(np.where(full, values, np.float32(unseen_value))), tf.constant(mask))


def results(model, bound, observed):
    """The bound, its gradients, the states after it, and samples that go on from there."""
    with tf.GradientTape() as tape:
        contexts, agent_state = model.agent.contexts(
            observed, model.agent.initial_state(2), (), LENGTHS, seed=small.SEED)
        result = bound(model.core, contexts, observed, bound.initial_state(model.core, 2), LENGTHS,
                       seed=small.SEED)
        loss = tf.reduce_sum(result.objective)
    gradients = tape.gradient(loss, model.trainable_variables,
                              unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return result.increments, gradients, result.state, agent_state


@pytest.mark.oracle
@pytest.mark.parametrize("vae_type,bound", [
    ("RNN", ELBO()), ("ISEQ", ELBO()), ("SRNN", IWAE(2)), ("VRNN", FIVO(2))])
@pytest.mark.parametrize("per_dimension", [True, False])
def test_an_unseen_value_changes_nothing(vae_type, bound, per_dimension):
    model = gen_core(vae_type, per_dimension)
    mask = MASK if per_dimension else MASK[..., 0]
    first = results(model, bound, observations(0.0, mask))
    for value in (1e30, np.nan):
        other = results(model, bound, observations(value, mask))
        # The states keep observations as they came; the agent's encoder is blind to them.
        small.same(first[:2], other[:2])
        small.same(model.agent.context(first[3], seed=small.SEED),
                   model.agent.context(other[3], seed=small.SEED))
        small.same(first[2], other[2])


def test_what_stands_for_a_dimension_that_is_never_seen_changes_nothing():
    # The gradients of its density are no numbers far away.
    model = gen_core("SRNN", decoder=decoders.MixtureOfNormals(3, tf.TensorSpec([2])))
    mask = MASK & [True, False]
    first = results(model, ELBO(), observations(0.0, mask))
    for value in (-9999.0, 1e20):
        small.same(first[:2], results(model, ELBO(), observations(value, mask))[:2])


def test_a_seen_value_and_the_mask_do_change_the_result():
    model = gen_core("SRNN")
    base = results(model, ELBO(), observations(0.0))[0]
    moved = observations(0.0)
    moved = moved._replace(values=moved.values + tf.cast(moved.mask, tf.float32))
    assert not np.allclose(results(model, ELBO(), moved)[0], base)
    # A zero that was seen is another thing than an unseen one.
    observed_zeros = Masked(observations(0.0).values, tf.ones_like(MASK))
    assert not np.allclose(results(model, ELBO(), observed_zeros)[0], base)


@pytest.mark.oracle
def test_the_density_is_the_marginal_of_what_was_seen():
    loc, scale = np.array([0.3, -1.0, 2.0]), np.array([0.5, 1.5, 1.0])
    x = np.array([1.0, 0.2, -0.4])
    joint = tfd.Independent(tfd.Normal(loc, scale), 1)
    spec = missing.masked_spec(tf.TensorSpec([3], tf.float64))
    for mask in np.ndindex(2, 2, 2):
        mask = np.array(mask, bool)
        expected = tfd.Normal(loc[mask], scale[mask]).log_prob(x[mask]).numpy().sum()
        actual = missing.MaskedDistribution(joint, spec).log_prob(
            Masked(tf.constant(np.where(mask, x, np.nan)), tf.constant(mask)))
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.oracle
def test_parts_of_a_group_are_masked_apart():
    decoder = missing.MaskedDecoder(decoders.Group({
        "symbol": decoders.Categorical(3), "place": decoders.Normal(tf.TensorSpec([2]))}))
    params = decoder(tf.ones([1, 4]))
    x = {"symbol": tf.constant([2]), "place": tf.constant([[0.1, 0.2]])}
    parts = decoder.decoder.dist(params).parts
    symbol = parts["symbol"].log_prob(x["symbol"])
    place = parts["place"].distribution.log_prob(x["place"])
    for has_symbol in (True, False):
        for places in ((True, False), (False, False), (True, True)):
            mask = {"symbol": tf.constant([has_symbol]), "place": tf.constant([places])}
            expected = has_symbol * symbol[0] + sum(place[0, i] for i in range(2) if places[i])
            np.testing.assert_allclose(
                decoder.dist(params).log_prob(Masked(x, mask))[0], expected, rtol=1e-6)


def test_independent_dimensions_of_any_distribution_are_masked_apart():
    # tfd.Independent makes another class of a distribution that is no composite tensor.
    decoder = missing.MaskedDecoder(decoders.ZeroInflated(
        decoders.NegativeBinomial(tf.TensorSpec([2], tf.float32))))
    params = decoder(tf.ones([1, 4]))
    x = tf.constant([[0.0, 3.0]])
    each = decoder.decoder.dist(params).distribution.log_prob(x)
    np.testing.assert_allclose(decoder.dist(params).log_prob(
        Masked(x, tf.constant([[True, False]]))), each[:, 0], rtol=1e-6)


def test_a_joint_density_can_be_masked_as_a_whole_only():
    notes = tf.TensorSpec([3], tf.float32)
    x = tf.constant([[0.0, 1.0, 0.0]])
    whole = missing.MaskedDecoder(decoders.MaskedBernoulli(notes, (8,)), per_dimension=False)
    params = whole(tf.ones([1, 4]))
    assert whole.dist(params).log_prob(Masked(x, tf.constant([False])))[0] == 0
    single = missing.MaskedDecoder(whole.decoder)
    with pytest.raises(ValueError, match="does not factorise.*per_dimension=False"):
        single.dist(params).log_prob(Masked(x, tf.constant([[True, False, True]])))


def test_samples_have_no_missing_values():
    model = gen_core("VRNN")
    generated, _ = model.generate(3, model.initial_state(2), seed=small.SEED)
    assert isinstance(generated.observed, Masked)
    assert generated.observed.values.shape == [2, 3, 2]
    assert np.all(generated.observed.mask)


def test_the_encoder_appends_the_mask():
    spec = missing.masked_spec(small.REAL)
    encoder = missing.MaskedEncoder(encoders.Flatten(small.REAL), spec)
    assert encoder.output_size == 4
    np.testing.assert_array_equal(
        encoder(Masked(tf.constant([[3.0, 5.0]]), tf.constant([[True, False]]))), [[3, 0, 1, 0]])
