# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The settings of tuning, and their record in the log directory; imports no TensorFlow.

    LOG_DIR/tuning.json   the directory of the model before tuning, the rewards, the settings
"""
from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from vaeseq import fields
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import Range, short_repr
from vaeseq.runs.log_dir import LogDir

FILE = "tuning.json"
SAMPLES_PER_PREFIX = 4  # samples that continue one training sequence, each other's baseline
_WEIGHT = Range(0, 1e6)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """The settings of tuning; each is an option of a program's `tune`.

    Raises ValueError for a value out of range.
    """

    strength: float = fields.declare(20.0, "factor on rewards, in nats", _WEIGHT)
    kl_target: float = fields.declare(
        0.0, "divergence from the original model, in nats per step, that the strength is adapted "
        "to; 0: a fixed strength", _WEIGHT)
    kl_budget: float = fields.declare(
        0.0, "divergence, in nats per step, above which rewards do not count; 0: no limit", _WEIGHT)
    discount: float = fields.declare(
        1.0, "factor on a reward for each step before it", Range(0, 1))
    likelihood: float = fields.declare(
        1.0, "weight of the training data's likelihood", _WEIGHT)
    learning_rate: float = fields.declare(
        1e-3, "peak learning rate of Adam", Range(0, 1, open_low=True))
    batch_size: int = fields.declare(64, "samples of an update", Range(2, 4096))
    epochs: int = fields.declare(1, "passes over the samples of an update", Range(1, 64))
    clip_ratio: float = fields.declare(
        0.2, "change of a density ratio that further passes are rewarded for",
        Range(0, 1e6, open_low=True))
    report_samples: int = fields.declare(
        200, "samples in the report before and after tuning", Range(1, 10_000))

    def __post_init__(self) -> None:
        for name, field in fields.of(type(self)).items():
            object.__setattr__(self, name, field.accept(getattr(self, name)))


@dataclasses.dataclass(frozen=True)
class TuningRecord:
    """The content of `tuning.json`."""

    start: str  # the log directory of the model before tuning
    # The rewards as --reward named them; compared with the option, never imported
    reward: tuple[str, ...]
    settings: TuneSettings  # the settings

    @classmethod
    def load(cls, log_dir: LogDir, kind: type[TuneSettings]) -> TuningRecord:
        """Reads what `save` wrote; raises ValueError where it is damaged."""
        try:
            values = json.loads(log_dir.read(FILE))
            start, reward = values.pop("start"), values.pop("reward")
            names = [reward] if isinstance(reward, str) else reward
            if not (isinstance(start, str) and names and isinstance(names, list)
                    and all(isinstance(name, str) for name in names)):
                raise TypeError
            return cls(start, tuple(names), kind(**values))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(
                f"{str(log_dir.path / FILE)!r}: expected a JSON object that says how the model is "
                "tuned. The log directory is damaged; start again in another.") from None

    @classmethod
    def resolve(
        cls, log_dir: LogDir, kind: type[TuneSettings], options: Mapping[str, Any],
        default_reward: tuple[str, ...] = (),
    ) -> TuningRecord:
        """Returns the record of the run in `log_dir`, checked against options, or a new one.

        Options are `start`, `reward` and settings; None where the option was not used. There must
        be a reward if `default_reward` is ().

        Raises:
          UsageError: an option is missing, or contradicts the run.
        """
        values = {name: value for name, value in options.items() if value is not None}
        if "reward" in values:
            values["reward"] = tuple(values["reward"])
        if exists(log_dir):
            record = cls.load(log_dir, kind)
            record._check_same(log_dir, values)
            if record.reward != values.get("reward", default_reward):
                raise UsageError(
                    f"{str(log_dir.path)!r} holds a model tuned with the reward "
                    f"{', '.join(map(short_repr, record.reward))}. Give it again with --reward: "
                    "code that a log directory names is not run.")
            return record
        if log_dir.exists:
            raise UsageError(f"{str(log_dir.path)!r} holds a run that was not begun by tune. Give "
                             "another --log-dir, and this one after --from.")
        start, reward = values.pop("start", None), values.pop("reward", default_reward)
        if start is None:
            raise UsageError(
                "--from: expected the log directory of the model to tune; got none.")
        if not reward:
            raise UsageError("--reward: expected what to tune towards; got none.")
        return cls(start, reward, kind(**values))

    def save(self, log_dir: LogDir) -> None:
        """Writes the record into a log directory."""
        values = {"start": self.start, "reward": list(self.reward),
                  **dataclasses.asdict(self.settings)}
        log_dir.write(FILE, json.dumps(values, indent=2) + "\n")

    def _check_same(self, log_dir: LogDir, options: Mapping[str, Any]) -> None:
        """Raises UsageError where an option differs from the record."""
        ours = {**dataclasses.asdict(self), **dataclasses.asdict(self.settings)}
        for name, value in options.items():
            if ours[name] != value:
                option = "--from" if name == "start" else "--" + name.replace("_", "-")
                raise UsageError(
                    f"{option}: {str(log_dir.path)!r} holds a model tuned with "
                    f"{_listed(ours[name])}, but {_listed(value)} was given. Omit it, or "
                    "give another --log-dir.")


def exists(log_dir: LogDir) -> bool:
    """Returns whether a run was begun by `tune`."""
    return log_dir.exists and (log_dir.path / FILE).exists()


def _listed(value: Any) -> str:
    return ", ".join(map(short_repr, value)) if isinstance(value, tuple) else short_repr(value)
