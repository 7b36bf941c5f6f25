# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-play dream."""
from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import shown

from ..actor_critic.trained_agent import Dream
from ..envs.env import Game
from ..envs.replay import Episode
from ..envs.rollout import play
from ..envs.vector_env import Games
from ..output import gif, painters
from ..output.gif import Film
from ._shared import EVALUATION_SEED, HOLD_SECONDS, check_gif, load_agent, make_player


def dream(options: argparse.Namespace) -> None:
    """vaeseq-play dream."""
    check_gif(options.film)
    agent = load_agent(options)
    player = make_player(options, agent)
    seed = EVALUATION_SEED + options.seed
    with Games(agent.game, 1) as games:
        (episode,) = play(games, player, num_games=1, seed=seed)
    if options.given >= episode.num_moves:
        raise UsageError(f"--given: expected fewer moves than the game had, {episode.num_moves}; "
                         f"got {options.given}.")
    own = options.actions == "own"
    length = options.length if own else min(options.length, episode.num_moves - options.given)
    dreamt = agent.dream(
        episode, given=options.given, length=length, own_actions=own, seed=options.seed)
    _film_dream(agent.game, episode, dreamt, options.given, options.film)
    ended = int(np.argmax(_over(dreamt))) + 1 if _over(dreamt).any() else length
    known = episode.rewards[:options.given].sum()
    print(f"The game: {episode.num_moves} moves, score {episode.score:.6g}.\n"
          f"The dream, after {options.given} of them: {ended} more"
          f"{', then it is over' if _over(dreamt).any() else ''}, score "
          f"{known + dreamt.rewards[:ended].sum():.6g}.\n"
          f"The film is in {shown(str(options.film))}.")


def _film_dream(game: Game, episode: Episode, dreamt: Dream, given: int, path: Path) -> None:
    """Films a game on the left, and on the right the same beginning and the dream after it."""
    imagined = np.concatenate([episode.observations[:given + 1], dreamt.observations])
    rewards = np.concatenate([episode.rewards[:given], dreamt.rewards])
    over = np.concatenate([np.zeros([given + 1], bool), _over(dreamt)])
    last = int(np.argmax(over)) if over.any() else len(over) - 1  # of the dream
    seen = episode.observations
    moves = max(min(len(imagined), len(seen)) - 1, last)
    painter = painters.painter(game, np.concatenate([seen, imagined]), moves + 1)
    with contextlib.closing(painter), Film(path, game.frame_rate) as film:
        for move in range(moves + 1):
            left, right = min(move, episode.num_moves), min(move, last)
            kind = "the dream" if move > given else "seen"
            film.add(_beside(
                gif.captioned(painter.paint(seen, left, len(seen)), _caption(
                    "the game", left, episode.rewards, left < move)),
                gif.captioned(painter.paint(imagined, right, given), _caption(
                    kind, right, rewards, right < move or bool(over[right])))),
                hold=HOLD_SECONDS if move in (given, moves) else 0.0)


def _caption(kind: str, move: int, rewards: np.ndarray, over: bool) -> str:
    return f"{kind}, move {move}, score {rewards[:move].sum():.4g}{', over' if over else ''}"


def _beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    gap = np.full([left.shape[0], 4, 3], 160, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _over(dreamt: Dream) -> np.ndarray:
    """After which steps the dream is over: the game more likely ended by then than not."""
    return np.cumprod(dreamt.going) < 0.5
