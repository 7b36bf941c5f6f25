# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""SEQAE: its latent, and the objectives that train it, against what they must be."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import agent, bounds, vae
from vaeseq.bounds import ELBO, FIVO, IWAE, mmd
from vaeseq.nn.dropout import enable_dropout


def gen_core(**hparams):
    return small.gen_core("SEQAE", small.symbol_codec, **{"cell": "gru", **hparams})


def run(model, bound, observed, lengths=None, state=None, kl_weight=1.0, seed=1):
    rows = observed.shape[0]
    contexts, _ = model.agent.contexts(
        observed, model.agent.initial_state(rows), seed=small.SEED)
    state = bound.initial_state(model.core, rows) if state is None else state
    return bound(model.core, contexts, observed, state, lengths, kl_weight=kl_weight,
                 seed=tf.constant([seed, 2]))


def test_the_kl_of_the_latent_is_charged_once():
    model = gen_core()
    first = run(model, ELBO(), small.symbols(3, 2))
    second = run(model, ELBO(), small.symbols(3, 3), state=first.state)
    assert np.all(first.kl[:, 0] > 0)
    np.testing.assert_array_equal(tf.concat([first.kl[:, 1:], second.kl], 1), 0)
    small.same(first.state.latent.z, second.state.latent.z)


def test_every_cell_begins_from_the_latent():
    for cell, layers in (("lstm", (4,)), ("mingru", (4, 4)), ("transformer", (4,))):
        core = small.gen_core("SEQAE", small.symbol_codec, cell=cell, rnn_hidden_sizes=layers,
                              attention_heads=2, attention_window=3).core
        z = tf.random.stateless_normal([2, 2], [1, 2])
        first = core.initial_state(2).latent
        begun_with = core.begin(z).latent
        context = tf.zeros([2, 3])
        sampled, after = core.update(core.hidden(context, first), z)
        begun, after_begun = core.update(core.hidden(context, begun_with), tf.zeros_like(z))
        small.close((sampled, after), (begun, after_begun))
        assert not np.allclose(core.update(core.hidden(context, first), -z)[0], sampled)


def test_only_the_latent_passes_from_segment_to_segment():
    for segment, reaches in ((0, True), (2, False), (3, False)):
        core = gen_core(seqae_conductor=segment).core
        contexts = tf.random.stateless_normal([2, 6, 3], [1, 2])
        # The first context is another, and the later segments must not notice.
        changed = tf.concat([contexts[:, :1] + 1, contexts[:, 1:]], 1)
        z = tf.random.stateless_normal([2, 2], [3, 4])
        features = core.encode(small.symbols(2, 6))
        outputs = [core.infer_given(
            c, tf.nest.map_structure(lambda x: tf.repeat(x[:, None], 6, 1), features),
            tf.zeros([2, 6, 2]), core.begin(latent).latent).outputs.numpy()
            for c, latent in ((contexts, z), (changed, z), (contexts, -z))]
        later = slice(segment or 3, None)
        assert not np.allclose(outputs[0][:, 0], outputs[1][:, 0], atol=1e-4)
        assert np.array_equal(outputs[0][:, later], outputs[1][:, later]) != reaches
        assert not np.allclose(outputs[0][:, later], outputs[2][:, later], atol=1e-4)
    with pytest.raises(ValueError, match="a conductor and a segment_size of at least 1"):
        vae.SEQAE(core.decoder, core._encoder, core._d_core, core._q_z, past=core._past,
                  future=core._future, segment_size=2)


def test_segments_decoded_at_once_are_those_of_single_steps(monkeypatch):
    """Rows of different lengths and places within a segment; windows shorter and longer."""
    def infer(core, contexts, state, lengths):
        observed = small.symbols(*contexts.shape[:2])
        context_features, _ = core.encode_contexts(contexts, (), lengths)
        features = core.encode_observed(context_features, observed, lengths)
        latents = tf.random.stateless_normal([*contexts.shape[:2], 2], small.SEED)
        return core.infer_given(context_features, features, latents, state, lengths)

    for cell, layers in (("gru", (4,)), ("mamba", (4,)), ("transformer", (4, 4))):
        core = gen_core(seqae_conductor=3, cell=cell, rnn_hidden_sizes=layers, attention_heads=2,
                        attention_window=3).core
        state = core.initial_state(3).latent
        for num_steps, lengths in ((4, [4, 1, 0]), (2, None), (7, [7, 6, 3]), (3, None)):
            contexts = tf.random.stateless_normal([3, num_steps, 3], [num_steps, 2])
            lengths = None if lengths is None else tf.constant(lengths)
            with monkeypatch.context() as patch:
                patch.setattr(vae.SEQAE, "infer_given", vae.VAECore.infer_given)
                expected = infer(core, contexts, state, lengths)
            inferred = infer(core, contexts, state, lengths)
            valid = (slice(None) if lengths is None
                     else tf.sequence_mask(lengths, num_steps).numpy())
            small.close(inferred.outputs.numpy()[valid], expected.outputs.numpy()[valid])
            small.close(inferred.state, expected.state)
            state = inferred.state


def test_free_bits_per_dimension_charge_each_dimension():
    model, observed = gen_core(), small.symbols(3, 4)
    plain = run(model, ELBO(), observed)
    kl = plain.latent_kl[:, 0].numpy() / np.log(2)
    free = float(np.median(kl))
    charged = run(model, ELBO(free_bits=free, free_bits_per="dimension"), observed)
    expected = np.maximum(kl, free).sum(1) * np.log(2)
    small.close(plain.log_prob[:, 0] - charged.objective[:, 0], expected, rtol=1e-4)
    small.close(charged.increments, plain.increments)
    with pytest.raises(ValueError, match="total or dimension, got 'each'"):
        ELBO(free_bits_per="each")


def test_dropout_hides_whole_steps_from_encoder_and_decoder():
    model = gen_core(seqae_input_noise=0.5, seqae_decoder_dropout=0.5)
    contexts = tf.ones([4, 50, 3])
    assert model.core.encode_contexts(contexts, ())[0] is contexts
    with enable_dropout(small.SEED):
        contexts_seen = model.core.encode_contexts(contexts, ())[0].numpy()
        noisy = model.core.encode(small.symbols(4, 5)).loc.numpy()
    assert set(np.unique(contexts_seen)) == {0, 1} and 0.35 < contexts_seen.mean() < 0.65
    np.testing.assert_array_equal(contexts_seen.min(-1), contexts_seen.max(-1))
    assert not np.allclose(noisy, model.core.encode(small.symbols(4, 5)).loc)


def test_a_point_has_a_reconstruction_and_no_bound():
    encoder, decoder = small.symbol_codec()
    core = vae.make(small.HPARAMS.replace(
        vae_type="SEQAE", seqae_posterior="deterministic"), decoder, encoder)
    model = vae.GenCore(agent.EncodeObserved(encoder, small.SYMBOL), core)
    observed = small.symbols(3, 4)
    result = run(model, bounds.make("reconstruction"), observed)
    small.same((result.increments, result.objective), (result.log_prob, result.log_prob))
    small.same(result.state.latent.z[:, 0], core.encode(observed).loc)
    np.testing.assert_array_equal(core.encode(observed).scale, 0)
    np.testing.assert_array_equal(result.kl, 0)
    assert result.latent_kl.shape[-1] == 0
    for bound in (ELBO(), IWAE(2), FIVO(2)):
        with pytest.raises(ValueError, match=f"'{bound.name}' needs the density of the posterior"):
            run(model, bound, observed)


@pytest.mark.oracle
def test_mmd_is_that_of_a_double_sum_over_valid_rows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4, 3)).astype(np.float32)
    valid = np.array([True, False, True, True])

    def k(a, b):
        base = 2 * 3
        return sum(s * base / (s * base + ((a - b) ** 2).sum())
                   for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    rows = np.flatnonzero(valid)
    within = sum(k(x[i], x[j]) + k(y[i], y[j]) for i in rows for j in rows if i != j) / 6
    between = sum(k(x[i], y[j]) for i in rows for j in rows) / 9
    estimate = mmd.squared_mmd(x, y, is_valid=valid)
    np.testing.assert_allclose(estimate, within - 2 * between, rtol=1e-4)
    assert float(mmd.squared_mmd(x[:1], y[:1])) == 0


@pytest.mark.oracle
def test_mmd_is_unbiased_on_normals():
    def expected_kernel(shift):  # of x - y ~ N(shift, 2), by quadrature
        nodes, weights = np.polynomial.hermite_e.hermegauss(200)
        d = (shift + np.sqrt(2) * nodes) ** 2
        base = 2.0
        k = sum(s * base / (s * base + d) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))
        return (weights * k).sum() / weights.sum()

    estimate = tf.function(lambda pairs: tf.map_fn(
        lambda pair: mmd.squared_mmd(*pair), pairs, fn_output_signature=tf.float32))
    x, y = (tf.random.stateless_normal([400, 20, 1], [1, 2 + i]) for i in range(2))
    for mean in (0.0, 1.0):
        estimates = estimate((x + mean, y)).numpy()
        expected = 2 * expected_kernel(0) - 2 * expected_kernel(mean)
        assert abs(estimates.mean() - expected) < 4 * estimates.std() / np.sqrt(len(estimates))


def test_the_mmd_of_the_rows_that_begin_is_charged_for_each_of_them():
    model, observed = gen_core(), small.symbols(4, 3)
    lengths = tf.constant([3, 0, 2, 1])
    plain = run(model, bounds.make("reconstruction"), observed, lengths)
    charged = run(model, bounds.make("mmd"), observed, lengths, kl_weight=2.0)
    difference = (plain.objective - charged.objective).numpy()
    z = run(model, bounds.make("mmd"), observed, lengths).state.latent.z[:, 0]
    prior = bounds.reconstruction._prior(z, tf.constant([1, 2]))
    penalty = 2 * float(mmd.squared_mmd(z, prior, is_valid=lengths > 0))
    np.testing.assert_allclose(difference[:, 0], [penalty, 0, penalty, penalty], rtol=1e-4)
    np.testing.assert_array_equal(difference[:, 1:], 0)
    later = run(model, bounds.make("mmd"), observed, lengths, charged.state)
    small.close(later.objective[0], later.log_prob[0])  # began in the window before


def test_samples_of_one_sequence_are_not_compared_with_each_other():
    model, observed = gen_core(), small.symbols(4, 3)
    plain = run(model, bounds.make("reconstruction", 3), observed)
    charged = run(model, bounds.make("mmd", 3), observed)
    z = charged.state.latent.z
    prior = bounds.reconstruction._prior(z, tf.constant([1, 2]))
    penalty = np.mean([mmd.squared_mmd(z[:, s], prior[:, s]) for s in range(3)])
    np.testing.assert_allclose((plain.objective - charged.objective)[:, 0], penalty, rtol=1e-4)


@pytest.mark.oracle
def test_critic_and_encoder_have_the_gradients_of_their_own_losses():
    model, observed = gen_core(train_bound="adversarial"), small.symbols(4, 3)
    core, bound = model.core, bounds.make("adversarial")
    run(model, bound, observed)  # creates the critic's variables
    small.set_weights(core.critic, 0.5)
    with tf.GradientTape(persistent=True) as tape:
        result = run(model, bound, observed, kl_weight=3.0)
        penalty = tf.reduce_sum(result.log_prob - result.objective)
        z = result.state.latent.z[:, 0]
        real = core.critic(bounds.reconstruction._prior(z, tf.constant([1, 2])))
        critic_loss = tf.reduce_sum(tf.nn.softplus(-real)) + tf.reduce_sum(
            tf.nn.softplus(core.critic(tf.stop_gradient(z))))
        encoder_loss = 3 * tf.reduce_sum(tf.nn.softplus(-core.critic(z)))
    small.close(penalty, critic_loss + encoder_loss)
    critic = core.critic.trainable_variables
    small.close(tape.gradient(penalty, critic), tape.gradient(critic_loss, critic), atol=1e-5)
    encoder = core._q_z.trainable_variables
    small.close(tape.gradient(penalty, encoder), tape.gradient(encoder_loss, encoder), atol=1e-5)


def test_objectives_of_whole_sequences_refuse_other_cores():
    model = small.gen_core("ISEQ", small.symbol_codec)
    for name in ("mmd", "adversarial"):
        with pytest.raises(ValueError, match=f"'{name}' compares the latents of whole sequences"):
            run(model, bounds.make(name), small.symbols(2, 3))
    with pytest.raises(ValueError, match="trains a critic"):
        run(gen_core(), bounds.make("adversarial"), small.symbols(2, 3))
