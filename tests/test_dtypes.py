# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models in float64: every number of a model has the dtype in which it was built."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import autoencoder, bounds, data, dtypes, nest, vae
from vaeseq.evaluate import Sampler, clamping, export, imputation
from vaeseq.nn import networks
from vaeseq.train.loss import SequenceLoss

BATCH = data.pad(list(np.asarray(small.reals(2, 4))), 4)


def loss_of(vae_type, dtype, bound=None):
    with dtypes.float_dtype(dtype):
        gen_core = small.gen_core(vae_type)
    return SequenceLoss(gen_core.agent, gen_core.core, bound or bounds.ELBO())


def dtypes_of(nest):
    return {leaf.dtype for leaf in tf.nest.flatten(nest) if leaf.dtype.is_floating}


@pytest.mark.parametrize("vae_type", vae.VAE_TYPES)
def test_all_numbers_are_float64(vae_type):
    loss = loss_of(vae_type, tf.float64)
    out, state = loss(BATCH, loss.initial_state(2), seed=1)
    core = loss.core
    generated = Sampler(vae.GenCore(loss.agent, core)).generate(length=2)
    assert dtypes_of((core.variables, out, state)) == {tf.float64}
    assert generated[0].dtype == np.float64


@pytest.mark.parametrize("cell", networks.CELLS)
def test_a_layer_by_itself_has_the_dtype_in_which_it_was_built(cell):
    with dtypes.float_dtype(tf.float64):
        layer = networks.CELLS[cell](8)
    x = tf.ones([2, 8], tf.float64)
    assert dtypes_of(layer.step(x, nest.zeros(layer.state_spec, 2))) == {tf.float64}


@pytest.mark.parametrize("bound", [bounds.ELBO(2), bounds.IWAE(2), bounds.FIVO(2)],
                         ids=lambda bound: bound.name)
def test_gradients_are_as_exact_as_float64_allows(bound):
    loss = loss_of("VRNN", tf.float64, bound)
    weight = max(loss.core.trainable_variables, key=lambda v: v.shape.num_elements())
    step = tf.random.stateless_normal(weight.shape, [1, 2], dtype=tf.float64)

    def value(distance):
        with tf.GradientTape() as tape:
            weight.assign_add(distance * step)
            out, _ = loss(BATCH, loss.initial_state(2), seed=1, is_training=False)
        # Without surrogate terms, whose values are 0 and whose gradients are not.
        gradient = tape.gradient(out.nats_per_step, weight)
        weight.assign_add(-distance * step)
        return out.nats_per_step, gradient

    (right, _), (left, _), (_, gradient) = value(1e-5), value(-1e-5), value(0.0)
    difference = (right - left) / 2e-5
    np.testing.assert_allclose(difference, tf.reduce_sum(gradient * step), rtol=1e-7)


def test_one_hyperparameter_makes_a_whole_model_float64(tmp_path):
    hparams = small.HPARAMS.replace(
        precision="float64", missing_values="values", weight_decay=0.01,
        l2_regularization=0.01, weight_average=0.9)
    sequence = np.ma.masked_less(np.asarray(small.reals(5)), -1.0)
    model = small.Reals(hparams, tmp_path / "log")
    model.train([sequence], num_steps=2, valid=[sequence])
    loaded = small.Reals.load(tmp_path / "log")
    assert loaded.evaluate([sequence]).nats == model.evaluate([sequence]).nats
    assert dtypes_of(loaded.gen_core.variables) == {tf.float64}
    (imputed,) = loaded.impute([sequence], num_samples=1, num_particles=2)
    (generated,) = loaded.generate(length=3)
    assert imputed.dtype == generated.dtype == np.float64


def test_float64_sequences_are_encoded_and_decoded():
    with dtypes.float_dtype(tf.float64):
        lines = autoencoder.Autoencoder(small.gen_core("SEQAE"))
    z = lines.encode([np.asarray(small.reals(4))] * 3).mean
    (decoded, *_) = lines.decode(z, length=4)
    assert decoded.dtype == lines.log_prob([decoded] * 3, z).dtype == np.float64


def test_float64_sequences_are_completed_without_training_for_it():
    with dtypes.float_dtype(tf.float64):
        model = clamping.with_missing_values(small.gen_core("SRNN"))
    values = tf.cast(small.reals(4), tf.float64)[tf.newaxis]
    imputed = imputation.impute(
        model, data.Masked(values, tf.ones(values.shape, tf.bool)), num_particles=2, seed=0)
    assert dtypes_of((imputed.values, imputed.log_prob)) == {tf.float64}


def test_float64_is_exported(tmp_path):
    model = small.Reals(small.HPARAMS.replace(precision="float64"), tmp_path / "log")
    model.train([np.asarray(small.reals(5))], num_steps=1)
    export.save(model.gen_core, bounds.ELBO(), tmp_path / "exported")
    outputs = json.loads((tmp_path / "exported/assets.extra/model.json").read_text())[
        "signatures"]["generate"]["outputs"]
    assert outputs["observed"]["dtype"] == outputs["log_prob"]["dtype"] == "float64"


def test_another_dtype_is_refused():
    with pytest.raises(ValueError, match="tf.float32 or tf.float64, got float16"):
        dtypes.float_dtype(tf.float16)
