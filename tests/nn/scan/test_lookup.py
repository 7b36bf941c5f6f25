# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Lookups against the tensors that they stand for, and where products use their table."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import seeds
from vaeseq.agent import EncodeObserved
from vaeseq.bounds import ELBO
from vaeseq.codec import encoders
from vaeseq.data import Batch
from vaeseq.dtypes import float_dtype
from vaeseq.nn import cells
from vaeseq.nn.scan import lookup, matmul, unroll
from vaeseq.nn.scan import plan as plan_lib
from vaeseq.nn.scan.lookup import Lookup
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import TrainOps

V, F, B, T = 5, 3, 4, 6
rng = np.random.default_rng(0)
TABLE = rng.normal(size=[V, F])
NUMBERS = tf.constant(rng.integers(0, V, [B, T]))
VALID = tf.constant(rng.random([B, T]) < 0.5)

# Of a lookup or a tensor: what stays a lookup, and what becomes a tensor.
LOOKUPS = {
    "whole": lambda x: x,
    "masked": lambda x: lookup.mask(VALID, x),
    "time-major": lookup.swap_leading,
    "sliced": lambda x: x[:, 1:],
    "every other row": lambda x: x[::2],
    "one step": lambda x: x[:, 2],
    "one step, by a tensor": lambda x: x[:, tf.constant(2)],
    "one row, by a NumPy number": lambda x: x[np.int64(2)],
    "with a new dimension": lambda x: x[:, tf.newaxis],
    "shifted, masked and time-major": lambda x: lookup.swap_leading(
        lookup.mask(VALID[:, 1:], x[:, :-1])),
}
TENSORS = {
    "sum": lambda x: 1.0 + x + 1.0,
    "part of a row": lambda x: x[..., 1:],
    "sliced to the last dimension": lambda x: x[:, :, 1:],
    "seen steps": lambda x: x[VALID],
    "product of an array": lambda x: np.arange(1.0, 1.0 + F) * x,
    "function": tf.tanh,
    "concatenation": lambda x: tf.concat([x, x], -1),
}


def traced(function, *args):
    return tf.function(function, autograph=False)(*args)


@pytest.mark.parametrize("make,is_lookup", [
    *((make, True) for make in LOOKUPS.values()), *((make, False) for make in TENSORS.values())],
    ids=[*LOOKUPS, *TENSORS])
def test_a_lookup_reads_as_its_tensor(make, is_lookup):
    x = make(Lookup(tf.constant(TABLE), NUMBERS))
    expected = make(tf.gather(TABLE, NUMBERS))
    assert isinstance(x, Lookup) == is_lookup
    assert (x.shape, x.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(tf.convert_to_tensor(x), expected)


def test_a_lookup_saves_work_if_rows_repeat():
    x = Lookup(tf.constant(TABLE), NUMBERS)
    assert x.saves_work()
    assert not x[:1].saves_work() and x[:1].saves_work(repeats=2)


def multiplied(make, dtype, bfloat16=False, as_lookup=True, sign=tf.identity, loss=tf.sin):
    """A product of what `make` gives, and the gradients of its loss."""
    numbers = np.random.default_rng(1)
    table, w, b = [tf.Variable(tf.cast(sign(numbers.normal(size=size)), dtype))
                   for size in ([V, F], [F + 2, 7], [7])]

    def run():
        precision = matmul.Precision(bfloat16=bfloat16)
        with tf.GradientTape() as tape, matmul.precision_scope(precision):
            x = make(Lookup(table, NUMBERS) if as_lookup else tf.gather(table, NUMBERS))
            y = matmul.product((x, tf.ones_like(x[..., :2])), w, b)
            total = tf.reduce_sum(loss(y))
        return y, *map(tf.convert_to_tensor, tape.gradient(total, [table, w, b]))

    return traced(run)


@pytest.mark.parametrize("make", LOOKUPS.values(), ids=LOOKUPS)
def test_products_and_gradients_equal_those_of_tensors(make):
    ours, theirs = (multiplied(make, tf.float64, as_lookup=x) for x in (True, False))
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10)


def test_products_in_bfloat16_are_rounded_to_8_bits():
    """By 1 / 512 at most each time, which adds up where nothing cancels, as with positive numbers.

    Both factors, their product and two sums are rounded: the value five times. The gradients
    multiply its error by one factor, and round that, the incoming gradient and the result.
    """
    exact, ours = (multiplied(LOOKUPS["masked"], *args, sign=tf.abs, loss=tf.square)
                   for args in ((tf.float64,), (tf.float32, True)))
    for x, y, roundings in zip(ours, exact, (5, 8, 8, 8), strict=True):
        assert x.dtype == tf.float32
        error = np.abs(np.float64(x) - y)
        assert error.max() > 0
        np.testing.assert_array_less(error, roundings / 512 * np.abs(y) + 1e-12)


@pytest.fixture
def table_products(monkeypatch):
    """The products of tables that are computed."""
    products, compute = [], Lookup.matmul
    monkeypatch.setattr(Lookup, "matmul", lambda self, *args: products.append(
        compute(self, *args)) or products[-1])
    return products


@pytest.fixture
def loop_lookups(monkeypatch):
    """The lookups of the loops that are planned."""
    plans, make_plan = [], plan_lib.make_plan

    def record(*args):
        plan = make_plan(*args)
        plans.extend(plan.loop_lookups)
        return plan

    monkeypatch.setattr(plan_lib, "make_plan", record)
    return plans


def without_lookups(monkeypatch):
    monkeypatch.setattr(Lookup, "saves_work", lambda self, repeats=1: False)


@pytest.mark.parametrize("lengths", [(6, 6), (6, 2)])
def test_training_a_text_model_multiplies_the_table(monkeypatch, table_products, lengths):
    observed = small.symbols(2, 6)
    batch = Batch(observed.numpy(), np.array(lengths, np.int32), np.ones([2], bool))

    def updated():
        model = small.gen_core("RNN", small.symbol_codec)
        ops = TrainOps(SequenceLoss(model.agent, model.core, ELBO()), learning_rate=0.1,
                       clip_gradient_norm=0.0, seed=small.SEED)
        ops.build(batch)
        step, _ = ops(batch, ops.initial_state(2))
        return [np.float32(step.loss), np.float32(step.gradient_norm), *ops.variables_to_train]

    ours = updated()
    assert table_products
    without_lookups(monkeypatch)
    for x, y in zip(ours, updated(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_an_agent_shifts_and_masks_the_lookup_of_an_embedding():
    encoder = encoders.Embed(V, F)
    agent = EncodeObserved(encoder, encoder.input_spec)
    state = agent.initial_state(B)
    observed = tf.cast(NUMBERS, tf.int32)
    features = encoder(observed)  # creates the table

    def contexts():
        contexts, _ = agent.contexts(observed, state, seed=seeds.make(0))
        assert isinstance(contexts, Lookup) and contexts.saves_work()
        assert isinstance(agent.context(state, seed=seeds.make(0)), Lookup)
        return contexts

    actual = traced(contexts).numpy()
    assert not actual[:, 0].any()
    np.testing.assert_array_equal(actual[:, 1:], features[:, :-1])


class Drawing:
    """A loop that looks up a symbol at each step, and draws the next from what comes of it."""

    def __init__(self, dtype):
        self.table = tf.Variable(tf.cast(TABLE, dtype))
        with float_dtype(dtype):
            self.cell = cells.LSTM(6)
        self.first = tf.constant([1, 4, 0, 0])
        self.cell.step(self.features(self.table, self.first), self.begin()[1])

    def begin(self):
        zeros = tf.zeros([B, 6], self.table.dtype)
        return self.first, cells.LSTMState(zeros, zeros)

    def features(self, table, symbol):
        """As agents make them; the symbol 0 is one that was not seen yet."""
        return lookup.mask(symbol[:, tf.newaxis] != 0, Lookup(table, symbol[:, tf.newaxis]))[:, 0]

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


@pytest.mark.parametrize("jit_compile,split_steps", [(False, False), (True, False), (False, True)])
def test_a_loop_looks_up_products_of_a_variable(loop_lookups, jit_compile, split_steps):
    drawing = Drawing(tf.float64)

    def run():
        with matmul.precision_scope(matmul.Precision(split_steps=split_steps)):
            return tf.function(drawing.run, jit_compile=jit_compile, autograph=False)()

    ours = run()
    (part,) = loop_lookups
    assert (part.part, part.begin, part.end) == (0, 0, F)
    assert part.table.shape == [V + 1, 4 * 6]
    for x, y in zip(ours, drawing.run(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


def test_a_loop_multiplies_rows_of_a_table_that_changes(loop_lookups):
    drawing = Drawing(tf.float64)

    def run():
        def step(_, state):
            table, rest = state
            outputs, rest = drawing.step(table, rest)
            return outputs, (1.1 * table, rest)

        (outputs, _), _ = unroll.scan(
            step, tf.zeros([B, T]), (tf.convert_to_tensor(drawing.table), drawing.begin()))
        return outputs

    ours = traced(run)
    assert loop_lookups == [None]
    np.testing.assert_allclose(ours, run(), rtol=1e-10)


def test_a_sampler_looks_up_what_it_drew(monkeypatch, loop_lookups):
    model = small.gen_core("RNN", small.symbol_codec)

    def generate():
        generated, _ = tf.function(model.generate, autograph=False)(
            9, model.initial_state(2), seed=small.SEED)
        return generated

    ours = generate()
    assert any(loop_lookups)
    without_lookups(monkeypatch)
    theirs = generate()
    np.testing.assert_array_equal(ours.observed, theirs.observed)
    np.testing.assert_allclose(ours.log_prob, theirs.log_prob, rtol=1e-5)
