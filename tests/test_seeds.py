# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Seeds as numbers and pairs, and noise that is drawn before it is used."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import seeds
from vaeseq.bounds import FIVO
from vaeseq.codec import distributions, latent

SEED = seeds.make(5)


@pytest.mark.parametrize("compiled", [False, True])
def test_one_sample_takes_the_presampled_noise(compiled):
    normals = tf.constant([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]])
    params = latent.NormalParams(tf.fill([3, 2], 10.0), tf.fill([3, 2], 2.0))

    def draw():
        dist = latent.normal(params)
        with seeds.presampled_noise(normals):
            ahead, by_seed = dist.sample(seed=SEED), dist.sample(seed=SEED)
        return ahead, by_seed, dist.sample(seed=SEED)

    ahead, by_seed, after = tf.function(draw, jit_compile=True)() if compiled else draw()
    np.testing.assert_array_equal(ahead, 10 + 2 * normals)
    np.testing.assert_array_equal(by_seed, after)
    assert np.all(ahead != after)


@pytest.mark.parametrize("size, expected", [(2, True), (3, False)])
def test_noise_of_an_unknown_number_of_rows_is_taken_by_draws_of_its_size(size, expected):
    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None, size])])
    def draw(normals, loc):
        params = latent.NormalParams(loc, tf.ones_like(loc))
        with seeds.presampled_noise(normals):
            return latent.normal(params).sample(seed=SEED)

    normals = small.reals(4)
    drawn = draw(normals, tf.zeros([4, size]))
    assert drawn.shape == [4, size]
    assert expected == (size == 2 and np.array_equal(drawn, normals))


def test_correlated_normals_are_drawn_by_philox_or_take_the_presampled_noise():
    factor = tf.constant([[2.0, 0.0], [1.0, 0.5]])
    dist = distributions.MultivariateNormalTriL(tf.ones([3, 2]), factor)
    normals = small.reals(3)
    with seeds.presampled_noise(normals):
        sample = dist.sample(seed=SEED)
    np.testing.assert_allclose(sample, 1 + normals @ tf.transpose(factor), rtol=1e-6)
    np.testing.assert_allclose(
        dist.sample(5, seed=SEED), 1 + seeds.normal([5, 3, 2], SEED) @ tf.transpose(factor),
        rtol=1e-6)


@pytest.mark.parametrize("shape,dtype", [
    ([2, 3, 2], tf.float32), ([3, 2], tf.float32), ([1, 3, 3], tf.float32),
    ([1, 3, 2], tf.float64)])
def test_other_draws_use_their_seeds(shape, dtype):
    with seeds.presampled_noise(tf.zeros([3, 2])):
        numbers = seeds.normal(shape, SEED, dtype)
    np.testing.assert_array_equal(numbers, seeds.normal(shape, SEED, dtype))
    assert np.all(numbers != 0)


@pytest.mark.parametrize("draw", [
    lambda seed: seeds.split(seed, 2), lambda seed: seeds.fold_in(seed, 3),
    lambda seed: seeds.per_step(seed, 3), lambda seed: seeds.uniform([3], seed),
    lambda seed: seeds.normal([3], seed)])
def test_a_number_is_a_seed(draw):
    small.same(draw(5), draw(SEED))


@pytest.mark.parametrize("number", [5, -3, 2**40 + 1, 2**61 + 7])
def test_integers_of_every_kind_are_one_seed(number):
    pair = seeds.make(number)
    for same in (np.int64(number), np.array(number), tf.constant(number, tf.int64), pair,
                 pair.numpy(), seeds.as_number(pair)):
        small.same(seeds.make(same), pair)
        assert 0 <= seeds.as_number(same) == seeds.as_number(pair) < 2 ** 62
    small.same(tf.function(seeds.make)(tf.constant(number, tf.int64)), pair)


@pytest.mark.parametrize("wrong", [None, 1.5, "3", [1, 2, 3], tf.constant(1.0)])
def test_what_is_no_seed_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a seed, an integer or an int32"):
        seeds.split(wrong, 2)


@pytest.mark.parametrize("vae_type", ["RNN", "ISEQ", "SRNN", "VRNN"])
def test_models_and_bounds_take_numbers_as_seeds(vae_type):
    model = small.gen_core(vae_type)
    results = []
    for seed in (5, SEED):
        state = model.prime(small.reals(2, 3), model.initial_state(2), seed=seed)
        generated, _ = model.generate(2, state, seed=seed)
        result = FIVO(2)(model.core, generated.contexts, generated.observed,
                         FIVO(2).initial_state(model.core, 2), seed=seed)
        results.append((generated, result))
    small.same(*results)


def test_seeds_of_split_are_numbers():
    for pair in [(-3, 5), (7, -9), *seeds.split(5, 4)]:
        number = seeds.as_number(tf.constant(pair))
        assert 0 <= number < 1 << 62
        np.testing.assert_array_equal(seeds.make(number), np.array(pair) & 0x7FFFFFFF)
