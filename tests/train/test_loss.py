# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The loss of a batch, and training loops written around it."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, vae
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.codec import decoders, encoders, missing
from vaeseq.data import Batch
from vaeseq.dist_module import DistModule
from vaeseq.nn import networks
from vaeseq.train.loss import SequenceLoss

LENGTHS = np.array([5, 3, 0], np.int32)
BOUNDS = {"elbo": ELBO(), "iwae": IWAE(3), "fivo": FIVO(3)}


def batch_of(lengths=LENGTHS, steps=5, is_start=True):
    observed = small.reals(len(lengths), steps).numpy()
    return Batch(observed, np.asarray(lengths, np.int32), np.full([len(lengths)], is_start))


def sequence_loss(vae_type="VRNN", bound="elbo", **arguments):
    model = small.gen_core(vae_type)
    return SequenceLoss(model.agent, model.core, BOUNDS[bound], **arguments)


def loss_and_gradients(loss, batch, state=None, **arguments):
    state = loss.initial_state(len(batch.lengths)) if state is None else state
    with tf.GradientTape() as tape:
        out, _ = loss(batch, state, **{"seed": 1, **arguments})
    return out.loss, tape.gradient(out.loss, loss.trainable_variables,
                                   unconnected_gradients=tf.UnconnectedGradients.ZERO)


@pytest.mark.oracle
@pytest.mark.parametrize("bound", BOUNDS)
def test_the_loss_is_the_negative_bound_of_a_step(bound):
    loss, batch = sequence_loss(bound=bound), batch_of()
    out, _ = loss(batch, loss.initial_state(3), seed=1)
    np.testing.assert_allclose(
        out.nats_per_step, -np.sum(out.result.increments) / LENGTHS.sum(), rtol=1e-6)
    np.testing.assert_allclose(out.loss, out.nats_per_step, rtol=1e-6)
    assert out.num_steps == LENGTHS.sum()


@pytest.mark.oracle
def test_the_kl_weight_scales_the_kl_term():
    loss, batch = sequence_loss(), batch_of()
    out, _ = loss(batch, loss.initial_state(3), seed=1, kl_weight=0.25)
    np.testing.assert_allclose(out.loss, -out.log_prob + 0.25 * out.kl, rtol=1e-5)
    np.testing.assert_allclose(out.nats_per_step, -out.log_prob + out.kl, rtol=1e-5)


@pytest.mark.parametrize("vae_type", ["RNN", "ISEQ", "SRNN", "VRNN"])
def test_padding_changes_neither_loss_nor_gradient(vae_type):
    loss, batch = sequence_loss(vae_type), batch_of()
    garbage = batch._replace(observed=small.garbage_after(batch.observed, LENGTHS))
    small.same(loss_and_gradients(loss, batch), loss_and_gradients(loss, garbage))


class _Rain(DistModule):
    """Positive numbers; the gradient of the density of a zero is NaN."""

    event_spec = small.REAL

    def __init__(self):
        super().__init__()
        self._params = networks.MLP((4,))

    def __call__(self, features):
        return self._params(features)

    def dist(self, params):
        mean, scale = tf.split(params, 2, -1)
        return tfd.Independent(tfd.LogNormal(mean, tf.nn.softplus(scale) + 0.1), 1)


class _Logarithms(encoders.Flatten):
    """Features that zeros have none of."""

    def __init__(self):
        super().__init__(small.REAL)
        self._layer = networks.MLP((2,))

    def __call__(self, observation):
        return self._layer(tf.math.log(observation))


@pytest.mark.parametrize("vae_type, bound", [("RNN", "elbo"), ("VRNN", "fivo"), ("SRNN", "iwae")])
@pytest.mark.parametrize("masked", [False, True])
def test_padding_and_holes_of_positive_numbers_have_finite_gradients(vae_type, bound, masked):
    encoder, decoder = _Logarithms(), _Rain()
    batch = batch_of()
    batch = batch._replace(observed=np.where(
        np.arange(5)[:, None] < LENGTHS[:, None, None], np.exp(batch.observed), 0))
    if masked:  # a step, a dimension, and what a mask hides
        hidden = np.zeros([3, 5, 2], bool)
        hidden[:, 1], hidden[0, 3, 0] = True, True
        decoder = missing.MaskedDecoder(decoder)
        encoder = missing.MaskedEncoder(encoders.Flatten(small.REAL), decoder.event_spec)
        batch = batch._replace(observed=np.where(hidden, 0, batch.observed), observed_mask=~hidden)
    hparams = small.HPARAMS.replace(vae_type=vae_type)
    loss = SequenceLoss(agent.EncodeObserved(encoder, decoder.event_spec),
                        vae.make(hparams, decoder, encoder), BOUNDS[bound])
    value, gradients = loss_and_gradients(loss, batch)
    assert np.isfinite(value) and all(np.isfinite(each).all() for each in gradients)


class _Categories(small.RandomWalk):
    """A core with latents of classes, whose samples carry no gradient."""

    def posterior(self, h, feature):
        return tfd.OneHotCategorical(
            logits=super().posterior(h, feature).mean(), dtype=tf.float32)


def test_a_posterior_without_reparameterized_samples_is_scored_but_not_trained():
    for bound in (ELBO(), FIVO(2)):
        encoder, decoder = small.real_codec()
        loss = SequenceLoss(agent.EncodeObserved(encoder, small.REAL),
                            _Categories(decoder, encoder), bound)
        state = loss.initial_state(3)
        assert np.isfinite(loss(batch_of(), state, seed=1, is_training=False)[0].loss)
        with pytest.raises(ValueError, match="_Categories whose samples carry its gradient"):
            loss(batch_of(), state, seed=1)


class _Dependent(small.RandomWalk):
    def prior(self, h):
        return tfd.Normal(tf.zeros_like(super().prior(h).mean()), 1.0)


class _TwoStates(small.RandomWalk):
    def update(self, h, z):
        outputs, state = super().update(h, z)
        return outputs, (state, state)


class _Wide(small.RandomWalk):
    def posterior(self, h, feature):
        q_z = super().posterior(h, feature)
        return tfd.Independent(tfd.Normal(tf.repeat(q_z.mean(), 2, -1), 1.0), 1)


@pytest.mark.parametrize("core, message", [
    (_Dependent, r"_Dependent.prior: expected a distribution of event shape \[2\].*Independent"),
    (_TwoStates, r"_TwoStates.update: expected a next state, by state_spec, like Tensor"),
    (_Wide, r"_Wide.posterior: expected a distribution of event shape \[2\], .* got event shape "
            r"\(4,\)")])
def test_a_core_that_does_not_fit_its_sizes_is_told_in_a_line(core, message):
    encoder, decoder = small.real_codec()
    for bound in (ELBO(), FIVO(2)) if core is not _TwoStates else (ELBO(),):
        loss = SequenceLoss(
            agent.EncodeObserved(encoder, small.REAL), core(decoder, encoder), bound)
        with pytest.raises(ValueError, match=message) as error:
            loss(batch_of(), loss.initial_state(3), seed=1)
        assert "\n" not in str(error.value)


class _Apart(decoders.Normal):
    def dist(self, params):
        return super().dist(params).distribution


class _Narrow(agent.EncodeObserved):
    context_size = 1


def test_what_does_not_fit_a_loss_is_told_in_a_line():
    encoder, decoder = small.real_codec()
    core = small.RandomWalk(decoder, encoder)
    loss = SequenceLoss(agent.EncodeObserved(encoder, small.REAL), core, IWAE(3))
    for wrong in (loss.initial_state(2), core.initial_state(3), SequenceLoss(
            loss.agent, core, IWAE(2)).initial_state(3)):
        with pytest.raises(ValueError, match="state: expected one of as many rows and samples"):
            loss(batch_of(), wrong, seed=1)
    for bound in (ELBO(), FIVO(2)):
        apart = SequenceLoss(loss.agent, small.RandomWalk(_Apart(small.REAL), encoder), bound)
        with pytest.raises(ValueError, match="_Apart.dist: expected .*ndims=1"):
            apart(batch_of(), apart.initial_state(3), seed=1)
    narrow = SequenceLoss(_Narrow(encoder, small.REAL), core, ELBO())
    with pytest.raises(ValueError, match="_Narrow: expected contexts of context_size=1 .* got 3"):
        narrow(batch_of(), narrow.initial_state(3), seed=1)
    external = SequenceLoss(agent.ExternalInputs(encoder), core, ELBO())
    with pytest.raises(ValueError, match="expected batches with `inputs` like .*got none"):
        external(batch_of(), external.initial_state(3), seed=1)


def test_a_start_forgets_the_state():
    loss, batch = sequence_loss(), batch_of()
    _, later = loss(batch, loss.initial_state(3), seed=1)
    fresh, _ = loss(batch, loss.initial_state(3), seed=2)
    again, _ = loss(batch, later, seed=2)
    small.same(fresh.loss, again.loss)
    going_on, _ = loss(batch_of(is_start=False), later, seed=2)
    assert abs(float(going_on.loss - fresh.loss)) > 1e-3


def test_no_gradient_passes_through_the_state():
    loss, batch = sequence_loss(), batch_of([5, 5, 5])
    with tf.GradientTape() as tape:
        _, state = loss(batch, loss.initial_state(3), seed=1)
        total = tf.add_n([tf.reduce_sum(x) for x in tf.nest.flatten(state)
                          if x.dtype == tf.float32])
    assert all(x is None for x in tape.gradient(total, loss.trainable_variables))


@pytest.mark.parametrize("vae_type,jit_compile", [("SRNN", False), ("RNN", True)])
def test_a_function_equals_eager(vae_type, jit_compile):
    # Seeds are split differently by XLA, so that only a model without latents can be compared.
    loss, batch = sequence_loss(vae_type), batch_of()
    compiled = tf.function(
        lambda batch, state: loss_and_gradients(loss, batch, state), jit_compile=jit_compile,
        autograph=False)
    tensors = tf.nest.map_structure(tf.convert_to_tensor, batch)
    small.close(compiled(tensors, loss.initial_state(3)), loss_and_gradients(loss, batch),
                rtol=1e-4, atol=1e-5)


def test_the_seed_is_a_number_or_a_pair():
    loss, batch = sequence_loss(), batch_of()
    first, _ = loss(batch, loss.initial_state(3), seed=7)
    pair, _ = loss(batch, loss.initial_state(3), seed=tf.constant([7, 0]))
    other, _ = loss(batch, loss.initial_state(3), seed=8)
    small.same(first.loss, pair.loss)
    assert float(first.loss) != float(other.loss)


def test_dropout_is_for_training_only():
    loss, batch = sequence_loss("RNN", context_dropout=0.5), batch_of()
    losses = [loss(batch, loss.initial_state(3), seed=seed, is_training=training)[0].loss
              for training in (True, False) for seed in (1, 2)]
    assert float(losses[0]) != float(losses[1])
    small.same(losses[2], losses[3])


@pytest.mark.parametrize("lengths,steps", [([1], 1), ([0], 1), ([0, 0], 3), ([4], 4)])
def test_small_batches(lengths, steps):
    loss = sequence_loss("SRNN")
    value, gradients = loss_and_gradients(loss, batch_of(lengths, steps))
    assert np.isfinite(value.numpy())
    assert all(np.isfinite(gradient).all() for gradient in map(np.asarray, gradients))
    assert sum(lengths) or float(value) == 0


def test_a_loop_with_a_keras_optimizer_learns():
    loss = sequence_loss("RNN")
    optimizer = tf.keras.optimizers.AdamW(0.02)
    variables = loss.trainable_variables

    @tf.function(autograph=False)
    def update(batch, state, step):
        with tf.GradientTape() as tape:
            out, state = loss(batch, state, seed=tf.stack([step, 0]))
            total = out.loss + 1e-4 * tf.add_n([tf.nn.l2_loss(v) for v in variables])
        optimizer.apply_gradients(zip(tape.gradient(
            total, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO), variables))
        return out.loss, state

    batch = tf.nest.map_structure(tf.convert_to_tensor, batch_of([5, 5, 5]))
    state = loss.initial_state(3)
    losses = []
    for step in range(60):
        value, state = update(batch, state, tf.constant(step))
        losses.append(float(value))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
