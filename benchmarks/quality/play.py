# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures learning of games: environment steps until solved, and open-loop prediction errors.

    python -m benchmarks.quality.play run --log-dir DIR
        [--games cartpole,pendulum] [--seeds 0,1,2,3,4]
    python -m benchmarks.quality.play table --log-dir DIR [--pictures DIR]

`run` trains each game with each seed in DIR/GAME-SEED and writes the figures to DIR/GAME-SEED.json;
the same command resumes an interrupted run. `table` prints the median and the worst seed of each
game and draws the learning curves. A game is solved at the first evaluation, of 100 greedy
episodes, whose mean reaches the target; for good at the first from which on every one does.
"""
from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.report import Sessions, existing_result, provenance
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

if TYPE_CHECKING:
    from examples.play.hparams import PlayHParams


class Recipe(NamedTuple):
    """A row of the table."""

    overrides: str  # hyperparameters, in the syntax of `--hparams`
    steps: int  # environment steps
    target: float  # mean score of an evaluation at which the game is solved
    published: str  # published figures to compare with


RECIPES = {
    "cartpole": Recipe("", 20_000, 475, "tuned DQN 50,000; PPO 100,000"),
    "cartpole-positions": Recipe(
        "observed_indices=[0,2]", 25_000, 475, "recurrent PPO 100,000"),
    "pendulum": Recipe("game=Pendulum-v1,first_steps=1000", 20_000, -200, "SAC, TD3: 20,000"),
    "acrobot": Recipe("game=Acrobot-v1", 10_000, -100, "tuned DQN 100,000"),
    "mountaincar": Recipe("game=MountainCar-v0", 12_000, -110, "tuned DQN 120,000"),
    "lunarlander": Recipe(
        "game=LunarLander-v3,first_steps=1000,max_game_steps=400,action_temperature=1,"
        "end_share=0.25,reward_unit=quantiles,policy_average=0.9995,policy_rate_half=20000,"
        "learning_rate_half=20000",
        60_000, 200, "tuned DQN 500,000; PPO 1,000,000"),
}
_NUM_OBSERVED, _HORIZON, _SHOWN = 10, 50, (5, 20, 50)  # steps observed, predicted, in the table
_HELD_OUT, _HELD_OUT_SEED = 32, 77_000_000


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="folder of the runs and their figures")
    add("--games", type=arguments.some_of(RECIPES), default=list(RECIPES), metavar="A,B",
        help="games to learn (default: all)")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0,1,2,3,4", metavar="N,N",
        help="seeds of the runs of each game")
    add("--max-minutes", type=arguments.minutes, default=math.inf, metavar="M",
        help="limit of one run in this session")
    add("--hparams", default="", metavar="K=V,K=V", help="further hyperparameters, for a trial")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log-dir", type=arguments.directory, required=True, metavar="DIR",
        help="folder that `run` wrote")
    add("--pictures", type=arguments.new_directory, metavar="DIR", help="folder for the plots")


def _run(options: argparse.Namespace) -> None:
    from examples.play.hparams import PlayHParams
    options.log_dir.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name in options.games:
            result = options.log_dir / f"{name}-{seed}.json"
            hparams = PlayHParams().parse(RECIPES[name].overrides).parse(options.hparams)
            if existing_result(result, hparams=_changed(hparams)) is None:
                _learn(name, seed, hparams, options, result)
            if result.is_file():
                row = json.loads(result.read_text())
                print(json.dumps({key: value for key, value in row.items() if key != "curve"}),
                      flush=True)


def _changed(hparams: PlayHParams) -> dict[str, Any]:
    """Returns the hyperparameters that are not the defaults."""
    return {d.name: d.theirs for d in type(hparams)().diff(hparams)}


def _learn(
    name: str, seed: int, hparams: PlayHParams, options: argparse.Namespace, result: Path
) -> None:
    """Starts or resumes a run; writes its figures once it has finished."""
    from examples.play.actor_critic import training
    from vaeseq.runs.log_dir import LogDir
    log_dir = LogDir(options.log_dir / f"{name}-{seed}", training.PROGRAM)
    with Sessions(log_dir.path) as sessions:
        learned = training.run(hparams, log_dir, num_steps=RECIPES[name].steps, seed=seed,
                               max_minutes=options.max_minutes)
    if learned.reason == "done":
        lines = [json.loads(line) for line in log_dir.metrics.read_text().splitlines()]
        row = {"game": name, "seed": seed, "last": learned.last, "best": learned.best,
               "wall_seconds": round(sessions.seconds), "prediction": _prediction(log_dir),
               "hparams": _changed(hparams),
               **provenance("benchmarks.quality.play"),
               "curve": [[line["step"], line["eval_mean"]] for line in lines]}
        result.write_text(json.dumps(row) + "\n")


def _solved(curve: list[list[float]], target: float) -> tuple[float, float]:
    """Returns the steps of the first evaluation that reaches the target, and for good."""
    reached = [score >= target for _, score in curve]
    if not any(reached):
        return math.inf, math.inf
    missed = [place for place, good in enumerate(reached) if not good]
    after = missed[-1] + 1 if missed else 0
    return curve[reached.index(True)][0], curve[after][0] if after < len(curve) else math.inf


def _prediction(log_dir) -> dict:
    """Returns open-loop errors on held-out episodes; {} if all of them are too short."""
    from examples.play.actor_critic import trained_agent
    from examples.play.envs.rollout import play
    from examples.play.envs.vector_env import VectorEnv
    from examples.play.world_model import open_loop
    agent, replay = trained_agent.load_with_replay(log_dir)
    with VectorEnv(agent.game, _HELD_OUT) as games:
        held_out = list(play(games, agent.player(greedy=False), num_episodes=_HELD_OUT,
                             seed=_HELD_OUT_SEED))
    try:
        errors = open_loop.open_loop_errors(
            agent.world, replay.transitions(), held_out, num_observed=_NUM_OBSERVED,
            horizon=_HORIZON)
    except ValueError:
        return {}
    return {name: np.round(each, 5).tolist() for name, each in errors._asdict().items()}


def _table(options: argparse.Namespace) -> None:
    rows = [json.loads(path.read_text()) for path in sorted(options.log_dir.glob("*-*.json"))]
    if not rows:
        raise arguments.UsageError(f"--log-dir: {str(options.log_dir)!r} holds no figures. "
                                   "Run first: python -m benchmarks.quality.play run")
    names = [name for name in RECIPES if any(row["game"] == name for row in rows)]
    print("| game | target | solved at, median (worst) | for good, median (worst) | "
          "last, median (worst) | minutes, worst | published |\n" + "| --- " * 7 + "|")
    for name in names:
        print(_row(name, [row for row in rows if row["game"] == name]))
    print("\n| error ahead, median | " + " | ".join(f"{step} steps" for step in _SHOWN)
          + " |\n|" + " --- |" * (len(_SHOWN) + 1))
    for name in names:
        for kind in ("model", "unchanged", "linear"):
            errors = [row["prediction"][kind] for row in rows
                      if row["game"] == name and row["prediction"]]
            if errors:
                medians = np.median(errors, axis=0)
                print(f"| {name}, {kind} | "
                      + " | ".join(f"{medians[step - 1]:.2g}" for step in _SHOWN) + " |")
    if options.pictures is not None:
        _draw(rows, names, options.pictures)


def _row(name: str, runs: list[dict]) -> str:
    recipe = RECIPES[name]
    at, for_good = zip(*(_solved(run["curve"], recipe.target) for run in runs))
    last = [run["last"] for run in runs]
    minutes = max(run["wall_seconds"] for run in runs) / 60
    return (f"| {name} | {recipe.target:g} within {recipe.steps:,} | "
            f"{statistics.median(at):,.0f} ({max(at):,.0f}) | "
            f"{statistics.median(for_good):,.0f} ({max(for_good):,.0f}) | "
            f"{statistics.median(last):.1f} ({min(last):.1f}) | {minutes:.1f} | "
            f"{recipe.published} |")


def _draw(rows: list[dict], names: list[str], directory: Path) -> None:
    """Draws the learning curves and the prediction errors, one PNG for each game."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        runs = [row for row in rows if row["game"] == name]
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
        for run in runs:
            left.plot(*np.transpose(run["curve"]), label=f"seed {run['seed']}", linewidth=1)
        left.axhline(RECIPES[name].target, color="black", linewidth=0.8, linestyle="--")
        left.set(title=name, xlabel="environment steps", ylabel="mean score of 100 greedy games")
        left.legend(fontsize="small")
        for kind in ("model", "unchanged", "linear"):
            errors = [run["prediction"][kind] for run in runs if run["prediction"]]
            if errors:
                right.plot(range(1, _HORIZON + 1), np.median(errors, axis=0), label=kind)
        right.set(title="open-loop prediction", xlabel="steps ahead", yscale="log",
                  ylabel="error, in standard deviations")
        if right.lines:
            right.legend()
        figure.savefig(directory / f"{name}.png", dpi=100)
        pyplot.close(figure)


program = Program("python -m benchmarks.quality.play", "Measures learning of games.", (
    Command("run", "learn games and write their figures", _run_arguments, _run),
    Command("table", "print the table and draw learning curves", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
