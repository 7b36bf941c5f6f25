# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command `dream`: films an episode beside its continuation in the model."""
from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import numpy as np

from vaeseq.cli.arguments import UsageError

from ..actor_critic.trained_agent import ImaginedEpisode
from ..envs.env import Game
from ..envs.replay import Episode
from ..envs.rollout import play
from ..envs.vector_env import VectorEnv
from ..output import gif, painters
from ..output.gif import Film
from ._shared import (
    EVALUATION_SEED,
    HOLD_SECONDS,
    check_gif,
    check_temperature,
    film_line,
    load_agent,
    make_player,
)


def dream(options: argparse.Namespace) -> None:
    """Plays an episode, imagines its continuation, and films both side by side."""
    check_gif(options.film)
    check_temperature(options)
    agent = load_agent(options)
    player = make_player(options, agent)
    seed = EVALUATION_SEED + options.seed
    with VectorEnv(agent.game, 1) as envs:
        (episode,) = play(envs, player, num_episodes=1, seed=seed)
    if options.given >= episode.num_steps:
        raise UsageError(f"--given: expected fewer moves than the game had, {episode.num_steps}; "
                         f"got {options.given}.")
    own = options.actions == "own"
    length = options.length if own else min(options.length, episode.num_steps - options.given)
    imagined = agent.imagine(
        episode, num_observed=options.given, length=length, own_actions=own, seed=options.seed)
    film = _film(agent.game, episode, imagined, options.given, options.film)
    over = _is_over(imagined)
    ended = int(np.argmax(over)) + 1 if over.any() else length
    score = episode.rewards[:options.given].sum() + imagined.rewards[:ended].sum()
    print(f"The game: {episode.num_steps} moves, score {episode.score:.6g}.\n"
          f"The dream, after {options.given} of them: {ended} more"
          f"{', then it is over' if over.any() else ''}, score {score:.6g}.\n"
          f"{film_line(options.film, film)}")


def _film(
    game: Game, episode: Episode, imagined: ImaginedEpisode, num_observed: int, path: Path
) -> Film:
    """Films the episode on the left; on the right its start and the imagined continuation.

    Returns:
      The film, which is cut where it holds the beginning only.
    """
    real = episode.observations
    right_observations = np.concatenate([real[:num_observed + 1], imagined.observations])
    right_rewards = np.concatenate([episode.rewards[:num_observed], imagined.rewards])
    over = np.concatenate([np.zeros([num_observed + 1], bool), _is_over(imagined)])
    right_end = int(np.argmax(over)) if over.any() else len(over) - 1
    last = max(min(len(right_observations), len(real)) - 1, right_end)
    painter = painters.painter(game, np.concatenate([real, right_observations]), last + 1)
    with contextlib.closing(painter), Film(path, game.frame_rate) as film:
        for step in range(last + 1):
            if film.is_cut:
                break
            left, right = min(step, episode.num_steps), min(step, right_end)
            film.add(_side_by_side(
                gif.captioned(painter.paint(real, left, len(real)), _caption(
                    "the game", left, episode.rewards, left < step)),
                gif.captioned(painter.paint(right_observations, right, num_observed), _caption(
                    "the dream" if step > num_observed else "seen", right, right_rewards,
                    right < step or bool(over[right])))),
                hold=HOLD_SECONDS if step in (num_observed, last) else 0.0)
    return film


def _caption(kind: str, step: int, rewards: np.ndarray, over: bool) -> str:
    return f"{kind}, move {step}, score {rewards[:step].sum():.4g}{', over' if over else ''}"


def _side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    gap = np.full([left.shape[0], 4, 3], 160, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _is_over(imagined: ImaginedEpisode) -> np.ndarray:
    """Returns after which steps the episode has more likely ended than not, bool `[L]`."""
    return np.cumprod(imagined.continues) < 0.5
