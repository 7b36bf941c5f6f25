# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How a model is tuned, and how its log directory tells that later (imports no TensorFlow).

    LOG_DIR/tuning.json   the model it began from, the reward's name, the settings
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
    """Each is an option of `vaeseq-midi tune`. Raises ValueError for a value that cannot be."""

    strength: float = fields.declare(20.0, "nats that a reward of 1 is worth", _WEIGHT)
    discount: float = fields.declare(
        0.7, "what a reward counts for the frame before it, and so on back", Range(0, 1))
    likelihood: float = fields.declare(
        1.0, "weight of the training music's likelihood beside it", _WEIGHT)
    learning_rate: float = fields.declare(
        2e-3, "the highest, of Adam", Range(0, 1, open_low=True))
    batch_size: int = fields.declare(64, "samples of an update", Range(2, 4096))
    bars: int = fields.declare(8, "of a sample", Range(1, 1024))
    bar: int = fields.declare(
        0, "frames in a bar; 0: four beats, at 120 a minute where there is no grid",
        Range(0, 1024))
    report_samples: int = fields.declare(
        200, "samples that are measured before and after", Range(1, 10_000))

    def __post_init__(self) -> None:
        for name, field in fields.of(type(self)).items():
            object.__setattr__(self, name, field.accept(getattr(self, name)))


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What `tuning.json` holds.

    Attributes:
      start: the log directory of the model that is tuned.
      reward: its name; compared with the one given, and never looked up from here.
      settings: the rest.
    """

    start: str
    reward: str
    settings: TuneSettings

    @classmethod
    def load(cls, log_dir: LogDir) -> Tuned:
        """What `save` wrote; raises ValueError where that is damaged."""
        try:
            values = json.loads(log_dir.read(FILE))
            start, reward = values.pop("start"), values.pop("reward")
            if not (isinstance(start, str) and isinstance(reward, str)):
                raise TypeError
            return cls(start, reward, TuneSettings(**values))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(
                f"{str(log_dir.path / FILE)!r}: expected a JSON object that says how the model is "
                "tuned. The log directory is damaged; begin anew in another.") from None

    def save(self, log_dir: LogDir) -> None:
        """Writes it into a log directory."""
        values = {"start": self.start, "reward": self.reward, **dataclasses.asdict(self.settings)}
        log_dir.write(FILE, json.dumps(values, indent=2) + "\n")

    def agree(self, log_dir: LogDir, given: dict[str, Any]) -> None:
        """Raises UsageError where an option that was given is another than the run's."""
        ours = {**dataclasses.asdict(self), **dataclasses.asdict(self.settings)}
        for name, value in given.items():
            if ours[name] != value:
                option = "--from" if name == "start" else "--" + name.replace("_", "-")
                raise UsageError(
                    f"{option}: {str(log_dir.path)!r} holds a model tuned with "
                    f"{short_repr(ours[name])}, but {short_repr(value)} was given. Leave it out, "
                    "or give "
                    "another --log-dir.")


def exists(log_dir: LogDir) -> bool:
    """Whether a run is one of tuning."""
    return log_dir.exists and (log_dir.path / FILE).exists()
