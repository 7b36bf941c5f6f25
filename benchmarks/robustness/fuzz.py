# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Hostile input in bulk: every case ends in success, or in one clear line and status 1 or 2.

    python -m benchmarks.robustness.fuzz run --cases 10000 --output benchmarks/results/fuzz.json
    python -m benchmarks.robustness.fuzz one run_files 123 --depth whole
    python -m benchmarks.robustness.fuzz list

A case is a kind and a number, the same on every machine for one seed. It is a finding if there is
a traceback, an error that was not expected, another exit status, more than one line that tells the
error, more than 10 s of work or of waiting, more than 2 GiB of memory, a file changed outside the
log directory (the cache folder excepted, and outputs that the command names), a process started, or
a planted pickle, YAML tag or expression that ran. Findings are printed, a JSON line each; where
there are any, the exit status is 1. `fuzz_worker` says what "warm", "whole" and "process" mean.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.machine import circumstances
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

from . import fuzz_tally, fuzz_worker
from .driven import DRIVEN, ROOT
from .fuzz_crew import Asked, Crew, Workshop
from .fuzz_kinds import KINDS, PROGRAMS
from .fuzz_tally import Tally

_DEPTHS = ("warm", "whole", "process")
_BATCH = 200  # cases


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_seed(parser)
    add("--kinds", type=arguments.some_of(KINDS), default=list(KINDS), metavar="A,B",
        help="of input (default: all)")
    add("--cases", type=arguments.whole(1, 10**7), default=10_000, metavar="N", help="of each")
    add("--whole-every", type=arguments.whole(0, 10**6), default=500, metavar="N",
        help="one in so many cases leaves nothing out; 0: none does")
    add("--process-every", type=arguments.whole(0, 10**6), default=2500, metavar="N",
        help="one in so many cases runs in a process of its own; 0: none does")
    add("--max-minutes", type=arguments.minutes, default=10_000.0, metavar="M",
        help="stop after so long; the same command with the same --output goes on")
    add("--made", type=arguments.any_path, metavar="DIR",
        help="keep the trained runs there, for the next time")
    add("--workers", type=arguments.whole(1, 64), default=2, metavar="N", help="at once")
    add("--output", type=arguments.output_file, metavar="FILE.json", help="for the result")


def _one_arguments(parser: argparse.ArgumentParser) -> None:
    _add_seed(parser)
    parser.add_argument("kind", choices=tuple(KINDS))
    parser.add_argument("number", type=arguments.whole(0, 10**9))
    parser.add_argument("--depth", choices=_DEPTHS, default="warm")


def _add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of all cases")


def _work_arguments(parser: argparse.ArgumentParser) -> None:
    _add_seed(parser)
    parser.add_argument("root", type=arguments.directory)
    parser.add_argument("made", type=arguments.directory)


def _work(options: argparse.Namespace) -> None:
    fuzz_worker.work(options.root, options.made, options.seed)


def _list(options: argparse.Namespace) -> None:
    for name, kind in KINDS.items():
        print(f"{name:15} {kind.__doc__}")


def _one(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="vaeseq-fuzz-") as folder:
        prepare(Path(folder) / "made")
        shop = Workshop(Path(folder), Path(folder) / "made", options.seed)
        with contextlib.closing(Crew(shop)) as crew:
            answer = crew.ask(Asked(options.kind, options.number, options.depth))
            print(json.dumps(answer, indent=2))


def _run(options: argparse.Namespace) -> None:
    until = time.monotonic() + 60 * options.max_minutes
    tallies = _before(options)
    with tempfile.TemporaryDirectory(prefix="vaeseq-fuzz-") as folder:
        made = (options.made or Path(folder) / "made").absolute()
        if not made.exists():
            prepare(made)
        for kind in options.kinds:
            tally = tallies.setdefault(kind, Tally())
            _run_kind(kind, tally, Workshop(Path(folder), made, options.seed), options, until)
            if options.output:
                _write(tallies, options)
    print(fuzz_tally.table(tallies))
    if any(tally.findings for tally in tallies.values()):
        raise SystemExit(1)


def _before(options: argparse.Namespace) -> dict[str, Tally]:
    """What the output file says of cases that were run already."""
    if not options.output or not options.output.exists():
        return {}
    result = json.loads(options.output.read_text("utf-8"))
    if result["seed"] != options.seed:
        raise arguments.UsageError(
            f"{str(options.output)!r} is of seed {result['seed']}; got {options.seed}.")
    return {kind: Tally(known) for kind, known in result["kinds"].items()}


def _write(tallies: dict[str, Tally], options: argparse.Namespace) -> None:
    options.output.write_text(json.dumps({
        **circumstances("benchmarks.robustness.fuzz"), "seed": options.seed,
        "kinds": {name: tally.as_dict() for name, tally in tallies.items()}}, indent=1) + "\n")


def _run_kind(
    kind: str, tally: Tally, shop: Workshop, options: argparse.Namespace, until: float
) -> None:
    """Runs the cases of a kind that are not in the tally yet, in batches, as long as there is time.

    A batch ends before the next begins, so that the tally always holds the first so many cases.
    """
    with contextlib.ExitStack() as stack:
        crew = [stack.enter_context(contextlib.closing(Crew(shop))) for _ in range(options.workers)]
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(options.workers))
        while tally.cases < options.cases and time.monotonic() < until:
            numbers = range(tally.cases, min(options.cases, tally.cases + _BATCH))
            cases = [_case(kind, number, options) for number in numbers]
            shares = [cases[start::options.workers] for start in range(options.workers)]
            for answered in pool.map(lambda pair: [pair[0].ask(c) for c in pair[1]],
                                     zip(crew, shares)):
                for answer in answered:
                    tally.add(answer)


def _case(kind: str, number: int, options: argparse.Namespace) -> Asked:
    """A case and its depth: of every so many numbers, one is whole, or in a process of its own."""
    if options.process_every and number % options.process_every == options.process_every - 1:
        return Asked(kind, number, "process")
    if options.whole_every and number % options.whole_every == options.whole_every - 1:
        return Asked(kind, number, "whole")
    return Asked(kind, number, "warm")


def prepare(made: Path) -> None:
    """Trains each program for a few steps, each in a folder of its name in `made`."""
    for name in PROGRAMS:
        driven = DRIVEN[name]
        place = made / name
        place.mkdir(parents=True)
        data = driven.make_data(place)
        (place / "data").write_text(data, "utf-8")
        words = driven.train(place / "log", data, driven.small, "--num-steps", "4",
                             save_every=2)
        done = subprocess.run(driven.command(words), cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, "XDG_CACHE_HOME": str(made)})
        if done.returncode:
            raise arguments.UsageError(f"{name} does not train: {done.stderr.strip()}")


program = Program("python -m benchmarks.robustness.fuzz", "Hostile input in bulk.", (
    Command("run", "run many cases of each kind, and judge", _run_arguments, _run),
    Command("one", "run one case again", _one_arguments, _one),
    Command("list", "list the kinds of input", lambda parser: None, _list),
    Command("work", "run the cases that come on stdin (run starts these)", _work_arguments, _work)))

if __name__ == "__main__":
    program.main()
