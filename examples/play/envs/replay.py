# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Recorded episodes, and a replay buffer that samples windows of them.

Axes: B windows, T steps of a window, N steps of an episode, M steps of all episodes.
"""
from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from .env import Game


class Episode(NamedTuple):
    """One recorded episode.

    Attributes:
      observations: `[N + 1, ...]`, before each step and after the last.
      actions: int32 `[N]`, or float32 `[N, A]` in the environment's units.
      rewards: float32 `[N]`; each came with the observation after the step.
      terminated: it ended in a terminal state; otherwise it was truncated.
      number: of the episode, in the order in which they started.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    number: int = 0

    @property
    def num_steps(self) -> int:
        """N."""
        return len(self.rewards)

    @property
    def score(self) -> float:
        """The sum of the rewards."""
        return float(np.sum(self.rewards, dtype=np.float64))


class Transitions(NamedTuple):
    """Steps of episodes, concatenated.

    Attributes:
      before: observations before each step, `[M, ...]`.
      actions: int32 `[M]`, or float32 `[M, A]`.
      after: observations after each step, `[M, ...]`.
      rewards: float32 `[M]`.
      terminated: bool `[M]`, the episode ended in a terminal state with this step.
    """

    before: np.ndarray
    actions: np.ndarray
    after: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray


class Windows(NamedTuple):
    """Consecutive steps of episodes, padded with zeros.

    Attributes:
      before: observations before each step, `[B, T, ...]`.
      actions: int32 `[B, T]`, or float32 `[B, T, A]`.
      after: observations after each step, `[B, T, ...]`.
      rewards: float32 `[B, T]`.
      terminated: bool `[B, T]`, the episode ended in a terminal state with this step.
      lengths: int32 `[B]`, 1 to T.
    """

    before: np.ndarray
    actions: np.ndarray
    after: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    lengths: np.ndarray


class Replay(tf.Module):
    """A buffer of the latest episodes; a checkpoint saves and restores it.

    Attributes:
      episodes_added: the number of episodes added so far.
    """

    def __init__(self, game: Game, max_steps: int):
        """Creates an empty buffer.

        Args:
          game: the description of the environment.
          max_steps: capacity; beyond it the oldest episodes are dropped, but never the latest.
        """
        super().__init__(name="replay")
        self._most_moves = max_steps
        self.episodes_added = 0
        self._observations = _Queue(game.zeros(0))
        self._actions = _Queue(game.actions.zeros(0))
        self._rewards = _Queue(np.zeros([0], np.float32))
        self._lengths = _Queue(np.zeros([0], np.int64))
        self._terminated = _Queue(np.zeros([0], bool))
        self._saved = _SavedReplay(self)

    @property
    def num_episodes(self) -> int:
        """The number of stored episodes."""
        return len(self._lengths.items)

    @property
    def num_steps(self) -> int:
        """M."""
        return len(self._rewards.items)

    def add(self, episode: Episode) -> None:
        """Adds an episode; raises ValueError if it has no steps."""
        if not episode.num_steps:
            raise ValueError("expected an episode of at least one step, got an empty one.")
        self.episodes_added += 1
        self._observations.append(episode.observations)
        self._actions.append(episode.actions)
        self._rewards.append(episode.rewards)
        self._lengths.append(np.array([episode.num_steps]))
        self._terminated.append(np.array([episode.terminated]))
        while self.num_steps > self._most_moves and self.num_episodes > 1:
            self._drop_oldest()

    def transitions(self) -> Transitions:
        """Returns a copy of all stored steps, the oldest first."""
        lengths = self._lengths.items
        # An episode has one more observation than steps.
        before = np.arange(self.num_steps) + np.repeat(np.arange(len(lengths)), lengths)
        terminated = np.zeros([self.num_steps], bool)
        terminated[np.cumsum(lengths) - 1] = self._terminated.items
        observations = self._observations.items
        return Transitions(observations[before], self._actions.items.copy(),
                           observations[before + 1], self._rewards.items.copy(), terminated)

    def sample(self, batch_size: int, num_steps: int, *, seed: Sequence[int]) -> Windows:
        """Samples windows, as a function of the stored episodes and the seed.

        A step is drawn uniformly from all, and its place in the window of T steps uniformly too;
        then the window is shifted to lie inside its episode. An episode of at most T steps is
        returned whole, so that no window of it starts after an observation to remember.

        Args:
          batch_size: B.
          num_steps: T.
          seed: non-negative integers.

        Raises:
          ValueError: the buffer is empty.
        """
        if not self.num_episodes:
            raise ValueError("expected episodes to sample from, got none: add one first.")
        rng = np.random.default_rng(list(seed))
        lengths, ends = self._lengths.items, np.cumsum(self._lengths.items)
        chosen = rng.integers(self.num_steps, size=batch_size)
        offsets = rng.integers(num_steps, size=batch_size)
        episodes = np.searchsorted(ends, chosen, side="right")
        sizes = np.minimum(lengths[episodes], num_steps)
        starts = ends[episodes] - lengths[episodes]
        firsts = np.clip(chosen - offsets, starts, ends[episodes] - sizes)

        steps = np.arange(num_steps)
        valid = steps < sizes[:, None]
        indices = firsts[:, None] + np.where(valid, steps, 0)
        before = indices + episodes[:, None]
        last = valid & (indices == ends[episodes][:, None] - 1)
        observations = self._observations.items
        return Windows(
            _masked(observations[before], valid), _masked(self._actions.items[indices], valid),
            _masked(observations[before + 1], valid), _masked(self._rewards.items[indices], valid),
            last & self._terminated.items[episodes][:, None],
            sizes.astype(np.int32))

    def _drop_oldest(self) -> None:
        length = int(self._lengths.items[0])
        self._observations.drop(length + 1)
        self._actions.drop(length)
        self._rewards.drop(length)
        self._lengths.drop(1)
        self._terminated.drop(1)

    def _queues(self) -> dict[str, _Queue]:
        return {"observations": self._observations, "actions": self._actions,
                "rewards": self._rewards, "lengths": self._lengths,
                "terminated": self._terminated}


class _Queue:
    """An array that grows at its end and shrinks at its start.

    Attributes:
      items: the content, `[N, ...]`; a view, valid until the queue changes.
    """

    def __init__(self, empty: np.ndarray):
        self._room, self._first = empty.copy(), 0
        self.items = self._room[:0]

    def append(self, items: np.ndarray) -> None:
        stop = self._first + len(self.items)
        if stop + len(items) > len(self._room):
            count = len(self.items) + len(items)
            room = np.empty([2 * count, *self.items.shape[1:]], self.items.dtype)
            room[:len(self.items)] = self.items
            self._room, self._first, stop = room, 0, len(self.items)
        self._room[stop:stop + len(items)] = items
        self.items = self._room[self._first:stop + len(items)]

    def drop(self, count: int) -> None:
        self._first += count
        self.items = self.items[count:]

    def check(self, items: np.ndarray) -> None:
        """Raises ValueError if the dtype or the shape of `items` differs from the queue's."""
        if items.dtype != self.items.dtype or items.shape[1:] != self.items.shape[1:]:
            raise ValueError(f"expected {self.items.dtype} [N, {self.items.shape[1:]}], got "
                             f"{items.dtype} {items.shape}")


class _SavedReplay(tf.train.experimental.PythonState):
    """Serialises a replay buffer as a NumPy archive without pickles."""

    def __init__(self, replay: Replay):
        self._replay = replay

    def serialize(self) -> bytes:
        file = io.BytesIO()
        arrays = {name: queue.items for name, queue in self._replay._queues().items()}
        np.savez(
            file, allow_pickle=False, episodes_added=np.int64(self._replay.episodes_added),
            **arrays)
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        queues = self._replay._queues()
        try:
            with np.load(io.BytesIO(string_value), allow_pickle=False) as archive:
                episodes_added = int(archive["episodes_added"])
                arrays = {name: archive[name] for name in queues}
            for name, queue in queues.items():
                queue.check(arrays[name])
            _check_lengths(arrays)
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"the saved episodes are damaged or of another game: {error}") from None
        self._replay.episodes_added = episodes_added
        for name, queue in queues.items():
            queue.drop(len(queue.items))
            queue.append(arrays[name])


def _check_lengths(arrays: dict[str, np.ndarray]) -> None:
    lengths = arrays["lengths"]
    moves = int(lengths.sum())
    counts = [len(arrays[name]) for name in ("observations", "actions", "rewards", "terminated")]
    if (lengths < 1).any() or counts != [moves + len(lengths), moves, moves, len(lengths)]:
        raise ValueError("their lengths do not agree")


def _masked(items: np.ndarray, valid: np.ndarray) -> np.ndarray:
    items[~valid] = 0
    return items
