# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The one loop over time (the only file that is time-major inside).

Executed eagerly, `scan` is a Python loop, differentiated as such. In a `tf.function` it is one
loop forwards and, with a gradient of its own, one loop backwards:

    forwards (`vaeseq.nn.scan.forward`) products of the inputs alone run before the loop; each step keeps
        the state before it and the results of its products (`vaeseq.nn.scan.matmul`);
    backwards (`vaeseq.nn.scan.backward`) each step is repeated without its products; the gradients
        of weights come after the loop, as one product over all steps each.

What is kept grows with the number of steps. So a long sequence is a loop over segments, each a loop
over its steps, and the way back computes a segment again from the state before it: what is kept is
then of one segment, and the states between them (sublinear memory: arXiv:1604.06174).
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.nn.scan import backward, bfloat16_cpu, forward, matmul
from vaeseq.nn.scan import plan as plan_lib
from vaeseq.types import Nest, Tensor

Step = Callable[[Nest, Nest], tuple[Nest, Nest]]
# (inputs, state, number of the segment or None) -> (outputs, next state)
Segment = Callable[[Nest, Nest, Tensor | None], tuple[Nest, Nest]]

SEGMENT = 512  # the most steps of a segment; sequences of up to twice as many are not cut


@tf.autograph.experimental.do_not_convert
def scan(step: Step, inputs: Nest, state: Nest,
         lengths: Tensor | None = None) -> tuple[Nest, Nest]:
    """Runs `step` over time.

    Args:
      step: (inputs_t: nest of [B, *], state) -> (outputs_t: nest of [B, *], next state). It must
        be deterministic, as its gradient runs it again: random numbers come in through `inputs`
        or from stateless seeds.
      inputs: nest of [B, T, *] with T >= 1 known while tracing.
      state: nest of [B, *], before the first step. Its shapes and dtypes do not change.
      lengths: integer [B], or None where every row has T steps. Rows past their length keep
        their state, and their outputs are zeros.

    Returns:
      outputs (nest of [B, T, *]) and the state after the last valid step of each row.

    Raises:
      ValueError: no inputs, an unknown or different T, or a state whose structure changes.
    """
    num_steps = _num_steps(inputs)
    inputs = nest_lib.swap_leading(inputs)
    if lengths is not None:
        mask = tf.transpose(nest_lib.mask_from_lengths(lengths, num_steps))
        step, inputs = _masked(step), (inputs, mask)
    # One step is no loop; inside another loop its products are then that loop's.
    if tf.executing_eagerly() or num_steps == 1:
        outputs, state = _python_loop(step, inputs, state, num_steps)
    else:
        outputs, state = _long_loop(step, inputs, state, num_steps)
    return nest_lib.swap_leading(outputs), state


@tf.autograph.experimental.do_not_convert
def by_segments(function: Segment, inputs: Nest, state: Nest = ()) -> tuple[Nest, Nest]:
    """Applies `function` to a sequence: to all of it, or if it is long, segment after segment.

    What `function` keeps for its gradient is then kept of one segment only, and computed again on
    the way back.

    Args:
      function: (inputs: nest of [B, S, *], state, number: scalar int32, or None where the sequence
        is not cut) -> (outputs: nest of [B, S, *], next state). It must give the same when it is
        applied piece by piece, and be deterministic. Segments begin `number * segment_size(T)`
        steps after the first.
      inputs: nest of [B, T, *]; not cut where T is not known while tracing, nor eagerly.
      state: nest of [B, *], before the first step; it keeps its shapes and dtypes.

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
        with matmul.taken_over_by(None):
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
    """Steps of a segment of a sequence of so many: all of them where it is not cut."""
    if num_steps <= 2 * SEGMENT:
        return num_steps
    # What is left over is a second program to compile; most lengths have a divisor in this range.
    return min(range(SEGMENT // 2 + 1, SEGMENT + 1), key=lambda size: (num_steps % size, -size))


def segment_lengths(
    lengths: Tensor | None, num_steps: int, number: Tensor | None
) -> Tensor | None:
    """The valid steps of each row in a segment, as `by_segments` numbers it.

    Args:
      lengths: integer [B], of the sequence; None where every row is full.
      num_steps: T, of the sequence.
      number: of the segment; None where the sequence is not cut.

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
    if len(sizes) != 1 or not num_steps:
        raise ValueError("scan expects inputs of shape [B, T, ...] with one T >= 1 that is known "
                         f"while tracing, got shapes {[x.shape for x in flat]}. Give the "
                         "tf.function an input_signature or a batch with a fixed length.")
    return num_steps


def _masked(step: Step) -> Step:
    """`step` with a mask [B] beside its inputs: rows outside it keep their state."""
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


def _long_loop(step: Step, inputs: Nest, state: Nest, num_steps: int) -> tuple[Nest, Nest]:
    """`_compiled_loop`, over segments where there are many steps."""
    size = segment_size(num_steps)
    if size == num_steps:
        return _compiled_loop(step, inputs, state, num_steps)

    def segment(inputs_n: Nest, state: Nest) -> tuple[Nest, Nest]:
        return _compiled_loop(step, inputs_n, state, size)

    count = num_steps // size
    cut = tf.nest.map_structure(
        lambda x: tf.reshape(x[:count * size], [count, size, *nest_lib.shape_of(x)[1:]]), inputs)
    outputs, state = _compiled_loop(segment, cut, state, count)
    outputs = nest_lib.merge_leading(outputs)
    if num_steps % size:
        rest = tf.nest.map_structure(lambda x: x[count * size:], inputs)
        last, state = _compiled_loop(step, rest, state, num_steps % size)
        outputs = tf.nest.map_structure(lambda x, y: tf.concat([x, y], 0), outputs, last)
    return outputs, state


def _cut(x: Tensor, size: int, count: int) -> Tensor:
    """[B, T, *] -> [N, B, S, *], without what is left over."""
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

    plan = plan_lib.make_plan(flat_step, _flatten(inputs), _flatten(state), num_steps)
    if matmul.manner().apart and plan.groups:
        outputs, final, kept = forward.forwards(plan, bfloat16_cpu.forwards)
        outputs, final = backward.attach(
            plan, kept, outputs, final, bfloat16_cpu.differentiate)
    else:
        outputs, final, kept = forward.forwards(plan)
        outputs, final = backward.attach(plan, kept, outputs, final)
    return (tf.nest.pack_sequence_as(outputs_like, outputs),
            tf.nest.pack_sequence_as(state, final))


def _flatten(nest: Nest) -> list[Tensor]:
    return [tf.convert_to_tensor(x) for x in tf.nest.flatten(nest)]


def _check_state(before: Nest, after: Nest) -> None:
    def describe(nest: Nest) -> Nest:
        return tf.nest.map_structure(lambda x: f"{x.dtype.name}{x.shape}", nest)

    before, after = (tf.nest.map_structure(tf.convert_to_tensor, x) for x in (before, after))
    try:
        tf.nest.assert_same_structure(before, after)
        same = all(x.dtype == y.dtype and x.shape.is_compatible_with(y.shape) for x, y in
                   zip(tf.nest.flatten(before), tf.nest.flatten(after), strict=True))
    except (ValueError, TypeError):
        same = False
    if not same:
        raise ValueError("A scan's state keeps its structure, dtypes and shapes. It starts as "
                         f"{describe(before)}, and the step returns {describe(after)}. Give the "
                         "scan a state like the one that the step returns.")
