# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The signatures of an exported model: functions from named tensors to named tensors.

`vaeseq.evaluate.export` lists their inputs and outputs. Signatures accept batches and sequences of
any size, whereas agents, cores and bounds are traced for a fixed number of steps: so sequences are
processed in windows of one size, the last one padded.

Axes: B batch, T time, N steps of a prime (see `vaeseq.types`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tree

from vaeseq import nest, seeds
from vaeseq.bounds import ELBO, Bound
from vaeseq.bounds.base import BoundState
from vaeseq.data import Batch
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.evaluate.sampler import PRIME_WINDOW
from vaeseq.types import Nest, Seed, Spec, Tensor
from vaeseq.vae import CoreState, GenCore, GenState

Tensors = dict[str, Tensor]


class Signature(NamedTuple):
    """A function from named tensors to named tensors.

    Attributes:
      function: of keyword arguments.
      inputs: their specs.
    """

    function: Callable[..., Tensors]
    inputs: dict[str, Spec]


def flat(prefix: str, structure: Nest) -> dict[str, Any]:
    """The leaves of a nest by name: the prefix and the path to each, "state_core_latent".

    A nest that is a single leaf has the prefix for its name.
    """
    return {"_".join([prefix, *map(str, path)]): leaf
            for path, leaf in tree.flatten_with_path(structure)}


def packed(structure: Nest, prefix: str, tensors: Mapping[str, Any]) -> Nest:
    """The nest of this structure whose leaves `flat` named."""
    return tf.nest.pack_sequence_as(
        structure, [tensors[name] for name in flat(prefix, structure)])

def num_windows(number: Tensor, size: int) -> Tensor:
    """How many windows hold `number` steps, the last perhaps in part."""
    return (number + size - 1) // size


def cut_window(leaf: Tensor, start: Tensor, size: int, *, axis: int) -> Tensor:
    """`size` of an axis, from `start` on; zeros after its end."""
    part = leaf[tuple([slice(None)] * axis + [slice(start, start + size)])]
    missing = size - tf.shape(part)[axis]
    part = tf.pad(part, [[0, missing if i == axis else 0] for i in range(leaf.shape.rank)])
    part.set_shape([*leaf.shape[:axis], size, *leaf.shape[axis + 1:]])
    return part


def window_array(
    size: Tensor, element_shape: list[int | None], dtype: tf.DType = tf.float32
) -> tf.TensorArray:
    """A place for what `size` windows give; zeros where nothing was written."""
    return tf.TensorArray(dtype, size, element_shape=element_shape)


def join_windows(parts: Tensor) -> Tensor:
    """What windows gave, `[windows, B, size, ...]`, one after the other: `[B, T, ...]`."""
    swapped = nest.swap_leading(parts)
    rows, number, size, *rest = nest.shape_of(swapped)
    return tf.reshape(swapped, [rows, number * size, *rest])

_CHUNK = 32  # steps drawn or observed in one compiled call
_NUMBER = tf.TensorSpec([], tf.int32)
_SEED = tf.TensorSpec([], tf.int64)
_TEMPERATURE = tf.TensorSpec([], tf.float32)
_LENGTHS = tf.TensorSpec([None], tf.int32)

Check = Callable[[Nest], Sequence[tf.Operation]]


class Signatures:
    """The signatures of an agent and a core."""

    def __init__(
        self, gen_core: GenCore, bound: Bound, *, rows: int, window: int, jit_compile: bool,
        check: Check,
    ):
        """Creates them; arguments and what is raised as for `export.save`."""
        if min(rows, window) < 1:
            raise ValueError("expected at least 1 row and a window of at least 1 step, got "
                             f"rows={rows}, window={window}.")
        self._gen_core = gen_core
        self._rows = rows
        self._window = window
        self._check = check
        self._evaluator = Evaluator(
            gen_core.agent, gen_core.core, bound, jit_compile=jit_compile)
        self._one_sample = ELBO()
        self._spec = gen_core.core.decoder.event_spec
        self._sequence = _with_leading(self._spec, None, None)
        self._state = tf.nest.map_structure(
            lambda leaf: tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype),
            gen_core.initial_state(1))

        def compiled(function: Callable[..., Nest]) -> Callable[..., Nest]:
            return tf.function(function, jit_compile=jit_compile, autograph=False)

        self._draw = compiled(gen_core.generate)
        self._observe_part = compiled(self._observe_in_one)

    def all(self) -> dict[str, Signature]:
        """Each by its name."""
        observed = flat("observed", self._sequence)
        state = flat("state", self._state)
        prime = flat("prime", tf.nest.map_structure(_prime_spec, self._spec))
        return {
            "score": Signature(
                self._score, {**observed, "lengths": _LENGTHS, "seed": _SEED}),
            "generate": Signature(
                self._generate, {"num_samples": _NUMBER, "length": _NUMBER, **prime,
                                 "temperature": _TEMPERATURE, "seed": _SEED}),
            "initial_state": Signature(self._initial_state, {"num_samples": _NUMBER}),
            "step": Signature(
                self._step, {**state, "temperature": _TEMPERATURE, "seed": _SEED}),
            "observe": Signature(
                self._observe, {**state, **observed, "lengths": _LENGTHS, "seed": _SEED}),
        }

    def _score(self, lengths: Tensor, seed: Tensor, **observed: Tensor) -> Tensors:
        sequences = self._checked(packed(self._sequence, "observed", observed), lengths)
        seed = seeds.from_number(seed)
        # A row on its own does not wait for others that are not there.
        return {"log_density": tf.cond(
            tf.equal(tf.shape(lengths)[0], 1),
            lambda: self._scored(sequences, lengths, seed, 1),
            lambda: self._scored(sequences, lengths, seed, self._rows))}

    def _scored(self, sequences: Nest, lengths: Tensor, seed: Seed, rows: int) -> Tensor:
        """Scores `rows` rows at a time, the last of them with empty ones: `[B, T]`."""
        size, steps = tf.shape(lengths)[0], nest.leading_dim(sequences, 1)
        num_groups = num_windows(size, rows)
        most = tf.maximum(num_windows(steps, self._window), 1)

        def group(i: Tensor, number: Tensor, done: tf.TensorArray) -> tuple:
            these, own = tf.nest.map_structure(
                lambda leaf: cut_window(leaf, i * rows, rows, axis=0), (sequences, lengths))
            count = tf.maximum(num_windows(tf.reduce_max(own), self._window), 1)
            scores = self._windows(these, own, seed, number, count, most)
            return i + 1, number + count, done.write(i, scores)

        start = (tf.constant(0), tf.constant(0), window_array(num_groups, [rows, None]))
        *_, done = tf.while_loop(lambda i, *_: i < num_groups, group, start)
        # Where there is no row at all, nothing was written that would tell the steps.
        shape = [num_groups * rows, most * self._window]
        every = tf.cond(num_groups > 0, lambda: tf.reshape(done.stack(), shape),
                        lambda: tf.zeros(shape))
        return every[:size, :steps]

    def _windows(
        self, sequences: Nest, lengths: Tensor, seed: Seed, number: Tensor, count: Tensor,
        most: Tensor,
    ) -> Tensor:
        """Scores `count` windows of rows as `Evaluator.windows` does, from its `number` on.

        Returns:
          `[B, most * window]`, zeros after what was scored.
        """
        rows = lengths.shape[0]

        def window(i: Tensor, state: Nest, scores: tf.TensorArray) -> tuple:
            batch = Batch(
                _window(sequences, i, self._window),
                tf.clip_by_value(lengths - i * self._window, 0, self._window),
                tf.fill([rows], tf.equal(i, 0)))
            (increments, *_), state = self._evaluator.score_batch(
                batch, state, seeds.fold_in(seed, number + i))
            return i + 1, state, scores.write(i, increments)

        start = (tf.constant(0), self._evaluator.initial_state(rows),
                 window_array(most, [rows, self._window]))
        *_, scores = tf.while_loop(lambda i, *_: i < count, window, start)
        return join_windows(scores.stack())

    def _generate(
        self, num_samples: Tensor, length: Tensor, temperature: Tensor, seed: Tensor,
        **prime: Tensor,
    ) -> Tensors:
        num_samples, length, temperature = _held(
            (num_samples, length, temperature),
            [_expect(num_samples > 0, "num_samples: expected at least 1"),
             _expect(length > 0, "length: expected at least 1 step"),
             _expect_temperature(temperature)])
        beginning = self._prime_rows(prime)
        prime_seed, draw_seed = seeds.split(seeds.from_number(seed), 2)
        state = self._primed(beginning, num_samples, prime_seed)

        def chunk(i: Tensor, state: GenState, size: Tensor, parts: Nest) -> tuple:
            generated, state = self._draw(_CHUNK, state, temperature=temperature, seed=draw_seed)
            parts = tf.nest.map_structure(
                lambda array, part: array.write(i, part), parts,
                (generated.observed, generated.log_prob))
            return i + 1, self._shaped(state), size + generated.lengths, parts

        num_chunks = tf.maximum(num_windows(length, _CHUNK), 1)
        arrays = tf.nest.map_structure(
            lambda spec: window_array(num_chunks, [None, _CHUNK, *spec.shape], spec.dtype),
            (self._spec, _TEMPERATURE))
        start = (tf.constant(0), state, tf.zeros([num_samples], tf.int32), arrays)
        _, _, size, parts = tf.while_loop(lambda i, *_: i < num_chunks, chunk, start)
        observed, log_prob = tf.nest.map_structure(
            lambda array: join_windows(array.stack())[:, :length], parts)
        return {**flat("observed", observed), "lengths": tf.minimum(size, length),
                "log_prob": log_prob}

    def _prime_rows(self, prime: Tensors) -> Nest:
        """The prime as one row, `[1, N, ...]`."""
        def row(spec: Spec, leaf: Tensor) -> Tensor:
            per_step = tf.reduce_prod(tf.shape(leaf)[1:])
            fits = tf.equal(tf.size(leaf), 0) | tf.equal(per_step, spec.shape.num_elements())
            leaf = _held(leaf, [_expect(
                fits, f"prime: expected none, or steps of shape {spec.shape}")])
            return tf.reshape(leaf, [1, -1, *spec.shape])
        rows = tf.nest.map_structure(row, self._spec, packed(self._spec, "prime", prime))
        return _held(rows, self._check(rows))

    def _primed(self, prime: Nest, num_samples: Tensor, seed: Seed) -> GenState:
        """The state after `prime`, `[1, N, ...]`, read as `Sampler` does."""
        steps = nest.leading_dim(prime, 1)

        def window(i: Tensor, state: GenState) -> tuple:
            part = _window(prime, i, PRIME_WINDOW)
            observed = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, num_samples, 0), part)
            lengths = tf.fill([num_samples], tf.minimum(steps - i * PRIME_WINDOW, PRIME_WINDOW))
            state = self._gen_core.prime(
                observed, state, lengths=lengths, seed=seeds.fold_in(seed, i))
            return i + 1, self._shaped(state)

        start = (tf.constant(0), self._shaped(self._gen_core.initial_state(num_samples)))
        return tf.while_loop(lambda i, _: i < num_windows(steps, PRIME_WINDOW), window, start)[1]

    def _initial_state(self, num_samples: Tensor) -> Tensors:
        num_samples = _held(
            num_samples, [_expect(num_samples > 0, "num_samples: expected at least 1")])
        return flat("state", self._gen_core.initial_state(num_samples))

    def _step(self, temperature: Tensor, seed: Tensor, **state: Tensor) -> Tensors:
        temperature = _held(temperature, [_expect_temperature(temperature)])
        _, draw_seed = seeds.split(seeds.from_number(seed), 2)  # as `generate` does
        generated, after = self._draw(
            1, packed(self._state, "state", state), temperature=temperature, seed=draw_seed)
        observed, log_prob = tf.nest.map_structure(
            lambda leaf: leaf[:, 0], (generated.observed, generated.log_prob))
        return {**flat("observed", observed), "log_prob": log_prob, **flat("state", after)}

    def _observe(self, lengths: Tensor, seed: Tensor, **tensors: Tensor) -> Tensors:
        sequences = self._checked(packed(self._sequence, "observed", tensors), lengths)
        steps = nest.leading_dim(sequences, 1)
        prime_seed, _ = seeds.split(seeds.from_number(seed), 2)

        def part(i: Tensor, state: GenState, scores: tf.TensorArray) -> tuple:
            # As in `GenCore`: no part has the random numbers of another, nor has another call.
            part_seed = seeds.fold_in(prime_seed, tf.reduce_sum(state.steps))
            increments, state = self._observe_part(
                _window(sequences, i, _CHUNK), state,
                tf.clip_by_value(lengths - i * _CHUNK, 0, _CHUNK), part_seed)
            return i + 1, self._shaped(state), scores.write(i, increments)

        num_parts = tf.maximum(num_windows(steps, _CHUNK), 1)
        scores = window_array(num_parts, [None, _CHUNK])
        start = (tf.constant(0), packed(self._state, "state", tensors), scores)
        _, state, scores = tf.while_loop(lambda i, *_: i < num_parts, part, start)
        return {"log_density": join_windows(scores.stack())[:, :steps], **flat("state", state)}

    def _observe_in_one(
        self, observed: Nest, state: GenState, lengths: Tensor, seed: Seed
    ) -> tuple[Tensor, GenState]:
        """The one-sample bound on a part of each sequence, and the state after it."""
        agent, core = self._gen_core.agent, self._gen_core.core
        agent_seed, bound_seed = seeds.split(seed, 2)
        observed = nest.mask_time(observed, lengths)
        contexts, agent_state = agent.contexts(
            observed, state.agent, (), lengths, seed=agent_seed)
        before = BoundState(state.core.context, nest.repeat_samples(state.core.latent, 1),
                            tf.zeros([tf.shape(lengths)[0], 1]))
        result = self._one_sample(core, contexts, observed, before, lengths, seed=bound_seed)
        latent = tf.nest.map_structure(lambda leaf: leaf[:, 0], result.state.latent)
        return result.increments, GenState(
            agent_state, CoreState(result.state.context, latent),
            state.finished | agent.finished(agent_state), state.steps + lengths)

    def _checked(self, sequences: Nest, lengths: Tensor) -> Nest:
        """The sequences, once they are seen to fit `lengths` and the model."""
        size, steps = tf.shape(lengths)[0], nest.leading_dim(sequences, 1)
        held = [_expect(tf.equal(tf.shape(leaf)[0], size), "lengths: expected one for each row")
                for leaf in tf.nest.flatten(sequences)]
        held.append(_expect(tf.reduce_all((lengths >= 0) & (lengths <= steps)),
                            "lengths: expected 0 to the number of steps"))
        return _held(sequences, [*held, *self._check(sequences)])

    def _shaped(self, state: GenState) -> GenState:
        """The state, with what is known of its shapes."""
        return tf.nest.map_structure(
            lambda leaf, spec: tf.ensure_shape(leaf, spec.shape), state, self._state)


def _expect(condition: Tensor, message: str) -> tf.Operation:
    return tf.debugging.Assert(condition, [message])


def _expect_temperature(temperature: Tensor) -> tf.Operation:
    return _expect(
        (temperature > 0) & tf.math.is_finite(temperature), "temperature: expected above 0")


def _held(tensors: Nest, held: Sequence[tf.Operation]) -> Nest:
    """The tensors, not to be used before what is asserted of them holds."""
    with tf.control_dependencies(held):
        return tf.nest.map_structure(tf.identity, tensors)


def _window(sequences: Nest, number: Tensor, size: int) -> Nest:
    return tf.nest.map_structure(
        lambda leaf: cut_window(leaf, number * size, size, axis=1), sequences)


def _with_leading(structure: Nest, *leading: int | None) -> Nest:
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec([*leading, *spec.shape], spec.dtype), structure)


def _prime_spec(spec: Spec) -> Spec:
    """`[N, ...]`; of any rank where a step is more than a number: `[]` stands for no prime."""
    return tf.TensorSpec(None if spec.shape.rank else [None], spec.dtype)
