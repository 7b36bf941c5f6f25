# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Noise that is drawn before it is used."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from vaeseq import seeds
from vaeseq.codec import latent

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


@pytest.mark.parametrize("shape,dtype", [
    ([2, 3, 2], tf.float32), ([3, 2], tf.float32), ([1, 3, 3], tf.float32),
    ([1, 3, 2], tf.float64)])
def test_other_draws_use_their_seeds(shape, dtype):
    with seeds.presampled_noise(tf.zeros([3, 2])):
        drawn = seeds.normal(shape, SEED, dtype)
    np.testing.assert_array_equal(drawn, seeds.normal(shape, SEED, dtype))
    assert np.all(drawn != 0)
