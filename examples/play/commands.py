# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the commands of vaeseq-play do (imports TensorFlow; `cli` does not)."""
from __future__ import annotations

import argparse
import contextlib
import json
import math
from pathlib import Path

import numpy as np

from vaeseq.cli import options as run_options
from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import shown
from vaeseq.runs.log_dir import LogDir

from . import dreaming, env, films, learning, pictures
from .copies import Games
from .dreaming import Dream, TrainedAgent
from .env import Game
from .films import Film
from .hparams import PlayHParams
from .learning import PROGRAM, Learned
from .playing import Player, RandomPlayer, play
from .replay import Episode

_SIDE_BY_SIDE = 16  # games played at once where nobody watches
_HOLD = 1.0  # seconds for which the end of a game is shown
# Seeds of --seed are below this; games of training and of `run` never begin alike.
_NOT_OF_TRAINING = 1 << 32


def train(options: argparse.Namespace) -> None:
    """vaeseq-play train."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    if log_dir.exists:
        hparams = run_options.resolve_hparams(log_dir, PlayHParams, options.hparams)
        seed = _agreed_seed(log_dir, options.seed)
    else:
        hparams, seed = PlayHParams().replace(**options.hparams), options.seed or 0
    game = env.game(hparams.game, hparams.observed_indices)
    print(f"Learning {game.name}: {_described(game)}.", flush=True)
    with program.stop_when_asked() as stop:
        learned = learning.run(
            hparams, log_dir, num_steps=options.num_steps, seed=seed,
            max_minutes=options.max_minutes or math.inf, should_stop=stop.asked)
    _tell_end(learned, options.log_dir)


def run(options: argparse.Namespace) -> None:
    """vaeseq-play run."""
    _check_gif(options.film)
    game, player = _game_and_player(options)
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
                seed=_NOT_OF_TRAINING + options.seed,
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


def dream(options: argparse.Namespace) -> None:
    """vaeseq-play dream."""
    _check_gif(options.film)
    agent = _trained(options)
    player = _player(options, agent)
    seed = _NOT_OF_TRAINING + options.seed
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
            self.film.add(self._picture(), hold=_HOLD)

    def _picture(self) -> np.ndarray:
        return films.captioned(films.fitted(self._games.frame()),
                               f"game {self._number + 1}, move {self._moves}")


def _film_dream(game: Game, episode: Episode, dreamt: Dream, given: int, path: Path) -> None:
    """Films a game on the left, and on the right the same beginning and the dream after it."""
    imagined = np.concatenate([episode.observations[:given + 1], dreamt.observations])
    rewards = np.concatenate([episode.rewards[:given], dreamt.rewards])
    over = np.concatenate([np.zeros([given + 1], bool), _over(dreamt)])
    last = int(np.argmax(over)) if over.any() else len(over) - 1  # of the dream
    seen = episode.observations
    moves = max(min(len(imagined), len(seen)) - 1, last)
    painter = pictures.painter(game, np.concatenate([seen, imagined]), moves + 1)
    with contextlib.closing(painter), Film(path, game.frame_rate) as film:
        for move in range(moves + 1):
            left, right = min(move, episode.num_moves), min(move, last)
            kind = "the dream" if move > given else "seen"
            film.add(_beside(
                films.captioned(painter.paint(seen, left, len(seen)), _caption(
                    "the game", left, episode.rewards, left < move)),
                films.captioned(painter.paint(imagined, right, given), _caption(
                    kind, right, rewards, right < move or bool(over[right])))),
                hold=_HOLD if move in (given, moves) else 0.0)


def _caption(kind: str, move: int, rewards: np.ndarray, over: bool) -> str:
    return f"{kind}, move {move}, score {rewards[:move].sum():.4g}{', over' if over else ''}"


def _beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    gap = np.full([left.shape[0], 4, 3], 160, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _over(dreamt: Dream) -> np.ndarray:
    """After which steps the dream is over: the game more likely ended by then than not."""
    return np.cumprod(dreamt.going) < 0.5


def _numbers(scores: list[float]) -> dict[str, float]:
    return {"games": len(scores), "mean": float(np.mean(scores)),
            "median": float(np.median(scores)), "std": float(np.std(scores)),
            "min": min(scores), "max": max(scores)}


def _told(episode: Episode, max_moves: int) -> str:
    cut = ", cut there" if episode.truncated and episode.num_moves == max_moves else ""
    return (f"game {episode.number + 1}: score {episode.score:.6g} in {episode.num_moves} moves"
            f"{cut}")


def _game_and_player(options: argparse.Namespace) -> tuple[Game, Player]:
    """What is played, by whom; a random agent needs no trained one."""
    if options.agent == "trained" or (
            options.log_dir is not None and LogDir(options.log_dir, PROGRAM).exists):
        if options.log_dir is None:
            raise UsageError("--agent trained: expected --log-dir DIR of a training run, got none. "
                             "--agent random plays without one.")
        if options.agent == "trained":
            agent = _trained(options)
            return agent.game, _player(options, agent)
        hparams = run_options.resolve_hparams(LogDir(options.log_dir, PROGRAM), PlayHParams, options.hparams)
    else:
        hparams = PlayHParams().replace(**options.hparams)
    game = env.game(hparams.game, hparams.observed_indices)
    return game, RandomPlayer(game.actions)


def _player(options: argparse.Namespace, agent: TrainedAgent) -> Player:
    if options.agent == "random":
        return RandomPlayer(agent.game.actions)
    return agent.player(greedy=options.temperature is None,
                        temperature=options.temperature or 1.0)


def _trained(options: argparse.Namespace) -> TrainedAgent:
    """The agent in --log-dir, checked against what else was given."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    run_options.resolve_hparams(log_dir, PlayHParams, options.hparams)
    return dreaming.load(log_dir)


def _agreed_seed(log_dir: LogDir, seed: int | None) -> int:
    """The run's seed; raises UsageError where another was given."""
    saved = log_dir.seed()
    if seed not in (None, saved):
        raise UsageError(f"--seed: {str(log_dir.path)!r} holds a run with seed {saved}, but {seed} "
                         "was given. Leave it out, or give another --log-dir.")
    return saved


def _described(game: Game) -> str:
    observed = " x ".join(map(str, game.observation_shape))
    seen = f"pictures of {observed} numbers are" if game.image else (
        "one number is" if observed == "1" else f"{observed} numbers are")
    size = game.actions.size
    return f"{seen} seen, " + (
        f"{size} actions to choose from" if game.actions.discrete
        else "an action is one number" if size == 1 else f"an action is {size} numbers")


def _check_gif(path: Path | None) -> None:
    if path is not None and path.suffix.lower() != ".gif":
        raise UsageError(f"--film: expected the name of a film, FILE.gif; got {shown(str(path))}.")


def _tell_end(learned: Learned, log_dir: Path) -> None:
    """Prints how a sitting of training ended, and what to type next."""
    best = "" if math.isnan(learned.best) else f" Best mean score: {learned.best:.6g}."
    if learned.reason != "done":
        why = "stopped" if learned.reason == "stopped" else "time is up"
        print(f"Step {learned.real_steps}: {why}, everything is saved.{best}\n"
              "The same command again goes on from here.")
    elif learned.nothing_to_do:
        print(f"Step {learned.real_steps}: nothing to do, so many moves were made before; a larger "
              f"--num-steps goes on from here.{best}")
    else:
        print(f"Step {learned.real_steps}: done.{best}")
    run_options.print_next_steps(PROGRAM, log_dir, "run", "dream --film dream.gif")
