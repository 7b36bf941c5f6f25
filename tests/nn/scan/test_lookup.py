# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Looked-up rows are known for what they are, and multiplied as their table."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import nest, seeds
from vaeseq.agent import EncodeObserved
from vaeseq.bounds import ELBO
from vaeseq.codec import encoders
from vaeseq.data import Batch
from vaeseq.nn import cells
from vaeseq.nn.scan import lookup, matmul, unroll
from vaeseq.nn.scan import plan as plan_lib
from vaeseq.train.ops import TrainOps

V, F, B, T = 5, 3, 4, 6
rng = np.random.default_rng(0)
TABLE = tf.constant(rng.normal(size=[V, F]))
NUMBERS = tf.constant(rng.integers(0, V, [B, T]))
MASK = tf.constant(rng.random([B, T, 1]) < 0.5)


def looked_up():
    return lookup.look_up(tf.identity(TABLE), NUMBERS)


KNOWN = {
    "looked up": looked_up,
    "gathered": lambda: tf.gather(tf.identity(TABLE), NUMBERS),
    "masked": lambda: tf.where(MASK, looked_up(), tf.zeros_like(looked_up())),
    "masked by length": lambda: nest.mask_time(looked_up(), tf.constant([6, 0, 3, 1])),
    "time-major": lambda: nest.swap_leading(looked_up()),
    "sliced": lambda: looked_up()[:, 1:],
    "every other step": lambda: looked_up()[::2],
    "one step": lambda: looked_up()[:, 2],
    "with a new dimension": lambda: looked_up()[:, tf.newaxis],
    "reshaped": lambda: tf.reshape(looked_up(), [2, B // 2, T, F]),
    "all in one": lambda: tf.reshape(looked_up(), [tf.shape(looked_up())[0] * T, -1]),
    "all of it": lambda: nest.swap_leading(tf.where(MASK[:, 1:], looked_up()[:, 1:], 0.0)),
}
UNKNOWN = {
    "computed": lambda: looked_up() + 1.0,
    "masked with ones": lambda: tf.where(MASK, looked_up(), tf.ones_like(looked_up())),
    "masked in part of a row": lambda: tf.where(
        tf.constant(rng.random([B, T, F]) < 0.5), looked_up(), tf.zeros_like(looked_up())),
    "repeated": lambda: tf.where(
        tf.ones([1, 1, 1], tf.bool), tf.gather(tf.identity(TABLE), tf.reshape(NUMBERS, [1, -1])),
        tf.zeros([2, B * T, F], tf.float64)),
    "sliced by who knows how many numbers": lambda: tf.strided_slice(
        looked_up(), *[tf.boolean_mask(tf.constant(x), tf.constant([True])) for x in ([0], [2])]),
    "rows cut in pieces": lambda: tf.reshape(looked_up(), [B * T * F, 1]),
    "rows in a row": lambda: tf.reshape(looked_up(), [B, T * F]),
    "part of a row": lambda: looked_up()[..., 1:],
    "sliced to the last dimension": lambda: looked_up()[:, :, 1:],
    "columns": lambda: tf.gather(tf.identity(TABLE), tf.zeros([B, T], tf.int32), axis=1),
    "rows as columns": lambda: tf.transpose(looked_up(), [0, 2, 1]),
    "few": lambda: looked_up()[:1],
}


def traced(function, *args):
    return tf.function(function, autograph=False)(*args)


@pytest.mark.parametrize("make", KNOWN.values(), ids=KNOWN.keys())
def test_what_is_known(make):
    found = []

    def both():
        x = make()
        found.append(lookup.of(x))
        # A single step is too few for it to be worthwhile, and known all the same.
        return x, lookup.look_up(*(found[0] or lookup._read(x)))

    x, again = traced(both)
    assert (found[0] is None) == (x.shape[:-1].num_elements() < 2 * V)
    np.testing.assert_array_equal(x, again)


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_is_not(make):
    found = []
    traced(lambda: found.append(lookup.of(make())))
    assert found == [None]


def test_nothing_is_known_eagerly():
    assert lookup.of(looked_up()) is None


def multiplied(monkeypatch, make, dtype, low=False):
    """A product with what `make` gives, and its gradients; the same numbers in any dtype."""
    numbers = np.random.default_rng(1)
    table, w, b = [tf.Variable(tf.cast(numbers.normal(size=size), dtype))
                   for size in ([V, F], [F + 2, 7], [7])]
    monkeypatch.setattr(f"{__name__}.TABLE", table)

    def run():
        with tf.GradientTape() as tape, matmul.computed(matmul.Manner(bfloat16=low)):
            x = make()
            y = matmul.product((x, tf.ones_like(x[..., :2])), w, b)
            loss = tf.reduce_sum(tf.sin(y))
        return y, *map(tf.convert_to_tensor, tape.gradient(loss, [table, w, b]))

    return traced(run)


def rms(x):
    return np.sqrt(np.mean(np.square(np.asarray(x, np.float64))))


@pytest.mark.parametrize("make", KNOWN.values(), ids=KNOWN.keys())
def test_products_and_gradients(monkeypatch, make):
    ours = multiplied(monkeypatch, make, tf.float64)
    monkeypatch.setattr(lookup, "of", lambda x, times=1: None)
    for x, y in zip(ours, multiplied(monkeypatch, make, tf.float64), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make", KNOWN.values(), ids=KNOWN.keys())
def test_products_in_bfloat16_are_rounded_three_times(monkeypatch, make):
    """Both factors and the result, to 8 bits each: 3 / 512 of it at most, where nothing cancels."""
    ours = multiplied(monkeypatch, make, tf.float32, low=True)
    for x, exact in zip(ours, multiplied(monkeypatch, make, tf.float64), strict=True):
        assert x.dtype == tf.float32
        assert 0 < rms(np.float64(x) - exact) < 0.01 * rms(exact)


@pytest.mark.parametrize("lengths", [(6, 6), (6, 2)])
def test_a_text_model_is_trained_by_it(monkeypatch, lengths):
    """Contexts are shifted, masked and transposed; the way to the loop's product stays open."""
    observed = small.symbols(2, 6)
    batch = Batch(observed.numpy(), np.array(lengths, np.int32), np.ones([2], bool))
    used = []

    def updated():
        made = small.gen_core("RNN", small.symbol_codec)
        ops = TrainOps(made.agent, made.core, ELBO(), learning_rate=lambda step: 0.1,
                       clip_gradient_norm=0.0, seed=small.SEED)
        ops.build(batch)
        step, _ = ops(batch, ops.initial_state(2))
        return [np.float32(step.loss), np.float32(step.gradient_norm), *ops.variables_to_train]

    times = lookup.Rows.times
    monkeypatch.setattr(
        lookup.Rows, "times", lambda self, *args: used.append(args) or times(self, *args))
    ours = updated()
    assert used
    monkeypatch.setattr(lookup, "of", lambda x, times=1: None)
    for x, y in zip(ours, updated(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_an_agent_keeps_the_rows_of_an_embedding():
    encoder = encoders.Embed(V, F)
    agent = EncodeObserved(encoder, encoder.input_spec)
    state = agent.initial_state(B)
    observed = tf.cast(NUMBERS, tf.int32)
    agent.contexts(observed, state, seed=seeds.make(0))
    found = []

    def both():
        contexts, _ = agent.contexts(observed, state, seed=seeds.make(0))
        found.append(lookup.of(contexts))
        return contexts, lookup.look_up(*found[0])

    contexts, again = traced(both)
    np.testing.assert_array_equal(contexts, again)
    assert not contexts[:, 0].numpy().any()
    np.testing.assert_array_equal(contexts[:, 1:], encoder(observed)[:, :-1])


class Drawing:
    """A loop whose symbol is looked up in each step, and changes with what comes of it."""

    def __init__(self, dtype):
        self.table = tf.Variable(tf.cast(TABLE, dtype))
        self.cell = cells.LSTM(6, dtype=dtype)
        self.first = tf.constant([1, 4, 0, 0])
        self.cell.step(self.features(self.table, self.first), self.begin()[1])

    def begin(self):
        zeros = tf.zeros([B, 6], self.table.dtype)
        return self.first, cells.LSTMState(zeros, zeros)

    def features(self, table, symbol):
        """As agents make them; the symbol 0 is one that was not seen yet."""
        found = lookup.look_up(tf.convert_to_tensor(table), symbol[:, tf.newaxis])
        return tf.reshape(tf.where((symbol != 0)[:, tf.newaxis, tf.newaxis], found,
                                   tf.zeros_like(found)), [B, F])

    def step(self, table, state):
        symbol, lstm = state
        outputs, lstm = self.cell.step(self.features(table, symbol), lstm)
        symbol = (symbol + tf.argmax(outputs, -1, tf.int32)) % V
        return (outputs, symbol), (symbol, lstm)

    def run(self):
        """Outputs, and the gradients of all weights."""
        weights = [self.table, *self.cell.trainable_variables]
        with tf.GradientTape() as tape:
            (outputs, symbols), _ = unroll.scan(
                lambda _, state: self.step(self.table, state), tf.zeros([B, T]), self.begin())
            loss = tf.reduce_sum(tf.sin(outputs))
        return symbols, outputs, *map(tf.convert_to_tensor, tape.gradient(loss, weights))


def looked_up_in_loops(monkeypatch):
    """What loops find, as it is planned."""
    plans, make_plan = [], plan_lib.make_plan
    monkeypatch.setattr(
        plan_lib, "make_plan", lambda *args: plans.append(make_plan(*args)) or plans[-1])
    return lambda: [found for plan in plans for found in plan.looked_up]


@pytest.mark.parametrize("jit_compile,apart", [(False, False), (True, False), (False, True)])
def test_what_a_loop_looks_up_is_read_from_products(monkeypatch, jit_compile, apart):
    drawing = Drawing(tf.float64)

    def run():
        with matmul.computed(matmul.Manner(apart=apart)):
            return tf.function(drawing.run, jit_compile=jit_compile, autograph=False)()

    found = looked_up_in_loops(monkeypatch)
    ours = run()
    (part,) = found()
    assert (part.part, part.begin, part.end) == (0, 0, F)
    assert part.table.shape == [V + 1, 4 * 6]
    for x, y in zip(ours, drawing.run(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


def test_a_table_that_changes_from_step_to_step_is_none(monkeypatch):
    drawing = Drawing(tf.float64)

    def run():
        def step(_, state):
            table, rest = state
            outputs, rest = drawing.step(tf.identity(table), rest)
            return outputs, (1.1 * table, rest)

        (outputs, _), _ = unroll.scan(
            step, tf.zeros([B, T]), (tf.convert_to_tensor(drawing.table), drawing.begin()))
        return outputs

    found = looked_up_in_loops(monkeypatch)
    ours = traced(run)
    assert found() == [None]
    np.testing.assert_allclose(ours, run(), rtol=1e-10)


def test_a_sampler_looks_up_what_it_drew(monkeypatch):
    made = small.gen_core("RNN", small.symbol_codec)
    found = looked_up_in_loops(monkeypatch)

    def drawn():
        generated, _ = tf.function(made.generate, autograph=False)(
            9, made.initial_state(2), seed=small.SEED)
        return generated

    ours = drawn()
    assert any(found())
    monkeypatch.setattr(lookup, "of", lambda x, times=1: None)
    theirs = drawn()
    np.testing.assert_array_equal(ours.observed, theirs.observed)
    np.testing.assert_allclose(ours.log_prob, theirs.log_prob, rtol=1e-5)
