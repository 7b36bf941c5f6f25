# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Playing whole games, several side by side.

Axes: n copies of a game, A numbers of an action, N moves of one game.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from .env import Actions
from .replay import Episode
from .vector_env import Games

_BEGINNING, _PLAYER = 0, 1  # what a seed is for
_BLOCK = 256  # moves whose random actions are drawn at once


class Player(Protocol):
    """Chooses the actions of n games at once."""

    def start(self, num_games: int) -> Any:
        """What it keeps in mind before it has seen anything."""

    def step(
        self, state: Any, observations: np.ndarray, rewards: np.ndarray, fresh: np.ndarray,
        seed: np.ndarray,
    ) -> tuple[np.ndarray, Any]:
        """The next move of each game; called once for each move.

        Args:
          state: what `start` or the last `step` gave.
          observations: `[n, ...]`, what is seen now.
          rewards: float32 `[n]`, of the move before; 0 where there was none.
          fresh: bool `[n]`: a game begins here; what was kept in mind is of another.
          seed: int32 `[2]`, of what is random in this move; the second is its number.

        Returns:
          Actions, int `[n]` or float `[n, A]`, and what it keeps in mind. A row whose game is over
          is asked too, and its answer is not heard.
        """


class RandomPlayer:
    """Every action is as likely as any other."""

    def __init__(self, actions: Actions):
        """Args: actions: what a player may do."""
        self._actions = actions

    def start(self, num_games: int) -> Any:
        """The actions of a block of moves, and which one: none yet."""
        return self._actions.zeros(0, num_games), -1

    def step(
        self, state: Any, observations: np.ndarray, rewards: np.ndarray, fresh: np.ndarray,
        seed: np.ndarray,
    ) -> tuple[np.ndarray, Any]:
        """Actions drawn from the seed."""
        del rewards, fresh
        actions, drawn = state
        block, place = divmod(int(seed[1]), _BLOCK)
        if block != drawn:  # to make a generator for each move would take longer than the move
            actions = self._draw(len(observations), [int(seed[0]), block])
        return actions[place], (actions, block)

    def _draw(self, num_games: int, seed: list[int]) -> np.ndarray:
        rng, known = np.random.default_rng(seed), self._actions
        if known.discrete:
            return rng.integers(known.size, size=[_BLOCK, num_games])
        return rng.uniform(known.low, known.high, [_BLOCK, num_games, known.size])


def play(
    games: Games, player: Player, *, num_games: int | None = None, num_moves: int | None = None,
    most_moves: int | None = None, seed: int, first_game: int = 0,
    watch: Callable[[int], None] = lambda number: None,
) -> Iterator[Episode]:
    """Plays whole games, each given as it ends.

    A game's beginning is a function of the seed and of its number, not of how many copies play.

    Args:
      games: the copies that play.
      player: who plays.
      num_games: how many games, numbered from `first_game`. Exactly these are given, long or short.
      num_moves: where that is not given: no game is begun after so many moves in all; those
        that were begun are played to their end.
      most_moves: a longer game is cut there; by default the environment alone cuts.
      seed: of the beginnings, and of what is random in the player.
      first_game: the number of the first.
      watch: called with a game's number, of the first copy's, after its beginning and each move.

    Raises:
      GameError: the environment failed.
      ValueError: neither or both of `num_games` and `num_moves` are given.
    """
    if (num_games is None) == (num_moves is None):
        raise ValueError("expected either num_games or num_moves, got "
                         f"num_games={num_games}, num_moves={num_moves}.")
    last = math.inf if num_games is None else first_game + num_games
    most = math.inf if num_moves is None else num_moves
    table = _Table(games, seed, first_game, most_moves or games.game.most_moves, watch)
    for row in range(games.num_games):
        if table.next_game < last:
            table.begin(row)
    state, moves = player.start(games.num_games), 0
    own_seed = _seed(seed, first_game, _PLAYER)
    while table.rows:
        actions, state = player.step(
            state, table.observations, table.rewards, table.fresh,
            np.array([own_seed, moves], np.int32))
        moves += 1
        for row in table.move(np.asarray(actions)):
            yield table.end(row)
            if table.next_game < last and table.moves_made < most:
                table.begin(row)


class _Table:
    """The games that are being played, and what is noted of them.

    Attributes:
      rows: the copies that play.
      next_game: the number of the game that is begun next.
      moves_made: in all.
      observations: what is seen now, `[n, ...]`.
      rewards: of the move before, float32 `[n]`.
      fresh: bool `[n]`, a game begins.
    """

    def __init__(
        self, games: Games, seed: int, first_game: int, most_moves: int,
        watch: Callable[[int], None],
    ):
        self._games, self._seed, self._most_moves, self._watch = games, seed, most_moves, watch
        self.rows: list[int] = []
        self.next_game, self.moves_made = first_game, 0
        self.observations = games.game.zeros(games.num_games)
        self.rewards = np.zeros([games.num_games], np.float32)
        self.fresh = np.zeros([games.num_games], bool)
        self._notes: dict[int, _Notes] = {}
        self._terminated = np.zeros([games.num_games], bool)

    def begin(self, row: int) -> None:
        """Begins the next game in a copy."""
        number, self.next_game = self.next_game, self.next_game + 1
        observation = self._games.reset(row, _seed(self._seed, number, _BEGINNING))
        self.observations[row], self.rewards[row], self.fresh[row] = observation, 0, True
        self._notes[row] = _Notes(number, observation)
        self.rows = sorted(self._notes)
        if row == 0:
            self._watch(number)

    def move(self, actions: np.ndarray) -> list[int]:
        """Makes a move in each game that is played; the copies whose game it ended."""
        moves = self._games.step(actions, self.rows)
        self.observations, self.rewards = moves.observations, moves.rewards
        self.fresh = np.zeros_like(self.fresh)
        self.moves_made += len(self.rows)
        over = []
        for row in self.rows:
            notes = self._notes[row]
            notes.observations.append(moves.observations[row])
            notes.actions.append(moves.actions[row])
            notes.rewards.append(moves.rewards[row])
            cut = moves.truncated[row] or len(notes.rewards) >= self._most_moves
            if cut or moves.terminated[row]:
                over.append(row)
        if self.rows[0] == 0:
            self._watch(self._notes[0].number)
        self._terminated = moves.terminated
        return over

    def end(self, row: int) -> Episode:
        """Takes the game that is over off a copy; to be called before the copy begins another."""
        notes = self._notes.pop(row)
        self.rows = sorted(self._notes)
        terminated = bool(self._terminated[row])
        return Episode(
            np.array(notes.observations), np.array(notes.actions), np.array(notes.rewards),
            terminated, not terminated, notes.number)


class _Notes:
    """Of a game that is played: its number, what was seen and done, and what it gave."""

    def __init__(self, number: int, observation: np.ndarray):
        self.number = number
        self.observations = [observation]
        self.actions: list[np.ndarray] = []
        self.rewards: list[np.ndarray] = []


def _seed(seed: int, number: int, purpose: int) -> int:
    """A seed of 31 bits: of a game's beginning, or of who plays it and those after."""
    high, low = divmod(seed, 1 << 32)
    # A large seed would be taken for two numbers, and the first of them for a small seed's.
    words = np.random.SeedSequence([low, number, purpose], spawn_key=(high,) if high else ())
    return int(words.generate_state(1)[0] >> 1)
