# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The training step against closed forms; what padding, shards and a stop do not change."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import seeds
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.data import Batch, Streams
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.nn.scan import matmul
from vaeseq.runs.checkpoint import Checkpoints, SavedNest
from vaeseq.train.ops import NumericsError, TrainOps
from vaeseq.vae import VAE_TYPES

pytestmark = pytest.mark.contract

RATE = 0.01


def make_ops(vae_type="RNN", bound=None, made=None, **options):
    made = made or small.gen_core(vae_type)
    defaults = {"learning_rate": lambda step: RATE, "jit_compile": False, "seed": small.SEED}
    ops = TrainOps(made.agent, made.core, bound or ELBO(), **{**defaults, **options})
    ops.build(batch(1, 1))
    return ops


def batch(*leading, lengths=None, is_start=True, number=1):
    rows, steps = leading
    lengths = np.full([rows], steps) if lengths is None else np.array(lengths)
    return Batch(small.reals(*leading, number=number).numpy(), lengths.astype(np.int32),
                 np.full([rows], is_start))


def figures(step):
    """What a step says of itself but the time it took."""
    return tuple(step._replace(steps_per_second=0.0))


def values(ops):
    return [variable.numpy() for variable in ops.variables]


def reset(ops, before):
    for variable, value in zip(ops.variables, before, strict=True):
        variable.assign(value)


@pytest.mark.parametrize(("vae_type", "bound"), [
    *((name, ELBO()) for name in sorted(VAE_TYPES)), ("VRNN", FIVO(2)), ("SRNN", IWAE(2))])
def test_padding_changes_nothing(vae_type, bound):
    ops = make_ops(vae_type, bound)
    rows = batch(4, 5, lengths=[5, 2, 0, 1])
    before, results = values(ops), []
    for observed in (small.garbage_after(rows.observed, rows.lengths, 0.0),
                     small.garbage_after(rows.observed, rows.lengths)):
        reset(ops, before)
        step, state = ops(rows._replace(observed=observed), ops.initial_state(4))
        results.append((figures(step), state, values(ops)))
    small.same(*results)
    assert results[0][0][-1] == 8
    assert np.all(np.isfinite(results[0][0]))
    for kept, initial in zip(tf.nest.flatten(results[0][1]),
                             tf.nest.flatten(ops.initial_state(4))):
        np.testing.assert_array_equal(kept[2], initial[2])  # the row without steps


def test_more_padding_and_empty_rows_change_nothing():
    ops = make_ops()
    before, rows = values(ops), batch(3, 4, lengths=[4, 1, 3])
    expected, _ = ops(rows, ops.initial_state(3))
    after = values(ops)
    reset(ops, before)
    padded = Batch(np.pad(rows.observed, [[0, 1], [0, 2], [0, 0]]),
                   np.array([*rows.lengths, 0], np.int32), np.ones([4], bool))
    step, _ = ops(padded, ops.initial_state(4))
    small.close(figures(step), figures(expected))
    small.close(values(ops), after, atol=1e-5)


def test_shards_change_nothing():
    results = []
    for num_shards in (1, 2, 3):
        ops = make_ops(num_shards=num_shards)
        step, state = ops(batch(4, 5, lengths=[5, 3, 4, 1]), ops.initial_state(4))
        results.append((figures(step), state, values(ops)))
    small.close(results[1], results[0], atol=1e-5)
    small.close(results[2], results[0], atol=1e-5)


def test_compiled_equals_plain():
    results = []
    for jit_compile in (False, True):
        ops = make_ops(jit_compile=jit_compile)
        results.append((figures(ops(batch(2, 3), ops.initial_state(2))[0]), values(ops)))
    small.close(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("vae_type", ["RNN", "SRNN"])
def test_products_of_bfloat16_are_near_the_exact_ones(monkeypatch, vae_type, jit_compile):
    def made():
        ops = make_ops(vae_type, precision="bfloat16", jit_compile=jit_compile, num_shards=2)
        step, state = ops(batch(4, 5, lengths=[5, 3, 4, 1]), ops.initial_state(4))
        assert all(x.dtype == tf.float32 for x in [*ops.variables_to_train,
                                                   *tf.nest.flatten(state.bound.context)])
        return step
    low = made()
    monkeypatch.setattr(matmul, "rounded", lambda x: x)
    exact = made()
    assert low.loss == pytest.approx(exact.loss, rel=1e-2)
    assert low.gradient_norm == pytest.approx(exact.gradient_norm, rel=3e-2)
    assert abs(low.loss - exact.loss) > 1e-6 * abs(exact.loss)
    if vae_type == "RNN":
        ops = make_ops()
        step, _ = ops(batch(4, 5, lengths=[5, 3, 4, 1]), ops.initial_state(4))
        small.close(figures(step), figures(exact), rtol=1e-4)


def test_figures_are_those_of_the_bound():
    ops = make_ops("SRNN", ELBO(2), kl_weight=lambda step: 0.5)
    rows = batch(3, 4, lengths=[4, 2, 1])
    step, _ = ops(rows, ops.initial_state(3))
    assert step.num_steps == 7
    np.testing.assert_allclose(step.nats_per_step, step.kl - step.log_prob, rtol=1e-5)
    np.testing.assert_allclose(step.loss, 0.5 * step.kl - step.log_prob, rtol=1e-5)
    made = small.gen_core("RNN")
    contexts, _ = made.agent.contexts(rows.observed, made.agent.initial_state(3), seed=small.SEED)
    outputs, _ = made.core.encode_contexts(contexts, made.core.initial_state(3).context)
    log_prob = made.core.decoder.dist(made.core.decoder(outputs)).log_prob(rows.observed).numpy()
    total = sum(log_prob[row, :length].sum() for row, length in enumerate(rows.lengths))
    ops = make_ops("RNN")
    assert ops(rows, ops.initial_state(3))[0].loss == pytest.approx(-total / 7, 1e-5)


def test_contexts_are_dropped_in_training_alone():
    rows, made = batch(3, 4), small.gen_core("RNN")
    contexts, _ = made.agent.contexts(rows.observed, made.agent.initial_state(3), seed=small.SEED)
    without, whole = (
        -float(tf.reduce_mean(ELBO()(
            made.core, given, tf.constant(rows.observed), ELBO().initial_state(made.core, 3),
            seed=small.SEED).increments)) for given in (tf.zeros_like(contexts), contexts))
    assert abs(without - whole) > 0.01
    # So many are dropped that none of these 36 numbers is left.
    ops = make_ops(made=made, context_dropout=1 - 1e-6, learning_rate=lambda step: 0.0)
    dropped, _ = ops(rows, ops.initial_state(3))
    assert dropped.nats_per_step == pytest.approx(without, rel=1e-5)
    score = Evaluator(made.agent, made.core, ELBO()).score([rows], seed=small.SEED)
    assert score.nats_per_step == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_of_dropout_is_checked(rate):
    with pytest.raises(ValueError, match=rf"dropout rate in \[0, 1\), got {rate}"):
        make_ops(context_dropout=rate)


def test_state_is_carried_and_begins_anew():
    ops = make_ops(learning_rate=lambda step: 0.0)
    whole, end = ops(batch(2, 6), ops.initial_state(2))
    observed = batch(2, 6).observed
    full = np.array([3, 3], np.int32)
    first, state = ops(Batch(observed[:, :3], full, np.ones(2, bool)), ops.initial_state(2))
    going, carried = ops(Batch(observed[:, 3:], full, np.zeros(2, bool)), state)
    assert (first.loss + going.loss) / 2 == pytest.approx(whole.loss, 1e-5)
    small.close(carried, end)
    anew, _ = ops(Batch(observed[:, 3:], full, np.ones(2, bool)), state)
    fresh, _ = ops(Batch(observed[:, 3:], full, np.ones(2, bool)), ops.initial_state(2))
    assert anew.loss == fresh.loss != going.loss


def gradients_of(ops, rows):
    """What the first step gives to Adam, from its mean of gradients."""
    ops(rows, ops.initial_state(len(rows.lengths)))
    return [m.numpy() / 0.1 for m in ops._optimizer.m]


def test_clipping_by_the_global_norm():
    rows, greatest = batch(2, 4), 0.05
    free = make_ops(clip_gradient_norm=0)
    gradients = gradients_of(free, rows)
    norm = np.sqrt(sum(np.sum(g ** 2) for g in gradients))
    assert norm > greatest
    clipped = make_ops(clip_gradient_norm=greatest)
    for one, other in zip(gradients_of(clipped, rows), gradients):
        np.testing.assert_allclose(one, other * greatest / norm, rtol=1e-3, atol=1e-6)
    again = make_ops(clip_gradient_norm=greatest)
    step, _ = again(rows, again.initial_state(2))
    assert step.gradient_norm == pytest.approx(norm, 1e-4), "the norm is told before clipping"
    for one, other in zip(gradients_of(make_ops(clip_gradient_norm=1e9), rows), gradients):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_regularization_and_decay_in_closed_form():
    rows, l1, l2, decay, beta2 = batch(2, 4), 0.03, 0.2, 0.4, 0.95
    plain = make_ops(clip_gradient_norm=0)
    weights = [weight.numpy() for weight in plain.variables_to_train]
    loss = make_ops(clip_gradient_norm=0)(rows, plain.initial_state(2))[0].loss
    gradients = gradients_of(plain, rows)
    ops = make_ops(clip_gradient_norm=0, l1_regularization=l1, l2_regularization=l2,
                   weight_decay=decay, adam_beta2=beta2)
    step, _ = ops(rows, ops.initial_state(2))
    matrices = [w for w in weights if w.ndim > 1]
    assert 0 < len(matrices) < len(weights)
    loss += sum(l1 * np.abs(w).sum() + l2 * np.sum(w ** 2) / 2 for w in matrices)
    assert step.loss == pytest.approx(loss, 1e-5)
    for variable, w, g in zip(ops.variables_to_train, weights, gradients):
        matrix = w.ndim > 1
        g = g + matrix * (l1 * np.sign(w) + l2 * w)
        mean, square = 0.1 * g, (1 - beta2) * g ** 2
        update = mean / (1 - 0.9) / (np.sqrt(square / (1 - beta2)) + 1e-8)
        # Where the gradient is nearly 0, Adam's first step is a sign that rounding decides.
        sure = np.abs(g) > 1e-4
        expected = w - matrix * RATE * decay * w - RATE * update
        np.testing.assert_allclose(variable.numpy()[sure], expected[sure], rtol=1e-4, atol=1e-5)


def test_what_is_not_finite_is_named_and_changes_nothing():
    ops = make_ops("SRNN")
    good = batch(2, 3)
    observed = good.observed.copy()
    observed[1, 1, 0] = np.nan
    before = values(ops)
    with pytest.raises(NumericsError, match=r"step 0: the loss \(nan\) and the gradient of .*"
                                            r"and \d+ more is not finite. .*smaller learning_rate"):
        ops(good._replace(observed=observed), ops.initial_state(2))
    small.same([value for value, variable in zip(values(ops), ops.variables)
                if variable is not ops._rate],
               [value for value, variable in zip(before, ops.variables)
                if variable is not ops._rate])
    step, _ = ops(good, ops.initial_state(2))
    assert np.isfinite(step.loss)
    assert int(ops.step) == 1
    # In padding it is no matter.
    step, _ = ops(Batch(observed, np.array([3, 1], np.int32), good.is_start),
                  ops.initial_state(2))
    assert step.num_steps == 4
    careless = make_ops(check_numerics=False)
    step, _ = careless(good._replace(observed=observed), careless.initial_state(2))
    assert np.isnan(step.loss)
    assert int(careless.step) == 1


def test_schedules_are_asked_for_each_step():
    rates, strengths = [0.0, 0.5, 0.0], [0.0, 1.0, 0.25]
    ops = make_ops("VRNN", learning_rate=lambda step: rates[step],
                   kl_weight=lambda step: strengths[step])
    moved = []
    for strength in strengths:
        before = [w.numpy() for w in ops.variables_to_train]
        step, _ = ops(batch(2, 3), ops.initial_state(2))
        moved.append(any(np.any(w.numpy() != b) for w, b in zip(ops.variables_to_train, before)))
        assert step.loss == pytest.approx(strength * step.kl - step.log_prob, 1e-5)
    assert moved == [False, True, False]


def test_no_number_of_a_step_is_kept():
    """A long run does not grow; a tensor of a Python number would stay, and the number with it."""
    rate, strength, number = 0.1 / 3, 0.2 / 3, 10**6
    ops = make_ops(learning_rate=lambda number: rate, kl_weight=lambda number: strength)
    given, state = batch(2, 3), ops.initial_state(2)
    before = [sys.getrefcount(x) for x in (rate, strength, number)]
    for _ in range(3):
        ops(given, state)
    seeds.fold_in(small.SEED, number)
    assert [sys.getrefcount(x) for x in (rate, strength, number)] == before
    for x in (rate, strength, number):
        tf.constant(x)
    after = [sys.getrefcount(x) for x in (rate, strength, number)]
    assert np.all(np.array(after) > before)  # or this test could not fail


def test_a_weight_that_the_bound_does_not_reach():
    made = small.gen_core("RNN")
    made.core.unused = tf.Variable([[1.0, 2.0]])
    ops = make_ops(made=made)
    ops(batch(2, 3), ops.initial_state(2))
    np.testing.assert_array_equal(made.core.unused, [[1.0, 2.0]])


def test_free_bits_are_not_charged():
    rows, ops = batch(2, 3), make_ops("SRNN", ELBO(free_bits=1e3))
    step, _ = ops(rows, ops.initial_state(2))
    assert step.loss == pytest.approx(1e3 * np.log(2) - step.log_prob, 1e-5)
    assert step.nats_per_step == pytest.approx(step.kl - step.log_prob, 1e-5)


def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    streams = Streams(small.reals(80).numpy(), 3, 5, seed=0)

    def begin():
        ops = make_ops(made=small.gen_core("SRNN", dropout=0.2), num_shards=2)
        return ops, SavedNest(ops.initial_state(3))

    def train(ops, carried, last):
        said, state = [], carried.value()
        while int(ops.step) < last:
            step, state = ops(streams.batch(int(ops.step)), state)
            said.append(figures(step))
        carried.assign(state)
        return said

    one, carried = begin()
    first, checkpoints = train(one, carried, 3), Checkpoints(tmp_path)
    checkpoints.save(3, {"ops": one, "carried": carried})
    whole = first + train(one, carried, 6)
    assert len(set(whole)) == 6
    other, restored = begin()
    small.set_weights(other, scale=0.1)
    assert checkpoints.restore({"ops": other, "carried": restored}) == 3
    small.same(train(other, restored, 6), whole[3:])
    small.same(values(other), values(one))
    small.same(restored.value(), carried.value())
