# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sampling of sequences from a model, whole or in chunks, as NumPy arrays."""
from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from vaeseq import data, nest, seeds
from vaeseq.agent import Agent
from vaeseq.compilation import compiled
from vaeseq.evaluate.filling import Filler
from vaeseq.nn.scan import unroll
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import Diffusion, GenCore, Generated, GenState

PRIME_WINDOW = 128  # steps of a prime in one compiled call; shorter ones are padded


class Sampler:
    """Draws sequences from an agent and a core, optionally continuing a prime.

    A `Diffusion` draws a sequence as a whole, given its beginning; what follows the end that the
    agent sees in it is left out.
    """

    def __init__(self, gen_core: GenCore):
        """Creates a sampler of the agent and the core of `gen_core`."""
        self._gen_core = gen_core
        self._spec = gen_core.core.observation_spec
        self._prime = compiled(gen_core.prime, jit_compile=False)
        self._finished = compiled(self._finished_after, jit_compile=False)
        self._filler = Filler(gen_core.core) if isinstance(gen_core.core, Diffusion) else None

    def generate(
        self, *, num_samples: int = 1, length: int, prime: Nest | None = None,
        temperature: float = 1.0, truncation: Truncation = Truncation(), seed: int = 0,
        chunk: int = 128, state: GenState | None = None,
    ) -> list[Nest]:
        """Samples sequences.

        Args:
          num_samples: number of sequences.
          length: largest number of steps of each, after the prime.
          prime: the beginning of all sequences, a nest of `[N, ...]`; not part of the result.
          temperature: above 1 flattens the distribution of observations, below 1 sharpens it.
          truncation: which classes a decoder of classes may draw (top-k, top-p, min-p), after the
            temperature.
          seed: equal seeds give equal sequences.
          chunk: number of steps in one compiled call.
          state: of the `num_samples` sequences before their first step; by default the initial
            one. A prime continues from the initial state only.

        Returns:
          A list of nests of arrays `[N, ...]`; N is less than `length` if the agent finished.

        Raises:
          ValueError: `length`, `chunk` or `num_samples` is less than 1, or `temperature` is not
            above 0.
        """
        # Without the contexts and latents, which may be many times larger.
        chunks = [(generated.observed, generated.lengths) for generated in self.stream(
            num_samples=num_samples, length=length, prime=prime, temperature=temperature,
            truncation=truncation, seed=seed, chunk=chunk, state=state)]
        empty = tf.nest.map_structure(
            lambda leaf: leaf.numpy(), nest.zeros(self._spec, num_samples, 0))
        lengths = sum((lengths for _, lengths in chunks), np.zeros(num_samples, int))
        observed = tf.nest.map_structure(
            lambda *parts: np.concatenate(parts, axis=1),
            empty, *[observed for observed, _ in chunks])
        if isinstance(observed, data.Masked):  # samples have no missing values
            observed = observed.values
        return [_row(observed, row, size) for row, size in enumerate(lengths)]

    def stream(
        self, *, num_samples: int = 1, length: int, prime: Nest | None = None,
        temperature: float = 1.0, truncation: Truncation = Truncation(), seed: int = 0,
        chunk: int = 128, state: GenState | None = None,
    ) -> Iterator[Generated]:
        """Yields chunks of sequences without keeping them; arguments as for `generate`.

        A `Diffusion` gives one chunk, without latents and with densities that are NaN.

        Raises:
          ValueError: `length`, `chunk` or `num_samples` is less than 1, or `temperature` is not
            above 0.
        """
        if min(length, num_samples) < 1:
            raise ValueError(f"expected at least one sequence of at least one step to sample, got "
                             f"num_samples={num_samples}, length={length}.")
        prime_seed, draw_seed = seeds.split(seeds.make(seed), 2)
        if self._filler is not None:
            yield self._whole(num_samples, length, prime, temperature, truncation, draw_seed)
            return
        if state is None:
            state = self._gen_core.initial_state(num_samples)
        if prime is not None and data.sizes([prime])[0]:
            state = self.primed(prime, num_samples, seed=prime_seed)
        num_left = length
        for generated in self._gen_core.stream(
                state, chunk=min(chunk, data.bucket(length)), temperature=temperature,
                truncation=truncation, seed=draw_seed):
            yield _first_steps(generated, num_left)
            num_left -= chunk
            if num_left <= 0:
                return

    def fill(
        self, values: Nest, is_known: np.ndarray, lengths: np.ndarray | None = None, *,
        temperature: float = 1.0, truncation: Truncation = Truncation(), seed: int | Seed = 0,
    ) -> Nest:
        """Draws the unknown steps of sequences; see `filling.Filler.fill`.

        Raises:
          ValueError: the core is no `Diffusion`, or what `Filler.fill` raises.
        """
        if self._filler is None:
            raise ValueError(
                "filling gaps needs a model of whole sequences, vae_type=MASKDIFF, or GAUSSDIFF "
                f"for real numbers; got {type(self._gen_core.core).__name__}.")
        return self._filler.fill(values, is_known, lengths, temperature=temperature,
                                 truncation=truncation, seed=seed)

    def _whole(
        self, num_samples: int, length: int, prime: Nest | None, temperature: float,
        truncation: Truncation, seed: Seed,
    ) -> Generated:
        """Draws whole sequences from a `Diffusion`, given a common beginning."""
        size = 0 if prime is None else int(data.sizes([prime])[0])
        values = tf.nest.map_structure(
            lambda leaf: leaf.numpy(), nest.zeros(self._spec, num_samples, size + length))
        if size:
            data.check_finite([prime])
            beginning = data.as_tensors(data.pad([prime], size), self._spec).observed
            tf.nest.map_structure(
                lambda array, start: np.copyto(array[:, :size], start), values, beginning)
        is_known = np.broadcast_to(np.arange(size + length) < size, [num_samples, size + length])
        filled = self.fill(
            values, is_known, temperature=temperature, truncation=truncation, seed=seed)
        valid = self._before_end(filled, size, seed)
        drawn = tf.nest.map_structure(lambda array: tf.constant(array[:, size:]), filled)
        unknown = np.where(valid, np.float32(np.nan), np.float32(0))
        return Generated(
            tf.nest.map_structure(lambda leaf: leaf.numpy(), nest.mask(tf.constant(valid), drawn)),
            np.zeros([num_samples, length, 0]), np.zeros([num_samples, length, 0]),
            unknown, unknown, valid.sum(1))

    def _before_end(self, observed: Nest, size: int, seed: Seed) -> np.ndarray:
        """Returns which steps of `[B, T, ...]` after a prime of `size` are within the sequence.

        As when it is drawn step by step, the agent may end it with the last step of the prime, or
        with any later one, which is within it.
        """
        rows, num_steps = tf.nest.flatten(observed)[0].shape[:2]
        if type(self._gen_core.agent).finished is Agent.finished:  # it ends none
            return np.ones([rows, num_steps - size], bool)
        finished = self._finished(observed, seed=seed).numpy()
        finished = np.concatenate([np.zeros([rows, 1], bool), finished], 1)[:, size:-1]
        return ~np.logical_or.accumulate(finished, 1)

    def _finished_after(self, observed: Nest, *, seed: Seed) -> Tensor:
        """Returns whether the agent ends its sequence with each step of `[B, T, ...]`."""
        agent = self._gen_core.agent
        rows, num_steps = tf.nest.flatten(observed)[0].shape[:2]

        def step(step_inputs: tuple, state: Nest) -> tuple[Tensor, Nest]:
            observation, step_seed = step_inputs
            context = agent.context(state, seed=step_seed[0])
            state = agent.observe(observation, context, state)
            return agent.finished(state), state

        return unroll.scan(
            step, (observed, seeds.per_step(seed, num_steps)), agent.initial_state(rows))[0]

    def primed(self, prime: Nest, num_samples: int, *, seed: Seed) -> GenState:
        """Returns the state of `num_samples` sequences after a common beginning.

        Args:
          prime: a nest of `[N, ...]`, read in windows of one size.
          num_samples: number of sequences.
          seed: int32 `[2]`, of the latents.

        Raises:
          ValueError: the prime has a class that the encoder lacks.
        """
        state = self._gen_core.initial_state(num_samples)
        for number, batch in enumerate(data.windows([prime], 1, PRIME_WINDOW)):
            batch = data.as_tensors(batch, self._spec)
            observed, lengths = tf.nest.map_structure(
                lambda leaf: tf.repeat(leaf, num_samples, axis=0),
                (batch.observed, batch.lengths))
            try:
                state = self._prime(
                    observed, state, lengths=lengths, seed=seeds.fold_in(seed, number))
            except tf.errors.InvalidArgumentError as error:  # of a gather without XLA
                index = re.search(r"= (-?\d+) is not in \[0", error.message)
                if index is None:
                    raise
                raise ValueError(
                    f"prime: expected classes that the encoder has, got {index[1]}.") from None
        return state


def _row(observed: Nest, row: int, size: int) -> Nest:
    return tf.nest.map_structure(lambda array: array[row, :size], observed)


def _first_steps(generated: Generated, steps: int) -> Generated:
    """Returns the first `steps` of a chunk as NumPy arrays."""
    sequences = generated._replace(lengths=())
    cut = tf.nest.map_structure(lambda array: array[:, :steps].numpy(), sequences)
    return cut._replace(lengths=np.minimum(generated.lengths.numpy(), steps))
