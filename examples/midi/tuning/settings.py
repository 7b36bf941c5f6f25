# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The settings of tuning, and their record in the log directory; imports no TensorFlow.

    LOG_DIR/tuning.json   the directory of the model before tuning, the name of the reward, settings
"""
from __future__ import annotations

import dataclasses
import json
from typing import Any

from vaeseq import fields
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import Range, short_repr
from vaeseq.runs.log_dir import LogDir

FILE = "tuning.json"
_WEIGHT = Range(0, 1e6)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """The settings of tuning; each is an option of `vaeseq-midi tune`.

    Raises ValueError for a value out of range.
    """

    strength: float = fields.declare(20.0, "factor on rewards, in nats", _WEIGHT)
    discount: float = fields.declare(
        0.7, "factor on a reward for each frame before it", Range(0, 1))
    likelihood: float = fields.declare(
        1.0, "weight of the training music's likelihood", _WEIGHT)
    learning_rate: float = fields.declare(
        2e-3, "peak learning rate of Adam", Range(0, 1, open_low=True))
    batch_size: int = fields.declare(64, "samples of an update", Range(2, 4096))
    bars: int = fields.declare(8, "length of a sample in bars", Range(1, 1024))
    bar: int = fields.declare(
        0, "frames in a bar; 0: four beats, at 120 per minute without a grid",
        Range(0, 1024))
    report_samples: int = fields.declare(
        200, "samples in the report before and after tuning", Range(1, 10_000))

    def __post_init__(self) -> None:
        for name, field in fields.of(type(self)).items():
            object.__setattr__(self, name, field.accept(getattr(self, name)))


@dataclasses.dataclass(frozen=True)
class TuningRecord:
    """The content of `tuning.json`.

    Attributes:
      start: the log directory of the model before tuning.
      reward: the name of the reward; compared with --reward, never imported.
      settings: the settings.
    """

    start: str
    reward: str
    settings: TuneSettings

    @classmethod
    def load(cls, log_dir: LogDir) -> TuningRecord:
        """Reads what `save` wrote; raises ValueError where it is damaged."""
        try:
            values = json.loads(log_dir.read(FILE))
            start, reward = values.pop("start"), values.pop("reward")
            if not (isinstance(start, str) and isinstance(reward, str)):
                raise TypeError
            return cls(start, reward, TuneSettings(**values))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(
                f"{str(log_dir.path / FILE)!r}: expected a JSON object that says how the model is "
                "tuned. The log directory is damaged; start again in another.") from None

    def save(self, log_dir: LogDir) -> None:
        """Writes the record into a log directory."""
        values = {"start": self.start, "reward": self.reward, **dataclasses.asdict(self.settings)}
        log_dir.write(FILE, json.dumps(values, indent=2) + "\n")

    def check_same(self, log_dir: LogDir, options: dict[str, Any]) -> None:
        """Raises UsageError where an option differs from the record."""
        ours = {**dataclasses.asdict(self), **dataclasses.asdict(self.settings)}
        for name, value in options.items():
            if ours[name] != value:
                option = "--from" if name == "start" else "--" + name.replace("_", "-")
                raise UsageError(
                    f"{option}: {str(log_dir.path)!r} holds a model tuned with "
                    f"{short_repr(ours[name])}, but {short_repr(value)} was given. Omit it, or "
                    "give another --log-dir.")


def exists(log_dir: LogDir) -> bool:
    """Returns whether a run was begun by `tune`."""
    return log_dir.exists and (log_dir.path / FILE).exists()
