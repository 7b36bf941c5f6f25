# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-play run."""
from __future__ import annotations

import argparse
import contextlib
import json

import numpy as np

from vaeseq.fields import shown

from ..envs.replay import Episode
from ..envs.rollout import play
from ..envs.vector_env import Games
from ..output import gif
from ..output.gif import Film
from ._shared import EVALUATION_SEED, HOLD_SECONDS, check_gif, make_game_and_player

_SIDE_BY_SIDE = 16  # games played at once where nobody watches


def run(options: argparse.Namespace) -> None:
    """vaeseq-play run."""
    check_gif(options.film)
    game, player = make_game_and_player(options)
    watched = options.render == "window" or options.film is not None
    scores = []
    with contextlib.ExitStack() as stack:
        games = stack.enter_context(Games(
            game, 1 if watched else min(options.num_games, _SIDE_BY_SIDE),
            window=options.render == "window", frames=options.film is not None))
        camera = None
        if options.film:
            camera = _Camera(games, stack.enter_context(Film(options.film, game.frame_rate)))
        for episode in play(
                games, player, num_games=options.num_games, most_moves=options.max_moves,
                seed=EVALUATION_SEED + options.seed,
                watch=camera.take if camera else lambda number: None):
            if camera:
                camera.hold()
            scores.append(episode.score)
            if not options.json:
                print(_told(episode, options.max_moves), flush=True)
    numbers = _numbers(scores)
    if options.json:
        print(json.dumps(numbers, allow_nan=False))
        return
    print("{games} games: mean {mean:.6g}, median {median:.6g}, standard deviation {std:.6g}, "
          "from {min:.6g} to {max:.6g}.".format(**numbers))
    if camera:
        print(f"The film is in {shown(str(options.film))}"
              + ("; it shows the beginning, as there was more than fits in one."
                 if camera.film.is_full else "."))


class _Camera:
    """Takes a picture of the first copy after every move."""

    def __init__(self, games: Games, film: Film):
        self.film = film
        self._games = games
        self._number, self._moves = -1, 0

    def take(self, number: int) -> None:
        """Takes one of game `number`."""
        self._moves = self._moves + 1 if number == self._number else 0
        self._number = number
        if not self.film.is_full:
            self.film.add(self._picture())

    def hold(self) -> None:
        """Keeps looking for a while."""
        if not self.film.is_full:
            self.film.add(self._picture(), hold=HOLD_SECONDS)

    def _picture(self) -> np.ndarray:
        return gif.captioned(gif.fitted(self._games.frame()),
                               f"game {self._number + 1}, move {self._moves}")


def _numbers(scores: list[float]) -> dict[str, float]:
    return {"games": len(scores), "mean": float(np.mean(scores)),
            "median": float(np.median(scores)), "std": float(np.std(scores)),
            "min": min(scores), "max": max(scores)}


def _told(episode: Episode, max_moves: int) -> str:
    cut = ", cut there" if episode.truncated and episode.num_moves == max_moves else ""
    return (f"game {episode.number + 1}: score {episode.score:.6g} in {episode.num_moves} moves"
            f"{cut}")
