# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Recorded episodes, and a replay buffer that samples windows of them.

Axes: [...] leading dimensions, B windows, T steps of a window, N steps of an episode, M steps of
all episodes.
"""
from __future__ import annotations

import collections
import io
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from .env import Game


class Episode(NamedTuple):
    """One recorded episode."""

    observations: np.ndarray  # `[N + 1, ...]`, before each step and after the last
    actions: np.ndarray  # int32 `[N]`, or float32 `[N, A]` in the environment's units
    rewards: np.ndarray  # float32 `[N]`; each came with the observation after the step
    terminated: bool  # it ended in a terminal state; otherwise it was truncated
    number: int = 0  # of the episode, in the order in which they started

    @property
    def num_steps(self) -> int:
        """N."""
        return len(self.rewards)

    @property
    def score(self) -> float:
        """The sum of the rewards."""
        return float(np.sum(self.rewards, dtype=np.float64))


class Transitions(NamedTuple):
    """Steps of episodes: `[M]` in sequence, or `[B, T]` in windows padded with zeros."""

    before: np.ndarray  # observations before each step, `[..., *observation_shape]`
    actions: np.ndarray  # int32 `[...]`, or float32 `[..., A]`
    after: np.ndarray  # observations after each step, `[..., *observation_shape]`
    rewards: np.ndarray  # float32 `[...]`
    terminated: np.ndarray  # bool `[...]`, the episode ended in a terminal state with this step


class Arrays(NamedTuple):
    """Episodes, concatenated, as they are saved."""

    observations: np.ndarray  # `[M + number of episodes, ...]`
    actions: np.ndarray  # `[M]` or `[M, A]`
    rewards: np.ndarray  # float32 `[M]`
    lengths: np.ndarray  # int64, steps of each episode
    terminated: np.ndarray  # bool, of each episode


class Replay(tf.Module):
    """A buffer of the latest episodes; a checkpoint saves and restores it.

    Attributes:
      episodes_added: the number of episodes added so far.
    """

    def __init__(self, game: Game, max_steps: int):
        """Creates an empty buffer; beyond `max_steps` the oldest episodes are dropped."""
        super().__init__(name="replay")
        self._max_steps = max_steps
        self._empty = Arrays(
            game.zeros(0), game.actions.zeros(0), np.zeros([0], np.float32),
            np.zeros([0], np.int64), np.zeros([0], bool))
        self._episodes: collections.deque[Episode] = collections.deque()
        self._lengths = self._ends = np.zeros([0], np.int64)
        self.episodes_added = 0
        self._saved = _SavedReplay(self)

    @property
    def num_episodes(self) -> int:
        """The number of stored episodes."""
        return len(self._episodes)

    @property
    def num_steps(self) -> int:
        """M."""
        return int(self._lengths.sum())

    def add(self, episode: Episode) -> None:
        """Adds an episode; raises ValueError if it has no steps."""
        if not episode.num_steps:
            raise ValueError("expected an episode of at least one step, got an empty one.")
        self.episodes_added += 1
        self._episodes.append(episode)
        self._lengths = np.append(self._lengths, episode.num_steps)
        while self.num_steps > self._max_steps and self.num_episodes > 1:
            self._episodes.popleft()
            self._lengths = self._lengths[1:]
        self._ends = np.cumsum(self._lengths)

    def arrays(self) -> Arrays:
        """Returns a copy of all stored episodes, concatenated, the oldest first."""
        observations, actions, rewards = (
            np.concatenate([empty, *(getattr(episode, name) for episode in self._episodes)])
            for name, empty in zip(Arrays._fields[:3], self._empty))
        return Arrays(observations, actions, rewards, self._lengths.copy(),
                      np.array([e.terminated for e in self._episodes], bool))

    def transitions(self) -> Transitions:
        """Returns a copy of all stored steps, the oldest first."""
        observations, actions, rewards, lengths, ended = self.arrays()
        # An episode has one more observation than steps.
        before = np.arange(len(rewards)) + np.repeat(np.arange(len(lengths)), lengths)
        terminated = np.zeros([len(rewards)], bool)
        terminated[self._ends - 1] = ended
        return Transitions(
            observations[before], actions, observations[before + 1], rewards, terminated)

    def sample(
        self, batch_size: int, num_steps: int, *, end_share: float = 0.0, seed: Sequence[int]
    ) -> tuple[Transitions, np.ndarray]:
        """Samples windows, as a function of the stored episodes and the seed.

        A step is drawn uniformly from all, and its place in the window of T steps uniformly too;
        then the window is shifted to lie inside its episode. An episode of at most T steps is
        returned whole, so that no window of it starts after an observation to remember.

        Args:
          batch_size: B.
          num_steps: T.
          end_share: probability of a window that is the last T steps of an episode, drawn
            uniformly from the episodes, instead.
          seed: non-negative integers.

        Returns:
          Steps `[B, T]`, and the lengths of the windows, int32 `[B]`, 1 to T.

        Raises:
          ValueError: the buffer is empty.
        """
        if not self.num_episodes:
            raise ValueError("expected episodes to sample from, got none: add one first.")
        rng = np.random.default_rng(list(seed))
        steps = rng.integers(self.num_steps, size=batch_size)
        offsets = rng.integers(num_steps, size=batch_size)
        last_steps = self._ends[rng.integers(self.num_episodes, size=batch_size)] - 1
        steps = np.where(rng.random(batch_size) < end_share, last_steps, steps)
        rows = np.searchsorted(self._ends, steps, side="right")
        lengths = self._lengths[rows]
        sizes = np.minimum(lengths, num_steps)
        starts = np.clip(
            steps - (self._ends[rows] - lengths) - offsets, 0, lengths - sizes)
        windows = Transitions(*(
            np.zeros([batch_size, num_steps, *each.shape[1:]], each.dtype)
            for each in (self._empty.observations, self._empty.actions, self._empty.observations,
                         self._empty.rewards, self._empty.terminated)))
        for i, (row, start, size) in enumerate(zip(rows, starts, sizes)):
            episode, stop = self._episodes[row], start + size
            windows.before[i, :size] = episode.observations[start:stop]
            windows.actions[i, :size] = episode.actions[start:stop]
            windows.after[i, :size] = episode.observations[start + 1:stop + 1]
            windows.rewards[i, :size] = episode.rewards[start:stop]
            windows.terminated[i, size - 1] = episode.terminated and stop == lengths[i]
        return windows, sizes.astype(np.int32)

    def restore(self, arrays: Arrays, episodes_added: int) -> None:
        """Replaces the content by that of another buffer, given its `arrays`.

        Raises:
          ValueError: the arrays are of another game, or their lengths do not agree.
        """
        for name, array, empty in zip(Arrays._fields, arrays, self._empty):
            if array.dtype != empty.dtype or array.shape[1:] != empty.shape[1:]:
                raise ValueError(f"expected {name} {empty.dtype} {['N', *empty.shape[1:]]}, got "
                                 f"{array.dtype} {list(array.shape)}")
        lengths = arrays.lengths
        ends = np.cumsum(lengths)
        num_steps, count = int(lengths.sum()), len(lengths)
        if (lengths < 1).any() or [len(array) for array in arrays] != [
                num_steps + count, num_steps, num_steps, count, count]:
            raise ValueError("their lengths do not agree")
        self._lengths, self._ends, self.episodes_added = lengths, ends, episodes_added
        self._episodes = collections.deque(
            Episode(observations, actions, rewards, bool(terminated))
            for observations, actions, rewards, terminated in zip(
                np.split(arrays.observations, ends[:-1] + np.arange(1, count)),
                np.split(arrays.actions, ends[:-1]), np.split(arrays.rewards, ends[:-1]),
                arrays.terminated))


class _SavedReplay(tf.train.experimental.PythonState):
    """Serialises a replay buffer as a NumPy archive without pickles."""

    def __init__(self, replay: Replay):
        self._replay = replay

    def serialize(self) -> bytes:
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, episodes_added=np.int64(self._replay.episodes_added),
                 **self._replay.arrays()._asdict())
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        try:
            with np.load(io.BytesIO(string_value), allow_pickle=False) as archive:
                self._replay.restore(Arrays(*(archive[name] for name in Arrays._fields)),
                                     int(archive["episodes_added"]))
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"the saved episodes are damaged or of another game: {error}") from None
