# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A run that begins from the weights of another: to fine-tune a model on other data.

    LOG_DIR/init_from.json   which run it began from, and what was taken

A weight matches that is at the same place in both models and has the same shape; the others keep
their first values, and are told. The optimizer begins anew.
"""
from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir

_FILE = "init_from.json"
_MOST = 1 << 22  # characters of that file

# (name, the other model's value, this model's first value) -> what to begin with, or None
Adapt = Callable[[str, np.ndarray, np.ndarray], "np.ndarray | None"]


class Origin(NamedTuple):
    """What a run began from.

    Attributes:
      log_dir: of the other run, an absolute path.
      step: of its checkpoint, the best one where it has one.
      taken: names of the weights that were taken.
      adapted: names of those that were taken in part.
      not_taken: of the others, each with its shape and why.
    """

    log_dir: str
    step: int
    taken: list[str]
    adapted: list[str]
    not_taken: list[str]

    def save(self, log_dir: LogDir) -> None:
        """Writes it into a log directory."""
        log_dir.write(_FILE, json.dumps(self._asdict(), indent=2) + "\n")

    def summary(self) -> str:
        """Lines that say what was taken and what was not."""
        part = f" ({len(self.adapted)} of them in part)" if self.adapted else ""
        lines = [f"Beginning with {len(self.taken) + len(self.adapted)} weights{part} of step "
                 f"{self.step} of {self.log_dir!r}."]
        return "\n".join([*lines, *(f"  not taken: {line}" for line in self.not_taken)])


def recorded(log_dir: LogDir) -> Origin | None:
    """What the run in `log_dir` began from; None where that is no other run.

    Raises:
      ValueError: the file that says it is damaged.
    """
    if not os.path.lexists(log_dir.path / _FILE):
        return None
    try:
        origin = Origin(**json.loads(log_dir.read(_FILE, _MOST)))
        lists = (origin.taken, origin.adapted, origin.not_taken)
        if not (isinstance(origin.log_dir, str) and isinstance(origin.step, int)
                and all(isinstance(name, str) for names in lists for name in names)):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise ValueError(
            f"{str(log_dir.path / _FILE)!r}: expected a JSON object that says what the run began "
            "from. The log directory is damaged; begin anew in another.") from None
    return origin


def resolve_source(log_dir: LogDir, given: Path | None) -> Path | None:
    """The log directory that a run begins from; None where its weights are its own.

    A run that has a checkpoint goes on from there and begins from nothing.

    Args:
      log_dir: of the run, which may not have begun.
      given: what `--init-from` says, if anything.

    Raises:
      ValueError: `given` contradicts what the run began from, or is the run itself.
    """
    if given is not None and os.path.realpath(given) == os.path.realpath(log_dir.path):
        raise ValueError(f"--init-from {str(given)!r}: expected another run than that of "
                         "--log-dir, which goes on by itself.")
    if not log_dir.exists:
        return given
    origin = recorded(log_dir)
    if given is not None and (origin is None or origin.log_dir != str(given.absolute())):
        began = "its own first weights" if origin is None else repr(origin.log_dir)
        raise ValueError(
            f"{str(log_dir.path)!r} holds a run that began from {began}, but --init-from "
            f"{str(given)!r} was given. Leave it out, or give another --log-dir.")
    if origin is None or Checkpoints(log_dir.checkpoints).steps():
        return None
    return Path(origin.log_dir)


@contextlib.contextmanager
def as_init_from_error() -> Iterator[None]:
    """Inside, what is wrong with a log directory is told as a fault of `--init-from`."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"--init-from: {str(error).replace('--log-dir', '--init-from')}") from None


def begin(
    log_dir: LogDir, origin: Path, step: int, source: tf.Module, target: tf.Module,
    adapt: Adapt = lambda name, theirs, ours: None,
) -> Origin:
    """Gives a run the first weights that it takes from another; arguments as for `take`.

    Args:
      log_dir: of the run. Where it began before and was stopped before its first checkpoint, the
        weights must be the same ones again.
      origin: the log directory of the other.
      step: see `take`; so are the others.
      source: see there.
      target: see there.
      adapt: see there.

    Raises:
      ValueError: nothing matches, or the other run has changed since this one began.
    """
    taken = take(origin, step, source, target, adapt)
    before = recorded(log_dir) if log_dir.exists else None
    if before is not None and before != taken:
        raise ValueError(
            f"{str(log_dir.path)!r} holds a run that began from step {before.step} of "
            f"{before.log_dir!r} and has no checkpoint yet; step {step} is there now. Begin anew "
            "in another --log-dir.")
    return taken


def take(
    log_dir: str | os.PathLike[str], step: int, source: tf.Module, target: tf.Module,
    adapt: Adapt = lambda name, theirs, ours: None,
) -> Origin:
    """Gives one model the weights of another, as far as they match.

    Args:
      log_dir: where `source` is from.
      step: the updates it had.
      source: a module with its variables.
      target: another.
      adapt: makes a value out of weights that do not have the same meaning in both, and is asked
        first; None where they have, or nothing can be made of them.

    Raises:
      ValueError: nothing matches.
    """
    theirs, ours = weights(source), weights(target)
    taken, adapted = [], []
    not_taken = [f"{name} {_shape(variable)}: this model has none"
                 for name, variable in theirs.items() if name not in ours]
    for name, variable in ours.items():
        if name not in theirs:
            not_taken.append(f"{name} {_shape(variable)}: that model has none")
            continue
        value = adapt(name, theirs[name].numpy(), variable.numpy())
        if value is not None:
            adapted.append(name)
        elif (theirs[name].shape, theirs[name].dtype) == (variable.shape, variable.dtype):
            value = theirs[name]
            taken.append(name)
        else:
            not_taken.append(f"{name} {_shape(variable)}: that model's is {_shape(theirs[name])}")
            continue
        variable.assign(value)
    path = os.path.abspath(log_dir)
    if not taken:
        raise ValueError(
            f"--init-from {path!r}: expected a model some of whose weights fit this one, got one "
            f"of which none do ({'; '.join(not_taken[:3])}). Give hyperparameters like its own.")
    return Origin(path, step, taken, adapted, not_taken)


def weights(module: tf.Module) -> dict[str, tf.Variable]:
    """The variables of a module by the path to each, as in its checkpoints."""
    view, found, seen = tf.train.TrackableView(module), {}, {id(module)}
    queue: list[tuple[str, object]] = [("", module)]
    for prefix, node in queue:
        for name, child in view.children(node).items():
            if id(child) not in seen:
                seen.add(id(child))
                if isinstance(child, tf.Variable):
                    found[prefix + name] = child
                else:
                    queue.append((f"{prefix}{name}/", child))
    return found


def _shape(variable: tf.Variable) -> list[int]:
    return variable.shape.as_list()
