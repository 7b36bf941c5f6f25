# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The signatures of an exported model: functions from named tensors to named tensors.

`vaeseq.evaluate.export` lists their inputs and outputs. Signatures accept batches and sequences of
any size, whereas agents, cores and bounds are traced for a fixed number of steps: so sequences are
processed in windows of one size, the last one padded.

Axes: B batch, T time, N steps of a prime (see `vaeseq.types`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tree

from vaeseq import nest, seeds
from vaeseq.bounds import ELBO, Bound, Reconstruction
from vaeseq.bounds.base import BoundState
from vaeseq.data import Batch
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.evaluate.sampler import PRIME_WINDOW
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Spec, Tensor
from vaeseq.vae import CoreState, GenCore, GenState

Tensors = dict[str, Tensor]


class Signature(NamedTuple):
    """A function from named tensors to named tensors."""

    function: Callable[..., Tensors]  # takes its inputs as keyword arguments
    inputs: dict[str, Spec]  # the specifications of the inputs by name


_CHUNK = 32  # steps generated or observed in one compiled call
_NUMBER = tf.TensorSpec([], tf.int32)
_SEED = tf.TensorSpec([], tf.int64)
_TEMPERATURE = tf.TensorSpec([], tf.float32)
_LENGTHS = tf.TensorSpec([None], tf.int32)

Check = Callable[[Nest], Sequence[tf.Operation]]


class Signatures:
    """The signatures of an agent and a core."""

    def __init__(
        self, gen_core: GenCore, bound: Bound, *, rows: int, window: int, jit_compile: bool,
        check: Check, truncation: Truncation = Truncation(),
    ):
        """Creates the signatures; arguments and errors as for `export.save`."""
        if min(rows, window) < 1:
            raise ValueError("expected at least 1 row and a window of at least 1 step, got "
                             f"rows={rows}, window={window}.")
        self._gen_core = gen_core
        self._rows = rows
        self._window = window
        self._check = check
        self._evaluator = Evaluator(
            gen_core.agent, gen_core.core, bound, jit_compile=jit_compile)
        self._one_sample = ELBO() if gen_core.core.has_density else Reconstruction()
        self._can_temper = _can_temper(gen_core)
        self._spec = gen_core.core.observation_spec
        self._dtype = gen_core.core.dtype
        self._sequence = nest.with_leading(self._spec, None, None)
        self._state = tf.nest.map_structure(
            lambda leaf: tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype),
            gen_core.initial_state(1))

        def compiled(function: Callable[..., Nest]) -> Callable[..., Nest]:
            return tf.function(function, jit_compile=jit_compile, autograph=False)

        self._draw = compiled(functools.partial(gen_core.generate, truncation=truncation))
        self._compiled_observe = compiled(self._observe_window)

    def all(self) -> dict[str, Signature]:
        """Returns the signatures by name."""
        observed = flatten_named("observed", self._sequence)
        state = flatten_named("state", self._state)
        prime = flatten_named("prime", tf.nest.map_structure(_prime_spec, self._spec))
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
        sequences = self._checked(pack_named(self._sequence, "observed", observed), lengths)
        seed = seeds.from_number(seed)
        # A single row is not padded to a group of rows.
        return {"log_density": tf.cond(
            tf.equal(tf.shape(lengths)[0], 1),
            lambda: self._scored(sequences, lengths, seed, 1),
            lambda: self._scored(sequences, lengths, seed, self._rows))}

    def _scored(self, sequences: Nest, lengths: Tensor, seed: Seed, rows: int) -> Tensor:
        """Scores groups of `rows` rows, the last one padded with empty rows: `[B, T]`."""
        size, steps = tf.shape(lengths)[0], nest.leading_dim(sequences, 1)
        num_groups = _num_windows(size, rows)
        max_windows = tf.maximum(_num_windows(steps, self._window), 1)

        def score_group(i: Tensor, number: Tensor, results: tf.TensorArray) -> tuple:
            group, group_lengths = tf.nest.map_structure(
                lambda leaf: _cut_window(leaf, i * rows, rows, axis=0), (sequences, lengths))
            count = tf.maximum(_num_windows(tf.reduce_max(group_lengths), self._window), 1)
            scores = self._score_windows(
                group, group_lengths, seed, number, count, max_windows)
            return i + 1, number + count, results.write(i, scores)

        start = (tf.constant(0), tf.constant(0),
                 _window_array(num_groups, [rows, None], self._dtype))
        *_, results = tf.while_loop(lambda i, *_: i < num_groups, score_group, start)
        # An array without entries has no shape, so an empty batch is a case of its own.
        shape = [num_groups * rows, max_windows * self._window]
        scores = tf.cond(num_groups > 0, lambda: tf.reshape(results.stack(), shape),
                         lambda: tf.zeros(shape, self._dtype))
        return scores[:size, :steps]

    def _score_windows(
        self, sequences: Nest, lengths: Tensor, seed: Seed, number: Tensor, count: Tensor,
        max_windows: Tensor,
    ) -> Tensor:
        """Scores `count` windows of rows as `Evaluator.windows` does from batch `number` on.

        Returns:
          `[B, max_windows * window]`, zeros after the windows scored.
        """
        rows = lengths.shape[0]

        def score_window(i: Tensor, state: Nest, scores: tf.TensorArray) -> tuple:
            batch = Batch(
                _time_window(sequences, i, self._window),
                tf.clip_by_value(lengths - i * self._window, 0, self._window),
                tf.fill([rows], tf.equal(i, 0)))
            (increments, *_), state = self._evaluator.score_batch(
                batch, state, seeds.fold_in(seed, number + i))
            return i + 1, state, scores.write(i, increments)

        start = (tf.constant(0), self._evaluator.initial_state(rows),
                 _window_array(max_windows, [rows, self._window], self._dtype))
        *_, scores = tf.while_loop(lambda i, *_: i < count, score_window, start)
        return _join_windows(scores.stack())

    def _generate(
        self, num_samples: Tensor, length: Tensor, temperature: Tensor, seed: Tensor,
        **prime: Tensor,
    ) -> Tensors:
        num_samples, length = assert_first(
            (num_samples, length),
            [expect(num_samples > 0, "num_samples: expected at least 1"),
             expect(length > 0, "length: expected at least 1 step")])
        temperature, seed = self._checked_temperature(temperature, seed)
        prime_row = self._prime_row(prime)
        prime_seed, draw_seed = seeds.split(seeds.from_number(seed), 2)
        state = self._primed(prime_row, num_samples, prime_seed)

        def draw_chunk(i: Tensor, state: GenState, size: Tensor, parts: Nest) -> tuple:
            generated, state = self._draw(_CHUNK, state, temperature=temperature, seed=draw_seed)
            parts = tf.nest.map_structure(
                lambda array, part: array.write(i, part), parts,
                (generated.observed, generated.log_prob))
            return i + 1, self._shaped(state), size + generated.lengths, parts

        num_chunks = tf.maximum(_num_windows(length, _CHUNK), 1)
        arrays = tf.nest.map_structure(
            lambda spec: _window_array(num_chunks, [None, _CHUNK, *spec.shape], spec.dtype),
            (self._spec, tf.TensorSpec([], self._dtype)))
        start = (tf.constant(0), state, tf.zeros([num_samples], tf.int32), arrays)
        _, _, size, parts = tf.while_loop(lambda i, *_: i < num_chunks, draw_chunk, start)
        observed, log_prob = tf.nest.map_structure(
            lambda array: _join_windows(array.stack())[:, :length], parts)
        return {**flatten_named("observed", observed), "lengths": tf.minimum(size, length),
                "log_prob": log_prob}

    def _prime_row(self, prime: Tensors) -> Nest:
        """Returns the prime as one row, `[1, N, ...]`."""
        def row(spec: Spec, leaf: Tensor) -> Tensor:
            per_step = tf.reduce_prod(tf.shape(leaf)[1:])
            fits = tf.equal(tf.size(leaf), 0) | tf.equal(per_step, spec.shape.num_elements())
            leaf = assert_first(leaf, [expect(
                fits, f"prime: expected none, or steps of shape {spec.shape}")])
            return tf.reshape(leaf, [1, -1, *spec.shape])
        rows = tf.nest.map_structure(row, self._spec, pack_named(self._spec, "prime", prime))
        return assert_first(rows, self._check(rows))

    def _primed(self, prime: Nest, num_samples: Tensor, seed: Seed) -> GenState:
        """Returns the state after `prime`, `[1, N, ...]`, as `Sampler` computes it."""
        steps = nest.leading_dim(prime, 1)

        def prime_window(i: Tensor, state: GenState) -> tuple:
            part = _time_window(prime, i, PRIME_WINDOW)
            observed = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, num_samples, 0), part)
            lengths = tf.fill([num_samples], tf.minimum(steps - i * PRIME_WINDOW, PRIME_WINDOW))
            state = self._gen_core.prime(
                observed, state, lengths=lengths, seed=seeds.fold_in(seed, i))
            return i + 1, self._shaped(state)

        start = (tf.constant(0), self._shaped(self._gen_core.initial_state(num_samples)))
        num_parts = _num_windows(steps, PRIME_WINDOW)
        return tf.while_loop(lambda i, _: i < num_parts, prime_window, start)[1]

    def _initial_state(self, num_samples: Tensor) -> Tensors:
        num_samples = assert_first(
            num_samples, [expect(num_samples > 0, "num_samples: expected at least 1")])
        return flatten_named("state", self._gen_core.initial_state(num_samples))

    def _step(self, temperature: Tensor, seed: Tensor, **state: Tensor) -> Tensors:
        temperature, seed = self._checked_temperature(temperature, seed)
        _, draw_seed = seeds.split(seeds.from_number(seed), 2)  # As in `generate`.
        before = pack_named(self._state, "state", state)
        generated, next_state = self._draw(
            1, _with_rows(before, nest.leading_dim(before)), temperature=temperature,
            seed=draw_seed)
        observed, log_prob = tf.nest.map_structure(
            lambda leaf: leaf[:, 0], (generated.observed, generated.log_prob))
        return {**flatten_named("observed", observed), "log_prob": log_prob,
                **flatten_named("state", next_state)}

    def _checked_temperature(
        self, temperature: Tensor, seed: Tensor
    ) -> tuple[float | Tensor, Tensor]:
        """Returns the temperature and the seed, once the temperature is seen to be allowed."""
        if not self._can_temper:
            only_one = expect(tf.equal(temperature, 1.0), "temperature: this decoder has only 1")
            return 1.0, assert_first(seed, [only_one])
        allowed = expect((temperature > 0) & tf.math.is_finite(temperature),
                         "temperature: expected above 0")
        return assert_first(temperature, [allowed]), seed

    def _observe(self, lengths: Tensor, seed: Tensor, **tensors: Tensor) -> Tensors:
        sequences = self._checked(pack_named(self._sequence, "observed", tensors), lengths)
        steps = nest.leading_dim(sequences, 1)
        prime_seed, _ = seeds.split(seeds.from_number(seed), 2)

        def observe_part(i: Tensor, state: GenState, scores: tf.TensorArray) -> tuple:
            # As in `GenCore`, the step number makes the seeds of parts and calls differ.
            part_seed = seeds.fold_in(prime_seed, tf.reduce_sum(state.steps))
            increments, state = self._compiled_observe(
                _time_window(sequences, i, _CHUNK), state,
                tf.clip_by_value(lengths - i * _CHUNK, 0, _CHUNK), part_seed)
            return i + 1, self._shaped(state), scores.write(i, increments)

        num_parts = tf.maximum(_num_windows(steps, _CHUNK), 1)
        scores = _window_array(num_parts, [None, _CHUNK], self._dtype)
        before = _with_rows(pack_named(self._state, "state", tensors), tf.shape(lengths)[0])
        start = (tf.constant(0), before, scores)
        _, state, scores = tf.while_loop(lambda i, *_: i < num_parts, observe_part, start)
        return {"log_density": _join_windows(scores.stack())[:, :steps],
                **flatten_named("state", state)}

    def _observe_window(
        self, observed: Nest, state: GenState, lengths: Tensor, seed: Seed
    ) -> tuple[Tensor, GenState]:
        """Returns the one-sample bound on a window of each sequence, and the state after it."""
        agent, core = self._gen_core.agent, self._gen_core.core
        agent_seed, bound_seed = seeds.split(seed, 2)
        observed = nest.mask_time(observed, lengths)
        contexts, agent_state = agent.contexts(
            observed, state.agent, (), lengths, seed=agent_seed)
        before = BoundState(state.core.context, nest.repeat_rows(state.core.latent, 1),
                            tf.zeros([tf.shape(lengths)[0], 1], self._dtype))
        result = self._one_sample(core, contexts, observed, before, lengths, seed=bound_seed)
        latent = tf.nest.map_structure(lambda leaf: leaf[:, 0], result.state.latent)
        return result.increments, GenState(
            agent_state, CoreState(result.state.context, latent),
            state.finished | agent.finished(agent_state), state.steps + lengths)

    def _checked(self, sequences: Nest, lengths: Tensor) -> Nest:
        """Returns the sequences after assertions that they fit `lengths` and the model."""
        size, steps = tf.shape(lengths)[0], nest.leading_dim(sequences, 1)
        assertions = _rows_are(sequences, size, "lengths: expected one for each row")
        assertions.append(expect(tf.reduce_all((lengths >= 0) & (lengths <= steps)),
                                 "lengths: expected 0 to the number of steps"))
        return assert_first(sequences, [*assertions, *self._check(sequences)])

    def _shaped(self, state: GenState) -> GenState:
        """Returns the state with its static shapes."""
        return tf.nest.map_structure(
            lambda leaf, spec: tf.ensure_shape(leaf, spec.shape), state, self._state)


def flatten_named(prefix: str, structure: Nest) -> dict[str, Any]:
    """Returns the leaves of a nest by name: the prefix and the path, as in "state_core_latent".

    The name of a nest that is a single leaf is the prefix. Characters that a name of TensorFlow
    cannot have become "_".

    Raises:
      ValueError: two leaves have one name.
    """
    result: dict[str, Any] = {}
    for path, leaf in tree.flatten_with_path(structure):
        name = re.sub(r"[^A-Za-z0-9_]", "_", "_".join([prefix, *map(str, path)]))
        if name in result:
            raise ValueError(f"expected parts whose names differ where they are joined by _, got "
                             f"two of {name!r}.")
        result[name] = leaf
    return result


def pack_named(structure: Nest, prefix: str, tensors: Mapping[str, Any]) -> Nest:
    """Returns the nest of this structure from leaves named by `flatten_named`."""
    return tf.nest.pack_sequence_as(
        structure, [tensors[name] for name in flatten_named(prefix, structure)])


def _num_windows(num_steps: Tensor, size: int) -> Tensor:
    """Returns the number of windows of `size` that cover `num_steps`."""
    return (num_steps + size - 1) // size


def _cut_window(leaf: Tensor, start: Tensor, size: int, *, axis: int) -> Tensor:
    """Returns `size` entries of an axis from `start` on, padded with zeros after its end."""
    part = leaf[tuple([slice(None)] * axis + [slice(start, start + size)])]
    missing = size - tf.shape(part)[axis]
    part = tf.pad(part, [[0, missing if i == axis else 0] for i in range(leaf.shape.rank)])
    part.set_shape([*leaf.shape[:axis], size, *leaf.shape[axis + 1:]])
    return part


def _time_window(sequences: Nest, number: Tensor, size: int) -> Nest:
    """Returns window `number` of sequences `[B, T, ...]`."""
    return tf.nest.map_structure(
        lambda leaf: _cut_window(leaf, number * size, size, axis=1), sequences)


def _window_array(
    num_windows: Tensor, element_shape: list[int | None], dtype: tf.DType
) -> tf.TensorArray:
    """Returns an array for the results of windows; entries that are not written are zeros."""
    return tf.TensorArray(dtype, num_windows, element_shape=element_shape)


def _join_windows(parts: Tensor) -> Tensor:
    """Concatenates the results of windows, `[windows, B, size, ...]`, to `[B, T, ...]`."""
    swapped = nest.swap_leading(parts)
    rows, number, size, *rest = nest.shape_of(swapped)
    return tf.reshape(swapped, [rows, number * size, *rest])


def _can_temper(gen_core: GenCore) -> bool:
    """Returns whether the decoder can be sampled at other temperatures than 1."""
    try:
        gen_core.generate(1, gen_core.initial_state(1), temperature=tf.constant(1.0), seed=0)
    except NotImplementedError:
        return False
    return True


def expect(condition: Tensor, message: str) -> tf.Operation:
    """Returns an assertion that a signature's inputs are right."""
    return tf.debugging.Assert(condition, [message])


def assert_first(tensors: Nest, assertions: Sequence[tf.Operation]) -> Nest:
    """Returns the tensors with a control dependency on assertions."""
    with tf.control_dependencies(assertions):
        return tf.nest.map_structure(tf.identity, tensors)


def _rows_are(tensors: Nest, size: Tensor, message: str) -> list[tf.Operation]:
    """Returns assertions that all tensors have this number of rows."""
    return [expect(tf.equal(tf.shape(leaf)[0], size), message)
            for leaf in tf.nest.flatten(tensors)]


def _with_rows(state: GenState, size: Tensor) -> GenState:
    """Returns the state after assertions on its rows: a single one would be repeated for all."""
    return assert_first(
        state, _rows_are(state, size, "state: expected equal numbers of rows in all tensors"))


def _prime_spec(spec: Spec) -> Spec:
    """Returns the spec of a prime `[N, ...]`; of unknown rank if `[]` may stand for no prime."""
    return tf.TensorSpec(None if spec.shape.rank else [None], spec.dtype)
