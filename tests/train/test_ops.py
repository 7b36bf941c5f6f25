# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The training step against closed forms; padding, shards and resuming change nothing."""

import sys

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from tests import small
from vaeseq import seeds
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.data import Batch, Streams
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.nn.scan import matmul
from vaeseq.runs.checkpoint import Checkpoints, SavedNest
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import NumericsError, TrainOps

pytestmark = pytest.mark.contract

RATE = 0.01


@pytest.fixture(autouse=True)
def _runs_eagerly(request):
    """A step or two are done sooner than traced; tests marked `xla` compile."""
    tf.config.run_functions_eagerly(request.node.get_closest_marker("xla") is None)
    yield
    tf.config.run_functions_eagerly(False)


def make_ops(vae_type="RNN", bound=None, model=None, context_dropout=0.0, **options):
    model = model or small.gen_core(vae_type)
    loss = SequenceLoss(
        model.agent, model.core, bound or ELBO(), context_dropout=context_dropout)
    defaults = {"learning_rate": lambda step: RATE, "jit_compile": False, "seed": small.SEED}
    ops = TrainOps(loss, **{**defaults, **options})
    ops.build(batch(1, 1))
    return ops


def batch(*leading, lengths=None, is_start=True, number=1):
    rows, steps = leading
    lengths = np.full([rows], steps) if lengths is None else np.array(lengths)
    return Batch(small.reals(*leading, number=number).numpy(), lengths.astype(np.int32),
                 np.full([rows], is_start))


def figures(step):
    """Returns the metrics of a step except for its speed."""
    return tuple(step._replace(steps_per_second=0.0))


def values(ops):
    return [variable.numpy() for variable in ops.variables]


def reset(ops, before):
    for variable, value in zip(ops.variables, before, strict=True):
        variable.assign(value)


@pytest.mark.parametrize(("vae_type", "bound"), [
    ("RNN", ELBO()), ("VRNN", FIVO(2)), ("SRNN", IWAE(2))])
def test_padding_changes_no_metric_state_or_weight(vae_type, bound):
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
    for carried, initial in zip(tf.nest.flatten(results[0][1]),
                             tf.nest.flatten(ops.initial_state(4))):
        np.testing.assert_array_equal(carried[2], initial[2])  # The row without steps.


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


def test_number_of_shards_changes_nothing():
    results = []
    for num_shards in (1, 2, 3):
        ops = make_ops(num_shards=num_shards)
        step, state = ops(batch(4, 5, lengths=[5, 3, 4, 1]), ops.initial_state(4))
        results.append((figures(step), state, values(ops)))
    small.close(results[1], results[0], atol=1e-5)
    small.close(results[2], results[0], atol=1e-5)


@pytest.mark.xla
def test_xla_equals_eager_kernels():
    results = []
    for jit_compile in (False, True):
        ops = make_ops(jit_compile=jit_compile)
        results.append((figures(ops(batch(2, 3), ops.initial_state(2))[0]), values(ops)))
    small.close(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("vae_type", "jit_compile"), [
    pytest.param("RNN", True, marks=[pytest.mark.xla, pytest.mark.slow]), ("RNN", False),
    ("SRNN", False)])
def test_bfloat16_products_are_close_to_exact_ones(monkeypatch, vae_type, jit_compile):
    def first_step():
        ops = make_ops(vae_type, precision="bfloat16", jit_compile=jit_compile, num_shards=2)
        step, state = ops(batch(4, 5, lengths=[5, 3, 4, 1]), ops.initial_state(4))
        assert all(x.dtype == tf.float32 for x in [*ops.variables_to_train,
                                                   *tf.nest.flatten(state.bound.context)])
        return step
    low = first_step()
    monkeypatch.setattr(matmul, "rounded", lambda x: x)
    exact = first_step()
    assert low.loss == pytest.approx(exact.loss, rel=1e-2)
    assert low.gradient_norm == pytest.approx(exact.gradient_norm, rel=3e-2)
    assert abs(low.loss - exact.loss) > 1e-6 * abs(exact.loss)
    if vae_type == "RNN":
        ops = make_ops()
        step, _ = ops(batch(4, 5, lengths=[5, 3, 4, 1]), ops.initial_state(4))
        small.close(figures(step), figures(exact), rtol=1e-4)


def test_metrics_equal_the_bound():
    ops = make_ops("SRNN", ELBO(2), kl_weight=lambda step: 0.5)
    rows = batch(3, 4, lengths=[4, 2, 1])
    step, _ = ops(rows, ops.initial_state(3))
    assert step.num_steps == 7
    np.testing.assert_allclose(step.nats_per_step, step.kl - step.log_prob, rtol=1e-5)
    np.testing.assert_allclose(step.loss, 0.5 * step.kl - step.log_prob, rtol=1e-5)
    model = small.gen_core("RNN")
    contexts, _ = model.agent.contexts(
        rows.observed, model.agent.initial_state(3), seed=small.SEED)
    outputs, _ = model.core.encode_contexts(contexts, model.core.initial_state(3).context)
    log_prob = model.core.decoder.dist(model.core.decoder(outputs)).log_prob(rows.observed).numpy()
    total = sum(log_prob[row, :length].sum() for row, length in enumerate(rows.lengths))
    ops = make_ops("RNN")
    assert ops(rows, ops.initial_state(3))[0].loss == pytest.approx(-total / 7, 1e-5)


def test_context_dropout_applies_in_training_only():
    rows, model = batch(3, 4), small.gen_core("RNN")
    contexts, _ = model.agent.contexts(
        rows.observed, model.agent.initial_state(3), seed=small.SEED)
    without, full = (
        -float(tf.reduce_mean(ELBO()(
            model.core, inputs, tf.constant(rows.observed),
            ELBO().initial_state(model.core, 3), seed=small.SEED).increments))
        for inputs in (tf.zeros_like(contexts), contexts))
    assert abs(without - full) > 0.01
    # At this rate, all of the 36 numbers are dropped.
    ops = make_ops(model=model, context_dropout=1 - 1e-6, learning_rate=lambda step: 0.0)
    dropped, _ = ops(rows, ops.initial_state(3))
    assert dropped.nats_per_step == pytest.approx(without, rel=1e-5)
    evaluator = Evaluator(model.agent, model.core, ELBO(), jit_compile=False)
    score = evaluator.score([rows], seed=small.SEED)
    assert score.nats_per_step == pytest.approx(full, rel=1e-5)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_dropout_rate_out_of_range_is_an_error(rate):
    with pytest.raises(ValueError, match=rf"dropout rate in \[0, 1\), got {rate}"):
        make_ops(context_dropout=rate)


def test_state_is_carried_unless_a_sequence_starts():
    ops = make_ops(learning_rate=lambda step: 0.0)
    expected, end = ops(batch(2, 6), ops.initial_state(2))
    observed = batch(2, 6).observed
    full = np.array([3, 3], np.int32)
    first, state = ops(Batch(observed[:, :3], full, np.ones(2, bool)), ops.initial_state(2))
    second, carried = ops(Batch(observed[:, 3:], full, np.zeros(2, bool)), state)
    assert (first.loss + second.loss) / 2 == pytest.approx(expected.loss, 1e-5)
    small.close(carried, end)
    restarted, _ = ops(Batch(observed[:, 3:], full, np.ones(2, bool)), state)
    fresh, _ = ops(Batch(observed[:, 3:], full, np.ones(2, bool)), ops.initial_state(2))
    assert restarted.loss == fresh.loss != second.loss


def gradients_of(ops, rows):
    """Returns the gradients of the first step, from Adam's first moments."""
    ops(rows, ops.initial_state(len(rows.lengths)))
    return [m.numpy() / 0.1 for m in ops._optimizer.m]


def test_gradients_are_clipped_by_their_global_norm():
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
    assert step.gradient_norm == pytest.approx(norm, 1e-4)
    for one, other in zip(gradients_of(make_ops(clip_gradient_norm=1e9), rows), gradients):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_regularization_and_weight_decay_have_their_closed_forms():
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
        # For gradients near 0, rounding decides the sign that Adam's first step takes.
        distinct = np.abs(g) > 1e-4
        expected = w - matrix * RATE * decay * w - RATE * update
        np.testing.assert_allclose(
            variable.numpy()[distinct], expected[distinct], rtol=1e-4, atol=1e-5)


def test_values_that_are_not_finite_are_named_and_change_nothing():
    ops = make_ops("SRNN")
    good = batch(2, 3)
    observed = good.observed.copy()
    observed[1, 1, 0] = np.nan
    before = values(ops)
    with pytest.raises(NumericsError, match=r"step 0: the loss \(nan\) and the gradient of .*"
                                            r"and \d+ more is not finite. .*smaller learning_rate"):
        ops(good._replace(observed=observed), ops.initial_state(2))
    for variable, value in zip(ops.variables, before, strict=True):
        if "learning_rate" not in variable.name:
            np.testing.assert_array_equal(variable, value, variable.name)
    step, _ = ops(good, ops.initial_state(2))
    assert np.isfinite(step.loss)
    assert int(ops.step) == 1
    # In padding, NaN is harmless.
    step, _ = ops(Batch(observed, np.array([3, 1], np.int32), good.is_start),
                  ops.initial_state(2))
    assert step.num_steps == 4
    # Each gradient is finite, the norm of them all is not, and would clip them to NaN.
    steep = make_ops(extra_loss=lambda: 1e30 * tf.reduce_sum(steep.variables_to_train[0]))
    before = values(steep)
    with pytest.raises(NumericsError, match="the norm of the gradient is not finite"):
        steep(good, steep.initial_state(2))
    for variable, value in zip(steep.variables, before, strict=True):
        if "learning_rate" not in variable.name:
            np.testing.assert_array_equal(variable, value, variable.name)
    careless = make_ops(check_numerics=False)
    step, _ = careless(good._replace(observed=observed), careless.initial_state(2))
    assert np.isnan(step.loss)
    assert int(careless.step) == 1


def test_schedules_apply_at_each_step():
    rates, kl_weights = [0.0, 0.5, 0.0], [0.0, 1.0, 0.25]
    ops = make_ops("VRNN", learning_rate=lambda step: rates[step],
                   kl_weight=lambda step: kl_weights[step])
    moved = []
    for kl_weight in kl_weights:
        before = [w.numpy() for w in ops.variables_to_train]
        step, _ = ops(batch(2, 3), ops.initial_state(2))
        moved.append(any(np.any(w.numpy() != b) for w, b in zip(ops.variables_to_train, before)))
        assert step.loss == pytest.approx(kl_weight * step.kl - step.log_prob, 1e-5)
    assert moved == [False, True, False]


@pytest.mark.xla  # the arguments of a traced step would be kept
def test_scalars_of_a_step_do_not_leak():
    """TensorFlow caches tensors of Python numbers, which would grow in a long run."""
    rate, kl_weight, number = 0.1 / 3, 0.2 / 3, 10**6
    ops = make_ops(learning_rate=lambda number: rate, kl_weight=lambda number: kl_weight)
    rows, state = batch(2, 3), ops.initial_state(2)
    before = [sys.getrefcount(x) for x in (rate, kl_weight, number)]
    for _ in range(3):
        ops(rows, state)
    seeds.fold_in(small.SEED, number)
    assert [sys.getrefcount(x) for x in (rate, kl_weight, number)] == before
    for x in (rate, kl_weight, number):
        tf.constant(x)
    after = [sys.getrefcount(x) for x in (rate, kl_weight, number)]
    assert np.all(np.array(after) > before)  # Shows that the counts detect caching.


def test_weight_outside_of_the_bound_does_not_change():
    model = small.gen_core("RNN")
    model.core.unused = tf.Variable([[1.0, 2.0]])
    ops = make_ops(model=model)
    ops(batch(2, 3), ops.initial_state(2))
    np.testing.assert_array_equal(model.core.unused, [[1.0, 2.0]])


def test_free_bits_bound_the_kl_term():
    rows, ops = batch(2, 3), make_ops("SRNN", ELBO(free_bits=1e3))
    step, _ = ops(rows, ops.initial_state(2))
    assert step.loss == pytest.approx(1e3 * np.log(2) - step.log_prob, 1e-5)
    assert step.nats_per_step == pytest.approx(step.kl - step.log_prob, 1e-5)


def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    streams = Streams(small.reals(80).numpy(), 3, 5, seed=0)

    def begin():
        ops = make_ops(model=small.gen_core("SRNN", dropout=0.2), num_shards=2)
        return ops, SavedNest(ops.initial_state(3))

    def train(ops, carried, last):
        metrics, state = [], carried.value()
        while int(ops.step) < last:
            step, state = ops(streams.batch(int(ops.step)), state)
            metrics.append(figures(step))
        carried.assign(state)
        return metrics

    one, carried = begin()
    first, checkpoints = train(one, carried, 2), Checkpoints(tmp_path)
    checkpoints.save(2, {"ops": one, "carried": carried})
    expected = first + train(one, carried, 4)
    assert len(set(expected)) == 4
    other, restored = begin()
    small.set_weights(other, scale=0.1)
    assert checkpoints.restore({"ops": other, "carried": restored}) == 2
    small.same(train(other, restored, 4), expected[2:])
    small.same(values(other), values(one))
    small.same(restored.value(), carried.value())


def test_accumulated_batches_equal_one_batch_of_all_rows():
    # With latents and dropout: the noise is that of the whole batch's rows, too.
    rows, model = batch(4, 3, lengths=[3, 1, 2, 3]), {"dropout": 0.2}
    whole = make_ops(model=small.gen_core("SRNN", **model), num_shards=2)
    expected, _ = whole(rows, whole.initial_state(4))
    parts = make_ops(model=small.gen_core("SRNN", **model), accumulate=2)
    halves = [tf.nest.map_structure(lambda x: x[i:i + 2], rows) for i in (0, 2)]  # noqa: B023
    step, _ = parts(halves, parts.initial_state(2))
    small.close(figures(step), figures(expected), atol=1e-5)
    small.close(values(parts), values(whole), atol=1e-5)
    with pytest.raises(ValueError, match="expected accumulate=2 batches"):
        parts(rows, parts.initial_state(4))


def test_average_of_weights_has_its_closed_form_and_gives_the_weights_back():
    ops = make_ops(weight_average=0.15)
    expected = [w.numpy() for w in ops.variables_to_train]
    for number in (1, 2):
        ops(batch(2, 3), ops.initial_state(2))
        decay = min(0.15, (1 + number) / (10 + number))
        expected = [decay * a + (1 - decay) * w.numpy()
                    for a, w in zip(expected, ops.variables_to_train)]
    last = [w.numpy() for w in ops.variables_to_train]
    with ops.average.as_weights():
        small.close([w.numpy() for w in ops.variables_to_train], expected)
    small.same([w.numpy() for w in ops.variables_to_train], last)


@pytest.mark.parametrize("make_optimizer", [
    lambda: tf.keras.optimizers.SGD(1.0), lambda: snt.optimizers.SGD(1.0)])
def test_other_optimizers_step_by_the_schedule_on_loss_and_extra_loss(make_optimizer):
    model = small.gen_core("RNN")
    model.core.penalised = tf.Variable([[1.0, 2.0]])
    ops = make_ops(model=model, optimizer=make_optimizer(), clip_gradient_norm=0,
                   extra_loss=lambda: tf.reduce_sum(model.core.penalised ** 2))
    plain = make_ops()
    expected, _ = plain(batch(2, 3), plain.initial_state(2))
    step, _ = ops(batch(2, 3), ops.initial_state(2))
    assert step.loss == pytest.approx(expected.loss + 5, rel=1e-5)
    np.testing.assert_allclose(model.core.penalised, [[1 - 2 * RATE, 2 - 4 * RATE]], rtol=1e-5)


def test_optimizer_without_a_schedule_keeps_its_rate_and_is_restored(tmp_path):
    def make():
        return make_ops(optimizer=tf.keras.optimizers.AdamW(0.02), learning_rate=None)

    ops, rows = make(), batch(2, 3)
    ops(rows, ops.initial_state(2))
    Checkpoints(tmp_path).save(1, {"ops": ops})
    other = make()
    assert Checkpoints(tmp_path).restore({"ops": other}) == 1
    results = [figures(each(rows, each.initial_state(2))[0]) + (values(each),)
               for each in (ops, other) for _ in range(2)]
    small.same(results[:2], results[2:])
    with pytest.raises(ValueError, match="expected a learning_rate"):
        make_ops(learning_rate=None)


def test_optimizers_that_cannot_take_the_schedule_are_refused():
    with pytest.raises(ValueError, match="expected an optimizer of Keras.*; got 'adam'"):
        make_ops(optimizer="adam")
    schedule = tf.keras.optimizers.schedules.CosineDecay(1e-3, 10)
    with pytest.raises(ValueError, match="Leave learning_rate out"):
        make_ops(optimizer=tf.keras.optimizers.Adam(schedule))


def test_a_number_is_a_constant_schedule():
    results = []
    for rate, weight in ((RATE, 0.5), (lambda step: RATE, lambda step: 0.5)):
        ops = make_ops("VRNN", learning_rate=rate, kl_weight=weight)
        metrics, _ = ops(batch(2, 3), ops.initial_state(2))
        results.append(figures(metrics) + (values(ops),))
    small.same(*results)
