# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""`scan`: the loop over time, with a gradient of its own.

Executed eagerly, `scan` is a Python loop. In a `tf.function` it is one loop in the forward pass
and one in the backward pass (backpropagation through time, BPTT). Each step of the forward loop
stores its residuals: the state before it and the results of its matrix products. The backward loop
recomputes the rest of each step from them (rematerialisation), which is elementwise.

    forward      inputs_1..T --> one product over all steps        weights that read inputs only
                                   |
                 per step:         v
                 state_t --+--> products --> elementwise --+--> outputs_t
                           |        |                      `--> state_t+1
                 stored:  state_t  results_t

    backward     stored:  state_t  results_t
                           |        |
                 per step: v        v
                 inputs_t --> elementwise, recomputed; no products
                                   |
                 d_state_t <--  d_results_t @ w^T  <-- d_outputs_t, d_state_t+1
                                   |
                 stored:        d_results_t, operands_t

    after it     d_w = operands_1..T^T @ d_results_1..T            one product a weight

So the loops contain only the products that must be sequential: one each way for every group of
weights that multiply the same operand. `plan` finds the products by tracing a step once, `forward`
and `backward` run the two loops, `matmul` and `lookup` hold what layers call, and `bfloat16_cpu`
replaces the body of the loops where XLA's products are slow.

The residuals grow with the number of steps. A long sequence is therefore a scan over segments, each
a scan over its steps, and the backward pass recomputes a segment from the state before it: only the
residuals of one segment and the states between segments are stored at a time (sublinear memory:
Chen et al., arXiv:1604.06174).
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.nn.scan import backward, bfloat16_cpu, forward, lookup, matmul
from vaeseq.nn.scan import plan as plan_lib
from vaeseq.types import Nest, Tensor

Step = Callable[[Nest, Nest], tuple[Nest, Nest]]
# (inputs, state, number of the segment or None) -> (outputs, next state)
Segment = Callable[[Nest, Nest, Tensor | None], tuple[Nest, Nest]]

SEGMENT = 512  # the most steps of a segment; sequences of up to twice that length stay whole


@tf.autograph.experimental.do_not_convert
def scan(step: Step, inputs: Nest, state: Nest,
         lengths: Tensor | None = None) -> tuple[Nest, Nest]:
    """Runs `step` over time.

    Args:
      step: (inputs_t: nest of [B, *], state) -> (outputs_t: nest of [B, *], next state). It must
        be deterministic, as its gradient runs it again: random numbers come from `inputs` or
        stateless seeds.
      inputs: nest of [B, T, *] with T known while tracing; an input that the step passes to
        layers as it is, or as a part of their inputs, is multiplied before the loop.
      state: nest of [B, *], before the first step. Its shapes and dtypes do not change.
      lengths: integer [B], or None where every row has T steps. Rows past their length keep
        their state, and their outputs are zeros.

    Returns:
      outputs (nest of [B, T, *]) and the state after the last valid step of each row.

    Raises:
      ValueError: no inputs, an unknown or different T, or a state whose structure changes.
      NotImplementedError: a layer of the step to be trained is inside of `tf.recompute_grad`.
    """
    num_steps = _num_steps(inputs)
    if not num_steps:  # a step on zeros tells the outputs' structure
        outputs, _ = scan(step, tf.nest.map_structure(_one_step, inputs), state)
        return tf.nest.map_structure(lambda x: x[:, :0], outputs), state
    if not tf.executing_eagerly() and segment_size(num_steps) < num_steps:
        return by_segments(
            lambda segment, state, number: scan(
                step, segment, state, segment_lengths(lengths, num_steps, number)), inputs, state)
    inputs = lookup.swap_leading(inputs)
    if lengths is not None:
        mask = tf.transpose(nest_lib.mask_from_lengths(lengths, num_steps))
        step, inputs = _masked(step), (inputs, mask)
    # A single step needs no loop; inside another scan, its products belong to that scan.
    if tf.executing_eagerly() or num_steps == 1:
        outputs, state = _python_loop(step, inputs, state, num_steps)
    else:
        outputs, state = _compiled_loop(step, inputs, state, num_steps)
    return nest_lib.swap_leading(outputs), state


@tf.autograph.experimental.do_not_convert
def by_segments(function: Segment, inputs: Nest, state: Nest = ()) -> tuple[Nest, Nest]:
    """Applies `function` to a whole sequence, or to a long one segment by segment.

    The activations of only one segment are then stored at a time; the backward pass computes them
    again.

    Args:
      function: (inputs: nest of [B, S, *], state, number: scalar int32, or None where the sequence
        is whole) -> (outputs: nest of [B, S, *], next state). It must be deterministic, and give
        the same results for segments as for the whole sequence. Segment `number` begins at step
        `number * segment_size(T)`.
      inputs: nest of [B, T, *]; it stays whole eagerly, or if T is not known while tracing.
      state: nest of [B, *], before the first step; its shapes and dtypes do not change.

    Returns:
      outputs (nest of [B, T, *]) and the state after the last step.
    """
    num_steps = nest_lib.leading_dim(inputs, 1)
    if tf.executing_eagerly() or not isinstance(num_steps, int):
        return function(inputs, state, None)
    size = segment_size(num_steps)
    if size == num_steps:
        return function(inputs, state, None)

    def step(numbered: Nest, state: Nest) -> tuple[Nest, Nest]:
        segment, number = numbered
        with matmul.intercept_matmuls(None):
            return function(segment, state, number)

    count = num_steps // size
    cut = tf.nest.map_structure(lambda x: _cut(x, size, count), inputs)
    outputs, state = _compiled_loop(step, (cut, tf.range(count)), state, count)
    outputs = tf.nest.map_structure(_uncut, outputs)
    if num_steps % size:
        rest = tf.nest.map_structure(lambda x: x[:, count * size:], inputs)
        last, state = function(rest, state, tf.constant(count))
        outputs = tf.nest.map_structure(lambda x, y: tf.concat([x, y], 1), outputs, last)
    return outputs, state


def segment_size(num_steps: int) -> int:
    """Returns the number of steps of a segment; `num_steps` where the sequence stays whole."""
    if num_steps <= 2 * SEGMENT:
        return num_steps
    # A remainder is a second program to compile; most lengths have a divisor in this range.
    return min(range(SEGMENT // 2 + 1, SEGMENT + 1), key=lambda size: (num_steps % size, -size))


def segment_lengths(
    lengths: Tensor | None, num_steps: int, number: Tensor | None
) -> Tensor | None:
    """Returns the number of valid steps of each row in a segment.

    Args:
      lengths: integer [B], of the sequence; None where every row has T steps.
      num_steps: T, of the sequence.
      number: of the segment, from `by_segments`; None where the sequence is whole.

    Returns:
      Integer [B], or None.
    """
    if lengths is None or number is None:
        return lengths
    size = segment_size(num_steps)
    first = tf.cast(number * size, lengths.dtype)
    return tf.clip_by_value(lengths - first, 0, size)


def reverse(inputs: Nest, lengths: Tensor | None = None) -> Nest:
    """Reverses the valid part of each row in time; padding stays where it is.

    Args:
      inputs: nest of [B, T, *].
      lengths: integer [B], or None where every row has T steps.

    Returns:
      A nest of [B, T, *].
    """
    if lengths is None:
        return tf.nest.map_structure(lambda x: tf.reverse(x, [1]), inputs)
    steps = tf.range(nest_lib.leading_dim(inputs, 1), dtype=lengths.dtype)[tf.newaxis]
    ends = lengths[:, tf.newaxis]
    source = tf.where(steps < ends, ends - 1 - steps, steps)
    return tf.nest.map_structure(lambda x: tf.gather(x, source, batch_dims=1), inputs)


def _num_steps(inputs: Nest) -> int:
    flat = tf.nest.flatten(inputs)
    sizes = {x.shape[1] if x.shape.rank is not None and x.shape.rank >= 2 else None for x in flat}
    num_steps = next(iter(sizes), None)
    if len(sizes) != 1 or num_steps is None:
        raise ValueError("scan expects inputs of shape [B, T, ...] with one T that is known while "
                         f"tracing, got shapes {[x.shape for x in flat]}. Give the "
                         "tf.function an input_signature or a batch with a fixed length.")
    return num_steps


def _one_step(x: Tensor) -> Tensor:
    """Returns zeros for one step: [B, 0, *] -> [B, 1, *]."""
    x = tf.convert_to_tensor(x)
    return tf.pad(x, [[0, int(axis == 1)] for axis in range(x.shape.rank)])


def _masked(step: Step) -> Step:
    """Adds a mask [B] to the inputs of `step`: rows outside it keep their state."""
    def masked(inputs_t: Nest, state: Nest) -> tuple[Nest, Nest]:
        inputs_t, mask_t = inputs_t
        outputs_t, next_state = step(inputs_t, state)
        zeros = tf.nest.map_structure(tf.zeros_like, outputs_t)
        return (nest_lib.where(mask_t, outputs_t, zeros),
                nest_lib.where(mask_t, next_state, state))
    return masked


def _python_loop(step: Step, inputs: Nest, state: Nest, num_steps: int) -> tuple[Nest, Nest]:
    steps = []
    for t in range(num_steps):
        inputs_t = tf.nest.map_structure(operator.itemgetter(t), inputs)
        outputs_t, next_state = step(inputs_t, state)
        _check_state(state, next_state)
        state = next_state
        steps.append(outputs_t)
    return tf.nest.map_structure(lambda *xs: tf.stack(xs), *steps), state


def _cut(x: Tensor, size: int, count: int) -> Tensor:
    """[B, T, *] -> [N, B, S, *], without the remainder."""
    rows, _, *rest = nest_lib.shape_of(x)
    return nest_lib.swap_leading(tf.reshape(x[:, :count * size], [rows, count, size, *rest]))


def _uncut(x: Tensor) -> Tensor:
    """[N, B, S, *] -> [B, N * S, *]."""
    count, rows, size, *rest = nest_lib.shape_of(x)
    return tf.reshape(nest_lib.swap_leading(x), [rows, count * size, *rest])


def _compiled_loop(step: Step, inputs: Nest, state: Nest, num_steps: int) -> tuple[Nest, Nest]:
    outputs_like = None

    def flat_step(inputs_t: list[Tensor], state_t: list[Tensor]
                  ) -> tuple[list[Tensor], list[Tensor]]:
        nonlocal outputs_like
        outputs_like, next_state = step(tf.nest.pack_sequence_as(inputs, inputs_t),
                                        tf.nest.pack_sequence_as(state, state_t))
        _check_state(state, next_state)
        return _flatten(outputs_like), _flatten(next_state)

    plan = plan_lib.make_plan(flat_step, tf.nest.flatten(inputs), _flatten(state), num_steps)
    run, differentiate = forward.fused_step, backward.differentiate_fused_step
    if matmul.precision().split_steps and plan.groups:
        run, differentiate = bfloat16_cpu.split_step, bfloat16_cpu.differentiate_split_step
    outputs, final, residuals = forward.run_loop(plan, run)
    outputs, final = backward.attach_gradient(plan, residuals, outputs, final, differentiate)
    return (tf.nest.pack_sequence_as(outputs_like, outputs),
            tf.nest.pack_sequence_as(state, final))


def _flatten(nest: Nest) -> list[Tensor]:
    return [tf.convert_to_tensor(x) for x in tf.nest.flatten(nest)]


def _check_state(before: Nest, after: Nest) -> None:
    before, after = (tf.nest.map_structure(tf.convert_to_tensor, x) for x in (before, after))
    nest_lib.require_like(after, before, "scan: expected the step to return a state")
