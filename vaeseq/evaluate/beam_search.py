# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Beam search: the most likely continuations of a sequence of symbols.

Axes: W beams, T time, V symbols.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.codec.decoders import Categorical
from vaeseq.compilation import compiled
from vaeseq.types import Tensor
from vaeseq.vae import CoreState, GenCore, GenState


class Beam(NamedTuple):
    """A sequence that a beam search found.

    Attributes:
      symbols: int [T]; shorter than asked for where the agent finished the sequence.
      log_prob: of the sequence given what came before it, nats.
    """

    symbols: np.ndarray
    log_prob: float


class BeamSearch:
    """Searches a model without latents for its most likely sequences of symbols.

    A search keeps the W most likely sequences of each length. It is exact where W is at least the
    number of sequences one step shorter than the result, and otherwise a lower bound on the
    largest probability.
    """

    def __init__(self, gen_core: GenCore):
        """Creates the search.

        Args:
          gen_core: an agent that takes no inputs from outside, and a core without latents whose
            decoder is a `Categorical` of one symbol.

        Raises:
          ValueError: the core has latents, or its decoder gives no single symbol.
        """
        core = gen_core.core
        if core.latent_size:
            raise ValueError(
                "beam search needs the probability of a sequence, which a model with latents does "
                f"not give step by step; got {type(core).__name__} with {core.latent_size} "
                "latents. Use vae_type=RNN, or draw samples.")
        if not isinstance(core.decoder, Categorical) or core.decoder.event_spec.shape.rank != 0:
            raise ValueError(
                "beam search needs a decoder of one symbol a step, decoders.Categorical; got "
                f"{type(core.decoder).__name__}. Draw samples instead.")
        self._gen_core = gen_core
        self._compiled = compiled(self._extend)

    def search(self, length: int, beam_size: int, state: GenState | None = None) -> list[Beam]:
        """Finds likely sequences, the most likely one first.

        Args:
          length: the most symbols of each, T.
          beam_size: W.
          state: of one sequence, what comes before (`GenCore.prime`); by default nothing.

        Returns:
          At most W sequences.

        Raises:
          ValueError: a length or a beam size under 1, or a state of several sequences.
        """
        if length < 1 or beam_size < 1:
            raise ValueError("expected at least one symbol and one beam, got "
                             f"length={length}, beam_size={beam_size}.")
        state = state or self._gen_core.initial_state(1)
        if (num_rows := len(state.steps)) != 1:
            raise ValueError(f"beam search continues one sequence; expected a state of 1 row, got "
                             f"{num_rows}. Search from each row's state alone.")
        state = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, beam_size, 0), state)
        # All beams begin alike: only one of them counts.
        scores = tf.constant([0.0] + [-math.inf] * (beam_size - 1), self._gen_core.core.dtype)
        symbols = np.zeros([beam_size, 0], np.int64)
        lengths = np.zeros([beam_size], np.int64)
        for _ in range(length):
            new_symbols, parents, scores, state, active = self._compiled(state, scores)
            parents = parents.numpy()
            symbols = np.concatenate([symbols[parents], new_symbols.numpy()[:, None]], 1)
            lengths = lengths[parents] + active.numpy()
            if bool(tf.reduce_all(state.finished)):
                break
        return [Beam(row[:size], score)
                for row, size, score in zip(symbols, lengths, scores.numpy().tolist(), strict=True)
                if score > -math.inf]

    def _extend(
        self, state: GenState, scores: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, GenState, Tensor]:
        """Extends the W sequences of `state` with log-probabilities [W] to the W best one step
        longer.

        Returns:
          The new symbols [W], the sequences that they extend [W], the scores [W], the state, and
          whether each sequence was extended [W] (not where it had finished).
        """
        agent, core = self._gen_core.agent, self._gen_core.core
        seed = seeds.make(0)  # nothing is drawn
        context = agent.context(state.agent, (), seed=seed)
        h, context_state = core.begin_step(context, state.core)
        outputs, latent_state = core.update(h, tf.zeros([scores.shape[0], 0], context.dtype))
        log_probs = tf.nn.log_softmax(core.decoder(outputs))  # [W, V]
        num_symbols = log_probs.shape[1]
        # A finished sequence has one continuation: itself.
        stays = tf.where(
            tf.range(num_symbols) == 0, tf.zeros([], scores.dtype), -math.inf)
        log_probs = tf.where(state.finished[:, None], stays, log_probs)
        best = tf.math.top_k(
            tf.reshape(scores[:, None] + log_probs, [-1]), scores.shape[0])
        parents, symbols = best.indices // num_symbols, best.indices % num_symbols
        before, after, context = tf.nest.map_structure(
            lambda leaf: tf.gather(leaf, parents),
            (state, CoreState(context_state, latent_state), context))
        symbols = tf.cast(symbols, core.observation_spec.dtype)
        agent_state = agent.observe(symbols, context, before.agent)
        moved = GenState(agent_state, after, agent.finished(agent_state), before.steps + 1)
        active = ~before.finished
        return symbols, parents, best.values, nest.where(active, moved, before), active
