# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Latents that are inferred, moved, interpolated, exchanged and decoded."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import agent, seeds, vae
from vaeseq.codec import decoders, encoders
from vaeseq.evaluate import latents
from vaeseq.truncation import Truncation


class Ending(agent.EncodeObserved):
    """Ends a sequence with the symbol 0."""

    def finished(self, state):
        return state.observations[:, -1] == 0


@pytest.mark.parametrize("vae_type", ["ISEQ", "SRNN", "VRNN"])
def test_fixed_latents_replace_the_draws_of_the_prior(vae_type):
    gen_core = small.gen_core(vae_type, small.symbol_codec)

    def generate(gen_core):
        return gen_core.generate(6, gen_core.initial_state(2), seed=seeds.make(5))[0]

    def generate_from(z):
        return generate(vae.GenCore(gen_core.agent, latents.FixedLatents(gen_core.core, z)))

    generated = generate(gen_core)
    fixed = generate_from(generated.latents)
    small.close(fixed.latents, generated.latents)
    small.same(fixed.observed, generated.observed)
    small.close(generate_from(generated.latents + 3.0).latents, generated.latents + 3.0)


def test_a_sequence_decoded_from_its_latents_with_its_seed_is_itself():
    gen_core = small.gen_core("SRNN", small.symbol_codec)
    generated, _ = gen_core.generate(6, gen_core.initial_state(1), seed=small.SEED)
    z = generated.latents.numpy()
    first, second = latents.decode(gen_core, np.concatenate([z, z]), seed=small.SEED)
    np.testing.assert_array_equal(first, generated.observed[0])
    np.testing.assert_array_equal(second, first)


def test_truncation_leaves_the_most_likely_class_of_each_step():
    gen_core = small.gen_core("ISEQ", small.symbol_codec, scale=2.0)
    z = np.random.default_rng(0).standard_normal([1, 5, 2]).astype(np.float32)
    one, other = (next(latents.decode(gen_core, z, truncation=Truncation(top_k=1), seed=seed))
                  for seed in (1, 2))
    np.testing.assert_array_equal(one, other)
    core, observed = gen_core.core, tf.constant(one[np.newaxis])
    contexts, _ = gen_core.agent.contexts(
        observed, gen_core.agent.initial_state(1), seed=small.SEED)
    state = core.initial_state(1)
    features, _ = core.encode_contexts(contexts, state.context)
    outputs = core.infer_given(
        features, core.encode_observed(features, observed), tf.constant(z),
        state.latent).outputs
    every = tf.tile(tf.range(small.NUM_SYMBOLS)[:, tf.newaxis], [1, 5])
    log_prob = core.decoder.distribution(outputs[0]).log_prob(every)
    np.testing.assert_array_equal(one, tf.argmax(log_prob))


def test_the_agent_ends_a_decoded_sequence():
    encoder, decoder = small.symbol_codec()
    core = vae.make(small.HPARAMS.replace(vae_type="ISEQ"), decoder, encoder)
    endless, ending = (vae.GenCore(kind(encoder, small.SYMBOL), core)
                       for kind in (agent.EncodeObserved, Ending))
    small.build(endless)
    small.set_weights(endless, 1.0)
    z = np.random.default_rng(0).standard_normal([4, 12, 2]).astype(np.float32)
    whole = list(latents.decode(endless, z, seed=2))
    sizes = [int(np.argmax(symbols == 0)) + 1 for symbols in whole]
    assert min(sizes) < 12 and max(sizes) > 1
    for symbols, size, ended in zip(whole, sizes, latents.decode(ending, z, seed=2)):
        np.testing.assert_array_equal(ended, symbols[:size])


def test_inferred_latents_are_draws_of_the_posterior():
    """Of a core without recurrence, whose posterior of z_t is that of x_t alone."""
    gen_core = small.gen_core("ISEQ", small.symbol_codec, scale=1.0)
    observed = small.symbols(1, 3)
    draws = latents.infer(gen_core, [observed[0].numpy()] * 4000, seed=3)
    assert draws.shape == (4000, 3, 2)
    core, agent_ = gen_core.core, gen_core.agent
    contexts, _ = agent_.contexts(observed, agent_.initial_state(1), seed=small.SEED)
    state = core.initial_state(1)
    features, _ = core.encode_contexts(contexts, state.context)
    posterior = core.infer(features, core.encode_observed(features, observed), state.latent,
                           seed=small.SEED).posterior
    error = (draws.mean(0) - posterior.mean()[0]) / (posterior.stddev()[0] / 4000 ** 0.5)
    assert np.max(np.abs(error)) < 4.5
    np.testing.assert_allclose(draws.std(0), posterior.stddev()[0], rtol=0.06)


def test_movements_are_of_one_dimension():
    z = np.random.default_rng(0).standard_normal([4, 3])
    moved = latents.move(z, 1, np.array([-2.0, 0.0, 0.5]))
    np.testing.assert_allclose(moved - z, np.reshape([-2, 0, 0.5], [3, 1, 1]) * [0.0, 1.0, 0.0]
                               + np.zeros([3, 4, 3]), atol=1e-12)


def test_points_between_two_latents_have_the_norm_between_theirs():
    start, goal = np.random.default_rng(1).standard_normal([2, 5, 8])
    weights = np.array([0.0, 0.25, 1.0])
    points = latents.interpolate(start, goal, weights)
    np.testing.assert_allclose(points[[0, 2]], [start, goal])
    norms = np.linalg.norm(points[1], axis=-1)
    np.testing.assert_allclose(norms, 0.75 * np.linalg.norm(start, axis=-1)
                               + 0.25 * np.linalg.norm(goal, axis=-1))
    direction = 0.75 * start + 0.25 * goal
    np.testing.assert_allclose(
        points[1] / norms[:, np.newaxis],
        direction / np.linalg.norm(direction, axis=-1, keepdims=True))


def test_two_sequences_with_exchanged_static_latents_keep_their_dynamic_ones():
    core = small.gen_core("DSAE", dsae_static_size=3).core
    both = np.random.default_rng(2).standard_normal([2, 4, 5]).astype(np.float32)
    exchanged = latents.exchange_static(core, *both)
    np.testing.assert_array_equal(exchanged[..., :2], both[..., :2])
    np.testing.assert_array_equal(exchanged[:, 0, 2:], both[::-1, 0, 2:])
    again = latents.exchange_static(core, *exchanged)
    for one, other in zip(core.split(again), core.split(both)):
        np.testing.assert_array_equal(one, other)


def test_what_a_static_latent_decides_follows_it():
    """Of a model whose frames are its static latent: exchanging that exchanges the frames."""
    spec = tf.TensorSpec([2], tf.float32)
    core = vae.make(small.HPARAMS.replace(
        vae_type="DSAE", dsae_static_size=2, latent_decoder_fc_layers=()),
        decoders.Normal(spec), encoders.Flatten(spec))
    gen_core = vae.GenCore(agent.EncodeObserved(encoders.Flatten(spec), spec), core)
    small.build(gen_core)
    small.set_weights(gen_core, 0.5)
    z = np.random.default_rng(3).standard_normal([2, 6, 4]).astype(np.float32)
    z[..., :2] = z[:1, :, :2]  # the same dynamic latents
    z[:, :, 2:] = z[:, :1, 2:]
    straight = np.stack(list(latents.decode(gen_core, z, seed=1)))
    assert np.abs(straight[0] - straight[1]).max() > 0.1
    exchanged = np.stack(list(latents.decode(
        gen_core, latents.exchange_static(core, *z), seed=1)))
    small.close(exchanged, straight[::-1])
