# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A training run that is killed again and again, against one that is not.

    python -m benchmarks.robustness.survive run [--kills 30] [--seed 0]
        [--output benchmarks/results/FILE.json]

Each program trains once undisturbed. Then the same command is started, killed with SIGKILL and
started again, until it has been killed often enough and ends by itself. One kill in five comes soon
after the process begins to write, before or after its first update; three in ten some time after
a checkpoint, the first to the fourth; and half of them while a checkpoint is being written, when
its folder `writing-*` is there, or a file or two in it. After both, these must be the same to the
last bit:

    weights    every tensor of every checkpoint that is kept, their names and types, and the steps
    metrics    metrics.jsonl, whole: no step is missing, none is there twice, and nothing in it
               depends on the clock
    samples    what `generate`, or for games `run`, then writes, every file of it

One JSON line a program; the exit status is 1 where anything differs.
"""
from __future__ import annotations

import argparse
import filecmp
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from benchmarks.report import provenance
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

from .driven import DRIVEN, ROOT, Driven

# Of a line of metrics, what depends on the clock and so is not compared: nothing.
WALL_TIME_FIELDS: tuple[str, ...] = ()
_POLL = 0.0005  # seconds; a checkpoint of a small model is written in a few milliseconds
_EARLY = 4.0  # seconds from the first file written within which a kill comes
_BETWEEN = 0.1  # seconds from a checkpoint


class Killed(NamedTuple):
    """How a run came to its end.

    Attributes:
      kills: how often it was killed.
      while_saving: how many of them found a checkpoint half-written.
      lost: after how many of them it had to go on from before the last line of metrics.
    """

    kills: int
    while_saving: int
    lost: int


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--programs", type=arguments.some_of(DRIVEN), default=list(DRIVEN), metavar="A,B",
        help="which (default: all)")
    add("--kills", type=arguments.whole(0, 10**6), default=30, metavar="N", help="of each program")
    add("--num-steps", type=arguments.whole(1, 10**9), default=2000, metavar="N",
        help="of training; the run must last longer than its kills")
    add("--save-every", type=arguments.whole(1, 10**9), default=5, metavar="N",
        help="steps from a checkpoint to the next")
    add("--seed", type=arguments.seed, default=0, help="of the moments")
    add("--output", type=arguments.output_file, metavar="FILE.json", help="for the result")


def _run(options: argparse.Namespace) -> None:
    rows = []
    for name in options.programs:
        with tempfile.TemporaryDirectory(prefix="vaeseq-survive-") as folder:
            rows.append({"program": name, **_survive(DRIVEN[name], Path(folder), options)})
        print(json.dumps(rows[-1]), flush=True)
    result = {**provenance("benchmarks.robustness.survive"), "seed": options.seed, "runs": rows}
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n")
    if any(row["differences"] for row in rows):
        raise SystemExit(1)


class Running(Protocol):
    """A process, as `subprocess.Popen` is one."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def kill(self) -> None:
        """Sends SIGKILL."""

    def wait(self) -> int:
        """Its exit status, once it has ended."""


def _survive(driven: Driven, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    data = driven.make_data(folder)

    def command(log_dir: Path) -> list[str]:
        return driven.command(driven.train(
            log_dir, data, driven.small, "--num-steps", str(options.num_steps),
            save_every=options.save_every))

    began = time.monotonic()
    rng = np.random.default_rng(options.seed)
    try:
        _complete(command(folder / "whole"), folder)
        killed = interrupt(
            lambda: _start(command(folder / "killed"), folder), folder / "killed", rng,
            options.kills)
        for name in ("whole", "killed"):
            (folder / f"{name}-samples").mkdir()
            log_dir = (folder / name).rename(folder / "log")  # samples may say where they are from
            _complete(driven.command([*driven.sample(folder / f"{name}-samples"), "--log-dir",
                                      str(log_dir), "--seed", "3"]), folder)
            log_dir.rename(folder / name)
    except RuntimeError as error:
        said = (folder / "stderr").read_text("utf-8", "replace").strip()[-500:]
        raise arguments.UsageError(f"{error} It said: {said}") from None
    found = differences(folder / "whole", folder / "killed")
    found += different_files(folder / "whole-samples", folder / "killed-samples")
    lines = len((folder / "whole" / "metrics.jsonl").read_text("utf-8").splitlines())
    return {**killed._asdict(), "num_steps": options.num_steps, "metrics_lines": lines,
            "minutes": round((time.monotonic() - began) / 60, 1), "differences": found}


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with open(folder / "stderr", "wb") as said:
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=said)


def _complete(command: list[str], folder: Path) -> None:
    status = _start(command, folder).wait()
    if status:
        raise RuntimeError(f"{command[3]}: status {status}.")


def interrupt(
    start: Callable[[], Running], log_dir: Path, rng: np.random.Generator, kills: int
) -> Killed:
    """Starts a run again and again, killing it `kills` times; then lets it end.

    Args:
      start: starts the run in a process of its own.
      log_dir: where it writes.
      rng: decides when to kill.
      kills: how often.

    Raises:
      RuntimeError: it ends too early for that, or fails.
    """
    while_saving = lost = 0
    for number in range(kills):
        is_saving = _kill(start(), log_dir, rng)
        if is_saving is None:
            raise RuntimeError(
                f"expected a run that lasts longer than {kills} kills; it ended after {number}. "
                "Give a larger --num-steps.")
        while_saving += is_saving
        lost += _last_step(log_dir) > _saved_step(log_dir)
    status = start().wait()
    if status:
        raise RuntimeError(f"after {kills} kills: status {status}.")
    return Killed(kills, while_saving, lost)


def _kill(
    process: Running, log_dir: Path, rng: np.random.Generator
) -> bool | None:
    """Kills a run at a random moment; whether it was saving then, None where it had ended."""
    how = rng.choice(["early", "between", "saving"], p=[0.2, 0.3, 0.5])
    more = int(rng.integers(4))  # checkpoints that are saved before
    files = int(rng.integers(3))  # of the one that is being written
    seconds = rng.uniform(0, _EARLY if how == "early" else _BETWEEN)
    events, checkpoints = log_dir / "events", log_dir / "checkpoints"
    before, saved = _names(events), _saved_step(log_dir)
    since = None
    while process.poll() is None:
        if since is None:
            ready = _names(events) - before and (how == "early" or more <= 0)
            since = time.monotonic() if ready else None
            if how != "early" and _saved_step(log_dir) > saved:
                saved, more = _saved_step(log_dir), more - 1
        elif (how == "saving" and _half_written(checkpoints, files)) or (
                how != "saving" and time.monotonic() - since > seconds):
            break
        time.sleep(_POLL)
    else:
        return None
    process.kill()
    process.wait()
    return _half_written(checkpoints, 0)


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _half_written(checkpoints: Path, files: int) -> bool:
    """Whether a checkpoint is being written, at least so many files of it."""
    return any(name.startswith("writing-") and len(_names(checkpoints / name)) >= files
               for name in _names(checkpoints))


def _saved_step(log_dir: Path) -> int:
    steps = [int(name[5:]) for name in _names(log_dir / "checkpoints") if name.startswith("step-")]
    return max(steps, default=0)


def _last_step(log_dir: Path) -> int:
    """The step of the last whole line of metrics."""
    try:
        lines = (log_dir / "metrics.jsonl").read_bytes().splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except ValueError:
            continue
    return 0


def differences(whole: Path, killed: Path) -> list[str]:
    """How two log directories differ in their checkpoints and metrics."""
    found = []
    checkpoints = _checkpoints(whole), _checkpoints(killed)
    if checkpoints[0] != checkpoints[1]:
        found.append(f"checkpoints: {checkpoints}")
    for name in sorted(set(checkpoints[0]) & set(checkpoints[1])):
        found += _different_tensors(*(root / "checkpoints" / name for root in (whole, killed)))
    lines = _metrics(whole), _metrics(killed)
    found += [f"metrics: {pair}" for pair in zip(*lines) if pair[0] != pair[1]][:3]
    if len(lines[0]) != len(lines[1]):
        found.append(f"{len(lines[0])} lines of metrics against {len(lines[1])}")
    return found


def _checkpoints(log_dir: Path) -> list[str]:
    return sorted(path.name for path in (log_dir / "checkpoints").iterdir())


def _metrics(log_dir: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (log_dir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in WALL_TIME_FIELDS}
            for line in lines]


def _different_tensors(one: Path, other: Path) -> list[str]:
    import tensorflow as tf
    readers = [tf.train.load_checkpoint(str(path / "state")) for path in (one, other)]
    names = [set(reader.get_variable_to_shape_map()) for reader in readers]
    found = [f"{one.name}: {name} is in one of both" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        values = [np.asarray(reader.get_tensor(name)) for reader in readers]
        if values[0].dtype != values[1].dtype or values[0].tobytes() != values[1].tobytes():
            found.append(f"{one.name}: {name} differs")
    return found


def different_files(one: Path, other: Path) -> list[str]:
    """The names of files in two folders that are not the same to the last byte."""
    names = sorted(_names(one) | _names(other))
    _, differ, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    return [f"samples: {name}" for name in (*differ, *missing)] or (
        [] if names else ["no sample was written"])


program = Program("python -m benchmarks.robustness.survive", "Runs that are killed.", (
    Command("run", "kill training runs, and compare them with whole ones", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
