# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""DMM against a Kalman filter where its networks are linear, and the laws of its graph."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import vae
from vaeseq.bounds import FIVO, IWAE
from vaeseq.codec import decoders, encoders
from vaeseq.codec.flows import InverseAutoregressiveFlow
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.vae import dmm

SPEC = tf.TensorSpec([1], tf.float32)
W, B, VARIANCE = 0.8, 0.3, 0.5
SCALE, OFFSET, NOISE = 1.3, -0.2, 0.7
X = np.array([0.4, -0.9, 1.6, 0.2], np.float32)


def linear_core():
    """A DMM whose gate is shut, so that its transition is linear, with a linear decoder."""
    decoder = decoders.Normal(SPEC)
    core = dmm.DMM(
        decoder, encoders.Flatten(SPEC), dmm.GatedTransition(1, 3), dmm.Combiner(
            1, 3, structured=True), MLP(()), latent_size=1, past=None, future=RecurrentStack((3,)))
    run(core, IWAE(1), 1)
    small.set_weights(core, 0.3)
    by_name = {v.name: v for v in core.p_z.trainable_variables}
    inverse_softplus = np.log(np.expm1(VARIANCE - 1e-5))
    for name, value in {"gate/linear_1/w:0": 0, "gate/linear_1/b:0": -40, "linear/w:0": W,
                        "linear/b:0": B, "variance/w:0": 0,
                        "variance/b:0": inverse_softplus}.items():
        variable = by_name[f"gated_transition/{name}"]
        variable.assign(tf.fill(variable.shape, float(value)))
    head = decoder.trainable_variables
    for variable in head:
        wide = variable.shape.rank == 2
        variable.assign(tf.constant([[SCALE, 0.0]] if wide else [
            OFFSET, np.log(np.expm1(NOISE - 1e-5))], tf.float32, variable.shape))
    return core


def run(core, bound, rows):
    observed = tf.tile(X[None, :, None], [rows, 1, 1])
    contexts = tf.zeros([rows, len(X), 2])
    return bound(core, contexts, observed, bound.initial_state(core, rows), seed=small.SEED)


def evidence():
    return float(tfd.LinearGaussianStateSpaceModel(
        len(X), tf.linalg.LinearOperatorFullMatrix([[W]]),
        tfd.MultivariateNormalDiag([B], [VARIANCE ** 0.5]),
        tf.linalg.LinearOperatorFullMatrix([[SCALE]]),
        tfd.MultivariateNormalDiag([OFFSET], [NOISE]),
        tfd.MultivariateNormalDiag([0.0], [1.0])).log_prob(X[:, None]))


@pytest.mark.oracle
@pytest.mark.parametrize("bound", [IWAE(16), FIVO(16)])
@pytest.mark.parametrize("num_flows", [0, 2])
def test_a_linear_dmm_has_the_evidence_of_a_kalman_filter(bound, num_flows):
    core = linear_core()
    if num_flows:
        flows = [InverseAutoregressiveFlow(1, (3,)) for _ in range(num_flows)]
        core = vae.FlowPosterior(core, flows)
        run(core, bound, 1)
        for flow in flows:
            small.set_weights(flow, 0.5)
    small.assert_unbiased(run(core, bound, 4000).increments, evidence())


def test_the_transition_starts_near_the_identity():
    transition = dmm.GatedTransition(4, 8)
    z = tf.random.stateless_normal([5, 4], [1, 2])
    transition(z, tf.zeros([5, 0]))
    np.testing.assert_array_equal(transition._linear((z, tf.zeros([5, 0]))), z)


@pytest.mark.parametrize("inference,past,future", [
    ("ST-L", True, False), ("ST-R", False, True), ("ST-LR", True, True), ("MF-LR", True, True)])
def test_the_posterior_reads_what_its_name_says(inference, past, future):
    core = small.gen_core("DMM", dmm_inference=inference).core
    contexts, observed, middle = tf.zeros([1, 5, 3]), small.reals(1, 5).numpy(), 2
    features, _ = core.encode_contexts(contexts, ())

    def posterior(observed, z):
        terms = core.encode_observed(features, tf.constant(observed))
        state = dmm.State(tf.fill([1, 5, 2], z), tf.ones([1, 5, 1]))
        return core.posterior(core.hidden(features, state), terms).distribution.loc[0, middle]

    base = posterior(observed, 0.5).numpy()

    def changes(steps, z=0.5):
        other = observed.copy()
        other[:, steps] += 1
        return not np.array_equal(base, posterior(other, z).numpy())

    assert changes(slice(0, middle)) == past
    assert changes(slice(middle + 1, None)) == future
    assert changes(slice(middle, middle + 1))
    assert changes(slice(0, 0), z=-1.0) == inference.startswith("ST")


@pytest.mark.parametrize("augmented", [False, True])
def test_contexts_reach_an_augmented_model_only(augmented):
    core = small.gen_core("DMM", dmm_augmented=augmented).core
    z = dmm.State(tf.ones([1, 2]), tf.ones([1, 1]))
    results = []
    for value in (0.0, 1.0):
        features, _ = core.encode_contexts(tf.fill([1, 1, 3], value), ())
        h = core.hidden(features[:, 0], z)
        results.append((core.prior(h).distribution.loc, core.update(h, tf.ones([1, 2]))[0]))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other) != augmented


def test_a_dmm_without_observations_to_infer_from_is_refused():
    with pytest.raises(ValueError, match="expected a recurrence over the past, the future"):
        dmm.DMM(decoders.Normal(SPEC), encoders.Flatten(SPEC), dmm.GatedTransition(1, 3),
                dmm.Combiner(1, 3, structured=True), MLP(()), latent_size=1, past=None, future=None)
    for name in ("latent_decoder_fc_layers", "rnn_hidden_sizes"):
        with pytest.raises(ValueError, match=f"expected at least one layer.*{name}"):
            small.gen_core("DMM", **{name: ()})
