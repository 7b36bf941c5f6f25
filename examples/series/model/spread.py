# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The spread of sample paths, calibrated on held-out windows.

A model that is trained to predict one step ahead learns the noise of a step. Far ahead its errors
are larger than the sum of such noise: the level drifts, weights are estimates, and both stay the
same within a path. The samples x of step h, 1 to H, become

    median + c_h (x - median),    c_h = first + (last - first) (h - 1) / (H - 1)

The two factors are those with the least CRPS on windows that were not trained on.

    LOG_DIR/spread.json   the factors, the step of the checkpoint they belong to, and the gain
"""
from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence

import numpy as np

from vaeseq.evaluate import forecasts
from vaeseq.runs.log_dir import LogDir

FILE = "spread.json"
LEAST_VALUES = 100  # observed values, below which two factors fit their noise
_KINDS = ("scaled", "counts")
_MOST_CHARACTERS = 1 << 12
_FACTORS = np.geomspace(0.5, 6.0, 37)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Factors of the spread of sample paths."""

    first: float = 1.0  # of the first step ahead
    last: float = 1.0  # of the step `horizon` ahead and of those beyond
    horizon: int = 1  # steps of the windows that the factors were fitted to
    step: int = 0  # of the checkpoint
    values: int = 0  # observed values that they were fitted to
    gain: float = 0.0  # the share by which the factors reduce the CRPS there

    def apply(self, paths: np.ndarray, kind: str) -> np.ndarray:
        """Returns paths `[M, H, D]` in the model's units with another spread.

        Only numbers and counts have a spread (`data.windows.Space`).
        """
        factors = self.factors(kind, paths.shape[1])
        if factors is None:
            return paths
        median = np.median(paths, 0)
        spread = median + factors[:, None] * (paths - median)
        return np.maximum(np.rint(spread), 0.0) if kind == "counts" else spread

    def factors(self, kind: str, size: int) -> np.ndarray | None:
        """Returns the factor of each of `size` steps ahead; None where paths are not changed."""
        if kind not in _KINDS or (self.first, self.last) == (1.0, 1.0):
            return None
        return _factors(self.first, self.last, self.horizon, size)

    def save(self, log_dir: LogDir) -> None:
        """Writes `spread.json` into a log directory."""
        log_dir.write(FILE, json.dumps(dataclasses.asdict(self)) + "\n")

    @classmethod
    def load(cls, log_dir: LogDir, step: int) -> Spread:
        """Reads `spread.json`; factors of 1 where there is none for the checkpoint of `step`.

        Raises:
          ValueError: the file is damaged.
        """
        if not (log_dir.path / FILE).exists():
            return cls()
        try:
            spread = cls(**json.loads(log_dir.read(FILE, _MOST_CHARACTERS)))
            if not (spread.first > 0 and spread.last > 0 and spread.horizon >= 1):
                raise ValueError
        except (ValueError, TypeError, RecursionError):
            raise ValueError(
                f"{str(log_dir.path / FILE)!r}: expected a JSON object with the spread of paths. "
                "Remove the file to forecast without calibration.") from None
        return spread if spread.step == step else cls()


def fit(samples: Sequence[np.ndarray], observed: Sequence[np.ndarray], step: int) -> Spread:
    """Fits the factors to forecasts of one horizon H.

    Args:
      samples: of each forecast of one target, `[M, H]`.
      observed: what came, each `[H]`, NaN where missing.
      step: of the checkpoint that the samples are from.

    Returns:
      The factors with the least sum of CRPS, that of each forecast divided by the mean absolute
      deviation of its samples; factors of 1 if fewer than `LEAST_VALUES` values were observed.
    """
    values = sum(int(np.isfinite(y).sum()) for y in observed)
    if values < LEAST_VALUES:
        return Spread(step=step, values=values)
    horizon = len(observed[0])
    scores = np.zeros([len(_FACTORS), horizon])  # of each factor and step, all forecasts
    before = 0.0
    for paths, y in zip(samples, observed, strict=True):
        median = np.median(paths, 0)
        deviation, truth = (paths - median).T, y - median
        unscaled = np.nan_to_num(forecasts.crps(deviation, truth))
        # Not by its own score, which would prefer forecasts that happened to be near.
        weight = 1.0 / max(float(np.abs(deviation).mean()), 1e-12)
        before += weight * float(unscaled.sum())
        scores += weight * np.nan_to_num(np.stack(
            [forecasts.crps(factor * deviation, truth) for factor in _FACTORS]))
    least, best = before, (1.0, 1.0)
    for first, last in itertools.product(_FACTORS.tolist(), repeat=2):
        if horizon == 1:
            last = first
        total = sum(float(np.interp(factor, _FACTORS, scores[:, h])) for h, factor in enumerate(
            _factors(first, last, horizon, horizon)))
        if total < least:
            least, best = total, (first, last)
    return Spread(*best, horizon, step, values, 1.0 - least / before)


def _factors(first: float, last: float, horizon: int, size: int) -> np.ndarray:
    """Returns the factor of each of `size` steps ahead."""
    share = np.minimum(np.arange(size) / max(1, horizon - 1), 1.0)
    return first + (last - first) * share
