# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command `run`: plays real episodes with a trained or a random agent."""
from __future__ import annotations

import argparse
import contextlib
import json

import numpy as np

from ..envs.replay import Episode
from ..envs.rollout import play
from ..envs.vector_env import VectorEnv
from ..output import gif
from ..output.gif import Film
from ._shared import EVALUATION_SEED, HOLD_SECONDS, check_gif, film_line, make_game_and_player

_NUM_ENVS = 16  # environments where nothing is shown


def run(options: argparse.Namespace) -> None:
    """Plays episodes, prints their scores, and films them on demand."""
    check_gif(options.film)
    game, player = make_game_and_player(options)
    shown_live = options.render == "window" or options.film is not None
    scores = []
    with contextlib.ExitStack() as stack:
        envs = stack.enter_context(VectorEnv(
            game, 1 if shown_live else min(options.num_games, _NUM_ENVS),
            window=options.render == "window", frames=options.film is not None))
        camera = None
        if options.film:
            camera = _Camera(envs, stack.enter_context(Film(options.film, game.frame_rate)))
        for episode in play(
                envs, player, num_episodes=options.num_games, max_steps=options.max_moves,
                seed=EVALUATION_SEED + options.seed,
                on_step=camera.take if camera else lambda number: None):
            if camera:
                camera.hold()
            scores.append(episode.score)
            if not options.json:
                print(_episode_line(episode, options.max_moves), flush=True)
    numbers = _numbers(scores)
    if options.json:
        print(json.dumps(numbers, allow_nan=False))
        return
    print("{games} games: mean {mean:.6g}, median {median:.6g}, standard deviation {std:.6g}, "
          "from {min:.6g} to {max:.6g}.".format(**numbers))
    if camera:
        print(film_line(options.film, camera.film))


class _Camera:
    """Films the first environment."""

    def __init__(self, envs: VectorEnv, film: Film):
        self.film = film
        self._envs = envs
        self._number, self._moves = -1, 0

    def take(self, number: int) -> None:
        """Adds a frame of game `number`."""
        self._moves = self._moves + 1 if number == self._number else 0
        self._number = number
        if not self.film.is_cut:
            self.film.add(self._picture())

    def hold(self) -> None:
        """Holds the last frame."""
        if not self.film.is_cut:
            self.film.add(self._picture(), hold=HOLD_SECONDS)

    def _picture(self) -> np.ndarray:
        return gif.captioned(gif.fitted(self._envs.frame()),
                               f"game {self._number + 1}, move {self._moves}")


def _numbers(scores: list[float]) -> dict[str, float]:
    return {"games": len(scores), "mean": float(np.mean(scores)),
            "median": float(np.median(scores)), "std": float(np.std(scores)),
            "min": min(scores), "max": max(scores)}


def _episode_line(episode: Episode, max_moves: int) -> str:
    cut = ", cut there" if not episode.terminated and episode.num_steps == max_moves else ""
    return (f"game {episode.number + 1}: score {episode.score:.6g} in {episode.num_steps} moves"
            f"{cut}")
