# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The tables of a run: what commands read, and what the data make of the hyperparameters."""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.hparams import written

from ..hparams import SeriesHParams
from . import columns as columns_lib
from . import layout as layout_lib
from . import roles as roles_lib
from . import table as table_lib
from .layout import Layout
from .table import Table
from .windows import Places, positions

_MOST_CONTEXT = 256
_MOST_COUNT = 1000  # larger whole numbers are modelled as real ones
_MANY_ZEROS = 0.2
_MOST_SAMPLED = 1 << 21  # rows that tell what suits a large table
_FAR = 1000.0  # times the training range, beyond which data are of another unit
_HELD_OUT_SERIES = 0.1
LEAST_HIDDEN = 32  # values, below which what is fitted to them would be noise
_MOST_HIDDEN = 128
_HIDDEN_SHARE = 0.04
_TRIES = 16  # steps that are tried for each one to hide


class Data(NamedTuple):
    """The data of a training run."""

    table: Table  # the training series, and after them those of a separate validation file
    layout: Layout  # of the training data
    hparams: SeriesHParams  # without zeros; `output` may be "auto"
    train: list[Places]  # places of the steps to train on
    valid: list[Places]  # places of the steps to validate on
    notes: list[str]  # lines about both


def read_training(
    paths: Sequence[Path], hparams: SeriesHParams, options: roles_lib.Options, *,
    freq: str = "auto", gaps: str = "auto", categories: Sequence[str] = (),
    valid_path: Path | None = None, valid_windows: int = 1, fixed: Sequence[str] = (),
    frame: int = columns_lib.FRAME,
) -> Data:
    """Reads the data of a training run.

    The user's hyperparameters have zeros for what the data decide; `fixed` are the names of others.
    `valid_path` is a separate table to validate on; otherwise `valid_windows` windows of one
    horizon at the end of each series are held out. See `table.build` for `freq`, `gaps` and
    `categories`, and `columns.read` for `frame`.

    Raises:
      UsageError: the data do not fit the options, or there is too little of them.
    """
    files = [columns_lib.read(path, frame) for path in paths]
    _check_rates(files, files[0].sample_rate)
    roles = roles_lib.find(files[0], dataclasses.replace(options, ignore_times=freq == "none"))
    table = table_lib.build(files, roles, freq=freq, gaps=gaps, categories=categories)
    notes = list(table.notes)
    table, num_after = without_ends(table)
    if num_after:
        notes.append(f"{num_after:,} steps after the last value of their series are left out.")
    hparams = resolve(hparams, table, fixed)
    series_held_out = hparams.scaling == "training" and len(table.series) > 1
    held_out = 0 if valid_path or series_held_out else valid_windows * hparams.horizon
    short = [one.name for one in table.series if len(one.values) <= held_out + 1]
    if short:
        table = dataclasses.replace(
            table, series=tuple(o for o in table.series if len(o.values) > held_out + 1))
        if not table.series:
            raise UsageError(
                f"{', '.join(map(repr, (f.name for f in files)))}: expected a series of more than "
                f"{held_out + 1} steps, {held_out} of them held out for validation; none is so "
                "long. Give a smaller --horizon, or --valid-windows 0.")
        notes.append(f"{len(short)} series of at most {held_out + 1} steps are left out: "
                     f"{', '.join(map(repr, short[:5]))}{' ...' if len(short) > 5 else ''}.")
    layout = layout_lib.describe(
        table, held_out=held_out, valid_windows=valid_windows,
        files=[str(path.absolute()) for path in paths], sample_rate=files[0].sample_rate,
        gaps=gaps, frame=frame)
    ends = [end - one.start for one, end in zip(table.series, layout.ends)]
    valid: list[Places] = []
    if valid_path:
        other = _read_as(layout, [valid_path])
        layout = dataclasses.replace(layout, valid_checksum=layout_lib.checksum(other))
        notes += other.notes
        offset = len(table.series)
        valid = [dataclasses.replace(places, series=places.series + offset) for places in positions(
            [len(one.values) for one in other.series])]
        table = dataclasses.replace(table, series=(*table.series, *other.series))
    elif series_held_out and valid_windows:
        chosen = np.random.default_rng(0).permutation(len(ends))[
            :max(1, int(_HELD_OUT_SERIES * len(ends)))]
        valid = [positions(ends)[number] for number in sorted(chosen)]
        ends = [0 if number in chosen else end for number, end in enumerate(ends)]
        layout = dataclasses.replace(layout, ends=tuple(
            one.start + end for one, end in zip(table.series, ends)))
        notes.append(f"{len(chosen)} of {len(ends)} series are held out for validation.")
    elif held_out:
        valid = [Places(number, end, end + held_out) for number, end in enumerate(ends)]
    layout = dataclasses.replace(layout, hidden=tuple(_to_hide(table, ends)))
    hide(layout, table)
    if layout.hidden:
        notes.append(f"{len(layout.hidden)} values are hidden from training; they tell `impute` "
                     "how far completions are off.")
    return Data(table, layout, hparams, positions(ends), valid, notes)


def without_ends(table: Table) -> tuple[Table, int]:
    """Returns the table without the steps after each series' last value, and their number.

    These are days to come: they have covariates alone, and can be neither learnt nor scored.
    """
    series = []
    for one in table.series:
        observed = np.flatnonzero(np.isfinite(one.values).any(1))
        size = int(observed[-1]) + 1 if len(observed) else len(one.values)
        series.append(one._replace(
            values=one.values[:size], known=one.known[:size],
            has_row=None if one.has_row is None else one.has_row[:size]))
    num_after = sum(len(one.values) for one in table.series) - sum(len(o.values) for o in series)
    return dataclasses.replace(table, series=tuple(series)), num_after


def read_for(
    layout: Layout, paths: Sequence[Path], gaps: str | None = None, *, allow_far: bool = False
) -> Table:
    """Reads tables for a trained model, columns by name, by default with the gaps of training.

    Raises:
      UsageError: a column is missing, times have another step, or values are far outside of the
        training data (`is_far`), unless that is allowed.
    """
    return _read_as(layout, paths or _training_files(layout), gaps, allow_far=allow_far)


def is_far(layout: Layout, values: np.ndarray) -> np.ndarray:
    """Returns whether values `[N, D]` are so far outside of the training data as of another unit.
    """
    low, high = np.array(layout.low), np.array(layout.high)
    far = _FAR * np.maximum(high - low, 1e-12)
    return (values > high + far) | (values < low - far)


def held_out(layout: Layout, table: Table) -> list[Places]:
    """Returns the places of the steps after those that a run was trained on.

    They are the validation steps if `table` is the training table.
    """
    ends = dict(zip(layout.names, layout.ends))
    places = []
    for number, one in enumerate(table.series):
        first = ends.get(one.name, one.end) - one.start
        if 0 <= first < len(one.values):
            places.append(Places(number, first, len(one.values)))
    return places


def hide(layout: Layout, table: Table) -> None:
    """Makes the values missing that training is not to see, in the table itself."""
    for places in hidden_steps(layout, table):
        table.series[places.series].values[places.start] = np.nan


def hidden_steps(layout: Layout, table: Table) -> list[Places]:
    """Returns the steps of a table that training did not see, although it saw those around."""
    # Of equal names the first is of the training table; validation tables come behind it.
    numbers = {one.name: number for number, one in reversed(list(enumerate(table.series)))}
    places = []
    for name, step in layout.hidden:
        if name in numbers:
            one = table.series[numbers[name]]
            first = step - one.start
            if 0 < first < len(one.values) and np.isfinite(one.values[first]).all():
                places.append(Places(numbers[name], first, first + 1))
    return places


def _to_hide(table: Table, ends: Sequence[int]) -> list[tuple[str, int]]:
    """Chooses steps to hide from training: none where no value is missing.

    They are single steps with all values, spread at random over the steps before `ends` of each
    series, and not the first of a series. A model that is trained on a value may complete its
    neighbours with too much confidence; of these steps it knows no more than of a gap.
    """
    starts = np.cumsum([0, *ends])
    count = min(_MOST_HIDDEN, int(_HIDDEN_SHARE * starts[-1]))
    if count < LEAST_HIDDEN or not table.num_missing:
        return []
    rng = np.random.default_rng(0)
    chosen: dict[int, tuple[str, int]] = {}
    for step in rng.integers(starts[-1], size=_TRIES * count).tolist():
        number = int(np.searchsorted(starts, step, "right")) - 1
        one, first = table.series[number], step - int(starts[number])
        if first and np.isfinite(one.values[first]).all():
            chosen.setdefault(step, (one.name, one.start + first))
        if len(chosen) == count:
            break
    return [chosen[step] for step in sorted(chosen)]


def _training_files(layout: Layout) -> list[Path]:
    for name in layout.files:
        if not Path(name.split(".npz:")[0] + (".npz" if ".npz:" in name else "")).is_file():
            raise UsageError(f"the run was trained on {name!r}, which no longer exists. Name a "
                             "file.")
    return [Path(name) for name in layout.files]


def _read_as(
    layout: Layout, paths: Sequence[Path], gaps: str | None = None, *, allow_far: bool = False
) -> Table:
    files = [columns_lib.read(path, layout.frame or layout.num_targets) for path in paths]
    _check_rates(files, layout.sample_rate)
    table = table_lib.build(
        files, layout.roles, gaps=gaps or layout.gaps, step=layout.step, levels=layout.levels,
        by_file=len(layout.files) > 1)
    for one in table.series:
        far = is_far(layout, one.values)
        if far.any() and not allow_far:
            d = int(far.any(0).argmax())
            values = one.values[far[:, d], d]
            raise UsageError(
                f"column {layout.roles.targets[d]!r}: expected values like those of training, "
                f"{layout.low[d]:g} to {layout.high[d]:g}, got "
                f"{values[np.argmax(np.abs(values))]:g}: is the unit another one?")
    return table


def _check_rates(files: Sequence[columns_lib.Columns], rate: int) -> None:
    """Raises UsageError unless all files are tables, or sound of one sample rate."""
    def kind(sample_rate: int) -> str:
        return f"sound of {sample_rate:,} samples a second" if sample_rate else "a table"

    for file in files:
        if file.sample_rate != rate:
            raise UsageError(f"{file.name!r}: expected {kind(rate)}, got "
                             f"{kind(file.sample_rate)}. Give files of one kind.")


def known_ahead(
    layout: Layout, table: Table, whole: Table, path: Path | None, horizon: int
) -> dict[str, np.ndarray]:
    """Returns the covariates of the steps after each series, `[horizon, K]` by its name.

    They are those of a file, if there is one, and otherwise of the rows of `whole` that `table`
    lacks (`without_ends`). A file without a series column has those of all series, and a piece of
    a series, split at gaps, has those of the whole. The rows of a file without times are those
    after each series. An empty category is one that is missing.

    Raises:
      UsageError: a covariate is missing for a step that is to be forecast.
    """
    tables, by_series = [whole], [True]
    if path is not None:
        file = columns_lib.read(path)
        by_series.append(layout.roles.series in file.names)
        roles = dataclasses.replace(layout.roles, targets=(), static=(), ignored=(),
                                    series=layout.roles.series if by_series[1] else "")
        tables.append(table_lib.build(
            [file], roles, gaps="missing", step=layout.step, levels=layout.levels))
    series_by_name = [{one.name: one for one in each.series} for each in tables]
    is_category = np.array([name in layout.levels for name in layout.roles.known])
    future = {}
    for one in table.series:
        needed = np.arange(one.end, one.end + horizon)
        values = np.full([horizon, len(layout.roles.known)], np.nan)
        has_value = np.zeros(values.shape, bool)
        for series_of, is_named in zip(series_by_name, by_series):
            name = one.name if is_named else ""
            covariates = series_of.get(name, series_of.get(table_lib.whole(name)))
            if covariates is not None:
                if series_of is not series_by_name[0] and layout.step.unit == "row":
                    covariates = covariates._replace(start=one.end)
                inside = (needed >= covariates.start) & (needed < covariates.end)
                rows = needed[inside] - covariates.start
                values[inside] = covariates.known[rows]
                has_row = True if covariates.has_row is None else covariates.has_row[rows, None]
                has_value[inside] = (is_category & has_row) | np.isfinite(values[inside])
        check_known(layout, one.name, needed, np.where(has_value, 0.0, np.nan))
        future[one.name] = values
    return future


def check_known(layout: Layout, name: str, steps: np.ndarray, values: np.ndarray) -> None:
    """Raises UsageError where a covariate is missing at a step that is to be forecast."""
    missing = np.argwhere(np.isnan(values))
    if len(missing):
        row, k = missing[0]
        last = layout.step.format(steps[row:row + 1] - 1)[0]
        needed = layout.step.format(steps[-1:])[0]
        raise UsageError(
            f"column {layout.roles.known[k]!r}, series {name!r}: expected values until {needed}, "
            f"as it is known ahead, got none after {last}. Give them by --known FILE, or a "
            "smaller --horizon.")


def resolve(hparams: SeriesHParams, table: Table, fixed: Sequence[str] = ()) -> SeriesHParams:
    """Returns the hyperparameters with what the data decide: horizon, season, context, lags.

    The data decide where these are 0 and not among the names `fixed`, which the user gave.
    """
    step = table.step
    longest = max(len(one.values) for one in table.series)
    horizon = hparams.horizon or min(step.horizon, max(1, longest // 4))
    season = hparams.season or (step.season if step.season < longest / 2 else 1)
    context = hparams.context or int(np.clip(
        max(2 * horizon, 2 * season), 8, max(8, min(_MOST_CONTEXT, longest // 2))))
    lags = hparams.lags or default_lags(season, step.unit, longest)
    sizes = [len(one.values) for one in table.series]
    scaling = hparams.scaling
    if scaling == "auto":
        short = np.median(sizes) < 2 * horizon + 2 * max(season, 8)
        scaling = "training" if hparams.output == "strokes" or short else "history"
    changes: dict[str, object] = {
        "horizon": horizon, "season": season, "context": context, "lags": lags,
        "scaling": scaling}
    if "sequence_size" not in fixed:
        whole = int(np.quantile(sizes, 0.95))
        changes["sequence_size"] = min(256, whole) if scaling == "training" else min(
            context + horizon, longest)
    if "embed_series" not in fixed and scaling == "training":
        changes["embed_series"] = False
    if "level_inputs" not in fixed and len(table.series) == 1:
        changes["level_inputs"] = False
    if hparams.base != "none":  # computed from inputs, which must not be dropped
        if "context_dropout" in fixed and hparams.context_dropout:
            raise UsageError(f"context_dropout: expected 0 with base={hparams.base}, got "
                             f"{hparams.context_dropout:g}.")
        changes["context_dropout"] = 0.0
        needed = {1, season, season + 1} if hparams.base == "season" else {1}
        if not needed <= set(lags):
            if "lags" in fixed and hparams.lags:
                raise UsageError(f"lags: expected {', '.join(map(str, sorted(needed)))} among them "
                                 f"with base={hparams.base}, got {written(lags)}.")
            changes["lags"] = tuple(sorted({*lags, *needed}))
    return hparams.replace(**changes)


def default_lags(season: int, unit: str, longest: int) -> tuple[int, ...]:
    """Returns the lags for a season: the last steps, and those of earlier seasons and years."""
    lags = {1, 2, 3}
    if season > 1:
        lags |= {season, 2 * season}
        if season > 3:
            lags |= {season - 1, season + 1}
    if unit == "D":
        lags |= {*range(1, 8), 14, 21, 28, 364, 365, 371}
    if unit in ("h", "min") and season > 1:
        lags |= {7 * season}
    if unit == "B":
        lags |= {10, 21, 260}
    return tuple(sorted(lag for lag in lags if lag == 1 or lag <= longest / 3))


def candidates(table: Table) -> tuple[str, ...]:
    """Returns the outputs that can have every value of a table, those held out as well."""
    parts = [one.values for one in table.series]
    stride = 1 + sum(map(len, parts)) // _MOST_SAMPLED
    values = np.concatenate([part[::stride] for part in parts])
    finite = values[np.isfinite(values)]
    whole = not any((part[np.isfinite(part)] % 1).any() for part in parts)
    lowest = min(np.fmin.reduce(part, None, initial=np.inf) for part in parts)
    classes = max(len(np.unique(column[np.isfinite(column)])) for column in values.T)
    if np.isin(finite, (0, 1)).all():
        return ("bernoulli",)
    few = classes <= 20 and len(finite) >= 20 * classes
    if whole and lowest >= 0 and finite.max() <= _MOST_COUNT:
        counts = ["negative_binomial"]
        if (finite == 0).mean() > _MANY_ZEROS:
            counts.append("zero_inflated")
        return (*counts, "categorical") if few else tuple(counts)
    if few:
        return ("categorical",)
    if lowest > 0:
        return ("student_t", "mixture", "lognormal")
    return ("student_t", "mixture")
