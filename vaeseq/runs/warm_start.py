# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Warm start: a new run takes the weights of another, to fine-tune its model on other data.

    LOG_DIR/init_from.json   the other run, and the weights taken

A weight is taken if both models have it under the same path with the same shape. The other weights
keep their initial values and are listed. The optimizer starts without state.
"""
from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import Hyperparameters, LogDir

_FILE = "init_from.json"
_MOST_CHARACTERS = 1 << 22  # of that file

# (name, the other model's value, this model's initial value) -> the value to take, or None
Adapt = Callable[[str, np.ndarray, np.ndarray], "np.ndarray | None"]


class Origin(NamedTuple):
    """The origin of a run's initial weights.

    Attributes:
      log_dir: absolute path of the other run.
      step: of its best checkpoint, or of its latest if there is no best.
      taken: names of the weights taken.
      adapted: names of the weights taken in part.
      not_taken: names of the other weights, each with its shape and the reason.
    """

    log_dir: str
    step: int
    taken: list[str]
    adapted: list[str]
    not_taken: list[str]

    def save(self, log_dir: LogDir) -> None:
        """Writes `init_from.json` into a log directory."""
        log_dir.write(_FILE, json.dumps(self._asdict(), indent=2) + "\n")

    def summary(self) -> str:
        """Returns lines that list the weights taken and not taken."""
        part = f" ({len(self.adapted)} of them in part)" if self.adapted else ""
        lines = [f"Warm start with {len(self.taken) + len(self.adapted)} weights{part} of step "
                 f"{self.step} of {self.log_dir!r}."]
        return "\n".join([*lines, *(f"  not taken: {line}" for line in self.not_taken)])


def recorded(log_dir: LogDir) -> Origin | None:
    """Reads the origin of the run in `log_dir`; None if it had no warm start.

    Raises:
      ValueError: the file is damaged.
    """
    if not os.path.lexists(log_dir.path / _FILE):
        return None
    try:
        origin = Origin(**json.loads(log_dir.read(_FILE, _MOST_CHARACTERS)))
        lists = (origin.taken, origin.adapted, origin.not_taken)
        if not (isinstance(origin.log_dir, str) and isinstance(origin.step, int)
                and all(isinstance(name, str) for names in lists for name in names)):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise ValueError(
            f"{str(log_dir.path / _FILE)!r}: expected a JSON object that records the warm start. "
            "The log directory is damaged; train in a new one.") from None
    return origin


def resolve_source(log_dir: LogDir, init_from: Path | None) -> Path | None:
    """Returns the log directory to take weights from; None if the run needs no warm start.

    A run with a checkpoint resumes from that and needs none.

    Args:
      log_dir: of the run, which may not exist yet.
      init_from: the value of `--init-from`, if any.

    Raises:
      ValueError: `init_from` contradicts the recorded origin, or is the run itself.
    """
    if init_from is not None and os.path.realpath(init_from) == os.path.realpath(log_dir.path):
        raise ValueError(f"--init-from {str(init_from)!r}: expected another run than that of "
                         "--log-dir, which resumes without it.")
    if not log_dir.exists:
        return init_from
    origin = recorded(log_dir)
    if init_from is not None and (
            origin is None or origin.log_dir != os.path.abspath(init_from)):
        started = "random weights" if origin is None else repr(origin.log_dir)
        raise ValueError(
            f"{str(log_dir.path)!r} holds a run that started from {started}, but --init-from "
            f"{str(init_from)!r} was given. Omit it, or give another --log-dir.")
    if origin is None or Checkpoints(log_dir.checkpoints).steps():
        return None
    return Path(origin.log_dir)


@contextlib.contextmanager
def as_init_from_error() -> Iterator[None]:
    """Makes errors in a log directory name `--init-from` instead of `--log-dir`."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"--init-from: {str(error).replace('--log-dir', '--init-from')}") from None


def source_hparams(source: LogDir, kind: type[Hyperparameters]) -> Hyperparameters:
    """Returns the hyperparameters that a run takes from another one with its weights.

    Whether the other one took its encoder alone (`seqae_reset_decoder`) is not among them: its
    decoder has been trained since.

    Raises:
      ValueError: as `LogDir.hparams`; the message names `--init-from`.
    """
    with as_init_from_error():
        return source.hparams(kind).replace(seqae_reset_decoder=False)


def begin(
    log_dir: LogDir, origin: Path, step: int, source: tf.Module, target: tf.Module,
    adapt: Adapt = lambda name, theirs, ours: None, *,
    values: Mapping[str, np.ndarray | None] = {},
) -> Origin:
    """Takes the initial weights of a run from another.

    A run interrupted before its first checkpoint takes them again; they must be the same.

    Args:
      log_dir: of the run.
      origin: log directory of the other run.
      step: of the other run's checkpoint.
      source: the other model, with its variables.
      target: the model of the run, with its variables.
      adapt: converts a weight whose meaning differs between the models; see `take`.
      values: of weights by path; see `take`.

    Raises:
      ValueError: no weight matches, or the other run has changed since this run began.
    """
    taken = take(origin, step, source, target, adapt, values=values)
    before = recorded(log_dir) if log_dir.exists else None
    if before is not None and before != taken:
        raise ValueError(
            f"{str(log_dir.path)!r} holds a run that started from step {before.step} of "
            f"{before.log_dir!r} and has no checkpoint yet; that run is now at step {step}. Give "
            "another --log-dir.")
    return taken


def take(
    log_dir: str | os.PathLike[str], step: int, source: tf.Module, target: tf.Module,
    adapt: Adapt = lambda name, theirs, ours: None, *,
    values: Mapping[str, np.ndarray | None] = {},
) -> Origin:
    """Copies the matching weights of one model to another.

    Args:
      log_dir: of the run of `source`.
      step: of its checkpoint.
      source: the model to copy from, with its variables.
      target: the model to copy to, with its variables.
      adapt: called first with a name, the source's value and the target's initial value; returns
        the value to take for a weight whose meaning differs between the models, otherwise None.
      values: of weights of the target by path, made from those of the source (see
        `vaeseq.vae.pretrained`); None for a weight that keeps its initial value.

    Raises:
      ValueError: no weight matches.
    """
    theirs, ours = weights(source), weights(target)
    # A weight that two parts share may be under the one in the source, under the other here.
    everywhere = _paths(source)
    names: dict[int, list[str]] = {}
    for name, variable in _paths(target).items():
        names.setdefault(id(variable), []).append(name)
    taken: list[str] = []
    adapted: list[str] = []
    not_taken: list[str] = []
    matched: set[int] = set()
    for name, variable in ours.items():
        match = next((everywhere[other] for other in names[id(variable)] if other in everywhere),
                     None)
        matched.add(id(match))
        if name in values and values[name] is None:
            not_taken.append(f"{name} {_shape(variable)}: keeps its initial value")
            continue
        value = values[name] if name in values else None if match is None else match.numpy()
        if value is None:
            not_taken.append(f"{name} {_shape(variable)}: not in that model")
            continue
        new = adapt(name, value, variable.numpy())
        if new is not None:
            adapted.append(name)
        elif (value.shape, value.dtype) == (variable.shape, variable.dtype.as_numpy_dtype):
            new = value
            (adapted if name in values else taken).append(name)
        else:
            not_taken.append(f"{name} {_shape(variable)}: that model has {list(value.shape)}")
            continue
        variable.assign(new)
    not_taken += [f"{name} {_shape(variable)}: not in this model"
                  for name, variable in theirs.items() if id(variable) not in matched]
    path = os.path.abspath(log_dir)
    if not taken:
        raise ValueError(
            f"--init-from {path!r}: expected a model with weights that match this one, but none "
            f"does ({'; '.join(not_taken[:3])}). Give the hyperparameters of that run.")
    return Origin(path, step, taken, adapted, not_taken)


def weights(module: tf.Module) -> dict[str, tf.Variable]:
    """Returns the variables of a module by their paths in its checkpoints."""
    first: dict[int, tuple[str, tf.Variable]] = {}
    for name, variable in _paths(module).items():
        first.setdefault(id(variable), (name, variable))
    return dict(first.values())


def _paths(module: tf.Module) -> dict[str, tf.Variable]:
    """Returns the variables of a module by all their paths, the shortest first."""
    view = tf.train.TrackableView(module)
    variables: dict[str, tf.Variable] = {}
    queue: list[tuple[str, object, frozenset[int]]] = [("", module, frozenset())]
    for prefix, node, above in queue:
        above = above | {id(node)}
        for name, child in view.children(node).items():
            if isinstance(child, tf.Variable):
                variables[prefix + name] = child
            elif id(child) not in above:
                queue.append((f"{prefix}{name}/", child, above))
    return variables


def _shape(variable: tf.Variable) -> list[int]:
    return variable.shape.as_list()
