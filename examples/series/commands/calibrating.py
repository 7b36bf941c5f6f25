# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Calibrates the spread of a trained model's forecasts on held-out windows."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vaeseq.runs.progress import Progress

from ..data.windows import Places
from ..model import SeriesModel, spread

_MOST_FORECASTS = 64
_PATHS = 100
_OUTPUTS = ("normal", "student_t", "mixture", "lognormal", "negative_binomial", "zero_inflated")


def run(
    model: SeriesModel, valid: Sequence[Places], should_stop: Callable[[], bool]
) -> None:
    """Forecasts held-out windows and writes the factors of the spread (`model.spread`).

    `should_stop` ends the work early, without factors.
    """
    hparams, table = model.hparams, model.table
    if hparams.output not in _OUTPUTS or hparams.scaling != "history" or table is None:
        return
    runs = [run for run in valid if len(run) >= hparams.horizon]
    origins = [(run.series, first) for run in runs
               # A table of its own begins without a history.
               for first in range(run.start or hparams.context, run.stop - hparams.horizon + 1)]
    size = sum(int(np.isfinite(table.series[run.series].values[run.start:run.stop]).sum())
               for run in runs)
    if not origins or size < spread.LEAST_VALUES:
        return
    if model.spread.horizon == hparams.horizon and model.spread.values:
        return  # a session that made no update
    most = max(_MOST_FORECASTS, 2 * spread.LEAST_VALUES // hparams.horizon)
    chosen = [origins[i] for i in np.unique(
        np.linspace(0, len(origins) - 1, most).astype(int))]
    samples, observed = [], []
    with Progress("calibrate", total=len(chosen), unit="forecast", counted="forecasts") as progress:
        for number, origin in chosen:
            if should_stop():
                return
            series = table.series[number]
            paths = model.forecast(
                series, origin, horizon=hparams.horizon, num_paths=_PATHS, seed=origin)
            after = series.values[origin:origin + hparams.horizon]
            if model.maker.space.log:  # whose spread `Spread.apply` changes
                paths = np.log(paths)
                after = np.log(np.where(after > 0, after, np.nan))
            samples += [paths[:, :, d] for d in range(paths.shape[-1])]
            observed += [after[:, d] for d in range(paths.shape[-1])]
            progress.advance()
    model.spread = spread.fit(samples, observed, model.step)
    model.spread.save(model.log_dir)
    if model.spread.values >= spread.LEAST_VALUES:
        print(f"Spread of forecasts calibrated on {size:,} held-out values: "
              f"{model.spread.first:.2f} at the first step to {model.spread.last:.2f} at step "
              f"{hparams.horizon}, CRPS {100 * model.spread.gain:.1f} % lower there.", flush=True)
