# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Every core of the registry against the contract."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import testing, vae
from vaeseq.vae import VAE_TYPES, CoreState

pytestmark = pytest.mark.contract

# Name -> (vae_type, hyperparameters, codec, whether features see the past only).
CASES = {
    "RNN": ("RNN", {}, small.real_codec, True),
    "RNN, symbols": ("RNN", {"cell": "gru"}, small.symbol_codec, True),
    "ISEQ": ("ISEQ", {}, small.real_codec, False),
    "SRNN": ("SRNN", {}, small.real_codec, False),
    "SRNN, plain posterior": ("SRNN", {"srnn_use_res_q": False}, small.symbol_codec, False),
    "VRNN": ("VRNN", {}, small.real_codec, True),
    "VRNN, two layers": (
        "VRNN", {"rnn_hidden_sizes": (3, 3), "residual": True}, small.symbol_codec, True),
    "SRNN, contexts past the recurrence": (
        "SRNN", {"context_skip": True}, small.symbol_codec, False),
    "RNN, parallel in time": (
        "RNN", {"cell": "mingru", "rnn_hidden_sizes": (4, 4)}, small.symbol_codec, True),
    "SRNN, parallel in time": ("SRNN", {"cell": "rglru"}, small.real_codec, False),
    "VRNN, parallel in time": ("VRNN", {"cell": "mingru"}, small.symbol_codec, True),
    "ISEQ, parallel in time": ("ISEQ", {"cell": "rglru"}, small.symbol_codec, False),
    "VRNN, contexts past the recurrence": (
        "VRNN", {"context_skip": True}, small.symbol_codec, True),
}


def _contract(name):
    vae_type, hparams, codec, forward = CASES[name]

    class Test(testing.VAECoreContract):
        forward_only = forward

        def make_object_under_test(self):
            return small.gen_core(vae_type, codec, **hparams).core

        if "," in name:  # A variant; its core is compiled once.
            test_compiled_equals_eager = None

    return Test


for _name in CASES:
    globals()[f"Test{_name.title().replace(' ', '').replace(',', '')}"] = _contract(_name)


def test_every_core_of_the_registry_is_tested():
    assert {case[0] for case in CASES.values()} == set(VAE_TYPES)


class WrongPrior(vae.SRNN):
    """Trained with one prior and sampled from another: the step of its loop is off by one."""

    def infer(self, context_features, features, state, lengths=None, *, seed):
        inferred = super().infer(context_features, features, state, lengths, seed=seed)
        z = tf.concat([inferred.latents[:, 1:], inferred.latents[:, -1:]], 1)
        return inferred._replace(prior=self.prior(self.hidden(context_features, z)))


class Leaking(vae.VRNN):
    """Its rows see each other."""

    def hidden(self, context_feature, state):
        return super().hidden(context_feature + tf.reduce_sum(context_feature[:1], axis=0), state)


class Unmasked(vae.RNN):
    """Its state runs on through padding."""

    def encode_contexts(self, contexts, state, lengths=None):
        return super().encode_contexts(contexts, state)


@pytest.mark.parametrize(("kind", "broken", "test", "message"), [
    ("SRNN", WrongPrior, "test_replay", "log-density of generated latents"),
    ("SRNN", WrongPrior, "test_infer_equals_the_loop", "must equal VAECore.infer"),
    ("VRNN", Leaking, "test_batch_order_changes_nothing", "their place in the batch"),
    ("RNN", Unmasked, "test_padding_changes_nothing", "state in which it ends alone"),
])
def test_the_contract_can_fail(monkeypatch, kind, broken, test, message):
    monkeypatch.setitem(VAE_TYPES, kind, broken)
    with pytest.raises(AssertionError, match=message):
        getattr(_contract(kind)(), test)()


def test_a_vrnn_needs_a_layer_for_its_latents():
    with pytest.raises(ValueError, match=r"latent_decoder_fc_layers; expected at least one, got"):
        small.gen_core("VRNN", latent_decoder_fc_layers=())


def test_a_core_says_what_it_carries():
    core = small.gen_core("SRNN").core
    assert isinstance(core.state_spec, CoreState)
    assert core.latent_size == 2
    assert small.gen_core("RNN").core.latent_size == 0


@pytest.mark.parametrize("vae_type", ["SRNN", "VRNN", "ISEQ"])
def test_every_step_and_row_of_a_posterior_is_drawn_anew(vae_type):
    core = small.gen_core(vae_type).core
    rows, steps = 200, 20
    contexts = tf.random.stateless_normal([rows, steps, 3], [1, 2])
    state = core.initial_state(rows)
    context_features, _ = core.encode_contexts(contexts, state.context)
    features = core.encode_observed(context_features, small.reals(rows, steps))
    inferred = core.infer(context_features, features, state.latent, seed=small.SEED)
    loc, scale = inferred.posterior.distribution.loc, inferred.posterior.distribution.scale
    normals = ((inferred.latents - loc) / scale).numpy()  # [B, T, Z]
    assert abs(normals.mean()) < 4 / np.sqrt(normals.size)
    assert abs(normals.var() - 1) < 4 * np.sqrt(2 / normals.size)
    for one, other in ((normals[:, 1:], normals[:, :-1]), (normals[1:], normals[:-1]),
                       (normals[..., 0], normals[..., 1])):
        assert abs(np.mean(one * other)) < 4 / np.sqrt(one.size)
