# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of agents, for every agent of the library."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import agent, dtypes, seeds, testing, vae
from vaeseq.bounds import ELBO
from vaeseq.codec import encoders
from vaeseq.train.loss import SequenceLoss

pytestmark = pytest.mark.contract


class Countdown(agent.Agent):
    """Its context is the number of steps left. Uses the default `contexts`."""

    context_size = 1

    def initial_state(self, batch_size):
        return tf.fill([batch_size, 1], 4.0)

    def context(self, state, inputs=(), *, seed):
        return state

    def observe(self, observation, context, state):
        return state - 1.0

    def finished(self, state):
        return state[:, 0] <= 0.0


class Noise(Countdown):
    """A stochastic agent."""

    def context(self, state, inputs=(), *, seed):
        return state + tf.random.stateless_normal(tf.shape(state), seed)


def encode_observed(window):
    encoder, _ = small.symbol_codec()
    return agent.EncodeObserved(encoder, small.SYMBOL, window)


AGENTS = {
    "Constant": lambda: agent.Constant([1.0, 2.0]),
    "Constant, empty": agent.Constant,
    "ExternalInputs": lambda: agent.ExternalInputs(encoders.Flatten(tf.TensorSpec([2]))),
    "EncodeObserved": lambda: encode_observed(1),
    "EncodeObserved, window": lambda: encode_observed(3),
    "EncodeObserved, long window": lambda: encode_observed(7),
    "Chain": lambda: agent.Chain([agent.Constant([1.0]), encode_observed(2), Countdown()]),
    "Countdown": Countdown,
    "Noise": Noise,
}


def _contract(name):
    class Test(testing.AgentContract):
        deterministic = name != "Noise"

        def make_object_under_test(self):
            instance = AGENTS[name]()
            instance.contexts(self.make_observations([1, 1]), instance.initial_state(1),
                              self.make_inputs([1, 1]), seed=small.SEED)
            return small.set_weights(instance)

        def make_observations(self, leading):
            return small.symbols(*leading)

        def make_inputs(self, leading):
            return small.reals(*leading) if name == "ExternalInputs" else ()

    return Test


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
@pytest.mark.parametrize("inputs", [np.ones([1, 3, 2]), np.ones([1, 3, 2], np.float32)])
def test_external_inputs_take_the_dtype_of_the_model(dtype, inputs):
    with dtypes.float_dtype(dtype):
        external = agent.ExternalInputs(encoders.MLPEncoder(tf.TensorSpec([2]), (3,)))
        contexts, _ = external.contexts((), (), inputs, seed=small.SEED)
    assert contexts.dtype == dtype


for _name in AGENTS:
    globals()[f"Test{_name.title().replace(' ', '').replace(',', '')}"] = _contract(_name)


def test_every_agent_is_tested():
    shipped = {name for name, value in vars(agent).items()
               if inspect.isclass(value) and issubclass(value, agent.Agent)
               and not name.startswith("_")} - {"Agent"}
    assert shipped <= set(AGENTS)


def test_a_window_is_oldest_first_and_zero_before_the_beginning():
    encoder, _ = small.symbol_codec()
    history = agent.EncodeObserved(encoder, small.SYMBOL, 2)
    observed = tf.constant([[0, 1, 2]])
    contexts, state = history.contexts(observed, history.initial_state(1), seed=small.SEED)
    embedded = encoder(observed)[0].numpy()
    zeros = np.zeros(3, np.float32)
    expected = [[zeros, zeros], [zeros, embedded[0]], [embedded[0], embedded[1]]]
    np.testing.assert_allclose(contexts[0], np.reshape(expected, [3, 6]), rtol=1e-6)
    np.testing.assert_array_equal(state.observations, [[1, 2]])


def test_the_encoder_is_trained_across_windows():
    encoder, _ = small.symbol_codec()
    history = agent.EncodeObserved(encoder, small.SYMBOL)
    _, state = history.contexts(tf.constant([[2]]), history.initial_state(1), seed=small.SEED)
    with tf.GradientTape() as tape:
        contexts, _ = history.contexts(tf.constant([[1]]), state, seed=small.SEED)
        total = tf.reduce_sum(contexts)
    (gradient,) = tape.gradient(total, history.trainable_variables)
    np.testing.assert_array_equal(
        np.any(tf.convert_to_tensor(gradient).numpy(), axis=1), [False, False, True, False])


def test_a_chain_is_finished_when_one_is():
    chain = agent.Chain([agent.Constant(), Countdown()])
    state = chain.initial_state(2)
    for expected in (False, False, False, False, True):
        np.testing.assert_array_equal(chain.finished(state), [expected, expected])
        context = chain.context(state, seed=small.SEED)
        state = chain.observe(small.symbols(2), context, state)


def test_a_chain_has_the_dtype_of_the_model():
    """An agent need not know it: a one-hot vector is float32."""
    with dtypes.float_dtype(tf.float64):
        chain = agent.Chain([agent.Constant([1.0]), Countdown()])
    state = chain.initial_state(2)
    contexts, _ = chain.contexts(small.symbols(2, 3), state, seed=small.SEED)
    assert chain.context(state, seed=small.SEED).dtype == contexts.dtype == tf.float64


def test_wrong_arguments_are_refused():
    encoder, _ = small.symbol_codec()
    with pytest.raises(ValueError, match="at least 1, got 0"):
        agent.EncodeObserved(encoder, small.SYMBOL, 0)
    with pytest.raises(ValueError, match="at least one"):
        agent.Chain([])


def test_a_state_without_tensors_is_refused_before_training():
    encoder, decoder = small.symbol_codec()
    empty = Empty(encoder, small.SYMBOL)
    core = vae.make(small.HPARAMS.replace(vae_type="RNN"), decoder, encoder)
    loss = SequenceLoss(empty, core, ELBO())
    for model in (loss, vae.GenCore(empty, core), agent.Chain([empty])):
        with pytest.raises(ValueError, match=r"Empty: expected .* got \(\)\. Without one return"):
            model.initial_state(2)


def test_a_state_is_primed_with_no_steps_and_with_no_rows():
    encoder, decoder = small.symbol_codec()
    core = vae.make(small.HPARAMS.replace(vae_type="VRNN"), decoder, encoder)
    model = vae.GenCore(agent.EncodeObserved(encoder, small.SYMBOL), core)
    for rows, steps in ((2, 0), (0, 3)):
        state = model.initial_state(rows)
        primed = model.prime(small.symbols(2, 3)[:rows, :steps], state, seed=small.SEED)
        tf.nest.map_structure(
            lambda x, y, steps=steps: np.testing.assert_array_equal(x, y + steps * len(y)),
            primed.steps, state.steps)
        small.same(primed.agent, state.agent)


class Forgetful(agent.EncodeObserved):
    """Ignores the lengths."""

    def contexts(self, observed, state, inputs=(), lengths=None, *, seed):
        return super().contexts(observed, state, inputs, seed=seed)


class Mixing(agent.EncodeObserved):
    """Lets the rows of a batch see each other."""

    def contexts(self, observed, state, inputs=(), lengths=None, *, seed):
        contexts, state = super().contexts(observed, state, inputs, lengths, seed=seed)
        return contexts + tf.reduce_mean(contexts), state


class Restless(agent.EncodeObserved):
    """Draws from TensorFlow's own generator."""

    def contexts(self, observed, state, inputs=(), lengths=None, *, seed):
        contexts, state = super().contexts(observed, state, inputs, lengths, seed=seed)
        return contexts + tf.random.normal([]), state


class Restarting(agent.EncodeObserved):
    """Begins anew in each part of a sequence."""

    def contexts(self, observed, state, inputs=(), lengths=None, *, seed):
        state = self.initial_state(tf.shape(tf.nest.flatten(observed)[0])[0])
        return super().contexts(observed, state, inputs, lengths, seed=seed)


class Frozen(agent.EncodeObserved):
    """Does not train its encoder."""

    def contexts(self, observed, state, inputs=(), lengths=None, *, seed):
        contexts, state = super().contexts(observed, state, inputs, lengths, seed=seed)
        return tf.stop_gradient(contexts), state


class Double(agent.EncodeObserved):
    """Has contexts of float64 in a model of float32."""

    def context(self, state, inputs=(), *, seed):
        return tf.cast(super().context(state, inputs, seed=seed), tf.float64)


class DoubleSequences(agent.EncodeObserved):
    """The same for whole sequences alone."""

    def contexts(self, observed, state, inputs=(), lengths=None, *, seed):
        contexts, state = super().contexts(observed, state, inputs, lengths, seed=seed)
        return tf.cast(contexts, tf.float64), state


class Empty(agent.EncodeObserved):
    """Has a state without tensors."""

    def initial_state(self, batch_size):
        return ()


@pytest.mark.parametrize("kind, test, message", [
    (Empty, "shapes", r"at least one tensor \[3, ...\]"),
    (Forgetful, "whole_sequence_equals_step_by_step", "must be that after its last valid step"),
    (Mixing, "rows_do_not_mix", "must not depend on the rest of the batch"),
    (Restless, "contexts_are_the_same_in_two_evaluations", "must be the same in two evaluations"),
    (Restarting, "whole_sequence_equals_two_parts", "must have the contexts of the whole"),
    (Frozen, "gradients_reach_every_variable", "gets no gradient"),
    (Double, "shapes", r"context must be float32 \[3, 3\], not float64"),
    (DoubleSequences, "shapes", r"contexts must be float32 \[3, 5, 3\], not float64"),
])
def test_the_contract_can_fail(kind, test, message):
    class Broken(_contract("EncodeObserved")):
        def make_object_under_test(self):
            encoder, _ = small.symbol_codec()
            return kind(encoder, small.SYMBOL)

    with pytest.raises(AssertionError, match=message):
        getattr(Broken(), f"test_{test}")()


def test_different_numbers_give_different_seeds():
    numbers = [0, 1, -1, 2**31 - 1, 2**31, 2**40, np.int64(5)]
    assert len({tuple(seeds.make(number).numpy()) for number in numbers}) == len(numbers)
    np.testing.assert_array_equal(seeds.make(small.SEED), small.SEED)
