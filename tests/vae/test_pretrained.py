# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Weights of language models for autoencoders, and the reverse."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import bounds
from vaeseq.codec.decoders import NormalParams
from vaeseq.data import Batch
from vaeseq.runs import warm_start
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import TrainOps
from vaeseq.train.optimizers import Adam
from vaeseq.vae import pretrained

OBSERVED = small.symbols(3, 4)


def gen_core(vae_type, number=1, **hparams):
    model = small.gen_core(vae_type, small.symbol_codec, **hparams)
    return small.set_weights(model, number=number)


def nats(model):
    """Returns log p(x_1:T | z = 0), where an autoencoder begins from zeros."""
    core, state = model.core, model.core.initial_state(3)
    contexts, _ = model.agent.contexts(
        OBSERVED, model.agent.initial_state(3), seed=small.SEED)
    features, _ = core.encode_contexts(contexts, state.context)
    zeros = tf.zeros([3, 4, core.latent_size])
    inferred = core.infer_given(features, NormalParams(zeros, zeros + 1), zeros, state.latent)
    return core.log_prob(inferred.outputs, OBSERVED)


@pytest.mark.oracle
@pytest.mark.parametrize("cell, skip", [
    ("lstm", False), ("gru", True), ("mingru", False), ("rglru", True), ("mamba", False),
    ("transformer", False)])
def test_a_language_model_is_an_autoencoder_whose_latent_is_zero(cell, skip):
    hparams = {"cell": cell, "context_skip": skip}
    for pair in (("RNN", "SEQAE"), ("SEQAE", "RNN")):
        source, target = (gen_core(name, i, **hparams) for i, name in enumerate(pair))
        for model in (source, target):
            for layer in filter(None, getattr(model.core, "_initial", ())):
                layer.b.assign(tf.zeros_like(layer.b))
        before = nats(target)
        origin = warm_start.take("/there", 1, source, target,
                                 values=pretrained.weights(source, target))
        small.close(nats(target), nats(source), rtol=1e-4)
        assert not np.allclose(before, nats(source), atol=1e-3)
        assert any(name.startswith("core/_d_core/") for name in origin.adapted)
    autoencoder = gen_core("SEQAE", 2, **hparams)
    warm_start.take("/there", 1, target, autoencoder,
                    values=pretrained.weights(target, autoencoder))
    small.same(autoencoder.core._past.trainable_variables,
               target.core._d_core.trainable_variables)
    assert pretrained.weights(target, target) == {}


def test_a_decoder_that_is_reset_keeps_its_initial_weights():
    source, target = gen_core("SEQAE", 1), gen_core("SEQAE", 2, seqae_reset_decoder=True)
    core = target.core
    before = [v.numpy() for module in (core.decoder, core._d_core) for v in module.variables]
    origin = warm_start.take("/there", 1, source, target,
                             values=pretrained.weights(source, target))
    small.same(core.encode(OBSERVED), source.core.encode(OBSERVED))
    small.same([v for module in (core.decoder, core._d_core) for v in module.variables], before)
    assert any("core/decoder/" in line and "keeps its initial value" in line
               for line in origin.not_taken)
    assert not any("not in this model" in line for line in origin.not_taken)


def test_updates_of_the_encoder_need_a_core_that_names_it():
    model = gen_core("VRNN", latent_size=2)
    with pytest.raises(ValueError, match="without inference_variables, got 2 for VRNN"):
        TrainOps(SequenceLoss(model.agent, model.core, bounds.ELBO()), learning_rate=0.1,
                 encoder_updates=2, seed=0)


def test_the_encoder_is_updated_alone_before_each_update_of_all_weights():
    model = gen_core("SEQAE", cell="gru")
    ops = TrainOps(SequenceLoss(model.agent, model.core, bounds.ELBO()), optimizer=Adam(0.01),
                   encoder_updates=2, encoder_steps=6, jit_compile=False, seed=0)
    batch = Batch(OBSERVED[:, :2].numpy(), np.full([3], 2, np.int32), np.ones([3], bool))
    ops.build(batch)
    encoder = model.core.inference_variables
    others = [v for v in ops.variables_to_train if all(v is not w for w in encoder)]
    changed = []
    for _ in range(8):
        before = [[v.numpy() for v in group] for group in (encoder, others)]
        ops._apply_gradients([tf.ones_like(v) for v in ops.variables_to_train])
        changed.append([any(np.any(v != value) for v, value in zip(group, values))
                        for group, values in zip((encoder, others), before)])
    assert [pair[0] for pair in changed] == [True] * 8
    assert [pair[1] for pair in changed] == [False, False, True, False, False, True, True, True]
