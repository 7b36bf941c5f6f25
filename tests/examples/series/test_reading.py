# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tables of vaeseq-series: files, times, roles, grids, and what bad input is told."""

import dataclasses
import errno
import functools
import gzip
import itertools
import json
import pathlib
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from examples.series.data import Options, columns, mapped, roles, sources, table
from examples.series.data import times as times_lib
from examples.series.data.layout import Inputs, Layout
from examples.series.data.times import Step, infer_step, parse_text, read_step
from examples.series.hparams import SeriesHParams
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir

DAYS = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")


def csv(folder, text, name="data.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def build(path, options=None, **arguments):
    read = columns.read(path)
    return table.build([read], roles.find(read, options or Options()), **arguments)


def times(*texts):
    return np.array(texts, "datetime64[us]")


def known_ahead(layout, one, horizon, coming):
    return sources.known_ahead(layout, one, one, coming, horizon)


def lines(header, rows):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def test_long_wide_parquet_npz_and_frames_are_one_table(tmp_path):
    values = np.sin(np.arange(len(DAYS)))
    values[3] = np.nan
    rows = [(day, "" if np.isnan(x) else f"{x:.9f}") for day, x in zip(DAYS, values)]
    wide = csv(tmp_path, lines("date,y", rows))
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(wide.read_bytes()))
    pa.parquet.write_table(
        pa.table({"date": DAYS, "y": pa.array(values, from_pandas=True)}), tmp_path / "p.parquet")
    np.savez(tmp_path / "n.npz", values=values[:, None])
    tables = [build(tmp_path / name) for name in ("data.csv", "z.csv.gz", "p.parquet", "n.npz")]
    frame = columns.of_mapping({"date": DAYS, "y": values})
    tables.append(table.build([frame], roles.find(frame)))
    for one in tables:
        np.testing.assert_allclose(one.series[0].values[:, 0], values, atol=1e-8)
        assert one.num_missing == 1
    assert [one.step.name for one in tables] == ["D", "D", "D", "int", "D"]


def test_rows_in_any_order_give_the_same_series_by_name(tmp_path):
    # ids whose order as text is not that of their numbers (report 3)
    rows = [(day, name, 10 * number + i, -i)
            for number, name in enumerate(["T1", "T2", "T11"])
            for i, day in enumerate(DAYS)]
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    tables = [build(csv(tmp_path, lines("date,id,zebra,apple", r), f"{k}.csv"))
              for k, r in enumerate((rows, shuffled))]
    for one in tables:
        assert [series.name for series in one.series] == ["T1", "T11", "T2"]
        assert one.roles.targets == ("zebra", "apple")
        np.testing.assert_array_equal(one.series[1].values[:2], [[20, 0], [21, -1]])
    assert "not in the order of time; sorted" in tables[1].notes[0]


def test_npz_series_of_unequal_length(tmp_path):
    np.savez(tmp_path / "v.npz", train=np.arange(10.0).reshape(5, 2),
             train_lengths=np.array([2, 3], np.int32))
    read = columns.read(tmp_path / "v.npz:train")
    one = table.build([read], roles.find(read))
    assert [len(series.values) for series in one.series] == [2, 3]
    assert one.series[1].values[0, 1] == 5.0
    with pytest.raises(UsageError, match="expected an array 'values', found train, train_lengths"):
        columns.read(tmp_path / "v.npz")
    np.savez(tmp_path / "o.npz", values=np.array([{}], object))
    with pytest.raises(UsageError, match="without pickled objects"):
        columns.read(tmp_path / "o.npz")


@pytest.mark.parametrize("content", [
    lines("day;wert", []).encode() + b"".join(
        f"{day.item():%d.%m.%Y};1.0{number:02},5\r\n".encode() for number, day in enumerate(DAYS)),
    ("# a logger's remark\n" + lines("day,wert", (
        (day, f'"1,0{number:02}.50"') for number, day in enumerate(DAYS)))).encode(),
    lines("#day,wert", ((day, 1000.5 + number) for number, day in enumerate(DAYS))).encode(),
    lines("day,wert", ((day, 1000.5 + number) for number, day in enumerate(DAYS))).encode("utf-16"),
    lines("day\twert", []).encode() + b"".join(
        f"{day.item():%m/%d/%Y}\t{1000.5 + number}\n".encode() for number, day in enumerate(DAYS)),
    b"sep=;\r\n" + lines("day;wert;a,b,c,d", []).encode() + b"".join(
        f"{day};1.0{number:02},5;text\r\n".encode() for number, day in enumerate(DAYS)),
    ('"sep=\t"\n' + lines("day\twert", [])).encode("utf-8-sig") + b"".join(
        f"{day}\t{1000.5 + number}\n".encode() for number, day in enumerate(DAYS)),
], ids=["decimal commas", "thousands and a remark", "names behind #", "utf-16", "tabs",
        "sep=;", "sep=tab"])
def test_csv_files_as_the_world_writes_them(tmp_path, content):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    read = build(path)
    assert (read.step.unit, read.roles.targets) == ("D", ("wert",))
    np.testing.assert_array_equal(read.series[0].values[:, 0], 1000.5 + np.arange(len(DAYS)))


@pytest.mark.parametrize("written", ["{:%Y-%m-%d,%H:%M}", "{:%m/%d/%Y %I:%M %p,x}",
                                     "{:%Y-%m-%d %I:%M:%S %p,x}", "{:%d.%m.%Y,%H:%M:%S}"])
def test_dates_and_clocks_in_two_columns_or_of_twelve_hours(tmp_path, written):
    hours = np.arange("2024-01-13T07", "2024-01-15T09", dtype="datetime64[h]")
    read = build(csv(tmp_path, lines("date,clock,v", (
        (written.format(hour.item()), number) for number, hour in enumerate(hours)))))
    assert (read.step.unit, len(read.series), read.series[0].start) == (
        "h", 1, hours[0].astype(int))
    np.testing.assert_array_equal(read.series[0].values[:, 0], np.arange(len(hours)))


@pytest.mark.parametrize("texts, name, following", [
    (["2024-01-01T17:34", "2024-01-01T17:39", "2024-01-01T17:44"], "5min", "2024-01-01T17:49"),
    (["1939 Jan", "1939 Feb", "1939 Mar"], "MS", "1939-04-01"),
    (["19580329", "19580405", "19580412"], "W", "1958-04-19"),
    (["2023-10-31", "2023-11-30", "2023-12-31"], "MS", "2024-01-31"),
    (["2020 Q1", "2020 Q2", "2020 Q3"], "QS", "2020-10-01"),
    (["1990", "1991", "1992"], "YS", "1993-01-01"),
    (["2024-03-10T01:00:00-05:00", "2024-03-10T03:00:00-04:00", "2024-03-10T04:00:00-04:00"],
     "h", "2024-03-10T09:00Z"),
    (["31/01/2024 10:00", "31/01/2024 10:30", "31/01/2024 11:00"], "30min", "2024-01-31T11:30"),
    (["7", "9", "11"], "2int", "13"),
])
def test_times_and_their_steps_keep_their_phase(tmp_path, texts, name, following):
    one = build(csv(tmp_path, lines("time,y", zip(texts, "123"))))
    assert one.step.name == name
    assert one.step.format(np.array([one.series[0].end])) == [following]
    np.testing.assert_array_equal(one.step.index(one.step.time(np.arange(-40, 40))),
                                  np.arange(-40, 40))


def test_business_days_and_a_missing_hour_of_daylight_saving():
    days = times(*(day for day in DAYS if np.is_busday(day)))
    step = infer_step([days], "date")
    assert step == Step("B")
    np.testing.assert_array_equal(np.diff(step.index(days)), 1)
    hours = times(*(f"2010-03-14T{hour:02d}" for hour in range(24) if hour != 3))
    assert infer_step([hours], "date").name == "h"


FOLD = ["2023-10-29 01:00", "2023-10-29 02:00", "2023-10-29 02:00", "2023-10-29 03:00"]


def test_local_times_with_a_zone_pass_both_changes_of_the_clock(tmp_path):
    autumn = csv(tmp_path, lines("time,y", zip(FOLD, (5, 5, 6, 6))))
    one = build(autumn, Options(zone="Europe/Berlin"))
    assert one.step.name == "h" and one.roles.zone == "Europe/Berlin"
    np.testing.assert_array_equal(one.series[0].values[:, 0], [5, 5, 6, 6])
    assert one.step.format(one.series[0].start + np.arange(4)) == [
        "2023-10-29T01:00+02:00", "2023-10-29T02:00+02:00", "2023-10-29T02:00+01:00",
        "2023-10-29T03:00+01:00"]
    rows = [(time, shop, y) for shop in "ab" for time, y in zip(FOLD, (1, 2, 3, 4))]
    rows_alone = sources.read_training(
        [autumn], SeriesHParams(horizon=1), Options(zone="Europe/Berlin"), freq="none")
    assert len(sources.read_for(rows_alone.layout, [autumn]).series[0].values) == 4
    both = build(csv(tmp_path, lines("time,shop,y", rows)), Options(zone="Europe/Berlin"))
    assert [series.values[:, 0].tolist() for series in both.series] == [[1, 2, 3, 4]] * 2
    spring = ["2024-03-31 01:00", "2024-03-31 03:00", "2024-03-31 04:00"]
    one = build(csv(tmp_path, lines("time,y", zip(spring, "123"))), Options(zone="Europe/Berlin"))
    assert len(one.series[0].values) == 3 and not one.notes  # no hour is missing


def test_the_repeated_hour_of_rows_from_new_to_old(tmp_path):
    rows = list(zip(FOLD, (1, 2, 3, 4)))
    mixed = [(time, shop, y) for shop, order in (("a", rows), ("b", rows[::-1]))
             for time, y in order]
    interleaved = [mixed[n] for n in (0, 4, 1, 5, 2, 6, 3, 7)]
    for number, each in enumerate((mixed, interleaved)):
        both = build(csv(tmp_path, lines("time,shop,y", each), f"{number}.csv"),
                     Options(zone="Europe/Berlin"))
        assert [one.values[:, 0].tolist() for one in both.series] == [[1, 2, 3, 4]] * 2
    alone = build(csv(tmp_path, lines("time,y", rows[::-1])), Options(zone="Europe/Berlin"))
    assert alone.series[0].values[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("unit", ["h", "s"])
def test_times_with_an_offset_and_without_one_are_not_mixed(tmp_path, unit):
    moments = np.datetime64("2021-01-01", "s") + np.arange(60).astype(f"timedelta64[{unit}]")
    texts = {"with an": [f"{moment}+02:00" for moment in moments],
             "without an": [str(moment) for moment in moments],
             "since 1970": moments.astype(int)}
    paths = {kind: csv(tmp_path, lines("time,y", zip(each, range(60))), f"{kind}.csv")
             for kind, each in texts.items()}
    for kind, others in (("with an", ["without an"]), ("since 1970", ["without an"]),
                         ("without an", ["with an", "since 1970"])):
        layout = sources.read_training([paths[kind]], SeriesHParams(horizon=2), Options()).layout
        sources.read_for(layout, [])
        which = kind if kind in ("with an", "without an") else "with an"
        for other in others:
            with pytest.raises(UsageError, match=f"expected times {which} offset from UTC, as in "
                               f"training, got {texts[other][0]}".replace("+", "[+]")):
                sources.read_for(layout, [paths[other]])
            with pytest.raises(UsageError, match=f"times {which} offset from UTC, as in '.*{kind}"):
                sources.read_training([paths[kind], paths[other]], SeriesHParams(), Options())
    zoned = sources.read_training(
        [paths["with an"], paths["without an"]], SeriesHParams(horizon=2),
        Options(zone="Europe/Berlin"))  # which tells the moments of the latter
    assert {one.name: one.start for one in zoned.table.series}["without an"] == (
        zoned.table.step.index(moments[:1].astype("datetime64[us]") - 3600_000_000)[0])


def test_parts_of_a_large_table_have_times_of_one_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 200)
    monkeypatch.setattr(columns, "PART_BYTES", 200)
    hours = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[h]")
    rows = [(f"{hour}:00Z", f"{n:03}") for n, hour in enumerate(hours)]
    first, *_ = columns.read(csv(tmp_path, lines("time,y", rows))).parts()
    rows = [row if n < len(first) else (row[0][:-1], f"{n:04}") for n, row in enumerate(rows)]
    with pytest.raises(UsageError, match="expected times with an offset from UTC, as in '"):
        build(csv(tmp_path, lines("time,y", rows)))


def test_numbers_of_a_run_whose_times_are_numbers_are_no_years(tmp_path):
    path = csv(tmp_path, lines("time,y,promo", ((n, n % 7, n % 2) for n in range(3000))))
    trained = sources.read_training([path], SeriesHParams(horizon=2), Options(known=("promo",)))
    assert trained.layout.step == Step("int")
    for first in (1600, 195801, 10**9):
        later = csv(tmp_path, lines("time,y,promo", ((n, n % 7, 1) for n in range(
            first, first + 12))), "later.csv")
        assert sources.read_for(trained.layout, [later]).series[0].start == first
    coming = csv(tmp_path, lines("time,promo", ((n, 1) for n in range(1600, 1602))), "coming.csv")
    before = dataclasses.replace(trained.table, series=(trained.table.series[0]._replace(
        values=trained.table.series[0].values[:1600]),))
    assert known_ahead(trained.layout, before, 2, coming)[""].tolist() == [[1], [1]]


@pytest.mark.parametrize("fraction, written", [
    (0, "00:00:01"), (250_000, "00:00:01.250"), (250, "00:00:01.000250")])
@pytest.mark.parametrize("offset", ["", "Z"])
def test_times_are_written_with_their_fractions_of_a_second(tmp_path, fraction, written, offset):
    moments = np.datetime64("2021-01-01") + np.arange(5) * np.timedelta64(1, "s")
    moments = moments + np.timedelta64(fraction, "us")
    one = build(csv(tmp_path, lines("time,y", (
        (f"{moment}{offset}", n) for n, moment in enumerate(moments)))))
    texts = one.step.format(one.series[0].start + np.arange(5))
    assert texts[1] == f"2021-01-01T{written}{offset}"
    back = build(csv(tmp_path, lines("time,y", zip(texts, range(5)))), step=one.step)
    assert back.series[0].start == one.series[0].start


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo"])
def test_dates_are_those_of_every_zone(tmp_path, zone):
    # both changes of the clock; in São Paulo, that of November 2018 skips midnight
    days = np.arange("2018-01-01", "2019-03-01", dtype="datetime64[D]")
    one = build(csv(tmp_path, lines("date,y", zip(days, range(len(days))))), Options(zone=zone))
    assert (one.step.name, one.step.zone) == ("D", "")
    assert one.step.format(np.array([one.series[0].start])) == ["2018-01-01"]


def test_local_midnights_are_dates_however_they_are_written(tmp_path):
    # six months, with both changes of the clock in Berlin among days
    days = np.arange("2024-01-01", "2024-12-01", dtype="datetime64[D]")
    utc = times_lib.local_to_utc(days.astype("datetime64[us]"), days.astype(str), "Europe/Berlin",
                                 "", 0)
    offsets = [f"{day}T00:00:00+0{1 + (moment < np.datetime64(day, 'us') - 3600_000_000)}:00"
               for day, moment in zip(days, utc)]
    values = np.arange(len(days))
    pa.parquet.write_table(pa.table({"time": pa.array(utc, pa.timestamp("us", "Europe/Berlin")),
                                     "y": values}), tmp_path / "zoned.parquet")
    files = {
        csv(tmp_path, lines("time,y", zip(offsets, values)), "offsets.csv"): "",
        csv(tmp_path, lines("time,y", ((f"{time}Z", n) for n, time in enumerate(utc))),
            "utc.csv"): "Europe/Berlin",
        csv(tmp_path, lines("time,y", zip(utc.astype(int) // 1_000_000, values)),
            "epoch.csv"): "Europe/Berlin",
        tmp_path / "zoned.parquet": ""}
    for path, zone in files.items():
        one = build(path, Options(zone=zone))
        assert (one.step, len(one.series[0].values)) == (Step("D"), len(days)), path
        assert one.step.time(np.array([one.series[0].start])) == days[0]
    months = np.flatnonzero(days.astype("datetime64[M]").astype("datetime64[D]") == days)
    one = build(csv(tmp_path, lines("time,y", ((offsets[n], n) for n in months))))
    assert one.step == Step("MS", 1, 0) and len(one.series[0].values) == 11


def test_the_calendar_is_that_of_the_zone(tmp_path):
    hours = np.arange("2024-03-29", "2024-04-02", dtype="datetime64[h]")
    rows = [(f"{hour}:00Z", n % 7) for n, hour in enumerate(hours)]
    path = csv(tmp_path, lines("time,y", rows))
    for zone, shift in (("", [0, 0]), ("Europe/Berlin", [1, 2])):
        one = sources.read_training([path], SeriesHParams(horizon=2), Options(zone=zone))
        assert one.layout.step.zone == (zone or "UTC")
        start = one.table.series[0].start
        index = start + np.array([30, 70])  # before the change of the clock, and after it
        _, codes = Inputs(one.layout, 24).compute("", index, np.zeros([2, 0]), np.zeros(0))
        hour = list(one.layout.calendar()).index("hour")
        np.testing.assert_array_equal(codes[:, hour], (np.array([30, 70]) + shift) % 24)
    # What it writes is read again as the same steps, with the zone or without.
    back = csv(tmp_path, lines("time,y", (
        (text, n) for n, text in enumerate(one.layout.step.format(start + np.arange(96))))))
    assert sources.read_for(one.layout, [back]).series[0].start == start


def test_an_irregular_step_names_the_first_place():
    with pytest.raises(UsageError, match=r"1 d \(58 times\) and .*2024-02-29T07:00:00.* is the fi"):
        infer_step([np.concatenate([times(*DAYS[:-1]), times("2024-02-29T07")])], "date")


def test_gaps_are_filled_split_or_refused(tmp_path):
    path = csv(tmp_path, lines("date,y", [(day, i) for i, day in enumerate(DAYS)
                                          if i not in (10, 11)]))
    filled = build(path)
    assert np.isnan(filled.series[0].values[[10, 11], 0]).all()
    assert filled.notes == ("2 steps without a row are missing values.",)
    assert [len(one.values) for one in build(path, gaps="split").series] == [10, 48]
    with pytest.raises(UsageError, match="a row for each step, got none after 2024-01-10"):
        build(path, gaps="error")
    sparse = csv(tmp_path, lines("date,y", [("2024-01-01", 1), ("2024-01-02", 1),
                                            ("2024-03-01", 2)]))
    with pytest.raises(UsageError, match="58 of 61 steps of D have no row, which is more than h"):
        build(sparse, gaps="auto")


def test_what_comes_before_the_first_value_is_left_out_and_said(tmp_path):
    late = build(csv(tmp_path, lines("date,y", [(day, i if i > 2 else "")
                                                for i, day in enumerate(DAYS)])))
    assert late.series[0].values[0, 0] == 3 and len(late.series[0].values) == len(DAYS) - 3
    assert late.notes == ("3 steps before the first value of their series are left out.",)


def test_roles_are_found_and_can_be_given(tmp_path):
    # numbers of rows, some of them taken out
    rows = [(n + n // 10, day, day.astype(object).year, name, 1.5, n % 2, "x", 0)
            for n, (name, day) in enumerate(itertools.product(("a", "b"), DAYS))]
    read = columns.read(csv(tmp_path, lines(
        "rownames,day_of,year,shop,sales,open,note,is_anomaly", rows)))
    detected = roles.find(read)
    assert (detected.time, detected.series) == ("day_of", "shop")
    assert detected.targets == ("sales", "open")
    assert dict(detected.ignored) == {
        "rownames": "number of the row", "year": "part of the time",
        "note": "text, such as 'x' in row 2",
        "is_anomaly": "labels"}
    chosen = roles.find(read, Options(targets=("sales",), known=("open", "note")))
    built = table.build([read], chosen)
    assert built.levels == {"note": ("x",)}
    np.testing.assert_array_equal(built.series[0].known[:2], [[0, 0], [1, 0]])


def test_the_code_of_namibia_names_a_series_and_is_no_number(tmp_path):
    rows = [(day, country, "NA" if n == 1 else n + 1, kind)
            for country in ("DE", "NA", "US")
            for n, (day, kind) in enumerate(zip(DAYS, ("x", "NA", "n/a", "y")))]
    read = columns.read(csv(tmp_path, lines("date,country,y,kind", rows)))
    one = table.build([read], roles.find(read, roles.Options(known=("kind",))))
    assert [series.name for series in one.series] == ["DE", "NA", "US"]
    np.testing.assert_array_equal(one.series[1].values[:, 0], [1, np.nan, 3, 4])
    assert one.levels == {"kind": ("x", "y")}  # the others are missing


def test_numbers_of_several_covariates_are_categories(tmp_path):
    rows = [(day, n, n % 3 + 1000001, n % 2 + 1.5) for n, day in enumerate(DAYS)]
    path = csv(tmp_path, lines("date,sales,weather,shop", rows))
    options = Options(known=("weather", "shop"))
    assert build(path, options, categories=("weather", "shop")).levels == {
        "weather": ("1000001", "1000002", "1000003"), "shop": ("1.5", "2.5")}
    later = build(path, options, levels={"shop": ("2.5", "1.5"), "weather": ("1000002",)})
    np.testing.assert_array_equal(later.series[0].known[:3], [[-1, 1], [0, 0], [-1, 1]])
    with pytest.raises(UsageError, match="'wether' is none of them. Did you mean 'weather'.* They "
                       "are: weather, shop.$"):
        build(path, options, categories=("wether",))


def test_codes_are_categories_as_they_are_written(tmp_path):
    def known(codes, name="data.csv", **arguments):
        rows = [(day, n, codes[n % len(codes)]) for n, day in enumerate(DAYS)]
        one = build(csv(tmp_path, lines("date,sales,code", rows), name), Options(known=("code",)),
                    **arguments)
        return one, one.series[0].known[:len(codes), 0].tolist()

    trained, _ = known(["007", "A12", "012"])
    assert trained.levels == {"code": ("007", "012", "A12")}
    later, numbers = known(["007", "012", "7"], levels=trained.levels)
    assert numbers == [0, 1, 0] and not later.notes
    codes = [*map(str, range(100, 132)), "13B"]  # nearly all of them are numbers
    trained, numbers = known(codes, categories=("code",))
    assert trained.levels == {"code": tuple(codes)} and numbers == [*range(33)]
    # Numbers are one category however they are written, also those of earlier runs.
    assert known(["1.0", "1", "2.0"], categories=("code",))[0].levels == {"code": ("1", "2")}
    assert known(["007", "1.50", "8"], levels={"code": ("1.5", "7")})[1] == [1, 0, -1]
    days = np.arange(len(DAYS))
    path = tmp_path / "p.parquet"
    pa.parquet.write_table(pa.table({"date": DAYS, "sales": days, "code": days % 2 + 6.0}), path)
    later = build(path, Options(known=("code",)), levels={"code": ("006", "7")})
    assert later.series[0].known[:2, 0].tolist() == [0, 1]


@pytest.mark.parametrize("texts", ["yes no", "true false"])
@pytest.mark.parametrize("most_at_once", [100, 1 << 20])
def test_covariates_of_text_may_be_the_only_ones_ahead(tmp_path, monkeypatch, texts, most_at_once):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(columns, "MOST_AT_ONCE", most_at_once)
    promo = [texts.split()[n % 3 > 0] for n in range(len(DAYS))]
    data = csv(tmp_path, lines("date,y,promo", zip(DAYS[:50], range(50), promo)))
    trained = sources.read_training([data], SeriesHParams(horizon=5), Options(known=("promo",)))
    coming = csv(tmp_path, lines("date,promo", list(zip(DAYS, promo))[50:]), "coming.csv")
    ahead = known_ahead(trained.layout, trained.table, 5, coming)
    # true and false are numbers, as Parquet has them
    levels = trained.table.levels.get("promo", ("false", "true"))
    assert ("promo" in trained.table.levels) == (texts == "yes no")
    np.testing.assert_array_equal(ahead[""][:, 0], [levels.index(text) for text in promo[50:55]])


def _bad(message, text, **options):
    return pytest.param(text, options, message, id=message[:40])


DATED = [(day, i + 0.5) for i, day in enumerate(DAYS)]


@pytest.mark.parametrize("text, options, message", [
    _bad(r"row 4, column 'y': expected a number, got '1.234,5'. Is the comma a decimal",
         lines("date;y", []) + "".join(f"{d};{'1.234,5' if i == 2 else i}\n"
                                       for i, (d, _) in enumerate(DATED))),
    _bad("column 'wert': expected a number, got '1,001'. Is the c",
         lines("day;wert", []) + "".join(f"{day};1,001\n" for day in DAYS), targets=("wert",)),
    _bad("expected a column of numbers to model, found none",
         lines("date,y", [(d, "word") for d, _ in DATED])),
    _bad("column 'y': expected a finite number, got -inf. Leave missing",
         lines("date,y", [*DATED[:-1], (DAYS[-1], "-inf")])),
    _bad("numbers up to 2\\^53", lines("date,y", [*DATED[:-1], (DAYS[-1], 1 << 60)])),
    _bad("row 62: expected each time once, got 2024-02-29 again.* remove or average the rows.$",
         lines("date,y", [*DATED, DATED[-1]])),
    _bad("Line 62 has 1 value for 2 columns: '2024-03-01'. Is the file cut off there",
         lines("date,y", DATED) + "2024-03-01\n"),
    _bad("Line 3 has 3 values for 2 columns: '2024-01-02,1,5'. Give each column a name, and quote "
         "values that hold a ','",
         lines("date,y", [(DAYS[0], 0.5), (DAYS[1], "1,5")])),
    _bad("Is the column 'store' the series\\? Give --series store",
         lines("date,store,y", [(d, s, y) for s in (1, 2) for d, y in DATED])),
    _bad("got 2023-10-29T02:00:00 again.* Does daylight saving time end there\\? Give the zone",
         lines("time,y", zip(FOLD, (5, 5, 6, 6)))),
    _bad("Does daylight saving time end there",
         lines("time,id,y", [(time, n, 1) for n in "ab" for time in FOLD])),
    _bad("row 3.*expected local times of Europe/Berlin, got 2024-03-31T02:00|in row 3, which",
         lines("time,y", [("2024-03-31 01:00", 1), ("2024-03-31 02:00", 2)]),
         zone="Europe/Berlin"),
    _bad("expected a time zone such as Europe/Berlin", lines("time,y", zip(FOLD, "1234")),
         zone="Berlin"),
    _bad("expected a time zone such as Europe/Berlin",
         lines("time,y", [("2024-03-31 01:00Z", 1), ("2024-03-31 02:00Z", 2)]), zone="Berlin"),
    _bad("times with a zone or none, got '2024-01-01 10:00' and, in row 3, '2024-01-02 10:00Z'",
         lines("date,y", [("2024-01-01 10:00", 1), ("2024-01-02 10:00Z", 2)])),
    _bad("whose day and month can be told apart, got '01/02/2024'",
         lines("date,y", [("01/02/2024", 1), ("02/02/2024", 2)])),
    _bad("row 5, column 'date': expected times of one format.*got '2020-02-30'",
         lines("date,y", [("2020-02-28", 1), ("2020-02-29", 2), ("2020-03-02", 3),
                          ("2020-02-30", 4)])),
    _bad("row 4, column 'date': expected times of one format.*got '20200230'",
         lines("date,y", [(20200228, 1), (20200229, 2), (20200230, 3)])),
    _bad("row 3, column 'date': expected times of one format.*got '31/04/2020'",
         lines("date,y", [("30/04/2020", 1), ("31/04/2020", 2)])),
    _bad("row 3, column 'date': expected times of one format.*got '01/03/2020'",
         lines("date,y", [("2024-01-01", 1), ("01/03/2020", 2)])),
    _bad("row 3, column 'date': expected times of one format.*got 'soon'",
         lines("date,y", [("01/02/2020", 1), ("soon", 2)])),
    _bad("row 3, column 'at': expected times of one format",
         lines("at,y", [("2024-01-01", 1), ("soon", 2)]), time="at"),
    _bad("row 3, column 'date': expected times of one format",
         lines("date,y", [("2024-01-01", 1), ("soon", 2)]), time="date"),
    _bad("--targets: expected a column of .*, got 'sale'. Did you mean 'sales'\\?",
         lines("date,sales", DATED), targets=("sale",)),
    _bad("--known: expected a column without another role, got 'y', which --targets names as well",
         lines("date,y", DATED), targets=("y",), known=("y",)),
    _bad("expected a first line of column names, got '1,2'", "1,2\n3,4\n"),
    _bad("columns of different names, got 'y' twice", "date,y,y\n2024-01-01,1,2\n"),
    _bad("expected a first line of column names, got '2024-01-01,2'", "2024-01-01,2\n2024-01-02,4"),
    _bad("a line of column names, got an empty file", ""),
    _bad("at least one row, got none", "date,y\n"),
    _bad("a table as CSV in UTF-8", "date,y\n2024-01-01,1,7\n"),
    _bad("row 4, column 'date': expected a time in every row, got none",
         lines("date,y", [*DATED[:2], ("", 3)])),
])
def test_bad_input_is_told_in_one_line(tmp_path, text, options, message):
    with pytest.raises(UsageError, match=message) as error:
        build(csv(tmp_path, text), Options(**options))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("form, wrong", [
    ("%d %b %Y", "30 Feb 2024"), ("%B %d, %Y", "February 30, 2024"), ("%Y%m%d", "20240230"),
    ("%d.%m.%Y 10:03", "31.04.2024 10:03"), ("%Y/%m/%d", "2024/02/30"),
    ("%-d/%-m/%Y", "30/2/2024")])
def test_dates_are_those_of_the_calendar_in_every_format(form, wrong):
    """Days 1 to 3 are those that `strptime` also makes of February 29 to 31."""
    days = np.arange("2024-02-01", "2024-04-05", dtype="datetime64[D]")
    texts = [day.item().strftime(form) for day in days]
    read = parse_text(pa.chunked_array([texts]), "", 0)
    assert read is not None
    np.testing.assert_array_equal(read.astype("datetime64[D]"), days)
    assert parse_text(pa.chunked_array([[*texts, wrong]]), "", 0) is None


def test_a_wrong_time_does_not_matter_where_rows_are_numbered(tmp_path):
    read = columns.read(csv(tmp_path, lines("date,y", [("2024-01-01", 1), ("soon", 2)])))
    assert roles.find(read, Options(ignore_times=True)).time == ""


def test_a_compressed_table_is_known_by_its_content(tmp_path):
    path = csv(tmp_path, lines("date,y", DATED))
    expected = build(path).series[0].values
    path.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(build(path).series[0].values, expected)


@pytest.mark.parametrize("lengths", [
    [160, -60], [50, 40], [], np.array([1 << 63, 1 << 63, 100], np.uint64)])
def test_lengths_that_do_not_fit_are_refused(tmp_path, lengths):
    np.savez(tmp_path / "a.npz", values=np.zeros([100, 2]), lengths=lengths)
    with pytest.raises(UsageError, match="expected lengths, none below 0, that add up to 100"):
        columns.read(tmp_path / "a.npz")


def test_nanoseconds_since_1970_are_times(tmp_path):
    path = tmp_path / "a.csv"
    for moments, expected in (((1577836800, 1577836801), "2020-01-01T00:00:01"),
                              ((1577836800, 5000000000), None)):
        path.write_text("time,y\n" + "".join(f"{moment}000000000,1\n" for moment in moments))
        if expected:
            assert columns.read(path).times("time")[1] == np.datetime64(expected)
        else:
            with pytest.raises(UsageError, match="expected numbers up to 2.53"):
                columns.read(path).times("time")


def test_a_line_of_names_alone_is_no_table(tmp_path):
    for content in ("time,value", "time,value\n"):
        (tmp_path / "a.csv").write_text(content)
        with pytest.raises(UsageError, match="expected a table with at least one row, got none"):
            columns.read(tmp_path / "a.csv")


def test_spreadsheets_are_named(tmp_path):
    for content in (b"PK\x03\x04\x14\0\x06\0\x08\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        (tmp_path / "a.xlsx").write_bytes(content + bytes(range(256)))
        with pytest.raises(UsageError, match="office .*document.*: save its table as CSV"):
            columns.read(tmp_path / "a.xlsx")


def test_dates_that_microseconds_do_not_reach_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({
        "time": pa.array([2 ** 31 - 200, 2 ** 31 - 199], pa.date32()), "y": [1.0, 2.0]}), path)
    with pytest.raises(UsageError, match="'time': expected dates before the year 294,247"):
        columns.read(path).times("time")


def test_files_that_are_no_tables(tmp_path):
    for name, content in (("a.csv", b"\xff\xfe\x00"), ("a.csv.gz", b"no gzip"),
                          ("a.parquet", b"no parquet"), ("a.npz", b"no archive")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="expected a"):
            columns.read(tmp_path / name)


def _archive(path, header, content, method=0, is_cut=False):
    """Writes a zip archive with an array "values", whose header and content may be wrong."""
    head = repr(header).encode().ljust(117) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", member)
    octets = bytearray(path.read_bytes())
    if method:  # in the entry of the file, and in the directory
        for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            octets[octets.index(mark) + place] = method
    if is_cut:
        octets[40:60] = b"\xff" * 20  # after the entry's header
    path.write_bytes(octets)
    return path


def _sound(path, width=2, size=None):
    """Writes a WAV file of 200 samples, whose form may claim another size."""
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000 * width, width, 8 * width)
    content = bytes(200 * width)
    octets = b"WAVEfmt " + struct.pack("<I", size or len(form)) + form
    octets += b"data" + struct.pack("<I", len(content)) + content
    path.write_bytes(b"RIFF" + struct.pack("<I", len(octets)) + octets)
    return path


FLOATS = {"descr": "<f8", "fortran_order": False, "shape": (10,)}


def test_damaged_files_are_told_in_one_line(tmp_path):
    packed = bytearray(gzip.compress(lines("date,y", DATED).encode()))
    packed[30:60] = bytes(30)
    (tmp_path / "a.csv.gz").write_bytes(packed)
    with zipfile.ZipFile(tmp_path / "bytes.npz", "w") as archive:
        archive.writestr("values", b"no array")
    for path, message in (
            (tmp_path / "a.csv.gz",
             "expected a table as CSV in UTF-8 .*Error -3 while decompressing"),
            (_archive(tmp_path / "cut.npz", FLOATS, bytes(80), is_cut=True),
             "expected an NPZ archive of .*Error -3 while decompressing"),
            (_archive(tmp_path / "method.npz", FLOATS, bytes(80), method=99),
             "expected an NPZ archive of .* compression method"),
            (_archive(tmp_path / "huge.npz", {**FLOATS, "shape": (10**14,)}, bytes(80)),
             "expected an NPZ archive of arrays that memory holds.* Unable to allocate"),
            (tmp_path / "bytes.npz", "expected an array 'values', got another kind of file"),
            (_sound(tmp_path / "a.wav", size=1 << 30), "expected sound .* No .data. chunk"),
            (_sound(tmp_path / "b.wav", width=5), "expected sound .* unimplemented format")):
        with pytest.raises(UsageError, match=message) as error:
            columns.read(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("by_time", [False, True])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_a_large_table_is_read_in_parts_to_the_same_series(tmp_path, monkeypatch, kind, by_time):
    rng = np.random.default_rng(0)
    rows = [(f"s{number}", day, "" if rng.random() < 0.1 else round(rng.random(), 2),
             "ab"[rng.integers(2)], rng.integers(5))
            for number in (2, 0, 1) for day in DAYS if rng.random() < 0.9]
    if by_time:
        rows.sort(key=lambda row: row[1])
    path = csv(tmp_path, lines("series,day,y,kind,known", rows))
    if kind == "csv.gz":
        path = tmp_path / "data.csv.gz"
        path.write_bytes(gzip.compress((tmp_path / "data.csv").read_bytes()))
    if kind == "parquet":
        whole = columns.read(path).table
        path = tmp_path / "data.parquet"
        pyarrow.parquet.write_table(whole, path)
    options = Options(known=("kind", "known"))
    expected = build(path, options)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 500)
    monkeypatch.setattr(columns, "PART_BYTES", 500)
    monkeypatch.setattr(columns, "PART_ROWS", 20)
    read = columns.read(path)
    assert len(list(read.parts())) > 3
    table = build(path, options)
    assert (table.step, table.levels, table.notes) == (
        expected.step, expected.levels, expected.notes)
    for one, other in zip(table.series, expected.series, strict=True):
        assert one[:2] == other[:2]
        for array, same in zip(one[2:], other[2:], strict=True):
            np.testing.assert_array_equal(array, same)
    assert not list((tmp_path / "cache" / "vaeseq" / "series").iterdir())


def test_the_first_part_of_a_large_file_decides_how_it_is_written(tmp_path, monkeypatch):
    hours = np.arange("2024-01-13T00", "2024-01-17T00", dtype="datetime64[h]")
    path = csv(tmp_path, "date;clock;v\n" + "".join(  # later parts hold "1,001" alone
        f"{hour.item():%Y-%m-%d;%H:%M};{1000 + number},5\n" if number < 60
        else f"{hour.item():%Y-%m-%d;%H:%M};1,{number:03}\n" for number, hour in enumerate(hours)))
    expected = [1000.5 + number if number < 60 else 1 + number / 1000 for number in range(96)]
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 300)
    monkeypatch.setattr(columns, "PART_BYTES", 300)
    read = build(path)
    assert (read.step.unit, len(read.series)) == ("h", 1)
    np.testing.assert_allclose(read.series[0].values[:, 0], expected, rtol=1e-12)


def test_an_error_in_a_later_part_names_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 200)
    monkeypatch.setattr(columns, "PART_BYTES", 200)
    path = csv(tmp_path, lines("day,y", [*((day, 1) for day in DAYS), ("2024-03-01", "soon")]))
    with pytest.raises(UsageError, match="row 62, column 'y': expected a number, got 'soon'"):
        build(path)


def test_training_hides_some_values_of_series_with_gaps(tmp_path):
    values = np.random.default_rng(0).normal(size=[1500, 2]).round(3).astype(str)
    values[40, 0] = ""
    path = csv(tmp_path, lines("time,a,b", [(1700000000 + 3600 * n, *row)
                                            for n, row in enumerate(values)]))
    trained = sources.read_training([path], SeriesHParams(horizon=50), Options(), valid_windows=2)
    whole = sources.read_for(trained.layout, [path])
    hidden = [one.start for one in sources.hidden_steps(trained.layout, whole)]
    assert len(trained.layout.hidden) == len(set(hidden)) == 1400 * 0.04
    is_missing = np.isnan(trained.table.series[0].values).any(1)
    assert np.flatnonzero(is_missing).tolist() == sorted([40, *hidden])
    assert min(hidden) > 0 and max(hidden) < 1400  # the last windows are held out
    # Without a gap nothing will be imputed, and training sees everything.
    path = csv(tmp_path, lines("time,a,b", [(1700000000 + 3600 * n, n % 7, n % 5)
                                            for n in range(1500)]))
    trained = sources.read_training([path], SeriesHParams(horizon=50), Options(), valid_windows=2)
    assert not trained.layout.hidden and not np.isnan(trained.table.series[0].values).any()


def test_values_of_a_large_table_can_be_hidden_too(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 100)
    path = csv(tmp_path, lines("time,y", [(n, "" if n == 40 else n % 7) for n in range(1000)]))
    trained = sources.read_training([path], SeriesHParams(horizon=10), Options())
    assert len(trained.layout.hidden) == 39
    assert trained.table.num_missing == 40


def test_gaps_are_read_later_as_in_training(tmp_path):
    rows = [(day, n, n % 2) for n, day in enumerate(DAYS) if n not in (30, 31)]
    path = csv(tmp_path, lines("date,y,promo", rows))
    trained = sources.read_training(
        [path], SeriesHParams(horizon=5), Options(known=("promo",)), gaps="split")
    log_dir = LogDir(tmp_path)
    trained.layout.save(log_dir)
    layout = Layout.load(log_dir)
    assert layout == trained.layout
    later = sources.read_for(layout, [])
    assert tuple(one.name for one in later.series) == layout.names == ("#1", "#2")
    assert len(sources.held_out(layout, later)) == 2
    assert [one.name for one in sources.read_for(layout, [], "missing").series] == [""]
    # A piece has the covariates of the whole.
    first = dataclasses.replace(later, series=later.series[:1])
    coming = csv(tmp_path, lines("date,promo", [(day, 1) for day in DAYS[30:35]]), "coming.csv")
    assert known_ahead(layout, first, 5, coming)["#1"].tolist() == [[1]] * 5
    fields = layout.as_dict()
    del fields["gaps"]  # a run of an earlier version
    log_dir.write("series.json", json.dumps(fields))
    assert Layout.load(log_dir).gaps == "auto"


def test_a_file_alone_is_the_series_that_it_was_among_others(tmp_path):
    paths = [csv(tmp_path, lines("date,y,promo", [(day, n * k, n % 2)
                                                  for n, day in enumerate(DAYS)]), f"s{k}.csv")
             for k in (1, 2)]
    layout = sources.read_training(
        paths, SeriesHParams(horizon=5), Options(known=("promo",))).layout
    alone = sources.read_for(layout, paths[1:])
    assert layout.names == ("s1", "s2") and [one.name for one in alone.series] == ["s2"]
    assert len(sources.held_out(layout, alone)) == 1
    days = np.arange("2024-03-01", "2024-03-06", dtype="datetime64[D]")
    coming = csv(tmp_path, lines("date,promo", [(day, 1) for day in days]), "coming.csv")
    ahead = known_ahead(layout, sources.read_for(layout, []), 5, coming)
    assert {name: values.tolist() for name, values in ahead.items()} == {
        "s1": [[1]] * 5, "s2": [[1]] * 5}
    single = sources.read_training(paths[:1], SeriesHParams(horizon=5), Options()).layout
    assert [one.name for one in sources.read_for(single, paths[1:]).series] == [""]


@pytest.mark.parametrize("header, other, way", [("y", "b/data.csv", "Rename one of the files"),
                                                ("shop,y", "b/c.csv", "Give --time COLUMN")])
def test_series_without_times_are_in_one_file_each(tmp_path, header, other, way):
    text = lines(header, [(*("s",) * header.count(","), n) for n in range(40)])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [csv(tmp_path, text, name) for name in ("a/data.csv", other)]
    series = "shop" if "shop" in header else ""
    with pytest.raises(UsageError, match=rf"{other}.*of series .* in one file.*a/data.csv.*{way}"):
        sources.read_training(paths, SeriesHParams(horizon=5), Options(series=series))


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_an_error_of_the_system(monkeypatch):
    monkeypatch.setattr(mapped, "_file", functools.partial(open, "/dev/full", "w+b"))
    with pytest.raises(OSError) as error:
        mapped.missing([1000, 3], in_file=True)
    assert error.value.errno == errno.ENOSPC


def test_missing_values_are_mapped_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mapped, "_BLOCK", 7)
    array = mapped.missing([10, 3], in_file=True)
    assert array.shape == (10, 3) and np.isnan(array).all()
    array[9] = 1
    assert np.isfinite(array).sum() == 3


@pytest.mark.parametrize("freq, expected", [
    ("ME", ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]),
    ("MS", ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"])])
def test_the_last_weekdays_of_months_are_monthly(freq, expected):
    days = times("2020-01-31", "2020-02-28", "2020-03-31", "2020-04-30", "2020-05-29")
    step = read_step(freq, days)
    index = step.index(days)
    assert np.diff(index).tolist() == [1] * 4
    assert step.format(index[:4]) == expected
    assert step.format(step.index(times("2020-05-29"))) == ["2020-05-31"]


def test_a_day_of_the_month_is_the_last_one_of_shorter_months():
    days = times("2021-01-30", "2021-02-28", "2021-03-30", "2021-04-30")
    step = infer_step([days], "date")
    assert step.format(step.index(days)) == np.datetime_as_string(days, unit="D").tolist()
    without = infer_step([days[2:]], "date")  # of a part without February
    assert without.format(without.index(times("2021-02-28"))) == ["2021-02-28"]
    with pytest.raises(UsageError, match="expected times a constant step apart"):
        infer_step([times("2021-01-30", "2021-02-27", "2021-03-30")], "date")


@pytest.mark.parametrize("others", [[], ["short"]])
def test_the_hidden_steps_are_found_in_other_tables(tmp_path, others):
    days = np.datetime64("2020-01-01") + np.arange(1000)
    rows = [(day, name, "" if n == 40 else n % 7)
            for name in ["a", "b"] for n, day in enumerate(days)]
    rows += [(day, name, 1) for name in others for day in DAYS[:4]]
    path = csv(tmp_path, lines("date,shop,y", rows))
    trained = sources.read_training([path], SeriesHParams(horizon=30), Options())
    assert len(trained.layout.hidden) > 32
    hidden = set()
    for one in trained.table.series:
        missing = np.flatnonzero(np.isnan(one.values[:, 0])).tolist()
        hidden |= {(one.name, step) for step in missing if step != 40}
    whole = sources.read_for(trained.layout, [path])
    assert {(whole.series[place.series].name, place.start)
            for place in sources.hidden_steps(trained.layout, whole)} == hidden
    alone = csv(tmp_path, lines("date,shop,y", [row for row in rows if row[1] == "b"]), "b.csv")
    table = sources.read_for(trained.layout, [alone])
    assert {("b", place.start) for place in sources.hidden_steps(trained.layout, table)} == {
        one for one in hidden if one[0] == "b"}


def test_series_that_are_held_out_as_a_whole_are_known_again(tmp_path):
    rows = [(day, name, n % 5 + number) for number, name in enumerate("abcdefghijkl")
            for n, day in enumerate(DAYS[:20])]
    path = csv(tmp_path, lines("date,shop,y", rows))
    trained = sources.read_training(
        [path], SeriesHParams(horizon=4, scaling="training"), Options())
    places = sources.held_out(trained.layout, sources.read_for(trained.layout, []))
    assert [(place.series, len(place)) for place in places] == [
        (place.series, len(place)) for place in trained.valid] and places


def test_an_empty_category_ahead_is_missing(tmp_path):
    rows = [(day, n, ["x", "y"][n % 2]) for n, day in enumerate(DAYS[:50])]
    trained = sources.read_training(
        [csv(tmp_path, lines("date,y,promo", rows))], SeriesHParams(horizon=3),
        Options(known=("promo",)))
    ahead = [(DAYS[50], "x"), (DAYS[51], ""), (DAYS[52], "z")]
    coming = csv(tmp_path, lines("date,promo", ahead), "coming.csv")
    (values,) = known_ahead(trained.layout, trained.table, 3, coming).values()
    np.testing.assert_array_equal(values[:, 0], [0, np.nan, -1])
    assert table.num_unknown(("promo",), trained.layout.levels, values) == 1
    coming = csv(tmp_path, lines("date,promo", ahead[:1]), "coming.csv")
    with pytest.raises(UsageError, match="as it is known ahead, got none after 2.*Give them by"):
        known_ahead(trained.layout, trained.table, 3, coming)


def test_a_row_without_a_category_ahead_is_told_from_no_row(tmp_path):
    rows = [(day, n if n < 50 else "", ["x", ""][n % 2]) for n, day in enumerate(DAYS)]
    path = csv(tmp_path, lines("date,y,promo", rows[:50]))
    layout = sources.read_training(
        [path], SeriesHParams(horizon=3), Options(known=("promo",))).layout
    one = sources.read_for(layout, [])
    ahead = {"file": [(day, promo) for day, _, promo in rows[50:53]], "table": rows[:53]}
    for kind, coming in ahead.items():
        for is_whole in (True, False):
            header = "date,promo" if kind == "file" else "date,y,promo"
            path = csv(tmp_path, lines(header, coming if is_whole else [
                row for row in coming if row[0] != DAYS[51]]), "coming.csv")
            whole = sources.read_for(layout, [path]) if kind == "table" else one
            table, _ = sources.without_ends(whole)
            read = functools.partial(sources.known_ahead, layout, table, whole,
                                     path if kind == "file" else None, 3)
            if is_whole:
                np.testing.assert_array_equal(read()[""][:, 0], [0, np.nan, 0])
            else:
                with pytest.raises(UsageError, match=f"none after {DAYS[50]}. Give them by --kno"):
                    read()


def test_covariates_ahead_may_be_in_the_table_that_is_continued(tmp_path):
    rows = [(day, n if n < 47 else "", n % 5) for n, day in enumerate(DAYS[:52])]
    path = csv(tmp_path, lines("date,y,promo", rows))
    layout = sources.read_training(
        [path], SeriesHParams(horizon=3), Options(known=("promo",))).layout
    whole = sources.read_for(layout, [])
    table, num_after = sources.without_ends(whole)
    assert num_after == 5 and table.series[0].end == whole.series[0].start + 47
    (values,) = sources.known_ahead(layout, table, whole, None, 5).values()
    assert values[:, 0].tolist() == [2, 3, 4, 0, 1]
    # Those of a file replace them, and may begin later.
    coming = csv(tmp_path, lines("date,promo", [(DAYS[n], 9) for n in (50, 51, 52)]), "coming.csv")
    (values,) = sources.known_ahead(layout, table, whole, coming, 6).values()
    assert values[:, 0].tolist() == [2, 3, 4, 9, 9, 9]
    with pytest.raises(UsageError, match=f"until {DAYS[52]}.*got none after {DAYS[51]}"):
        sources.known_ahead(layout, table, whole, None, 6)


def test_steps_after_the_last_value_are_not_held_out(tmp_path):
    rows = [(day, n if n < 40 else "", n % 2) for n, day in enumerate(DAYS[:50])]
    data = sources.read_training([csv(tmp_path, lines("date,y,promo", rows))],
                                 SeriesHParams(horizon=3), Options(known=("promo",)))
    (valid,) = data.valid
    assert (valid.start, valid.stop) == (37, 40) and len(data.table.series[0].values) == 40
    assert any("10 steps after the last value" in note for note in data.notes)


def test_covariates_ahead_without_a_series_column_are_those_of_all(tmp_path):
    rows = [(day, name, n, n % 2) for name in "ab" for n, day in enumerate(DAYS[:30])]
    data = sources.read_training([csv(tmp_path, lines("date,shop,y,promo", rows))],
                                 SeriesHParams(horizon=2), Options(known=("promo",)))
    coming = csv(tmp_path, lines("date,promo", [(DAYS[30], 5), (DAYS[31], 6)]), "coming.csv")
    ahead = known_ahead(data.layout, data.table, 2, coming)
    assert {name: values[:, 0].tolist() for name, values in ahead.items()} == {
        "a": [5, 6], "b": [5, 6]}


@pytest.mark.parametrize("shops", ["", "ab"])
def test_covariates_ahead_without_times_are_those_after_each_series(tmp_path, shops):
    rows = [(name, n, n % 2) for size, name in enumerate(shops or "a") for n in range(30 + size)]
    data = sources.read_training(
        [csv(tmp_path, lines("shop,y,promo", rows))], SeriesHParams(horizon=2),
        Options(known=("promo",), series="shop" if shops else "", targets=("y",)))
    assert data.layout.step.unit == "row"
    coming = csv(tmp_path, lines("promo", [(5,), (6,), (7,)]), "coming.csv")
    ahead = known_ahead(data.layout, data.table, 2, coming)
    assert [values[:, 0].tolist() for values in ahead.values()] == [[5, 6]] * max(1, len(shops))
    with pytest.raises(UsageError, match="until 33.*got none after 32"):
        known_ahead(data.layout, data.table, 4, coming)


@pytest.mark.parametrize("freq", ["0D", "1000001h", "9" * 22 + "min", "0YS"])
def test_a_step_has_units_that_can_be_counted(freq):
    with pytest.raises(UsageError, match="of 1 to 1,000,000 units, for a column of dates; got"):
        read_step(freq, times("2024-01-01", "2024-01-02"))
