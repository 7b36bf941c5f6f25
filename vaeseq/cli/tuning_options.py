# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Options of the commands that learn from judgement: tune, prefer, and the page of choices."""
from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

from vaeseq import fields
from vaeseq.cli import arguments, options, program
from vaeseq.fields import Field

_MOST_STEPS = 10**9


def add_tune(parser: argparse.ArgumentParser, settings: type, rewards: str) -> None:
    """Adds the options of `tune` and those of a program's settings; `rewards` is a help text."""
    add = parser.add_argument
    options.add_new_run(parser)
    add("--from", dest="start", type=arguments.directory, metavar="DIR",
        help="log directory of the trained model; required for a new run")
    add("--reward", action="append", metavar="NAME",
        help=f"{rewards}; with a weight as 0.5*NAME; several --reward are added up")
    for name, field in fields.of(settings).items():
        add("--" + name.replace("_", "-"), type=_number(field), metavar="X",
            help=f"{field.help} (default: {field.default:g})")
    add("--num-steps", "--iters", type=arguments.whole(1, _MOST_STEPS), default=1000, metavar="N",
        help="number of updates in all sessions together")
    add("--max-minutes", type=arguments.minutes, metavar="M",
        help="stop after so many minutes; the same command resumes the run")
    add("--save-every", type=arguments.whole(1, _MOST_STEPS), default=100, metavar="N",
        help="updates between checkpoints, each with a held-out score and a sample")
    add("--valid-steps", type=arguments.whole(0, _MOST_STEPS), default=1 << 16, metavar="N",
        help="largest number of held-out steps that a checkpoint is scored on, evenly spread; 0: "
             "all. The report scores all")
    add("--seed", type=arguments.seed, default=None, help="of all random numbers (default: 0)")
    add("--json", action="store_true", help="print one JSON object, and nothing else")
    arguments.add_model_module(parser)


def add_prefer(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `prefer`, after those of a trained model."""
    add = parser.add_argument
    add("--choices", type=arguments.readable_file, required=True, metavar="FILE",
        help="JSON lines of choices, as the page of choices writes them")
    add("--seed", type=arguments.seed, default=0, help="of all random numbers")
    add("--json", action="store_true", help="print one JSON object, and nothing else")


def add_page(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the page of choices, after those of a trained model and its samples."""
    add = parser.add_argument
    add("--choices", type=arguments.appended_file, metavar="FILE",
        help="JSON lines to which choices are appended (default: choices.jsonl in --log-dir)")
    add("--listener", default="me", metavar="NAME", help="who chooses")
    add("--pairs", type=arguments.whole(1, 10**6), default=100, metavar="N",
        help="number of pairs, those of earlier sessions included")
    add("--active", action="store_true",
        help="learn from the choices so far, and compare what they leave open")
    add("--port", type=arguments.whole(0, 65535), default=0, metavar="N",
        help="of the page, on this machine only (default: a free one)")


def run(args: argparse.Namespace, tuning: Any, program_name: str, length: str) -> None:
    """Runs a tuning until it ends or is stopped, and prints its report of samples of `length`."""
    with program.stop_on_signal() as should_stop:
        result, report = tuning.run(
            save_every=args.save_every, max_minutes=args.max_minutes or math.inf,
            should_stop=should_stop)
    if args.json:
        print(json.dumps(report.as_dict() if report else {"step": result.step}, allow_nan=False))
        return
    if report:
        print(report.table(tuning.model.unit, length))
    options.print_end(result, args, program_name, tuning.model.unit)


def _number(field: Field) -> Callable[[str], Any]:
    """Returns the argparse type of a field that is a number in a range."""
    allowed = field.allowed
    assert allowed is not None
    if isinstance(field.default, int):
        return arguments.whole(int(allowed.low), int(allowed.high))
    return arguments.real(allowed)
