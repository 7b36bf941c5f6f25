# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures models of public series: forecasts, imputation, anomalies, speakers and pen strokes.

    python -m benchmarks.quality.series run us_births --data us_births.csv --out-dir DIR
    python -m benchmarks.quality.series ets --data us_employment.csv.gz --out-dir DIR
    python -m benchmarks.quality.series sizes --out-dir DIR

A row of `run` trains `vaeseq-series` on a table without its last windows, and scores forecasts of
these windows once. Validation windows, which lie before them, choose the checkpoint and calibrate
the spread; they also chose the row's hyperparameters. The seconds are those of the whole `train`
command.

    us_births    daily births in the US, 1969 to 1988, one column (GIFT-Eval's "D/short": horizon
                 30, 20 disjoint windows, MASE of season 1)
    elecdemand   half-hourly electricity demand, horizon 48, 28 windows; elecdemand_alone does
                 without the known temperature and working days
    employment   148 monthly series of unequal length, horizon 24, one window
    co2          weekly CO2 with 59 missing values; a fifth of the others is taken out, imputed, and
                 compared with linear interpolation
    bleeding     the UCR series InternalBleeding16: scores of the test file, whose one event is
                 labelled
    vowels       Japanese vowels: one model with the speaker as a covariate gives nine likelihoods
                 of each test sequence; the largest tells the speaker
    omniglot     pen strokes, nats per point in pixels with noise of one pixel: omniglot_normal,
                 omniglot_mixture (of 20) and omniglot_latents, with equal hidden sizes

`ets` forecasts the employment row by exponential smoothing (statsmodels), as a comparison. `sizes`
measures the time and memory of `train` and `forecast` for tables of several sizes, and draws them.
"""
from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.quality import run_program
from benchmarks.report import Sessions, provenance
from examples.series import backtest, detection
from examples.series.data import columns, roles, sources, table
from examples.series.data.windows import positions
from examples.series.output import files
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.evaluate import forecasts


class Row(NamedTuple):
    """A data set's protocol, and the recipe."""

    horizon: int  # steps of a forecast
    windows: int  # forecasts of each series, disjoint, at its end
    season: int  # of MASE and of the seasonal naive forecast
    options: tuple[str, ...]  # of `train`
    published: dict[str, dict[str, float]]  # other models' scores, for comparison


_KNOWN = ("--targets", "Demand", "--known", "Temperature,WorkDay")
ROWS = {
    "us_births": Row(
        30, 20, 1,
        ("--num-steps", "1200", "--valid-windows", "10", "--valid-every", "100", "--hparams",
         "output=mixture,context_dropout=0.3"),
        {"seasonal naive": {"mase": 1.8648, "wql": 0.1195}, "DeepAR": {"mase": 0.535,
                                                                       "wql": 0.0275},
         "TFT": {"mase": 0.315, "wql": 0.0161}}),
    "elecdemand": Row(48, 28, 48, (*_KNOWN, "--num-steps", "2000", "--valid-windows", "14"), {}),
    "elecdemand_alone": Row(
        48, 28, 48, ("--targets", "Demand", "--num-steps", "2000", "--valid-windows", "14"), {}),
    "employment": Row(
        24, 1, 12, ("--targets", "Employed", "--num-steps", "1000", "--valid-windows", "1",
                    "--hparams", "output=lognormal,base=season"), {}),
}
_OMNIGLOT = ("--num-steps", "2000", "--valid-every", "250", "--valid-steps", "8000", "--hparams",
             "output=strokes,rnn_hidden_sizes=[128],context_dropout=0,dropout=0.1,batch_size=64,"
             "sequence_size=96")
TASKS: dict[str, tuple[str, ...]] = {
    "co2": ("--num-steps", "1500", "--valid-windows", "13", "--hparams", "base=last"),
    "bleeding": ("--num-steps", "1500", "--valid-windows", "8", "--hparams",
                 "output=mixture,base=last"),
    "vowels": ("--num-steps", "800", "--static", "speaker", "--valid-windows", "0", "--hparams",
               "output=mixture,num_components=3,dropout=0.6"),
    "omniglot_normal": (*_OMNIGLOT[:-1], _OMNIGLOT[-1] + ",num_components=1"),
    "omniglot_mixture": (*_OMNIGLOT[:-1], _OMNIGLOT[-1] + ",num_components=20"),
    "omniglot_latents": (*_OMNIGLOT[:-1], _OMNIGLOT[-1] + ",num_components=20,vae_type=SRNN,"
                         "latent_size=16"),
}
_PROGRAM = "from examples.series.cli import main; main()"
_program = functools.partial(run_program, "series")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", choices=[*ROWS, *TASKS], help="the data set")
    add("--data", type=arguments.readable_file, required=True, metavar="FILE", help="its table")
    add("--out-dir", type=Path, required=True, metavar="DIR", help="folder of the results")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0", metavar="N,N",
        help="one training run each")
    add("--max-minutes", type=arguments.minutes, default=15.0, metavar="M",
        help="limit of each training run")


def _run(options: argparse.Namespace) -> None:
    options.out_dir.mkdir(parents=True, exist_ok=True)
    if options.name in TASKS:
        for seed in options.seeds:
            _run_task(options, seed)
        return
    row = ROWS[options.name]
    train_data = options.out_dir / f"{options.name}-train.csv"
    _write_training_part(options.data, train_data, row.horizon * row.windows)
    for seed in options.seeds:
        log_dir = options.out_dir / f"{options.name}-{seed}-run"
        with Sessions(log_dir) as sessions:
            _program(
                "train", "--log-dir", log_dir, "--train-data", train_data, "--horizon",
                row.horizon, "--seed", seed, "--max-minutes", options.max_minutes, *row.options)
        scores = json.loads(_program(
            "evaluate", "--log-dir", log_dir, "--eval-data", options.data, "--windows",
            row.windows, "--season", row.season, "--json", "--plot",
            options.out_dir / f"{options.name}-{seed}.png"))
        result = {"row": options.name, "seed": seed, "seconds": sessions.seconds,
                  **row._asdict(), "scores": scores, **provenance("benchmarks.quality.series")}
        path = options.out_dir / f"{options.name}-{seed}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
        model, naive = scores["model"], scores["seasonal_naive"]
        print(json.dumps({
            "row": options.name, "seed": seed, "seconds": round(sessions.seconds),
            **{name: model[name] for name in ("mase", "wql", "crps", "coverage")},
            "naive_mase": naive["mase"], "naive_wql": naive["wql"], "naive_crps": naive["crps"]}),
            flush=True)


def _run_task(options: argparse.Namespace, seed: int) -> None:
    """Runs a row of `TASKS`: writes its training table, trains, and scores."""
    name, data = options.name, options.data
    log_dir = options.out_dir / f"{name}-{seed}-run"
    train_data: tuple[object, ...] = (data,)
    if name == "co2":
        train_data = (_without_a_fifth(data, options.out_dir / f"co2-{seed}.csv", seed),)
    elif name == "bleeding":
        train_data = (data.with_name(data.name.replace("_test", "_train")),)
    elif name == "vowels":
        train_data = (_vowels(data, "train", options.out_dir / "vowels-train.csv"),)
    elif name.startswith("omniglot"):
        train_data = (f"{data}:train", "--valid-data", f"{data}:valid")
    with Sessions(log_dir) as sessions:
        _program("train", "--log-dir", log_dir, "--train-data", *train_data, "--seed", seed,
                 "--max-minutes", options.max_minutes, *TASKS[name])
    scorer = _omniglot_scores if name.startswith("omniglot") else {
        "co2": _imputation_scores, "bleeding": _anomaly_scores, "vowels": _speaker_scores}[name]
    scores = scorer(log_dir, data, options.out_dir / f"{name}-{seed}")
    result = {"row": name, "seed": seed, "seconds": sessions.seconds, "options": TASKS[name],
              "scores": scores, **provenance("benchmarks.quality.series")}
    (options.out_dir / f"{name}-{seed}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({"row": name, "seed": seed, "seconds": round(sessions.seconds), **scores}),
          flush=True)


def _without_a_fifth(source: Path, target: Path, seed: int) -> Path:
    """Writes a table of one target with a fifth of its values taken out."""
    read = columns.read(source)
    column_roles = roles.find(read)
    values = read.numbers(column_roles.targets[0])
    finite = np.flatnonzero(np.isfinite(values))
    values[np.random.default_rng(seed).choice(finite, len(finite) // 5, replace=False)] = np.nan
    files.write_table(target, {column_roles.time: read.texts(column_roles.time),
                               column_roles.targets[0]: values})
    return target


def _imputation_scores(log_dir: Path, data: Path, out: Path) -> dict[str, float]:
    filled = out.with_suffix(".filled.csv")
    _program("impute", "--log-dir", log_dir, "--draws", 100, "--output", filled, "--plot",
             out.with_suffix(".png"))
    read, truth = columns.read(filled), columns.read(data)
    target = roles.find(truth).targets[0]
    whole = table.build([truth], roles.find(truth)).series[0].values[:, 0]
    taken_out = (read.numbers(f"{target}_filled") > 0) & np.isfinite(whole)
    draws = np.stack([read.numbers(f"{target}_draw{n}") for n in range(1, 101)], -1)[taken_out]
    y = whole[taken_out]
    steps = np.arange(len(whole))
    is_observed = np.isfinite(whole) & ~taken_out
    linear = np.interp(steps[taken_out], steps[is_observed], whole[is_observed])
    inside = [np.mean((low <= y) & (y <= high)) for low, high in (
        np.quantile(draws, [(1 - c) / 2, (1 + c) / 2], axis=1) for c in backtest.COVERAGES)]
    return {"values": len(y), "crps": float(forecasts.crps(draws, y).mean()),
            "median_absolute_error": float(np.abs(np.median(draws, 1) - y).mean()),
            "linear_absolute_error": float(np.abs(linear - y).mean()),
            **{f"inside_{c:.0%}": float(share) for c, share in zip(backtest.COVERAGES, inside)}}


def _anomaly_scores(log_dir: Path, data: Path, out: Path) -> dict[str, float]:
    """Scores the rows after the training part, which the test file begins with."""
    first = len(columns.read(data.with_name(data.name.replace("_test", "_train"))))
    labels = columns.read(data).numbers("is_anomaly")[first:]
    event = np.flatnonzero(labels)
    result: dict[str, float] = {"chance": float(labels.mean())}
    for window in (1, 12):
        scored = out.with_suffix(f".scores-{window}.csv")
        _program("anomalies", "--log-dir", log_dir, "--data", data, "--window", window, "--output",
                 scored, "--plot", out.with_suffix(f".window-{window}.png"))
        read = columns.read(scored)
        scores, flags = read.numbers("score")[first:], read.numbers("anomaly")[first:]
        top = int(np.nanargmax(scores))
        size = len(event)
        result |= {
            f"average_precision_{window}": detection.average_precision(labels, scores),
            f"top_is_at_the_event_{window}": float(event[0] - size <= top <= event[-1] + size),
            f"false_alarm_rate_{window}": float(flags[labels == 0].mean())}
    return result


def _vowels(source: Path, split: str, target: Path) -> Path:
    """Writes the sequences of a split as a table with the speaker as text."""
    with np.load(source, allow_pickle=False) as archive:
        values, lengths = archive[split], archive[f"{split}_lengths"]
        speakers = archive[f"{split}_speakers"]
    names = [f"{n:04d}" for n in range(len(lengths))]
    files.write_table(target, {
        "series": np.repeat(names, lengths).tolist(),
        "time": np.concatenate([np.arange(n) for n in lengths]).tolist(),
        "speaker": [f"s{speaker}" for speaker in np.repeat(speakers, lengths)],
        **{f"x{d}": values[:, d].tolist() for d in range(values.shape[1])}})
    return target


def _speaker_scores(log_dir: Path, data: Path, out: Path) -> dict[str, float]:
    from examples.series.model import SeriesModel
    model = SeriesModel.load(log_dir)
    test = sources.read_for(model.layout, [_vowels(data, "test", out.with_suffix(".test.csv"))])
    places = positions([len(one.values) for one in test.series])
    number = len(model.layout.levels["speaker"])
    likelihoods = []
    for speaker in range(number):
        series = tuple(one._replace(static=np.array([float(speaker)])) for one in test.series)
        scores = np.concatenate(list(model.log_densities(
            dataclasses.replace(test, series=series), places)))
        likelihoods.append([part.sum() for part in np.split(
            scores, np.cumsum([len(one.values) for one in test.series])[:-1])])
    truth = np.array([one.static[0] for one in test.series])
    return {"sequences": len(truth),
            "accuracy": float((np.argmax(likelihoods, 0) == truth).mean())}


def _omniglot_scores(log_dir: Path, data: Path, out: Path) -> dict[str, float]:
    from examples.series.model import SeriesModel
    model = SeriesModel.load(log_dir, log_prob_samples=16)
    test = sources.read_for(model.layout, [Path(f"{data}:test")])
    places = positions([len(one.values) for one in test.series])
    scores = np.concatenate(list(model.log_densities(test, places, bound="iwae")))
    _program("generate", "--log-dir", log_dir, "--num-samples", 49, "--svg",
             out.with_suffix(".svg"), "--plot", out.with_suffix(".png"))
    return {"points": len(scores), "nats_per_point": float(-scores.mean())}


def _ets_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=arguments.readable_file, required=True, metavar="FILE",
        help="the table of the row employment")
    add("--out-dir", type=Path, required=True, metavar="DIR", help="folder of the results")


def _ets(options: argparse.Namespace) -> None:
    """Forecasts each series by ETS(A, Ad, A) of its logarithms."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    row = ROWS["employment"]
    read = columns.read(options.data)
    items = []
    for one in table.build([read], roles.find(read)).series:
        observed = one.values[-row.horizon:, 0]
        history = one.values[:-row.horizon, 0]
        history = history[np.flatnonzero(np.isfinite(history))[0]:]
        if np.isnan(history).any() or len(history) < 3 * row.season:
            continue
        fit = ETSModel(np.log(history), error="add", trend="add", damped_trend=True,
                       seasonal="add", seasonal_periods=row.season).fit(disp=False, maxiter=200)
        paths = np.exp(fit.simulate(
            row.horizon, anchor="end", repetitions=200, rng=0)).T
        items.append(backtest.Item(
            one.name, 0, len(history), observed, np.asarray(paths),
            backtest.naive(history, row.horizon, row.season),
            float(forecasts.seasonal_error(history, row.season))))
    scores = {"ets": backtest.score(items).as_dict(),
              "seasonal_naive": backtest.score(items, of_naive=True).as_dict()}
    result = {"row": "employment_ets", "series": len(items), "scores": scores,
              **provenance("benchmarks.quality.series")}
    options.out_dir.mkdir(parents=True, exist_ok=True)
    (options.out_dir / "employment_ets.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({"row": "employment_ets", "series": len(items), **{
        f"{name}_{metric}": one[metric] for name, one in scores.items()
        for metric in ("mase", "wql", "crps", "coverage")}}))


# Series, steps of each, and targets. The last two have 10 million values.
SIZES = ((1, 100, 1), (1, 10_000, 1), (1, 100, 100), (1, 10_000, 100), (10_000, 100, 1),
         (1_000, 10_000, 1), (1_000, 100, 100))
_UPDATES = 20, 220


def _sizes_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out-dir", type=Path, required=True, metavar="DIR",
                        help="folder of the results")


def _sizes(options: argparse.Namespace) -> None:
    """Trains on tables of waves with noise, for a few updates and for 200 more."""
    options.out_dir.mkdir(parents=True, exist_ok=True)
    rows = []
    for size in SIZES:
        name = "-".join(map(str, size))
        data, run = options.out_dir / f"{name}.parquet", options.out_dir / f"{name}-run"
        _write_waves(data, *size)
        words = ("train", "--log-dir", run, "--train-data", data, "--horizon", 10, "--hparams",
                 "output=normal,lags=[1,2,24],season=24,context=48")
        (start, _), (whole, memory) = (
            _measured(*words, "--num-steps", count) for count in _UPDATES)
        forecast, forecast_memory = _measured(
            "forecast", "--log-dir", run, "--output", options.out_dir / f"{name}.csv")
        rows.append({
            "series": size[0], "steps": size[1], "targets": size[2], "start_seconds": start,
            "update_milliseconds": 1e3 * (whole - start) / (_UPDATES[1] - 2 * _UPDATES[0]),
            "train_gigabytes": memory, "forecast_seconds": forecast,
            "forecast_gigabytes": forecast_memory})
        print(json.dumps(rows[-1]), flush=True)
        data.unlink()
    result = {"rows": rows, **provenance("benchmarks.quality.series")}
    (options.out_dir / "sizes.json").write_text(json.dumps(result, indent=1) + "\n")
    _draw_sizes(rows, options.out_dir / "sizes.png")


def _write_waves(path: Path, number: int, steps: int, targets: int) -> None:
    """Writes a long Parquet table of hourly series with a daily wave and noise."""
    import pyarrow as pa
    import pyarrow.parquet
    rng = np.random.default_rng(0)
    hours = np.tile(np.arange(steps), number)
    phases = np.repeat(rng.uniform(0, 2 * np.pi, number), steps)
    columns = {
        "series": np.repeat([f"s{n:05d}" for n in range(number)], steps),
        "time": np.datetime64("2020-01-01T00", "us") + hours * np.timedelta64(3600, "s")}
    columns |= {f"x{d}": 5 + np.sin(2 * np.pi * hours / 24 + phases + d)
                + 0.3 * rng.normal(size=len(hours)) for d in range(targets)}
    pyarrow.parquet.write_table(pa.table(columns), path)


def _measured(*words: object) -> tuple[float, float]:
    """Runs a command of vaeseq-series; returns its seconds and its largest size in gigabytes."""
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, *map(str, words)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        message = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise arguments.UsageError(f"{words[0]}: {message.strip()[-300:]}")
    return time.perf_counter() - start, usage.ru_maxrss / 1e6


def _draw_sizes(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    labels = [f"{row['series']:,} x {row['steps']:,} x {row['targets']:,}" for row in rows]
    panels = {"ms an update": "update_milliseconds", "s to read, compile, 20 updates":
              "start_seconds", "s to forecast": "forecast_seconds",
              "GB, training": "train_gigabytes"}
    figure, axes = pyplot.subplots(1, len(panels), figsize=(13, 3.6), sharey=True, layout="tight")
    for axis, (title, name) in zip(axes, panels.items()):
        values = [row[name] for row in rows]
        bars = axis.barh(labels, values, color="#4477aa")
        axis.bar_label(bars, fmt="{:.3g}", padding=3)
        axis.set(title=title, xlim=(0, 1.25 * max(values)))
    axes[0].set_ylabel("series x steps x targets")
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=120)


def _write_training_part(source: Path, target: Path, held_out: int) -> None:
    """Writes the rows of a table without the last `held_out` of each series."""
    read = columns.read(source)
    column_roles = roles.find(read)
    series = table.build([read], column_roles).series
    ends = {one.name: one.end - held_out for one in series}
    times = read.times(column_roles.time)
    assert times is not None
    step = table.build([read], column_roles).step
    names = read.texts(column_roles.series) if column_roles.series else [""] * len(read)
    is_kept = [index < ends[name] for index, name in zip(step.index(times), names)]
    files.write_table(target, {
        name: read.texts(name)[is_kept] for name in read.names if name})


program = Program("python -m benchmarks.quality.series", "Measures forecasts of public series.", (
    Command("run", "train on a data set and score held-out data", _run_arguments, _run),
    Command("ets", "forecast by exponential smoothing", _ets_arguments, _ets),
    Command("sizes", "measure time and memory by the size of tables", _sizes_arguments, _sizes)))

if __name__ == "__main__":
    program.main()
