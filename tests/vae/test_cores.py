# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Every core of the registry against the contract."""

import functools

import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import testing, trace_context, vae
from vaeseq.codec import decoders, latent
from vaeseq.vae import VAE_TYPES

pytestmark = pytest.mark.contract

# Name -> (vae_type, hyperparameters, codec, whether the posterior is a filtering one).
CASES = {
    "RNN": ("RNN", {}, small.real_codec, True),
    "ISEQ": ("ISEQ", {}, small.real_codec, False),
    "SRNN": ("SRNN", {}, small.real_codec, False),
    "VRNN": ("VRNN", {}, small.real_codec, True),
    "DMM": ("DMM", {}, small.real_codec, False),
    "KVAE": ("KVAE", {"kvae_controls": True, "cell": "gru"}, small.real_codec, True),
}
VARIANTS = {
    "SRNNPlainPosteriorContextSkip": (
        "SRNN", {"srnn_use_res_q": False, "context_skip": True}, small.symbol_codec, False),
    "VRNNTransformer": (
        "VRNN", {"cell": "transformer", "attention_heads": 2, "attention_window": 3},
        small.symbol_codec, True),
    "VRNNFlows": ("VRNN", {"posterior_flows": 2}, small.real_codec, True),
    "DSAE": ("DSAE", {"dsae_static_size": 3, "cell": "gru"}, small.symbol_codec, False),
    "SEQAE": ("SEQAE", {"cell": "gru", "context_skip": True}, small.symbol_codec, False),
    "STORN": ("STORN", {}, small.real_codec, False),
    "TDVAE": ("TDVAE", {"cell": "gru"}, small.real_codec, True),
    "RVAENoncausal": ("RVAE", {"rvae_inference": "noncausal"}, small.symbol_codec, False),
    "DMMAugmented": ("DMM", {"dmm_augmented": True}, small.symbol_codec, False),
}
# Other combinations of the cells and inference networks above, which have tests of their own.
SLOW_VARIANTS = {
    "RNNMinGru": (
        "RNN", {"cell": "mingru", "rnn_hidden_sizes": (4, 4)}, small.symbol_codec, True),
    "VRNNTwoLayersContextSkip": (
        "VRNN", {"rnn_hidden_sizes": (3, 3), "residual": True, "context_skip": True},
        small.symbol_codec, True),
    "DMMFiltering": ("DMM", {"dmm_inference": "ST-L"}, small.symbol_codec, False),
    "DMMBothWays": ("DMM", {"dmm_inference": "ST-LR"}, small.real_codec, False),
    "SEQAEConductor": (
        "SEQAE", {"cell": "gru", "seqae_conductor": 3}, small.symbol_codec, False),
    "RNNGru": ("RNN", {"cell": "gru"}, small.symbol_codec, True),
    "ISEQRglru": ("ISEQ", {"cell": "rglru"}, small.symbol_codec, False),
    "SRNNRglru": ("SRNN", {"cell": "rglru"}, small.real_codec, False),
    "RNNTransformer": (
        "RNN", {"cell": "transformer", "rnn_hidden_sizes": (4, 4), "attention_heads": 2,
                "attention_window": 3}, small.symbol_codec, True),
    "VRNNMinGru": ("VRNN", {"cell": "mingru"}, small.symbol_codec, True),
    "DMMMeanField": ("DMM", {"dmm_inference": "MF-LR"}, small.real_codec, False),
}
COMPILED = "SRNN"  # a core of each takes XLA 8 to 60 s, and up to 0.6 GB


def contract_of(case):
    vae_type, hparams, codec, filtering = case

    @functools.cache
    def make_core():
        return small.gen_core(vae_type, codec, **hparams).core

    class Test(testing.VAECoreContract):
        forward_only = filtering
        once_per_sequence = vae_type == "SEQAE"
        num_steps = 3  # run eagerly, one after the other

        def make_object_under_test(self):
            return make_core()  # no test changes it

    return Test


for _name, _case in {**CASES, **VARIANTS, **SLOW_VARIANTS}.items():
    class _Case(contract_of(_case)):
        if _name in SLOW_VARIANTS:
            pytestmark = pytest.mark.slow
        elif _name != COMPILED:
            @pytest.mark.slow
            def test_compiled_equals_eager(self):
                super().test_compiled_equals_eager()

    globals()[f"Test{_name}"] = _Case


def test_every_core_of_the_registry_is_tested():
    kinds = {name for name, kind in VAE_TYPES.items() if issubclass(kind, vae.VAECore)}
    assert {case[0] for case in [*CASES.values(), *VARIANTS.values()]} == kinds


@functools.cache
def random_walk():
    encoder, decoder = small.real_codec()
    return small.RandomWalk(decoder, encoder)


class TestRandomWalk(testing.VAECoreContract):
    num_steps = 3

    def make_object_under_test(self):
        return random_walk()

    @pytest.mark.slow
    def test_compiled_equals_eager(self):
        super().test_compiled_equals_eager()


def test_a_core_without_sizes_says_how_to_give_them():
    class Unsized(small.RandomWalk):
        def __init__(self, decoder):
            vae.VAECore.__init__(self, decoder)

    core = Unsized(small.real_codec()[1])
    for name in ("latent_size", "state_spec"):
        with pytest.raises(NotImplementedError, match=f"Unsized has no {name}. Give it"):
            getattr(core, name)


class WrongPrior(vae.SRNN):
    """Infers with a prior that is off by one step, and samples from the right one."""

    def infer(self, context_features, features, state, lengths=None, *, seed):
        inferred = super().infer(context_features, features, state, lengths, seed=seed)
        z = tf.concat([inferred.latents[:, 1:], inferred.latents[:, -1:]], 1)
        return inferred._replace(prior=self.prior(self.hidden(context_features, z)))


class Leaking(vae.VRNN):
    """Mixes rows of the batch."""

    def hidden(self, context_feature, state):
        return super().hidden(context_feature + tf.reduce_sum(context_feature[:1], axis=0), state)


class Averaging(vae.VRNN):
    """Normalises by the mean of the batch, whose order does not matter."""

    def hidden(self, context_feature, state):
        return super().hidden(context_feature - tf.reduce_mean(context_feature, axis=0), state)


class Late(vae.VRNN):
    """Its posterior sees the observation before."""

    def encode_observed(self, context_features, observed, lengths=None):
        features = super().encode_observed(context_features, observed, lengths)
        return tf.concat([tf.zeros_like(features[:, :1]), features[:, :-1]], 1)


class Early(vae.VRNN):
    """Its posterior sees the next observation too."""

    def encode_observed(self, context_features, observed, lengths=None):
        features = super().encode_observed(context_features, observed, lengths)
        return features + tf.concat([features[:, 1:], tf.zeros_like(features[:, :1])], 1)


class LateSmoothing(vae.SRNN):
    """Its posterior sees the observations after its own."""

    def encode_observed(self, context_features, observed, lengths=None):
        features = super().encode_observed(context_features, observed, lengths)
        return tf.concat([features[:, 1:], tf.zeros_like(features[:, :1])], 1)


class Peeking(vae.IndependentSequence):
    """Decodes x_t from features of x_t."""

    def infer(self, context_features, features, state, lengths=None, *, seed):
        inferred = super().infer(context_features, features, state, lengths, seed=seed)
        return inferred._replace(outputs=inferred.outputs + tf.nest.flatten(features)[-1])


class PeekingPrior(vae.VRNN):
    """Infers with a prior that sees the observations."""

    def infer(self, context_features, features, state, lengths=None, *, seed):
        inferred = super().infer(context_features, features, state, lengths, seed=seed)
        loc = inferred.prior.distribution.loc + tf.nest.flatten(features)[-1][..., :2]
        return inferred._replace(prior=latent.normal(
            decoders.NormalParams(loc, inferred.prior.distribution.scale)))


class WithoutConstant(tfd.MultivariateNormalDiag):
    """Its KL lacks the -1/2 of each dimension."""

    def _kl_divergence(self, other):
        return super()._kl_divergence(other) + 0.5 * self.event_shape[0]


class Scaled(tfd.MultivariateNormalDiag):
    """Its KL is half of the true one."""

    def _kl_divergence(self, other):
        return 0.5 * super()._kl_divergence(other)


class WrongKl(vae.VRNN):
    kind = WithoutConstant

    def posterior(self, h, feature):
        base = super().posterior(h, feature).distribution
        return self.kind(base.loc, base.scale)

    def prior(self, h):
        base = super().prior(h).distribution
        return self.kind(base.loc, base.scale)


class ScaledKl(WrongKl):
    kind = Scaled


class OneSeed(tfd.Normal):
    """Samples the same for every seed."""

    def _sample_n(self, n, seed=None):
        return super()._sample_n(n, tf.constant([1, 2]))


class Wide(tfd.Normal):
    """Samples three times wider than its density."""

    def _sample_n(self, n, seed=None):
        return self.loc + 3.0 * (super()._sample_n(n, seed) - self.loc)


class Shifted(tfd.Normal):
    """Samples above its mean."""

    def _sample_n(self, n, seed=None):
        return super()._sample_n(n, seed) + self.scale


class Stopped(tfd.Normal):
    """Its samples carry no gradient."""

    def _sample_n(self, n, seed=None):
        return tf.stop_gradient(super()._sample_n(n, seed))


class OneSeedPosterior(vae.VRNN):
    kind = OneSeed

    def posterior(self, h, feature):
        base = super().posterior(h, feature).distribution
        return tfd.Independent(self.kind(base.loc, base.scale), 1)


class ShiftedPosterior(OneSeedPosterior):
    kind = Shifted


class StoppedPosterior(OneSeedPosterior):
    kind = Stopped


class SharedNoise(vae.VRNN):
    """Infers with the same noise for both dimensions."""

    def infer(self, context_features, features, state, lengths=None, *, seed):
        inferred = super().infer(context_features, features, state, lengths, seed=seed)
        q_z = inferred.posterior.distribution
        noise = (inferred.latents - q_z.loc) / q_z.scale
        return inferred._replace(latents=q_z.loc + q_z.scale * noise[..., :1])


class WidePrior(vae.VRNN):
    def prior(self, h):
        base = super().prior(h).distribution
        return tfd.Independent(Wide(base.loc, base.scale), 1)


class Noisy(vae.RNN):
    """Draws from the global generator."""

    def encode_contexts(self, contexts, state, lengths=None):
        return super().encode_contexts(contexts + tf.random.normal([]), state, lengths)


class StickyDropout(vae.VRNN):
    """Drops units ever after its first training step."""

    seed = None

    def hidden(self, context_feature, state):
        current = trace_context.current().dropout
        if current is not None:
            self.seed = current[0]
        if self.seed is not None:
            context_feature = tf.nn.experimental.stateless_dropout(
                context_feature, 0.5, self.seed)
        return super().hidden(context_feature, state)


class Unmasked(vae.RNN):
    """Updates its state in padding."""

    def encode_contexts(self, contexts, state, lengths=None):
        return super().encode_contexts(contexts, state)


@pytest.mark.parametrize(("kind", "broken", "test", "message"), [
    ("SRNN", WrongPrior, "test_generating_and_training_give_equal_densities",
     "log-density of generated latents"),
    ("SRNN", WrongPrior, "test_infer_equals_the_loop", "must equal VAECore.infer"),
    ("VRNN", Leaking, "test_batch_order_changes_nothing", "their position in the batch"),
    ("VRNN", Averaging, "test_padding_changes_nothing", "results of the row alone"),
    ("VRNN", Late, "test_posterior_sees_its_own_step", r"does not at steps \[0 1 2\]"),
    ("VRNN", Early, "test_posterior_sees_its_own_step", r"not depend on x_t\+1:T"),
    ("SRNN", LateSmoothing, "test_posterior_sees_its_own_step", r"does not at steps \[0 1"),
    ("ISEQ", Peeking, "test_predictions_do_not_see_what_they_predict", "the outputs must not"),
    ("VRNN", PeekingPrior, "test_predictions_do_not_see_what_they_predict",
     "the latent_log_prob must not"),
    ("VRNN", WrongKl, "test_kl_has_its_constant", "of the posterior must be 0"),
    ("VRNN", ScaledKl, "test_kl_has_its_constant", "must be the mean of log q"),
    ("VRNN", OneSeedPosterior, "test_latents_follow_their_distributions",
     "of the posterior, in infer, must be independent over steps"),
    ("VRNN", ShiftedPosterior, "test_latents_follow_their_distributions",
     "of the posterior, in infer, must have its mean"),
    ("VRNN", SharedNoise, "test_latents_follow_their_distributions",
     "of the posterior, in infer, must be independent over dimensions"),
    ("VRNN", WidePrior, "test_latents_follow_their_distributions",
     "of the prior must have its variance"),
    ("VRNN", StoppedPosterior, "test_samples_carry_the_gradient_of_the_posterior",
     "samples carry no gradient"),
    ("RNN", Noisy, "test_evaluations_are_the_same_twice", "the same in two evaluations"),
    ("VRNN", StickyDropout, "test_evaluations_are_the_same_twice", "the same in two evaluations"),
    ("RNN", Unmasked, "test_padding_changes_nothing", "state of the row alone"),
])
def test_the_contract_can_fail(monkeypatch, kind, broken, test, message):
    monkeypatch.setitem(VAE_TYPES, kind, broken)
    with pytest.raises(AssertionError, match=message):
        getattr(contract_of(CASES[kind])(), test)()


def test_a_vrnn_without_latent_layers_is_an_error():
    with pytest.raises(ValueError, match=r"latent_decoder_fc_layers; expected at least one, got"):
        small.gen_core("VRNN", latent_decoder_fc_layers=())
