# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Compares a training run that is killed repeatedly with one that is not.

    python -m benchmarks.robustness.survive run [--kills 30] [--seed 0]
        [--output benchmarks/results/FILE.json]

Each program trains once undisturbed. Then the same command is started, killed with SIGKILL and
started again; after the last kill it runs to its end. One kill in five comes soon after the process
begins to write, before or after its first update; three in ten come shortly after one of the first
four checkpoints; and half of them during a save, when its folder `writing-*` exists and holds none,
one or two files. Afterwards these must be identical to the last bit:

    weights    every tensor of every checkpoint, their names and types, and the steps
    metrics    metrics.jsonl: no step is missing or duplicated, and nothing depends on the clock
    samples    every file that `generate`, or `run` for games, then writes

Prints one JSON line for each program; the exit status is 1 if anything differs.
"""
from __future__ import annotations

import argparse
import filecmp
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.report import provenance
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

from .targets import ROOT, TARGETS, Target

_POLL = 0.0005  # seconds; saving a small model takes a few milliseconds
_EARLY = 4.0  # most seconds from the first file to an early kill
_BETWEEN = 0.1  # most seconds from a checkpoint to a kill


class Interruptions(NamedTuple):
    """The kills of a run."""

    kills: int  # their number
    while_saving: int  # number of kills that left a partial checkpoint
    lost: int  # number of kills after which the last line of metrics was later than the checkpoint


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--programs", type=arguments.some_of(TARGETS), default=list(TARGETS), metavar="A,B",
        help="programs to kill (default: all)")
    add("--kills", type=arguments.whole(0, 10**6), default=30, metavar="N",
        help="kills of each program")
    add("--num-steps", type=arguments.whole(1, 10**9), default=2000, metavar="N",
        help="updates; the run must last longer than its kills")
    add("--save-every", type=arguments.whole(1, 10**9), default=5, metavar="N",
        help="updates between checkpoints")
    add("--seed", type=arguments.seed, default=0, help="seed of the moments of the kills")
    add("--output", type=arguments.output_file, metavar="FILE.json",
        help="write the result as JSON")


def _run(options: argparse.Namespace) -> None:
    rows = []
    for name in options.programs:
        with tempfile.TemporaryDirectory(prefix="vaeseq-survive-") as folder:
            rows.append({"program": name, **_survive(TARGETS[name], Path(folder), options)})
        print(json.dumps(rows[-1]), flush=True)
    result = {**provenance("benchmarks.robustness.survive"), "seed": options.seed, "runs": rows}
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n")
    if any(row["differences"] for row in rows):
        raise SystemExit(1)


def _survive(target: Target, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    data = target.make_data(folder)

    def command(log_dir: Path) -> list[str]:
        return target.command(target.train(
            log_dir, data, target.small, "--num-steps", str(options.num_steps),
            save_every=options.save_every))

    start = time.monotonic()
    rng = np.random.default_rng(options.seed)
    try:
        complete(command(folder / "whole"), folder)
        kills = interrupt(command(folder / "killed"), folder / "killed", rng, options.kills)
        for name in ("whole", "killed"):
            (folder / f"{name}-samples").mkdir()
            log_dir = (folder / name).rename(folder / "log")  # samples may name their origin
            complete(target.command([*target.sample(folder / f"{name}-samples"), "--log-dir",
                                      str(log_dir), "--seed", "3"]), folder)
            log_dir.rename(folder / name)
    except RuntimeError as error:
        stderr = (folder / "stderr").read_text("utf-8", "replace").strip()[-500:]
        raise arguments.UsageError(f"{error} Its last output: {stderr}") from None
    different = differences(folder / "whole", folder / "killed")
    different += different_files(folder / "whole-samples", folder / "killed-samples")
    lines = len((folder / "whole" / "metrics.jsonl").read_text("utf-8").splitlines())
    return {**kills._asdict(), "num_steps": options.num_steps, "metrics_lines": lines,
            "minutes": round((time.monotonic() - start) / 60, 1), "differences": different}


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with open(folder / "stderr", "wb") as stderr:
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=stderr)


def complete(command: list[str], folder: Path) -> None:
    """Runs a command, with stderr in `folder`; raises RuntimeError if it fails."""
    status = _start(command, folder).wait()
    if status:
        raise RuntimeError(f"{command[3]}: status {status}.")


def interrupt(
    command: list[str], log_dir: Path, rng: np.random.Generator, kills: int
) -> Interruptions:
    """Starts and kills a run `kills` times, at random moments, then lets it end.

    The parent of `log_dir` gets stderr.

    Raises:
      RuntimeError: the run ends before the last kill, or fails.
    """
    while_saving = lost = 0
    for number in range(kills):
        is_saving = _kill(_start(command, log_dir.parent), log_dir, rng)
        if is_saving is None:
            raise RuntimeError(
                f"expected a run that lasts longer than {kills} kills; it ended after {number}. "
                "Give a larger --num-steps.")
        while_saving += is_saving
        lost += _last_step(log_dir) > _saved_step(log_dir)
    complete(command, log_dir.parent)
    return Interruptions(kills, while_saving, lost)


def _kill(
    process: subprocess.Popen[bytes], log_dir: Path, rng: np.random.Generator
) -> bool | None:
    """Kills a run at a random moment; returns whether it was saving, None if it had ended."""
    how = rng.choice(["early", "between", "saving"], p=[0.2, 0.3, 0.5])
    more = int(rng.integers(4))  # checkpoints before the kill
    files = int(rng.integers(3))  # of the checkpoint in progress
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
    """Returns whether a checkpoint is being written and holds at least `files` files."""
    return any(name.startswith("writing-") and len(_names(checkpoints / name)) >= files
               for name in _names(checkpoints))


def _saved_step(log_dir: Path) -> int:
    steps = [int(name[5:]) for name in _names(log_dir / "checkpoints") if name.startswith("step-")]
    return max(steps, default=0)


def _last_step(log_dir: Path) -> int:
    """Returns the step of the last complete line of metrics."""
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
    """Returns how two log directories differ in their checkpoints and metrics."""
    problems = []
    checkpoints = _checkpoints(whole), _checkpoints(killed)
    if checkpoints[0] != checkpoints[1]:
        problems.append(f"checkpoints: {checkpoints}")
    for name in sorted(set(checkpoints[0]) & set(checkpoints[1])):
        problems += _different_tensors(*(root / "checkpoints" / name for root in (whole, killed)))
    lines = [(run / "metrics.jsonl").read_text().splitlines() for run in (whole, killed)]
    problems += [f"metrics: {pair}" for pair in zip(*lines) if pair[0] != pair[1]][:3]
    if len(lines[0]) != len(lines[1]):
        problems.append(f"{len(lines[0])} lines of metrics against {len(lines[1])}")
    return problems


def _checkpoints(log_dir: Path) -> list[str]:
    return sorted(path.name for path in (log_dir / "checkpoints").iterdir())


def _different_tensors(one: Path, other: Path) -> list[str]:
    import tensorflow as tf
    readers = [tf.train.load_checkpoint(str(path / "state")) for path in (one, other)]
    names = [set(reader.get_variable_to_shape_map()) for reader in readers]
    problems = [f"{one.name}: only one has {name}" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        values = [np.asarray(reader.get_tensor(name)) for reader in readers]
        if values[0].dtype != values[1].dtype or values[0].tobytes() != values[1].tobytes():
            problems.append(f"{one.name}: {name} differs")
    return problems


def different_files(one: Path, other: Path) -> list[str]:
    """Returns the names of files that two folders do not both hold with the same bytes."""
    names = sorted(_names(one) | _names(other))
    _, differ, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    return [f"samples: {name}" for name in (*differ, *missing)] or (
        [] if names else ["no sample was written"])


program = Program("python -m benchmarks.robustness.survive", "Kills training runs.", (
    Command("run", "kill training runs; compare with undisturbed ones", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
