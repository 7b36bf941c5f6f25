# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""STORN and RVAE: exact evidence with linear decoders, and what their posteriors read."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import vae
from vaeseq.bounds import FIVO, IWAE
from vaeseq.codec import decoders, encoders, latent
from vaeseq.nn.networks import RecurrentStack
from vaeseq.vae import rvae

SPEC = tf.TensorSpec([1], tf.float32)
SCALE, OFFSET, NOISE, FEEDBACK = 1.3, -0.2, 0.7, 0.5
X = np.array([0.4, -0.9, 1.6, 0.2], np.float32)


def linear(vae_type):
    """A core whose recurrence is the identity, so that x_t is linear in z_t and the context."""
    decoder, encoder = decoders.Normal(SPEC), encoders.Flatten(SPEC)
    q_z, identity = latent.DiagonalNormal(1), RecurrentStack(())
    if vae_type == "STORN":
        core = vae.STORN(decoder, encoder, identity, RecurrentStack((3,)), q_z)
    else:
        core = vae.RVAE(decoder, encoder, identity, RecurrentStack((2,)), q_z,
                        future=RecurrentStack((3,)), past=RecurrentStack((3,)))
    if vae_type == "noncausal RVAE":
        core = rvae.NoncausalRVAE(core, identity)
    run(core, IWAE(1), 1)
    small.set_weights(core, 0.3)
    for variable in decoder.trainable_variables:
        rows = {"RVAE": [[SCALE, 0.0]], "STORN": [[FEEDBACK, 0.0], [SCALE, 0.0]],
                "noncausal RVAE": [[SCALE - 0.4, 0.0], [0.4, 0.0]]}[vae_type]
        variable.assign(rows if variable.shape.rank == 2 else [
            OFFSET, np.log(np.expm1(NOISE - 1e-5))])
    return core


def previous():
    return np.concatenate([[0], X[:-1]]).astype(np.float32)


def run(core, bound, rows):
    observed, contexts = (tf.tile(x[None, :, None], [rows, 1, 1]) for x in (X, previous()))
    return bound(core, contexts, observed, bound.initial_state(core, rows), seed=small.SEED)


@pytest.mark.oracle
@pytest.mark.parametrize(("vae_type", "bound"), [
    ("STORN", IWAE(64)), ("STORN", FIVO(16)), ("RVAE", IWAE(64)), ("RVAE", FIVO(16)),
    ("noncausal RVAE", IWAE(64))])
def test_the_exponential_of_a_bound_is_unbiased(vae_type, bound):
    loc = OFFSET + (FEEDBACK * previous() if vae_type == "STORN" else 0)
    exact = tfd.Normal(loc, np.float32(np.hypot(SCALE, NOISE))).log_prob(X).numpy().sum()
    small.assert_unbiased(run(linear(vae_type), bound, 2000).increments, exact)


@pytest.mark.parametrize(("vae_type", "inference", "past", "future"), [
    ("STORN", "causal", True, False), ("RVAE", "causal", False, True),
    ("RVAE", "noncausal", True, True)])
def test_a_posterior_reads_the_steps_that_it_should(vae_type, inference, past, future):
    core = small.gen_core(vae_type, rvae_inference=inference).core
    contexts, observed, middle = tf.zeros([1, 5, 3]), small.reals(1, 5).numpy(), 2
    z = tf.random.stateless_normal([1, 5, 2], [3, 4])
    features, _ = core.encode_contexts(contexts, ())
    state = core.initial_state(1).latent

    def posterior(observed, z):
        terms = core.encode_observed(features, tf.constant(observed))
        inferred = core.infer_given(features, terms, z, state)
        return inferred.posterior.distribution.loc[0, middle].numpy()

    base = posterior(observed, z)

    def reads(steps):
        other = observed.copy()
        other[:, steps] += 1
        return not np.array_equal(base, posterior(other, z))

    assert [reads(slice(0, middle)), reads(middle), reads(slice(middle + 1, None))] == [
        past, True, future]
    for step, is_read in ((0, True), (middle, False), (middle + 1, False)):
        other = tf.tensor_scatter_nd_add(z, [[0, step, 0]], [1.0])
        assert np.array_equal(base, posterior(observed, other)) != (
            is_read and vae_type == "RVAE"), step


def test_storn_generates_as_iseq_and_rvae_without_feedback():
    """With the weights of ISEQ, STORN has its densities; RVAE's do not depend on contexts."""
    iseq, storn = (small.gen_core(kind).core for kind in ("ISEQ", "STORN"))
    contexts, z = small.reals(2, 5)[..., :1] * tf.ones([3]), small.reals(2, 5, number=2)
    outputs = []
    for core in (iseq, storn):
        features, _ = core.encode_contexts(contexts, ())
        terms = core.encode_observed(features, small.reals(2, 5))
        outputs.append(core.infer_given(features, terms, z, core.initial_state(2).latent).outputs)
    small.same(*outputs)
    core = small.gen_core("RVAE").core
    assert core.encode_contexts(contexts, ())[0].shape == [2, 5, 0]
    assert isinstance(core.initial_state(1).latent, rvae.State)


def test_flows_need_a_decoder_with_single_steps():
    with pytest.raises(ValueError, match="posterior_flows run in a loop over steps"):
        small.gen_core("RVAE", rvae_decoder="noncausal", posterior_flows=1)


def test_the_noncausal_decoder_reads_all_latents_and_has_no_single_step():
    core = small.gen_core("RVAE").core
    noncausal = rvae.NoncausalRVAE(core, RecurrentStack((4,), name="e_core"))
    encoder, decoder = small.real_codec()
    built = vae.make(small.HPARAMS.replace(vae_type="RVAE", rvae_decoder="noncausal"),
                     decoder, encoder)
    assert isinstance(built, rvae.NoncausalRVAE)
    z = tf.Variable(small.reals(1, 5, number=2))
    lengths = tf.constant([4])
    state = noncausal.initial_state(1).latent
    terms = noncausal.encode_observed((), small.reals(1, 5), lengths)
    with tf.GradientTape() as tape:
        outputs = noncausal.infer_given(tf.zeros([1, 5, 0]), terms, z, state, lengths).outputs[0, 1]
    reads = tf.reduce_sum(tf.abs(tape.gradient(outputs, z)[0]), -1).numpy() > 0
    assert outputs.shape == [8]
    np.testing.assert_array_equal(reads, [True, True, True, True, False])  # no padding
    with pytest.raises(ValueError, match="got a single step. Score it by the ELBO or IWAE"):
        noncausal.update(state, z[:, 0])
    samples = built.sample(3, 5, seed=1)
    assert samples.shape == [3, 5, 2] and np.all(np.isfinite(samples))
