# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Options and messages that the programs' commands share. Only `start` imports TensorFlow."""
from __future__ import annotations

import argparse
import math
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from vaeseq.cli import arguments, program
from vaeseq.fields import Range, short_repr
from vaeseq.hparams import HParams
from vaeseq.runs.log_dir import LogDir
from vaeseq.version import __version__

if TYPE_CHECKING:
    from vaeseq.evaluate.likelihood import Score
    from vaeseq.train.distribute import Strategy
    from vaeseq.train.trainer import TrainResult
    from vaeseq.truncation import Truncation

_MOST_STEPS = 10**9
_Hyperparameters = TypeVar("_Hyperparameters", bound=HParams)


def add_new_run(parser: argparse.ArgumentParser) -> None:
    """Adds `--log-dir` of a new run or one to resume."""
    parser.add_argument(
        "--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="directory of the run; the same command again resumes it")


def add_trained(parser: argparse.ArgumentParser) -> None:
    """Adds `--log-dir` of a trained model."""
    parser.add_argument("--log-dir", type=arguments.directory, required=True, metavar="DIR",
                        help="directory of the training run")


def add_training(
    parser: argparse.ArgumentParser, hparams: type[HParams], *, valid_every: int
) -> None:
    """Adds the options of a training loop."""
    arguments.add_hparams(parser, hparams)
    add = parser.add_argument
    add("--num-steps", "--iters", type=arguments.whole(1, _MOST_STEPS), default=5000, metavar="N",
        help="updates in total, those of earlier sessions included")
    add("--max-minutes", type=arguments.minutes, metavar="M",
        help="save and stop after M minutes, even before --num-steps")
    add("--valid-every", type=arguments.whole(1, _MOST_STEPS), default=valid_every, metavar="N",
        help="updates between validations, each with a checkpoint and a sample")
    add("--valid-steps", type=arguments.whole(0, _MOST_STEPS), default=1 << 16, metavar="N",
        help="steps of the held-out data that each validation scores, evenly spread and the same "
             "each time; 0: all")
    add("--seed", type=arguments.seed, default=None, help="seed of all randomness (default: 0)")


def add_init_from(parser: argparse.ArgumentParser) -> None:
    """Adds `--init-from` of another run."""
    parser.add_argument(
        "--init-from", type=arguments.any_path, metavar="DIR",
        help="warm start: directory of a run whose weights and hyperparameters a new run takes")


def add_export(
    parser: argparse.ArgumentParser, *, window: int | None, rows: int = 8
) -> None:
    """Adds the options of exporting a model; `window` is None where `score` has no windows."""
    add = parser.add_argument
    add("--output", type=arguments.new_directory, required=True, metavar="MODEL",
        help="directory to make: a TensorFlow SavedModel")
    add_bound(parser)
    add("--rows", type=arguments.whole(1, 1 << 12), default=rows, metavar="N",
        help="batch size of `score`")
    if window is not None:
        add("--window", type=arguments.whole(1, 1 << 16), default=window, metavar="N",
            help="steps that `score` processes at once")
    add("--no-xla", action="store_true",
        help="for servers without XLA: slower; exact scores differ in the last digits, and a "
             "seed gives other samples")


def add_latent(parser: argparse.ArgumentParser, thing: str, metavar: str) -> None:
    """Adds the options that choose latents to decode; `thing` is a sequence, such as `text`."""
    add = parser.add_argument
    add("--from", dest="start", metavar=metavar,
        help=f"the {thing} that latents are inferred from (default: draw them from the prior)")
    add("--to", dest="goal", metavar=metavar,
        help=f"a second {thing}: walk from the latents of the first to its latents")
    add("--swap", action="store_true",
        help=f"of vae_type=DSAE: decode both {thing}s, and each with the other's latent of the "
             "whole sequence, instead of the walk")
    add("--dimension", type=arguments.whole(0, 1 << 16), default=0, metavar="N",
        help="without --to: the dimension that is moved; the others are fixed")
    add("--range", type=arguments.real(Range(0, 100, open_low=True)), default=3.0, metavar="X",
        help="largest movement, in both directions")
    add("--num-samples", "--samples", type=arguments.whole(2, 100), default=5, metavar="N",
        help="number of samples on the way")


def add_truncation(parser: argparse.ArgumentParser, *, top_k: int = 0) -> None:
    """Adds the options that leave unlikely classes out of sampling; `top_k` is a default."""
    add = parser.add_argument
    add("--top-k", type=arguments.whole(0, 1 << 24), default=top_k, metavar="K",
        help="draw from the K most likely symbols; 0: from all")
    add("--top-p", type=arguments.real(Range(0, 1, open_low=True)), default=1.0, metavar="P",
        help="draw from the smallest set of symbols of this probability (the nucleus)")
    add("--min-p", type=arguments.real(Range(0, 1)), default=0.0, metavar="P",
        help="draw from symbols at least P times as likely as the likeliest one")


def truncation(args: argparse.Namespace) -> Truncation:
    """Returns the truncation that the options of `add_truncation` describe."""
    from vaeseq.truncation import Truncation
    return Truncation(args.top_k, args.top_p, args.min_p)


def add_strategy(parser: argparse.ArgumentParser) -> None:
    """Adds the options of training on several devices or machines."""
    add = parser.add_argument
    add("--strategy", choices=("none", "mirrored", "multi-worker"), default="none",
        help="split each batch over nothing, all GPUs of this machine, or the machines that "
             "TF_CONFIG names; each runs this command")
    add("--wait-minutes", type=arguments.minutes, default=5.0, metavar="M",
        help="minutes that the machines wait for each other to start")


def add_bound(parser: argparse.ArgumentParser) -> None:
    """Adds the bound that models with latents are scored by, and its number of samples."""
    add = parser.add_argument
    add("--bound", choices=("elbo", "iwae", "fivo", "reconstruction"),
        help="bound for models with latents; others are scored exactly. reconstruction is no "
             "bound: the observations given the latents that were inferred from them (default: "
             "elbo; reconstruction for seqae_posterior=deterministic)")
    add("--num-samples", type=arguments.whole(1, 1 << 16), metavar="N",
        help="samples of the latents (default: the hyperparameter log_prob_samples)")


def add_scoring(parser: argparse.ArgumentParser, thing: str) -> None:
    """Adds the options of scoring; `thing` names the subject of one row."""
    add_bound(parser)
    add = parser.add_argument
    add("--seed", type=arguments.seed, default=0, help="seed of the samples")
    add("--json", action="store_true", help=f"print one JSON object per {thing}, and nothing else")


def add_samples(parser: argparse.ArgumentParser, units: str, *, text: str) -> None:
    """Adds the options of comparing samples, which consist of `units`, with real data by metrics.
    """
    add = parser.add_argument
    add("--samples", type=arguments.whole(2, 10**4), metavar="N",
        help=f"instead of scoring, draw N samples of up to 10,000 {units} and compare them with "
             f"real data: {text}")
    add("--plot", type=arguments.output_file, metavar="FILE.png",
        help="with --samples: draw the metrics against the length of the samples")


def overrides_of(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Returns `--hparams` with the hyperparameters `names`, which have options of their own, too.

    Raises:
      UsageError: an option and `--hparams` give different values.
    """
    overrides = dict(args.hparams)
    for name in names:
        value = getattr(args, name)
        if value is not None and overrides.setdefault(name, value) != value:
            raise arguments.UsageError(
                f"--{name} {value}: expected one value of {name}, got {overrides[name]} by "
                "--hparams, too. Leave one out.")
    return overrides


def resolve_hparams(
    log_dir: LogDir, kind: type[_Hyperparameters], overrides: dict[str, Any]
) -> _Hyperparameters:
    """Returns the run's hyperparameters with the overrides.

    Raises ValueError where an override contradicts them. Only those that evaluation alone reads
    may differ.
    """
    hparams = log_dir.hparams(kind).replace(**overrides)
    log_dir.check_hparams(hparams)
    return hparams


def resolve_seed(log_dir: LogDir, seed: int | None) -> int:
    """Returns `--seed`, by default that of the run, and 0 for a new one."""
    if seed is not None:
        return seed
    return log_dir.seed() if log_dir.exists else 0


def start(args: argparse.Namespace, hparams: HParams, seed: int, **data: Any) -> Strategy:
    """Configures TensorFlow before its first computation, and waits for the other workers.

    The options of `train` and `data` must be equal on all workers.

    Raises:
      UsageError: the model cannot generate step by step, as the programs do while they train.
    """
    if hparams.vae_type == "RVAE" and hparams.rvae_decoder == "noncausal":
        raise arguments.UsageError(
            "rvae_decoder: expected causal, as this program generates step by step; got noncausal, "
            "which needs the latents of all steps. Leave it out, or train such a model with the "
            "library (vaeseq.Model).")
    from vaeseq.nn import parallel
    from vaeseq.train import distribute
    parallel.prepare(hparams.num_shards, hparams.precision)
    alike = {"version": __version__, **hparams.as_dict(), "seed": seed,
             "num_steps": args.num_steps, "valid_every": args.valid_every, **data}
    return distribute.start(args.strategy, alike, seconds=60 * args.wait_minutes)


def print_start(strategy: Strategy, line: str) -> None:
    """Prints `line`, which describes the training data, and a line on the number of replicas."""
    if not strategy.is_chief:
        line = "This worker is ready. The chief reports."
    elif strategy.num_replicas > 1:
        line += f"\n{strategy.num_replicas} replicas share each batch."
    print(line, flush=True)


def print_end(
    trained: TrainResult, args: argparse.Namespace, program: str, unit: str,
    commands: Sequence[str] = ("generate", "evaluate"),
) -> None:
    """Prints how a session of training ended, and the next commands."""
    best = (f" Best validation: {trained.best:.4f} nats per {unit}."
            if math.isfinite(trained.best) else "")
    cost = (f" The first update came after {trained.first_step_seconds:.1f} s, most of it "
            "compilation." if trained.first_step_seconds else "")
    if trained.stop_reason != "done":
        why = {"stopped": "stopped", "patience": "no improvement"}.get(
            trained.stop_reason, "time is up")
        print(f"Step {trained.step}: {why}, everything is saved.{best}{cost}\n"
              "The same command again resumes here.")
    elif not trained.first_step_seconds:
        print(f"Step {trained.step}: nothing to do, the run has all its updates; a larger "
              f"--num-steps resumes it.{best}")
    else:
        print(f"Step {trained.step}: done.{best}{cost}")
    print_next_steps(program, args, *commands)


def print_exported(
    output: os.PathLike[str], step: int,
    signatures: str = "score, generate, initial_state, step and observe",
) -> None:
    """Prints the path and the signatures of an exported model."""
    name = program.one_line(os.fspath(output))
    print(f"Step {step} is in {name}, with the signatures {signatures}.\n"
          f"Their inputs and outputs: {name}/assets.extra/model.json")


def print_next_steps(program: str, args: argparse.Namespace, *commands: str) -> None:
    """Prints commands to run next with a trained model, and with the modules that it needs."""
    shared = ""
    for option in ("--log-dir", "--model-module", "--game-module"):
        value = getattr(args, option[2:].replace("-", "_"), None)
        if value is not None:
            name = os.fspath(value)
            shared += f" {option} {shlex.quote(name) if name.isprintable() else short_repr(name)}"
    print("Next:", *(f"{program} {command}{shared}" for command in commands), sep="\n  ")


def bound_notes(score: Score, unit: str) -> list[str]:
    """Returns notes on the bound of a score; none for an exact score."""
    if score.bound == "exact":
        return []
    error = f" +- {score.standard_error:.4f}" if math.isfinite(score.standard_error) else ""
    notes = [f"{score.bound}, {score.num_samples} samples{error}"]
    if score.kl or score.latent_kl.size:  # a diffusion model's posterior is fixed
        notes.append(f"KL {score.kl:.4f} nats/{unit}")
    if score.latent_kl.size:
        notes.append(f"{score.active_units} active units"
                     + (": posterior collapse" if score.is_collapsed else ""))
    return notes
