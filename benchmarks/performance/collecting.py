# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Play without learning: moves a second, beside Gymnasium's own loop over copies of a game.

    python -m benchmarks.performance.collecting run [--game CartPole-v1] [--copies 8 64] [--moves N]

Ours plays whole games and remembers them, as training does: at random, and by a policy that has
learned nothing yet. SyncVectorEnv is given random actions and keeps nothing. They take turns; the
medians are printed as one JSON line for each number of copies.
"""
from __future__ import annotations

import argparse
import functools
import json
import statistics
import time

from benchmarks.machine import circumstances
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_PEER = "SyncVectorEnv"


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--game", default="CartPole-v1", metavar="NAME", help="a Gymnasium environment's name")
    add("--copies", type=arguments.whole(1, 1 << 12), nargs="+", default=[8, 64], metavar="N",
        help="of the game, side by side")
    add("--moves", type=arguments.whole(100, 1 << 24), default=20_000, metavar="N",
        help="of one turn, all copies together")
    add("--turns", type=arguments.whole(1, 100), default=5, metavar="N", help="of each")


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
        works = {name: functools.partial(_played, game, player, copies)
                 for name, player in players.items()}
        rates = _medians({_PEER: functools.partial(_stepped, game.name, copies), **works},
                         options.moves, options.turns)
        print(json.dumps({
            "game": game.name, "copies": copies, "moves_per_second": rates,
            "share": {name: round(rates[name] / rates[_PEER], 2) for name in players},
            **circumstances("benchmarks.performance.collecting")}), flush=True)


def _medians(works: dict, moves: int, turns: int) -> dict[str, int]:
    """Prints the steps a second of each."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work(1)  # compiles
    for _ in range(turns):
        for name, work in works.items():
            began = time.perf_counter()
            rates[name].append(work(moves) / (time.perf_counter() - began))
    return {name: round(statistics.median(each)) for name, each in rates.items()}


def _played(game, player, copies: int, moves: int) -> int:
    """Plays and remembers; how many moves there were."""
    from examples.play.envs.replay import Replay
    from examples.play.envs.rollout import play
    from examples.play.envs.vector_env import VectorEnv
    replay = Replay(game, 1 << 30)
    with VectorEnv(game, copies) as games:
        for episode in play(games, player, num_steps=moves, seed=0):
            replay.add(episode)
    return replay.num_steps


def _stepped(name: str, copies: int, moves: int) -> int:
    """Plays at random with Gymnasium's loop; how many moves there were."""
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
    "python -m benchmarks.performance.collecting", "Play without learning, measured.", (
    Command("run", "time play", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
