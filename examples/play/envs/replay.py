# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Games that were played, whole, and windows of them to learn from.

Axes: B windows, T moves of a window, N moves of a whole game, M moves of all games.
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
    """One game.

    Attributes:
      observations: `[N + 1, ...]`, what was seen before each move and after the last.
      actions: int32 `[N]`, or float32 `[N, A]` in the environment's units.
      rewards: float32 `[N]`; each came with the observation after the move.
      terminated: it ended for good; otherwise it was cut, and its last state has a future.
      truncated: it was cut, by the environment's limit of time or another.
      number: which game it is of those that were begun.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    truncated: bool
    number: int = 0

    @property
    def num_moves(self) -> int:
        """N."""
        return len(self.rewards)

    @property
    def score(self) -> float:
        """The sum of its rewards."""
        return float(np.sum(self.rewards, dtype=np.float64))


class Transitions(NamedTuple):
    """Moves of games, laid end to end.

    Attributes:
      before: `[M, ...]`, what was seen before each move.
      actions: int32 `[M]`, or float32 `[M, A]`.
      after: `[M, ...]`, what was seen after it.
      rewards: float32 `[M]`.
      terminated: bool `[M]`, the game ended for good with this move.
    """

    before: np.ndarray
    actions: np.ndarray
    after: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray


class Windows(NamedTuple):
    """Moves of games that follow each other; zeros after a window's end.

    Attributes:
      before: `[B, T, ...]`, what was seen before each move.
      actions: int32 `[B, T]`, or float32 `[B, T, A]`.
      after: `[B, T, ...]`, what was seen after it.
      rewards: float32 `[B, T]`.
      terminated: bool `[B, T]`, the game ended for good with this move.
      is_start: bool `[B]`, the window begins where its game does.
      lengths: int32 `[B]`, 1 to T.
    """

    before: np.ndarray
    actions: np.ndarray
    after: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    is_start: np.ndarray
    lengths: np.ndarray


class Replay(tf.Module):
    """The last games played; among the objects of a checkpoint it is saved and restored.

    Attributes:
      games_added: how many there have ever been.
    """

    def __init__(self, game: Game, most_moves: int):
        """Begins with no game.

        Args:
          game: whose games are kept.
          most_moves: in all; where there are more, the oldest games go, but the latest stays.
        """
        super().__init__(name="replay")
        self._most_moves = most_moves
        self.games_added = 0
        self._observations = _Queue(game.zeros(0))
        self._actions = _Queue(game.actions.zeros(0))
        self._rewards = _Queue(np.zeros([0], np.float32))
        self._lengths = _Queue(np.zeros([0], np.int64))
        self._terminated = _Queue(np.zeros([0], bool))
        self._saved = _Saved(self)

    @property
    def num_games(self) -> int:
        """How many are kept."""
        return len(self._lengths.items)

    @property
    def num_moves(self) -> int:
        """M, of those."""
        return len(self._rewards.items)

    def add(self, episode: Episode) -> None:
        """Keeps a game; raises ValueError for one of no moves."""
        if not episode.num_moves:
            raise ValueError("expected a game of at least one move, got one of none.")
        self.games_added += 1
        self._observations.append(episode.observations)
        self._actions.append(episode.actions)
        self._rewards.append(episode.rewards)
        self._lengths.append(np.array([episode.num_moves]))
        self._terminated.append(np.array([episode.terminated]))
        while self.num_moves > self._most_moves and self.num_games > 1:
            self._forget_oldest()

    def transitions(self) -> Transitions:
        """Copies of all moves that are kept, the oldest first."""
        lengths = self._lengths.items
        # Of the observations, each game has one more than it has moves.
        before = np.arange(self.num_moves) + np.repeat(np.arange(len(lengths)), lengths)
        terminated = np.zeros([self.num_moves], bool)
        terminated[np.cumsum(lengths) - 1] = self._terminated.items
        observations = self._observations.items
        return Transitions(observations[before], self._actions.items.copy(),
                           observations[before + 1], self._rewards.items.copy(), terminated)

    def sample(self, batch_size: int, num_moves: int, *, seed: Sequence[int]) -> Windows:
        """Windows of the games kept: a function of these and of the seed.

        Each is of T moves around a move that is any of all with equal chances, at an equally
        likely place of the window, which is then moved so that it stays inside its game. A game
        of at most T moves comes whole: a window that began later would have lost what there was
        to remember.

        Args:
          batch_size: B.
          num_moves: T.
          seed: whole numbers, none negative.

        Raises:
          ValueError: there is no game.
        """
        if not self.num_games:
            raise ValueError("expected games to sample from, got none: add one first.")
        rng = np.random.default_rng(list(seed))
        lengths, ends = self._lengths.items, np.cumsum(self._lengths.items)
        chosen = rng.integers(self.num_moves, size=batch_size)
        offsets = rng.integers(num_moves, size=batch_size)
        games = np.searchsorted(ends, chosen, side="right")
        sizes = np.minimum(lengths[games], num_moves)
        starts = ends[games] - lengths[games]
        firsts = np.clip(chosen - offsets, starts, ends[games] - sizes)

        steps = np.arange(num_moves)
        valid = steps < sizes[:, None]
        moves = firsts[:, None] + np.where(valid, steps, 0)
        before = moves + games[:, None]
        last = valid & (moves == ends[games][:, None] - 1)
        observations = self._observations.items
        return Windows(
            _masked(observations[before], valid), _masked(self._actions.items[moves], valid),
            _masked(observations[before + 1], valid), _masked(self._rewards.items[moves], valid),
            last & self._terminated.items[games][:, None], firsts == starts,
            sizes.astype(np.int32))

    def _forget_oldest(self) -> None:
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
    """An array that grows at its end and shrinks at its beginning.

    Attributes:
      items: what is in it, `[N, ...]`; a view, good until the queue changes.
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
        """Raises ValueError where `items` are not of the kind that is in the queue."""
        if items.dtype != self.items.dtype or items.shape[1:] != self.items.shape[1:]:
            raise ValueError(f"expected {self.items.dtype} [N, {self.items.shape[1:]}], got "
                             f"{items.dtype} {items.shape}")


class _Saved(tf.train.experimental.PythonState):
    """A replay as bytes: NumPy's archive of arrays, nothing of which is executed."""

    def __init__(self, replay: Replay):
        self._replay = replay

    def serialize(self) -> bytes:
        file = io.BytesIO()
        arrays = {name: queue.items for name, queue in self._replay._queues().items()}
        np.savez(file, allow_pickle=False, games_added=np.int64(self._replay.games_added), **arrays)
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        queues = self._replay._queues()
        try:
            with np.load(io.BytesIO(string_value), allow_pickle=False) as archive:
                games_added = int(archive["games_added"])
                arrays = {name: archive[name] for name in queues}
            for name, queue in queues.items():
                queue.check(arrays[name])
            _check_lengths(arrays)
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"the games kept there are damaged or of another game: {error}"
                             ) from None
        self._replay.games_added = games_added
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
