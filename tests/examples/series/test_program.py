# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series in this process: training, scores, forecasts, and wrong use."""

import dataclasses
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pyarrow.parquet
import pytest
import tensorflow as tf

from examples.series import serving
from examples.series.cli import program
from examples.series.commands import evaluate, generate
from examples.series.commands import train as train_command
from examples.series.data import Options, columns, sources
from examples.series.data.windows import Places, cut, scoring_batches, stack
from examples.series.hparams import OUTPUTS, SeriesHParams
from examples.series.model import SeriesModel
from examples.series.model.spread import Spread
from examples.series.output import files
from tests.examples.series.series_data import SMALL, csv, rows
from tests.in_process import assert_one_line, runner
from vaeseq.cli.arguments import UsageError
from vaeseq.data import Masked
from vaeseq.train import distribute
from vaeseq.train.trainer import TrainResult

WORDS = ("--horizon", "4", "--known", "promo", "--hparams", SMALL)


class Run(NamedTuple):
    """A table, the covariates that follow it, and the log directory of a trained run."""

    data: str
    covariates: str
    log_dir: str


@pytest.fixture
def run(capsys):
    """Returns a function that runs a command of vaeseq-series in this process."""
    return runner(program, capsys)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    every = rows(days=104)
    past = [row for row in every if row[0].isoformat() < "2024-04-10"]
    past[30] = (*past[30][:2], "", past[30][3])  # a missing value (report 1)
    future = [(day, shop, promo) for day, shop, _, promo in every
              if day.isoformat() >= "2024-04-10"]
    (folder / "data.csv").write_text(csv(past))
    (folder / "known.csv").write_text(csv(future, "date,shop,promo"))
    status = program.run([
        "train", "--log-dir", str(folder / "log"), "--train-data", str(folder / "data.csv"), *WORDS,
        "--num-steps", "60", "--valid-every", "30"])
    assert status == 0
    return Run(*(str(folder / name) for name in ("data.csv", "known.csv", "log")))


def test_a_worker_without_the_log_directory_resumes_with_the_chiefs_output(
        run, trained, tmp_path, monkeypatch):
    started = []

    def start(strategy, settings, *, seconds):
        started.append(settings)
        raise UsageError("stop")

    monkeypatch.setattr(distribute, "start", start)
    for log_dir in (trained.log_dir, tmp_path / "none"):
        run("train", "--log-dir", log_dir, "--train-data", trained.data, *WORDS[:-1],
            SMALL.replace("output=normal,", ""))
    chiefs, workers = started
    assert chiefs == workers

    class Worker(distribute.Strategy):
        is_chief = False

        def broadcast(self, variables):
            (variable,) = variables
            variable.assign(OUTPUTS.index("mixture"))

    assert train_command._as_chief(
        SeriesHParams(output="student_t"), Worker()).output == "mixture"


def forecast(run, trained, output, *words):
    return run("forecast", "--log-dir", trained.log_dir, "--known", trained.covariates,
               "--num-paths", "50", "--output", output, *words, status=0)


def read_rows(path):
    return [line.split(",") for line in path.read_text().splitlines()]


def test_what_training_says(run, trained, tmp_path):
    ended = run("train", "--log-dir", tmp_path / "log", "--train-data", trained.data, *WORDS,
                "--num-steps", "1", "--max-minutes", "0.00001")
    assert ended.status == 0
    assert ("2 series of 100 steps of D from 2024-01-01 to 2024-04-09, 1 values missing; 8 steps "
            "held out") in ended.out
    assert "  time: date\n  series: shop\n  targets: sales\n  known ahead: promo" in ended.out
    assert "horizon 4, season 7, context 14, lags 1,7, scaled by the history" in ended.out
    assert "vaeseq-series forecast --log-dir" in ended.out


def test_training_resumes_and_refuses_other_data(run, trained, tmp_path):
    ended = run("train", "--log-dir", trained.log_dir, "--train-data", trained.data, *WORDS,
                "--num-steps", "60")
    assert "nothing to do" in ended.out
    ended = run("train", "--log-dir", trained.log_dir, "--train-data", trained.data, "--known",
                "promo", "--num-steps", "60", "--hparams",
                "output=auto,scaling=auto,horizon=0,season=0,context=0,lags=[]")  # as resolved
    assert "nothing to do" in ended.out
    (tmp_path / "other.csv").write_text(csv(rows(days=99)))
    ended = run("train", "--log-dir", trained.log_dir, "--train-data", tmp_path / "other.csv",
                *WORDS)
    assert_one_line(ended, "but they have changed. Give the same files again")


@pytest.mark.parametrize("words, message", [
    (("--valid-windows", "0"), "the run to resume, --valid-windows 1 without --valid-data, got "
     "--valid-windows 0 without --valid-data. Give the same --valid-windows"),
    (("--valid-data", "data"), "got --valid-windows 1 and --valid-data with the checksum"),
])
def test_training_refuses_to_resume_with_other_validation_steps(run, trained, words, message):
    words = [trained.data if word == "data" else word for word in words]
    assert_one_line(run("train", "--log-dir", trained.log_dir, "--train-data", trained.data, *WORDS,
                        *words), message)


def test_a_run_of_an_earlier_version_resumes(run, trained, tmp_path):
    shutil.copytree(trained.log_dir, tmp_path / "log")
    saved = tmp_path / "log" / "series.json"
    values = json.loads(saved.read_text())
    del values["valid_checksum"], values["usual_length"]
    saved.write_text(json.dumps(values))
    ended = run("train", "--log-dir", tmp_path / "log", "--train-data", trained.data, *WORDS,
                "--num-steps", "60", status=0)
    assert "nothing to do" in ended.out


def test_another_validation_table_is_told_from_the_first(tmp_path):
    for name, days in (("train", 60), ("first", 50), ("second", 40)):
        (tmp_path / name).write_text(csv(rows(days=days)))
    hparams = SeriesHParams().parse(SMALL).replace(horizon=4)
    first, second = (sources.read_training(
        [tmp_path / "train"], hparams, Options(), valid_path=tmp_path / name).layout
        for name in ("first", "second"))
    first.check_same(first)
    with pytest.raises(UsageError, match=f"{first.valid_checksum}, got .* {second.valid_checksum}"):
        first.check_same(second)
    dataclasses.replace(first, valid_checksum=None).check_same(second)  # an earlier version's


def test_scores_stand_beside_the_seasonal_naive_forecast(run, trained, tmp_path):
    ended = run("evaluate", "--log-dir", trained.log_dir, "--num-paths", "50", "--json",
                "--per-series", tmp_path / "s.csv", "--plot", tmp_path / "p.png", status=0)
    scores = json.loads(ended.out)
    assert scores["model"]["wql"] < scores["seasonal_naive"]["wql"]  # it knows the promotions
    assert scores["season"] == 7 and scores["forecasts"] == 2
    assert scores["model"]["bound"] == "exact" and scores["model"]["steps"] == 8
    assert [row[:3] for row in read_rows(tmp_path / "s.csv")[1:]] == [
        ["a", "sales", "1"], ["b", "sales", "1"]]
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    table = run("evaluate", "--log-dir", trained.log_dir, "--num-paths", "50", "--windows", "3")
    assert "seasonal naive, m=7" in table.out and "MASE m=7" in table.out
    assert "4 of 6 forecasts begin within the training data" in table.out


@pytest.mark.parametrize("header", ["day,y", "x,y"])
def test_rows_of_another_table_are_not_taken_for_those_of_training(header, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(csv([(n if header[0] == "x" else day, n % 7) for n, (day, *_) in enumerate(
        rows(("a",), 40))], header))
    data = sources.read_training([path], SeriesHParams(horizon=4), Options(targets=("y",)))
    assert (data.layout.step.unit == "row") == (header[0] == "x")
    for other in ([], [path]):
        notes = []
        evaluate._places(SimpleNamespace(windows=2, eval_data=other),
                         SimpleNamespace(layout=data.layout), data.table, 4, 4, notes.append)
        assert len(notes) == (header[0] != "x" or not other)


@pytest.mark.xla
def test_a_forecast_belongs_to_its_series_and_continues_it(run, trained, tmp_path):
    ended = forecast(run, trained, tmp_path / "f.csv", "--plot", tmp_path / "f.png", "--paths",
                     tmp_path / "paths", "--quantiles", "0.1,0.5,0.9")
    assert "The forecast begins after the last value, 2024-04-09." in ended.err
    header, *data_rows = read_rows(tmp_path / "f.csv")
    assert header == ["series", "time", "target", "mean", "q0.1", "q0.5", "q0.9"]
    assert [row[:3] for row in data_rows] == [
        [name, f"2024-04-{day}", "sales"] for name in "ab" for day in (10, 11, 12, 13)]
    assert np.mean([float(row[5]) for row in data_rows[:4]]) < 150
    assert np.mean([float(row[5]) for row in data_rows[4:]]) > 150
    with np.load(tmp_path / "paths") as archive:
        assert archive["paths"].shape == (2, 50, 4, 1)
        assert archive["series"].tolist() == ["a", "b"]
        np.testing.assert_allclose(archive["paths"][0, :, 0, 0].mean(), float(data_rows[0][3]),
                                   rtol=1e-4)
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    assert np.isfinite(columns.read(tmp_path / "f.csv").numbers("q0.5")).all()


def with_days_to_come(trained, folder):
    """Returns a table of the past and of the covariates that follow it."""
    coming = [f"{day},{shop},,{promo}" for day, shop, promo in read_rows(
        Path(trained.covariates))[1:]]
    whole = folder / "whole.csv"
    whole.write_text("\n".join([Path(trained.data).read_text().strip(), *coming]))
    return whole


@pytest.mark.xla
def test_days_to_come_may_stand_in_the_table(run, trained, tmp_path):
    forecast(run, trained, tmp_path / "f.csv")
    whole = with_days_to_come(trained, tmp_path)
    run("forecast", "--log-dir", trained.log_dir, "--data", whole, "--num-paths", "50",
        "--output", tmp_path / "g.csv", status=0)
    assert (tmp_path / "g.csv").read_text() == (tmp_path / "f.csv").read_text()


def test_days_to_come_are_not_scored(run, trained, tmp_path):
    lines = Path(trained.data).read_text().splitlines()
    names = lines[0].split(",")
    place = {name: number for number, name in enumerate(names)}
    coming = []
    for day in (1, 2, 3):
        cells = lines[-1].split(",")
        cells[place["date"]] = str(np.datetime64(cells[place["date"]]) + day)
        cells[place["sales"]] = ""
        coming.append(",".join(cells))
    (tmp_path / "a.csv").write_text("\n".join([*lines, *coming]) + "\n")
    words = "evaluate", "--log-dir", trained.log_dir, "--num-paths", "5", "--json"
    one, other = (run(*words, "--eval-data", data).out for data in (
        trained.data, tmp_path / "a.csv"))
    assert one == other


@pytest.mark.parametrize("command, option", [
    ("impute", "--output"), ("anomalies", "--output"), ("evaluate", "--per-series")])
def test_no_output_replaces_the_table_of_training(run, trained, command, option):
    before = Path(trained.data).read_bytes()
    ended = run(command, "--log-dir", trained.log_dir, option, trained.data)
    assert_one_line(ended, f"{option}: '{trained.data}' would replace '{trained.data}'")
    assert Path(trained.data).read_bytes() == before


def test_tables_of_results_are_csv_or_parquet(tmp_path, capsys):
    table = {"name": ["a", "b"], "x": [1.5, float("nan")]}
    for name in ("t.csv", "t.parquet"):
        files.write_table(tmp_path / name, table)
    assert (tmp_path / "t.csv").read_text() == "name,x\na,1.5\nb,\n"
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pydict() == {
        "name": ["a", "b"], "x": [1.5, None]}
    files.write_table(None, {**table, "y": [1 / 3, 12345682.47]})
    assert capsys.readouterr().out == "name,x,y\na,1.5,0.3333333333\nb,,12345682.47\n"
    files.write_table(tmp_path / "T.PARQUET", table)
    assert pyarrow.parquet.read_table(tmp_path / "T.PARQUET").num_rows == 2
    files.write_table(tmp_path / "x.csv", {"x": [12345682.47, 3.0, math.inf, np.float32(0.1)]})
    assert (tmp_path / "x.csv").read_text() == "x\n12345682.47\n3\ninf\n0.1\n"  # not rounded


@pytest.mark.parametrize("command, target", [
    ("anomalies", "score"), ("impute", "time"), ("generate", "series")])
def test_a_target_with_the_name_of_another_column_is_refused(
        run, trained, tmp_path, command, target):
    shutil.copytree(trained.log_dir, tmp_path / "log")
    saved = tmp_path / "log" / "series.json"
    saved.write_text(saved.read_text().replace('"sales"', f'"{target}"'))
    (tmp_path / "data.csv").write_text(
        Path(trained.data).read_text().replace("sales", target, 1))
    words = () if command == "generate" else ("--data", tmp_path / "data.csv")
    ended = run(command, "--log-dir", tmp_path / "log", *words)
    assert_one_line(ended, f"column {target!r}: expected a target with a name of its own")
    assert not ended.out


def test_a_series_has_the_same_forecast_alone_and_in_any_order(run, trained, tmp_path):
    header, *lines = Path(trained.data).read_text().splitlines()
    lines = [line for line in lines if ",b," in line]
    order = np.random.default_rng(0).permutation(len(lines))
    (tmp_path / "alone.csv").write_text(
        "\n".join([header, *(lines[i] for i in order)]) + "\n")
    forecast(run, trained, tmp_path / "1.csv")
    forecast(run, trained, tmp_path / "2.csv", "--data", tmp_path / "alone.csv")
    assert read_rows(tmp_path / "1.csv")[5:] == read_rows(tmp_path / "2.csv")[1:]


def test_a_forecast_begins_after_the_last_value(run, trained, tmp_path):
    text = Path(trained.data).read_text()
    for day, shop in ((day, shop) for day in ("08", "09") for shop in "ab"):
        at = text.index(f"2024-04-{day},{shop},")
        value = text[at:].split(",")[2]
        text = text.replace(f"2024-04-{day},{shop},{value},", f"2024-04-{day},{shop},,")
    (tmp_path / "trailing.csv").write_text(text)
    forecast(run, trained, tmp_path / "f.csv", "--data", tmp_path / "trailing.csv")
    data_rows = read_rows(tmp_path / "f.csv")[1:]
    assert [row[1] for row in data_rows[:4]] == [f"2024-04-{day:02}" for day in range(8, 12)]
    assert all(np.isfinite(float(row[3])) for row in data_rows)


@pytest.mark.parametrize("text, words, message", [
    (None, (), "expected --known FILE with promo of the 4 steps to forecast"),
    ("short", (), "column 'promo', series 'b': expected values until 2024-04-13, as it is known "
     "ahead, got none after 2024-04-12. Give them by --known FILE"),
    ("known", ("--quantiles", "0.5,0.1"), "levels in increasing order"),
    ("known", ("--data", "columns"), "the role 'series': expected a column of"),
    ("known", ("--data", "unit"), "expected values like those of training"),
    ("known", ("--data", "weekly"), "expected times in steps of D that continue"),
])
def test_wrong_use_of_forecast(run, trained, tmp_path, text, words, message):
    lines = Path(trained.covariates).read_text().splitlines()
    (tmp_path / "short").write_text("\n".join(lines[:-1]) + "\n")
    (tmp_path / "columns").write_text("date,sales,promo\n2024-01-01,1,0\n")
    (tmp_path / "unit").write_text("date,shop,sales,promo\n2024-01-01,a,1e9,0\n")
    (tmp_path / "weekly").write_text(csv([("2024-01-01T12:00", "a", 100, 0)]))
    words = [tmp_path / word if (tmp_path / word).exists() else word for word in words]
    covariates = () if text is None else (
        "--known", trained.covariates if text == "known" else tmp_path / text)
    assert_one_line(run("forecast", "--log-dir", trained.log_dir, *covariates, *words), message)


def test_wrong_use_of_training(run, trained, tmp_path):
    for words, message in (
            (("--targets", "sale"), "Did you mean 'sales'?"),
            (("--freq", "7x"), "--freq: expected auto, none or a step"),
            (("--season", "7", "--hparams", "season=5"), "--season 7: expected one value of"),
            (("--valid-windows", "40"), "expected a series of more than 161 steps"),
            (("--targets", "a,a"), "expected different names of columns"),
            (("--targets", '"a'), "in quotation marks where one holds a comma; got")):
        ended = run("train", "--log-dir", tmp_path / "log", "--train-data", trained.data, *WORDS,
                    *words)
        assert_one_line(ended, message)
        assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("text, names", [
    ("a, b", ("a", "b")), ('"sales, net", b', ("sales, net", "b")), ('5" pipe', ('5" pipe',))])
def test_names_of_columns_are_given_as_csv(text, names, tmp_path):
    args = program.parse(["train", "--log-dir", str(tmp_path / "log"), "--train-data", __file__,
                          "--known", text])
    assert args.known == names


@pytest.mark.parametrize("name, text, message", [
    *(("series.json", text, "The log directory is damaged")
      for text in ("", "{}", "[1]", '{"roles": {}}')),
    ("spread.json", '{"first": -1}', "Remove the file to forecast without calibration"),
])
def test_a_damaged_file_is_told(run, trained, tmp_path, name, text, message):
    shutil.copytree(trained.log_dir, tmp_path / "log")
    (tmp_path / "log" / name).write_text(text)
    ended = run("forecast", "--log-dir", tmp_path / "log", "--known", trained.covariates)
    assert_one_line(ended, message)


def test_validation_chooses_the_output(run, trained, tmp_path, monkeypatch):
    scores = {"student_t": 2.0, "mixture": 3.0, "lognormal": 1.5}
    trials = []

    def train(model, *args, **kwargs):
        trials.append(model.hparams.output)
        return TrainResult(1, "done", scores[model.hparams.output], 0.0)

    monkeypatch.setattr(train_command.SeriesModel, "train", train)
    words = list(WORDS)
    words[-1] = SMALL.replace("output=normal,", "")
    ended = run("train", "--log-dir", tmp_path / "log", "--train-data", trained.data, *words)
    assert ended.status == 0, ended.err
    assert trials == ["student_t", "mixture", "lognormal", "lognormal"]
    assert "Chosen output=lognormal: validation within" in ended.out
    assert "student_t 2.000, mixture 3.000" in ended.out and "left no time" not in ended.out
    trials.clear()
    scores["mixture"] = math.inf  # no validation before the time was up
    ended = run("train", "--log-dir", tmp_path / "late", "--train-data", trained.data, *words)
    assert "student_t 2.000, lognormal 1.500. --max-minutes left no time for mixture." in ended.out
    for least, chosen in ((0.0, ["student_t", "student_t"]), (0.5, ["student_t"])):
        trials.clear()  # choosing counts: no time for the others, or for any
        monkeypatch.setattr(train_command, "_LEAST_MINUTES", least)
        ended = run("train", "--log-dir", tmp_path / f"brief{least}", "--train-data", trained.data,
                    *words, "--max-minutes", "0.00001", status=0)
        assert trials == chosen
    assert "Chosen output=student_t by the values alone: --max-minutes 1e-05 leaves" in ended.out


def test_a_chosen_output_can_have_the_values_of_training(run, trained, tmp_path):
    def values(name, sales):
        path = tmp_path / name
        path.write_text(csv([(*row[:2], value, row[3]) for row, value in zip(rows(), sales)]))
        return path

    hparams = SMALL.replace("output=normal,", "")
    words = ("train", "--log-dir", tmp_path / "log", "--horizon", "4", "--known", "promo",
             "--num-steps", "1", "--train-data")
    for name, sales, output, message in (
            ("many", range(200), "categorical", "at most 32 different values for output=categ"),
            ("zero", [0 if n == 9 else 5 + n % 7 for n in range(200)], "lognormal",
             "values that output=lognormal can have, got 0 at 2024-01-10. --hparams output=auto"),
            ("bits", [n % 3 for n in range(200)], "bernoulli",
             "values that output=bernoulli can have, got 2 at 2024-01-03.")):
        ended = run(*words, values(name, sales), "--hparams", f"{hparams},output={output}")
        assert_one_line(ended, f"column 'sales': expected {message}")
        assert not (tmp_path / "log").exists()
    # Neither can the output of a run that training starts from; a held-out value is left alone.
    shutil.copytree(trained.log_dir, tmp_path / "source")
    saved = tmp_path / "source" / "hparams.json"
    saved.write_text(saved.read_text().replace('"normal"', '"lognormal"'))
    ended = run(*words, tmp_path / "zero", "--init-from", tmp_path / "source")
    assert_one_line(ended, "expected values that output=lognormal can have, got 0 at 2024-01-10")
    late = values("late", [0 if n == 199 else 5 + n % 7 for n in range(200)])
    run(*words, late, "--hparams", f"{hparams},output=lognormal", status=0)


def test_gaps_are_filled_with_intervals_and_flags(run, trained, tmp_path, eagerly):
    ended = run("impute", "--log-dir", trained.log_dir, "--num-samples", "8", "--num-particles",
                "8", "--lookahead", "3", "--draws", "2", "--output", tmp_path / "f.csv", "--plot",
                tmp_path / "f.png", status=0)
    assert "Filled 1 values of 2 series." in ended.err
    header, *data_rows = read_rows(tmp_path / "f.csv")
    assert header == ["series", "time", "sales", "sales_lower", "sales_upper", "sales_filled",
                      "sales_draw1", "sales_draw2"]
    (filled,) = [row for row in data_rows if row[5] == "1"]
    assert filled[:2] == ["a", "2024-01-31"] and len(data_rows) == 200
    assert float(filled[3]) < float(filled[2]) < float(filled[4])
    written = {tuple(line.split(",")[:2]): line.split(",")[2]
             for line in Path(trained.data).read_text().splitlines()[1:]}
    for row in data_rows:
        if row[5] == "0":
            assert float(row[2]) == float(row[3]) == float(row[6]) == float(written[row[1], row[0]])
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    (tmp_path / "whole.csv").write_text(csv(rows()))
    assert_one_line(run("impute", "--log-dir", trained.log_dir, "--data", tmp_path / "whole.csv"),
                    "expected a table with missing values to fill")
    assert_one_line(run("impute", "--log-dir", trained.log_dir, "--draws", "201"),
                    "--draws: expected at most 200, the --num-samples, got 201. Give more samples.")


def test_anomalies_are_flagged_at_a_calibrated_rate(run, trained, tmp_path, eagerly):
    lines = []
    for day, shop, sales, promo in rows():
        is_odd = shop == "b" and day.isoformat() == "2024-03-01"
        lines.append((day, shop, sales + 500 * is_odd, promo, int(is_odd)))
    (tmp_path / "data.csv").write_text(csv(lines, "date,shop,sales,promo,odd"))
    (tmp_path / "normal.csv").write_text(csv(rows()))
    ended = run("anomalies", "--log-dir", trained.log_dir, "--data", tmp_path / "data.csv",
                "--calibrate", tmp_path / "normal.csv", "--labels", "odd", "--output",
                tmp_path / "s.csv", "--plot", tmp_path / "s.png", status=0)
    assert "a false-alarm rate of 0.01, calibrated on 200 steps of --calibrate" in ended.err
    assert "is at 2024-03-01 of series 'b'" in ended.err
    assert "Average precision 1.0000, chance level 0.0050" in ended.err
    header, *data_rows = read_rows(tmp_path / "s.csv")
    assert header == ["series", "time", "sales", "score", "tail_probability", "anomaly"]
    top = max(data_rows, key=lambda row: float(row[3]))
    assert top[:2] == ["b", "2024-03-01"] and top[5] == "1"
    assert float(top[4]) == pytest.approx(1 / 201, rel=1e-5)
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"


def test_steps_far_outside_of_the_training_data_are_anomalies(run, trained, tmp_path, eagerly):
    (tmp_path / "data.csv").write_text(csv([
        (day, shop, 1e9 if (day.isoformat(), shop) == ("2024-03-01", "b") else sales, promo)
        for day, shop, sales, promo in rows()]))
    ended = run("anomalies", "--log-dir", trained.log_dir, "--data", tmp_path / "data.csv",
                "--output", tmp_path / "s.csv", "--plot", tmp_path / "s.png", status=0)
    assert "1 steps have a value that the model's output cannot have or far outside" in ended.err
    assert "The highest score, inf nats, is at 2024-03-01 of series 'b'." in ended.err
    odd = [row for row in read_rows(tmp_path / "s.csv")[1:] if row[3] == "inf"]
    assert [(*row[:3], row[5]) for row in odd] == [("b", "2024-03-01", "1000000000", "1")]
    assert float(odd[0][4]) == pytest.approx(1 / 9)  # of eight held-out steps


def test_a_table_without_values_has_no_anomalies(run, trained, tmp_path, eagerly):
    (tmp_path / "data.csv").write_text(csv([
        (day, shop, "", promo) for day, shop, _, promo in rows(days=20)]))
    ended = run("anomalies", "--log-dir", trained.log_dir, "--data", tmp_path / "data.csv",
                "--output", tmp_path / "s.csv", status=0)
    assert "0 of 0 steps are anomalies." in ended.err and "highest" not in ended.err


def test_names_and_options_that_would_be_ignored_are_refused(run, trained, tmp_path):
    for command, name, message in (
            ("forecast", "f.npz", "expected a name that ends with .csv, .parquet, .pq; got"),
            ("anomalies", "f.txt", "expected a name that ends with .csv, .parquet, .pq; got"),
            ("generate", "f.json", "expected a name that ends with .csv, .parquet, .pq, .npz")):
        ended = run(command, "--log-dir", trained.log_dir, "--output", tmp_path / name)
        assert_one_line(ended, message)
    ended = run("anomalies", "--log-dir", trained.log_dir, "--num-steps", "3")
    assert_one_line(ended, "--num-steps: expected it together with --retrain")


def test_retraining_compares_held_out_scores(run, trained, tmp_path, monkeypatch, eagerly):
    reads, read_for = [], sources.read_for
    monkeypatch.setattr(sources, "read_for", lambda *args, **options: reads.append(args) or
                        read_for(*args, **options))
    words = ("anomalies", "--log-dir", trained.log_dir, "--rate", "0.2", "--retrain", "leave-out",
             "--retrain-dir", tmp_path / "log", "--num-steps", "2")
    ended = run(*words, status=0)
    assert "calibrated on 8 held-out steps" in ended.err
    assert len(reads) == 1  # the table to search is that of the calibration
    *_, heading, before, after = ended.out.splitlines()
    assert heading == "held-out nats per step, mean and worst tenth:"
    assert float(before.split()[1]) < float(before.split()[2])
    assert before.split()[0] == "before" and after.split()[0] == "after"
    # Of the data as they are, not of those without the surprising stretches.
    model = SeriesModel.load(trained.log_dir)
    table = sources.read_for(model.layout, [])
    densities = model.log_densities(table, sources.held_out(model.layout, table))
    expected = -np.nanmean(np.concatenate(list(densities)))
    assert float(before.split()[1]) == pytest.approx(expected, abs=1e-3)
    ended = run("anomalies", "--log-dir", trained.log_dir, "--retrain", "weigh-up")
    assert_one_line(ended, "expected --retrain and --retrain-dir together")
    assert_one_line(run(*words), "holds a run. One that was interrupted cannot be resumed: remove")


def test_new_sequences(run, trained, tmp_path, eagerly):
    words = ("generate", "--log-dir", trained.log_dir, "--num-samples", "3", "--length", "2")
    ended = run(*words, "--output", tmp_path / "g.NPZ", "--plot", tmp_path / "g.png", status=0)
    with np.load(tmp_path / "g.NPZ") as archive:
        assert archive["values"].shape == (3, 2, 1) and archive["targets"].tolist() == ["sales"]
        assert np.isfinite(archive["values"]).all()
    ended = run(*words, "--prime", trained.data, "--temperature", "0.5")
    data_rows = [line.split(",") for line in ended.out.splitlines()]
    assert data_rows[0] == ["series", "time", "sales"]
    assert [row[:2] for row in data_rows[1:3]] == [["1", "2024-04-10"], ["1", "2024-04-11"]]
    whole = with_days_to_come(trained, tmp_path)
    header, *lines = whole.read_text().splitlines()
    whole.write_text("\n".join([header, *lines[100:], *lines[:100]]))
    primed = run(*words, "--prime", whole, "--temperature", "0.5", status=0)
    assert primed.out == ended.out and "not in the order of time; sorted" in primed.err
    assert_one_line(run(*words, "--svg", tmp_path / "g.svg"), "a model of strokes")
    assert_one_line(run(*words, "--wav", tmp_path / "g.wav"), "trained on sound")


def test_new_sequences_begin_at_times_of_training(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(csv(rows("abcdefghijkl", 24, "2024-07-01")))
    data = sources.read_training([path], SeriesHParams(horizon=3, scaling="training"), Options())
    starts = {}
    for unit in ("D", "int"):
        layout = dataclasses.replace(
            data.layout, step=dataclasses.replace(data.layout.step, unit=unit))
        one, dropped = generate._beginning(SimpleNamespace(prime=None), SimpleNamespace(
            layout=layout, hparams=data.hparams))
        starts[unit] = one.start
    assert dropped == 0 and starts["int"] == 0
    assert data.layout.step.format(np.array([starts["D"]])) == ["2024-07-01"]


def check_refusals(served, scored, forecast_of):
    """Checks that an exported model refuses what its inputs cannot be."""
    def changed(tensor, value):
        array = np.array(tensor)
        array.flat[0] = value
        return tf.constant(array)

    for signature, request, name, value, message in (
            ("score", scored, "lengths", 15, "lengths: expected 0 to 14"),
            ("score", scored, "lengths", -1, "lengths: expected 0 to 14"),
            ("score", scored, "future_lengths", 5, "future_lengths: expected 0 to 4"),
            ("score", scored, "future_values", np.nan, "future_values: expected finite numbers"),
            ("score", scored, "input_codes", 99, "input_codes: expected codes from 0"),
            ("forecast", forecast_of, "lengths", 15, "lengths: expected 0 to 14"),
            ("forecast", forecast_of, "values", np.inf, "values: expected finite numbers"),
            ("forecast", forecast_of, "input_lags", np.nan, "input_lags: expected finite"),
            ("forecast", forecast_of, "future_input_codes", -1, "future_input_codes: expected"),
            ("forecast", forecast_of, "num_paths", 0, "num_paths: expected at least 1")):
        wrong = {**request, name: changed(request[name], value)}
        if name == "input_lags":
            wrong["input_lags_seen"] = tf.ones_like(wrong["input_lags_seen"])
            wrong["input_lags_given"] = tf.ones_like(wrong["input_lags_given"])
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            served[signature](**wrong)


@pytest.mark.parametrize("kind,right,wrong", [
    ("scaled", -1.5, np.nan), ("counts", 3.0, -1.0), ("bits", 1.0, 0.5), ("classes", 2, 3)])
def test_an_exported_model_refuses_values_that_its_output_cannot_have(kind, right, wrong):
    model = SimpleNamespace(maker=SimpleNamespace(space=SimpleNamespace(kind=kind)),
                            layout=SimpleNamespace(codes=((4.0, 5.0, 6.0),)))
    values, lengths = tf.constant([[[right], [wrong]]]), tf.constant([2])
    for mask in (tf.constant([[[True], [False]]]), tf.constant([[True, False]])):
        serving._right_values(model, Masked(values, mask), lengths, "")
        serving._right_values(model, Masked(values, tf.ones_like(mask)), lengths - 1, "")
        with pytest.raises(tf.errors.InvalidArgumentError, match="values: expected"):
            serving._right_values(model, Masked(values, tf.ones_like(mask)), lengths, "")


@pytest.mark.parametrize("kind", ["scaled", "counts", "classes"])
@pytest.mark.parametrize("num_paths", [1, 4, 5])
def test_an_exported_model_calibrates_as_the_program(kind, num_paths):
    paths = np.random.default_rng(0).poisson(9.0, [num_paths, 3, 2]).astype(np.float32)
    spread = Spread(first=1.5, last=2.5, horizon=2)
    served = serving._calibrated(tf.constant(paths), spread.factors(kind, 3), kind)
    np.testing.assert_allclose(served, spread.apply(paths, kind), rtol=1e-6)


def test_an_exported_model_scores_and_forecasts_as_the_program(run, trained, tmp_path, eagerly):
    log_dir = shutil.copytree(trained.log_dir, tmp_path / "log")
    model = SeriesModel.load(log_dir)
    model.spread = Spread(first=1.5, last=3.0, horizon=4, step=model.step)
    model.spread.save(model.log_dir)
    ended = run("export", "--log-dir", log_dir, "--output", tmp_path / "1", "--no-xla")
    assert ended.status == 0, ended.err
    table = sources.read_for(model.layout, [])
    series, origin = table.series[1]._replace(name=""), 96  # the program's numbers depend on names
    start = origin - model.hparams.context
    window = model.maker.window(series, start, 100, origin=origin)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures

    def named(prefix, inputs):
        return {f"{prefix}_{name}": tf.constant(leaf) for name, leaf in inputs._asdict().items()}

    past, ahead = (stack([cut(window, *ends)], 1, size)
                   for ends, size in (((0, 14), 14), ((14, 18), 4)))
    common = {"seed": tf.constant(3, tf.int64)}
    request = {
        "values": tf.constant(past.observed), "seen": tf.constant(past.observed_mask),
        "lengths": tf.constant(past.lengths), "num_paths": tf.constant(5), **common,
        **named("input", past.inputs), **named("future_input", ahead.inputs)}
    paths = served["forecast"](**request)["paths"]
    np.testing.assert_allclose(
        model.maker.to_data(paths.numpy(), window.loc, window.scale),
        model.forecast(series, origin, horizon=4, num_paths=5, seed=3), rtol=1e-4)
    places = [Places(1, origin, 100)]
    before, after = scoring_batches(model.maker, table, places, 14, 4, 1)
    scored = {
        "values": tf.constant(before.observed), "seen": tf.constant(before.observed_mask),
        "lengths": tf.constant(before.lengths), **named("input", before.inputs),
        "future_values": tf.constant(after.observed),
        "future_seen": tf.constant(after.observed_mask),
        "future_lengths": tf.constant(after.lengths), **named("future_input", after.inputs),
        **common}
    check_refusals(served, scored, request)
    data_rows = served["score"](**scored)
    np.testing.assert_allclose(data_rows["log_density"][0],
                               np.concatenate(list(model.log_densities(table, places))), rtol=1e-4)
    extra = tmp_path / "1" / "assets.extra"
    assert json.loads((extra / "series.json").read_text())["roles"]["targets"] == ["sales"]
    description = json.loads((extra / "model.json").read_text())
    assert (description["context"], description["space"]) == (14, "scaled")


def test_a_warm_start_takes_the_embeddings_of_series_by_name(run, trained, tmp_path, eagerly):
    (tmp_path / "more.csv").write_text(csv(rows(names=("b", "c"))))
    ended = run("train", "--log-dir", tmp_path / "log", "--train-data", tmp_path / "more.csv",
                "--known", "promo", "--init-from", trained.log_dir, "--num-steps", "1", status=0)
    assert "Warm start with" in ended.out and "horizon 4, season 7" in ended.out
    model = SeriesModel.load(trained.log_dir)
    theirs = model.gen_core.agent._embeddings[-1].trainable_variables[0].numpy()
    other = SeriesModel.load(tmp_path / "log")
    ours = other.gen_core.agent._embeddings[-1].trainable_variables[0].numpy()
    # One update later: b (2 there, 1 here), and c, which begins as an unknown series.
    np.testing.assert_allclose(ours[1], theirs[2], atol=0.05)
    np.testing.assert_allclose(ours[2], theirs[0], atol=0.05)
