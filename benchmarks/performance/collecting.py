# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures rollouts without learning, in steps per second, against Gymnasium's SyncVectorEnv.

    python -m benchmarks.performance.collecting run [--game CartPole-v1] [--copies 8 64] [--moves N]

Ours plays whole episodes and stores them in a replay buffer, as training does: with random actions,
and with an untrained policy. SyncVectorEnv takes random actions and stores nothing. The three
alternate; the medians are printed as one JSON line for each number of copies.
"""
from __future__ import annotations

import argparse
import functools
import json
import statistics
import time

from benchmarks.report import provenance
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_PEER = "SyncVectorEnv"


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--game", default="CartPole-v1", metavar="NAME", help="a Gymnasium environment's name")
    add("--copies", type=arguments.whole(1, 1 << 12), nargs="+", default=[8, 64], metavar="N",
        help="numbers of environments that step in parallel")
    add("--moves", type=arguments.whole(100, 1 << 24), default=20_000, metavar="N",
        help="steps of a round, over all environments")
    add("--rounds", type=arguments.whole(1, 100), default=5, metavar="N",
        help="rounds, in which the contenders alternate")


def _run(options: argparse.Namespace) -> None:
    from examples.play.actor_critic.agents import AgentPlayer, PolicyActor
    from examples.play.actor_critic.policy import Policy
    from examples.play.envs import env
    from examples.play.envs.rollout import RandomPlayer
    from examples.play.hparams import PlayHParams
    from examples.play.world_model.model import World
    game, hparams = env.game(options.game), PlayHParams(game=options.game)
    policy = PolicyActor(World(hparams, game), Policy(hparams, game.actions))
    players = {"random": RandomPlayer(game.actions), "policy": AgentPlayer(policy)}
    for copies in options.copies:
        ours = {name: functools.partial(_rollout, game, player, copies)
                for name, player in players.items()}
        rates = _medians({_PEER: functools.partial(_gymnasium_rollout, game.name, copies), **ours},
                         options.moves, options.rounds)
        print(json.dumps({
            "game": game.name, "copies": copies, "moves_per_second": rates,
            "share": {name: round(rates[name] / rates[_PEER], 2) for name in players},
            **provenance("benchmarks.performance.collecting")}), flush=True)


def _medians(rollouts: dict, moves: int, rounds: int) -> dict[str, int]:
    """Returns the median steps per second of each rollout function."""
    rates: dict[str, list[float]] = {name: [] for name in rollouts}
    for rollout in rollouts.values():
        rollout(1)  # compiles
    for _ in range(rounds):
        for name, rollout in rollouts.items():
            start = time.perf_counter()
            rates[name].append(rollout(moves) / (time.perf_counter() - start))
    return {name: round(statistics.median(each)) for name, each in rates.items()}


def _rollout(game, player, copies: int, moves: int) -> int:
    """Stores whole episodes in a replay buffer; returns the number of steps."""
    from examples.play.envs.replay import Replay
    from examples.play.envs.rollout import play
    from examples.play.envs.vector_env import VectorEnv
    replay = Replay(game, 1 << 30)
    with VectorEnv(game, copies) as games:
        for episode in play(games, player, num_steps=moves, seed=0):
            replay.add(episode)
    return replay.num_steps


def _gymnasium_rollout(name: str, copies: int, moves: int) -> int:
    """Takes random actions in Gymnasium's vector environment; returns the number of steps."""
    import gymnasium
    envs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make(name)] * copies)
    envs.action_space.seed(0)
    envs.reset(seed=0)
    steps = -(-moves // copies)
    for _ in range(steps):
        envs.step(envs.action_space.sample())
    envs.close()
    return steps * copies


program = Program(
    "python -m benchmarks.performance.collecting", "Measures rollouts without learning.", (
    Command("run", "time rollouts", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
