# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Small models with fixed weights, for the tests of the library."""

import numpy as np
import tensorflow as tf

from vaeseq import agent, nest, seeds, vae
from vaeseq.bounds import Reconstruction
from vaeseq.codec import decoders, encoders, latent
from vaeseq.hparams import HParams
from vaeseq.model import Model

REAL = tf.TensorSpec([2], tf.float32)
SYMBOL = tf.TensorSpec([], tf.int32)
NUM_SYMBOLS = 4
SEED = seeds.make(3)

HPARAMS = HParams(
    latent_size=2, rnn_hidden_sizes=(4,), latent_decoder_fc_layers=(4,), activation="tanh",
    batch_size=3, sequence_size=5, log_prob_samples=4, divergence_strength_half=0, num_shards=1,
    attention_heads=2)


class Reals(Model):
    """A model of sequences of two numbers."""

    observation_spec = REAL

    def make_encoder(self):
        return encoders.MLPEncoder(REAL, (3,))

    def make_decoder(self):
        return decoders.Normal(REAL)


class RandomWalk(vae.VAECore):
    """A core from outside of the library: latents move by unit normals."""

    def __init__(self, decoder, encoder, hidden_size=4):
        super().__init__(decoder, latent_size=2,
                         state_spec=vae.CoreState((), tf.TensorSpec([2], tf.float32)))
        self._encoder = encoder
        self._q_z = latent.DiagonalNormal(2, (hidden_size,), activation="tanh")

    def encode_observed(self, context_features, observed, lengths=None):
        return self._encoder(observed)

    def hidden(self, context_feature, state):
        return state

    def prior(self, h):
        return latent.normal(decoders.NormalParams(h, tf.ones_like(h)))

    def posterior(self, h, feature):
        return self._q_z.distribution((h, feature))

    def update(self, h, z):
        return z, z


def real_codec():
    """Returns an encoder and a decoder of vectors of two numbers."""
    return encoders.MLPEncoder(REAL, (3,), activation="tanh"), decoders.Normal(REAL)


def symbol_codec():
    """Returns an encoder and a decoder of symbols."""
    return encoders.Embed(NUM_SYMBOLS, 3), decoders.Categorical(NUM_SYMBOLS, SYMBOL)


def gen_core(vae_type, codec=real_codec, *, window=1, scale=0.5, **hparams):
    """Returns a `GenCore` with fixed weights of standard deviation `scale`."""
    encoder, decoder = codec()
    core = vae.make(HPARAMS.replace(vae_type=vae_type, **hparams), decoder, encoder)
    gen_core = vae.GenCore(agent.EncodeObserved(encoder, decoder.event_spec, window), core)
    build(gen_core)
    return set_weights(gen_core, scale)


def build(gen_core):
    """Creates the variables of a `GenCore`."""
    core = gen_core.core
    observed = nest.zeros(core.observation_spec, 1, 1)
    if isinstance(core, vae.VAECore):
        observed = gen_core.generate(1, gen_core.initial_state(1), seed=SEED)[0].observed
    contexts, _ = gen_core.agent.contexts(observed, gen_core.agent.initial_state(1), seed=SEED)
    bound = Reconstruction()  # of any core
    bound(core, contexts, observed, bound.initial_state(core, 1), seed=SEED)


def set_weights(module, scale=0.5, number=7):
    """Assigns fixed normal weights of standard deviation `scale`."""
    for i, variable in enumerate(module.trainable_variables):
        normal = tf.random.stateless_normal(variable.shape, [number, i], dtype=variable.dtype)
        variable.assign(scale * normal)
    return module


def reals(*leading, number=1):
    """Returns observations [*leading, 2]."""
    return tf.random.stateless_normal([*leading, 2], [number, 0])


def symbols(*leading, number=1):
    """Returns observations [*leading], 0 to 3."""
    return tf.random.stateless_uniform(leading, [number, 0], 0, NUM_SYMBOLS, tf.int32)


def garbage_after(observed, lengths, value=np.nan):
    """Returns NumPy copies with garbage in the padding: `value` in floats, 1 in integers."""
    def fill(array):
        array = np.array(array)
        for row, length in zip(array, np.asarray(lengths)):
            row[length:] = value if array.dtype.kind == "f" else 1
        return array
    return tf.nest.map_structure(fill, observed)


def close(one, other, rtol=1e-5, atol=1e-6):
    """Asserts that two nests are equal up to rounding."""
    tf.nest.assert_same_structure(one, other)
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other)):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)


def same(one, other):
    """Asserts that two nests are equal to the last bit."""
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def assert_mean(values, expected=0.0, most=4.5):
    """Asserts that values have this mean, within `most` standard errors."""
    values = np.asarray(values, np.float64)
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - expected) < most * error + 1e-4, (values.mean(), expected, error)


def assert_unbiased(increments, log_evidence, spread=1.0):
    """Asserts that exp of the bounds of rows has the mean of the evidence, and some spread."""
    totals = tf.reduce_sum(increments, 1).numpy().astype(np.float64)
    ratios = np.exp(totals - log_evidence)
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / np.sqrt(len(ratios))
    assert ratios.std() < spread
