# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tables as other programs write them: spreadsheets, databases, R, loggers and trading programs."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from examples.series.data import Options, columns, csv_tables, roles, table
from tests.examples.series.test_reading import build, csv, lines
from vaeseq.cli.arguments import UsageError

MONTHS = np.arange("2019-11", "2021-05", dtype="datetime64[M]")
HOURS = np.arange("2019-12-30T20", "2020-01-03T05", dtype="datetime64[h]")


def _times_read(path, options=None):
    """Returns the times of the only series, microseconds, and the names of its targets."""
    read = columns.read(path)
    columns_by_role = roles.find(read, options or Options())
    return read.times(columns_by_role.time), columns_by_role.targets


def _quarter(moment):
    return (moment.month + 2) // 3


FORMS = {  # what writes so: a format, the moments, and what is read of each
    "Excel, short": ("{:%b-%y}", MONTHS), "Excel, months": ("{:%b-%Y}", MONTHS),
    "IMF": ("{0.year}M{0.month:02d}", MONTHS), "months, numbers": ("{:%Y%m}", MONTHS),
    "month first": ("{:%m/%Y}", MONTHS), "year first": ("{:%Y/%m}", MONTHS),
    "MetaTrader": ("{:%Y.%m.%d %H:%M}", HOURS), "Oracle": ("{:%d-%b-%Y %H:%M:%S}", HOURS),
    "Oracle, two digits": ("{:%d-%b-%y %H:%M}", HOURS),
    "PostgreSQL": ("{:%Y-%m-%d %H:%M:%S}+00", HOURS),
    "BigQuery": ("{:%Y-%m-%d %H:%M:%S} UTC", HOURS),
    "nanoseconds": ("{:%Y-%m-%d %H:%M:%S}.000000000", HOURS),
    ".NET": ("{:%Y-%m-%dT%H:%M:%S}.0000000+00:00", HOURS),
    "Python's logs": ('"{:%Y-%m-%d %H:%M:%S},000"', HOURS),
    "ISO 8601, basic": ("{:%Y%m%dT%H%M%S}Z", HOURS),
    "hours, numbers": ("{:%Y%m%d%H}", HOURS),
    "minutes, numbers": ("{:%Y%m%d%H%M}", HOURS), "seconds, numbers": ("{:%Y%m%d%H%M%S}", HOURS),
}


@pytest.mark.parametrize("name", FORMS)
def test_times_are_read_as_programs_write_them(name, tmp_path):
    form, moments = FORMS[name]
    rows = [(form.format(moment.astype("datetime64[us]").item()), number)
            for number, moment in enumerate(moments)]
    times, targets = _times_read(csv(tmp_path, lines("date,y", rows)))
    np.testing.assert_array_equal(times, moments.astype("datetime64[us]"))
    assert targets == ("y",)


def test_quarters_weeks_and_numbers_are_times(tmp_path):
    def read(texts, header="time,y"):
        return _times_read(csv(tmp_path, lines(header, zip(texts, range(len(texts))))))[0]

    quarters = np.arange("2019-10", "2021-05", 3, dtype="datetime64[M]")
    texts = [f"Q{_quarter(quarter.item())} {quarter.item().year}" for quarter in quarters]
    np.testing.assert_array_equal(read(texts), quarters.astype("datetime64[us]"))
    mondays = np.arange("2019-12-02", "2020-03-01", 7, dtype="datetime64[D]")
    texts = ["{0.year}-W{0.week:02d}".format(day.item().isocalendar()) for day in mondays]
    assert "2020-W01" in texts
    np.testing.assert_array_equal(read(texts), mondays.astype("datetime64[us]"))
    with pytest.raises(UsageError, match="row 3, column 'time': expected times of one format"):
        read(["2021-W52", "2021-W53"])  # 2021 has 52 weeks
    years = [f"{2019 + month / 12:.12g}" for month in range(10, 28)]  # R's ts
    np.testing.assert_array_equal(read(years), MONTHS.astype("datetime64[us]"))
    seconds = HOURS.astype("datetime64[s]").astype(np.int64)
    for texts in (seconds, seconds * 1000, seconds * 10**6, [f"{second}.25" for second in seconds]):
        expected = HOURS.astype("datetime64[us]") + 250_000 * (texts[0] == f"{seconds[0]}.25")
        np.testing.assert_array_equal(read(texts), expected)


def test_a_time_that_cannot_be_read_is_an_error_not_a_text(tmp_path):
    path = csv(tmp_path, lines("Date,Close", [("31st Dec", 1), ("30th Dec", 2)]))
    with pytest.raises(UsageError, match="column 'Date': expected times of one .* --freq none"):
        build(path)
    assert build(path, Options(ignore_times=True), freq="none").roles.time == ""
    path = csv(tmp_path, lines("day,y", [("Mon", 1), ("Tue", 2)]))  # parts of times may be texts
    assert build(path).roles.ignored == (("day", "text, such as 'Mon' in row 2"),)
    path = csv(tmp_path, lines("time,y", [(0, 1), (0.5, 2), (1.0, 3)]))
    read = build(path).roles
    assert read.targets == ("y",) and "fractions" in dict(read.ignored)["time"]
    path = csv(tmp_path, lines("date,time,y", [("2024-01-01", 9.5, 2), ("2024-01-02", 9.7, 3)]))
    assert build(path).roles.targets == ("time", "y")  # a race's


@pytest.mark.parametrize("name, form, written, wrong", [
    ("Day of sale", "{:%Y-%m-%d}", "2024-02-20", "2024-02-2O"),
    ("Datum", "{:%d.%m.%Y}", "29.02.2024", "30.02.2024"),  # in the first row
    ("Tag", "{:%a, %d.%m.%y}", "", "")])  # no row can be read
def test_dates_of_any_name_that_cannot_be_read_are_an_error(
        name, form, written, wrong, tmp_path):
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")[::-1]
    path = csv(tmp_path, f"{name};y\n" + "".join(
        f"{form.format(day.item())};{n}\n" for n, day in enumerate(days)).replace(written, wrong))
    with pytest.raises(UsageError, match=f"column '{name}': expected times of one .* --freq none"):
        build(path)
    assert build(path, Options(ignore_times=True), freq="none").roles.targets == ("y",)


@pytest.mark.parametrize("form", ["{:%d.%m.%y}", "{0.month}/{0.day}/{0:%y}", "{:%d/%m/%y %H:%M}",
                                  "{:%d-%m-%y}", "{:%y-%m-%d}"])
def test_numeric_dates_have_years_of_two_digits(form, tmp_path):
    days = np.arange("2039-12-01", "2041-02-01", dtype="datetime64[D]")  # 39 is no day
    texts = [form.format(day.item()) for day in days]
    times, _ = _times_read(csv(tmp_path, lines("Datum,y", zip(texts, range(len(days))))))
    years = days.astype("datetime64[Y]").astype(int) + 1970
    is_late = years > 2040
    np.testing.assert_array_equal(times[~is_late], days[~is_late].astype("datetime64[us]"))
    assert (times[is_late].astype("datetime64[Y]").astype(int) + 1970 == 1941).all()


def test_days_months_and_years_of_two_digits_that_cannot_be_told_apart_are_an_error(tmp_path):
    for text, orders in (("01/02/24", "day first or month first"),
                         ("24-01-15", "day first or year first")):
        with pytest.raises(UsageError, match=f"told apart, got '{text}', which may be {orders}"):
            build(csv(tmp_path, lines("when,y", [(text, 1), (text[:-1] + "6", 2)])))


def test_a_time_in_several_columns_is_one(tmp_path):
    rows = [(n, h.year, h.month, h.day, h.hour, n % 7)
            for n, h in enumerate(HOURS.astype("datetime64[us]").tolist(), 1)]
    times, targets = _times_read(csv(tmp_path, lines("No,year,month,day,hour,pm2.5", rows)))
    np.testing.assert_array_equal(times, HOURS.astype("datetime64[us]"))
    assert targets == ("No", "pm2.5")
    months = [(m.year, m.month, n) for n, m in enumerate(MONTHS.tolist())]
    np.testing.assert_array_equal(
        _times_read(csv(tmp_path, lines("Year,Month,v", months)))[0],
        MONTHS.astype("datetime64[us]"))
    for form in ("{:%B}", "{:%b}", "{:%B}".upper() + " "):
        months = [(m.year, form.format(m), n) for n, m in enumerate(MONTHS.tolist())]
        read = build(csv(tmp_path, lines("Year,Month,v", months)))
        assert (read.step.unit, len(read.series), read.roles.targets) == ("MS", 1, ("v",))
    # UCI's Air Quality: dots in the clock, decimal commas, and columns without a name or a value.
    text = "Date;Time;CO(GT);T;;\n" + "".join(
        f"{h:%d/%m/%Y;%H.%M.%S};{n % 9},{n % 10};13,{n};;\n"
        for n, h in enumerate(HOURS.astype("datetime64[us]").tolist()))
    read = build(csv(tmp_path, text))
    assert (read.step.unit, len(read.series), read.roles.targets) == ("h", 1, ("CO(GT)", "T"))
    np.testing.assert_allclose(
        read.series[0].values[:3], [[0.0, 13.0], [1.1, 13.1], [2.2, 13.2]])


def test_parts_of_a_time_name_no_series(tmp_path):
    for name, part in (("month", ["Januar", "Februar"]), ("quarter", ["1st", "2nd"])):
        rows = [(year, text, 1) for year in range(1990, 2000) for text in part]
        with pytest.raises(UsageError, match="row 3: expected each time once, got 1990-01-01"):
            build(csv(tmp_path, lines(f"year,{name},v", rows)))


@pytest.mark.parametrize("written", ["{0:%Y-%m-%d},{0.hour}", "{0:%d.%m.%y},{0:%H}"])
@pytest.mark.parametrize("name", ["hr", "Stunde"])
def test_dates_and_hours_are_one_time(tmp_path, written, name):
    hours = HOURS.astype("datetime64[us]").tolist()
    for last in (None, 1):  # a later table may have a single row
        rows = [(written.format(hour), n / 2) for n, hour in enumerate(hours)]
        path = csv(tmp_path, lines(f"dteday,{name},kW", rows[:last]))
        times, targets = _times_read(path)
        np.testing.assert_array_equal(times, HOURS[:last].astype("datetime64[us]"))
        assert targets == ("kW",)


def test_hours_from_1_to_24_and_fractions_are_not_proposed_as_series(tmp_path):
    rows = [(hour.item().date(), hour.item().hour + 1, n % 30 / 8)
            for n, hour in enumerate(HOURS)]
    with pytest.raises(UsageError, match="If several series share the file, give --series COLUMN"):
        build(csv(tmp_path, lines("date,hr,kW", rows)))


def test_durations_are_no_clock_of_the_dates(tmp_path):
    rows = [(day, f"{6 + n % 3}:{n % 60:02}", n) for n, day in enumerate(DAYS)]
    read = build(csv(tmp_path, lines("date,sleep,steps", rows)))
    assert (read.step.unit, read.roles.targets) == ("D", ("steps",))
    assert dict(read.roles.ignored)["sleep"].startswith("text, such as '6:00'")
    for header in ("date,uhrzeit,steps", "date,at,steps"):  # its name, or the same each day
        rows = [(day, "7:40", n) for n, day in enumerate(DAYS)]
        assert columns.read(csv(tmp_path, lines(header, rows))).names == ["date", "steps"]


def test_an_id_that_names_the_row_is_no_series(tmp_path):
    ids = [f"{n * 2654435761 % (1 << 32):08x}f" for n in range(len(DAYS))]
    path = csv(tmp_path, lines("id,timestamp,temp", zip(ids, DAYS, range(len(DAYS)))))
    assert (build(path).roles.series, len(build(path).series)) == ("", 1)
    path = csv(tmp_path, lines("id,timestamp,temp", (("a", day, 1) for day in DAYS)))
    assert build(path).roles.series == "id"


def test_names_of_series_are_without_spaces_around_them(tmp_path):
    rows = [(day, "North " if n % 7 == 0 else "North", "x", 1) for n, day in enumerate(DAYS)]
    rows += [(day, "South", " x", 1) for day in DAYS]
    read = build(csv(tmp_path, lines("date,store,kind,v", rows)), Options(static=("kind",)))
    assert [(one.name, len(one.values)) for one in read.series] == [
        ("North", len(DAYS)), ("South", len(DAYS))]
    assert read.levels == {"kind": ("x",)}


@pytest.mark.parametrize("names", [
    ["2020-01", "2020-02", "2020-03"], ["1999", "2000", "2001"], ["Jan 2020", "Feb 2020"]])
def test_a_table_with_a_column_for_each_time_is_an_error(tmp_path, names):
    rows = [(f"i{n}", *(n + k for k in range(len(names)))) for n in range(60)]
    path = csv(tmp_path, lines(",".join(["item", *names]), rows))
    with pytest.raises(UsageError, match=f"such as '{names[0]}'. Transpose the table; --freq none"):
        build(path)
    assert build(path, Options(ignore_times=True), freq="none").roles.targets == tuple(names)
    path = csv(tmp_path, lines(",".join(["date", *names]), (
        (day, *row[1:]) for day, row in zip(DAYS, rows))))
    assert build(path).roles.targets == tuple(names)


@pytest.mark.parametrize("most_at_once", [1 << 20, 10])
def test_rows_without_a_value_at_the_end_are_left_out(tmp_path, monkeypatch, most_at_once):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(columns, "MOST_AT_ONCE", most_at_once)
    monkeypatch.setattr(columns, "PART_BYTES", 300)
    text = lines("date,v,,", ((day, n, "", "") for n, day in enumerate(DAYS))) + ",,,\n , ,,\n" * 99
    read = build(csv(tmp_path, text))
    assert (len(read.series[0].values), read.roles.targets) == (len(DAYS), ("v",))
    with pytest.raises(UsageError, match=f"row {len(DAYS) + 2}, .*'date': expected a time in ever"):
        build(csv(tmp_path, text + "2025-01-01,x,,\n"))
    # In the middle, a row without times is a missing value.
    rows = lines("a,b", [*((n, n) for n in range(90)), ("", ""), (91, 91), ("", "")])
    parts = list(columns.read(csv(tmp_path, rows)).parts())
    values = np.concatenate([part.numbers("a") for part in parts])
    np.testing.assert_array_equal(values, [*range(90), np.nan, 91])
    assert [part.first_row for part in parts] == list(np.cumsum([2, *map(len, parts[:-1])]))


NUMBERS = {  # the values of a column, and the numbers that they are
    "percent": (["1.5%", "-2 %", "3%"], [1.5, -2, 3]),
    "dollars": (["$1.50", "-$2", "$1,234.00"], [1.5, -2, 1234]),
    "euros": (["1,50 €", "2,00 €", "1.234,5 €"], [1.5, 2, 1234.5]),
    "thousands": (["12,345", "999", "1,234,567"], [12345, 999, 1234567]),
    "spaces": (["1 234,50", "12,25", "1\u00a0234\u00a0567,00"], [1234.5, 12.25, 1234567]),
    "apostrophes": (["1'234.50", "12.25", "1’234’567"], [1234.5, 12.25, 1234567]),
    "minus": (["\u22121.5", "2", "\u22123"], [-1.5, 2, -3]),
    "exponents": (["1,23E+02", "4,5E-01", "6,0e0"], [123, 0.45, 6]),
    "truth": (["True", "false", "TRUE"], [1, 0, 1]),
    "few commas": (["0", "1,50", "2,5"], [0, 1.5, 2.5]),
    "nothing": (["#DIV/0!", "2", "n.a."], [np.nan, 2, np.nan]),
    "spaces alone": ([" ", "2", ".."], [np.nan, 2, np.nan]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_read_as_programs_write_them(name, tmp_path):
    texts, numbers = NUMBERS[name]
    rows = [(day, f'"{text}"') for day, text in zip(MONTHS, texts * 3)]
    read = columns.read(csv(tmp_path, lines("month,v", rows)))
    assert roles.find(read).targets == ("v",)
    np.testing.assert_array_equal(read.numbers("v"), numbers * 3)


def test_dots_are_thousands_only_in_files_with_decimal_commas(tmp_path):
    texts, numbers = ["990", "1.000", "1.010"], [990, 1000, 1010]
    path = csv(tmp_path, "month;v;w\n" + "".join(
        f"{month};{text};{number % 3},5\n" for month, text, number in zip(MONTHS, texts, numbers)))
    np.testing.assert_array_equal(columns.read(path).numbers("v"), numbers)
    path.write_text(path.read_text().replace(",5", ""))
    np.testing.assert_array_equal(columns.read(path).numbers("v"), [990, 1, 1.01])


@pytest.mark.parametrize("texts", [
    ["1,234,5", "7", "8"], ["1.5%", "2", "3"], ["$1", "2 €", "3"], ["3 p", "4 p", "5 p"],
    ["\u0661", "\u0662", "\u0663"], ["\uff11", "\uff12", "\uff13"],  # of other scripts
    ["1 23", "4", "5"], ["1,050", "1,060", "1,070"], ["1.000 €", "1.007 €", "1.010 €"]])
def test_ambiguous_numbers_stay_text_and_the_error_shows_one(texts, tmp_path):
    path = csv(tmp_path, lines("month,v", ((m, f'"{text}"') for m, text in zip(MONTHS, texts))))
    message = r"to model, found none.*v \(text, such as '.*' in row 2\)"
    with pytest.raises(UsageError, match=message):
        build(path)


def test_the_delimiter_is_what_divides_the_rows_too(tmp_path):
    for text, names in [
            ('date;"temp, mean";"hum, mean, x"\n2024-01-01;10.0;10.0\n2024-01-02;11.0;9.0\n',
             ["date", "temp, mean", "hum, mean, x"]),
            ("\n\ndate\ttemp, mean, of all\n2024-01-01\t1\n2024-01-02\t2\n",
             ["date", "temp, mean, of all"])]:
        assert columns.read(csv(tmp_path, text)).names == names


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_are_without_spaces_around_them_and_of_one_line(end, tmp_path):
    text = ['date ,"sales', 'net","hum, mean", promo', "2024-01-01,1,2,3", "2024-01-02,4,5,6"]
    path = tmp_path / "a.csv"
    path.write_bytes("".join(line + end for line in text).encode())
    read = columns.read(path)
    assert read.names == ["date", "sales net", "hum, mean", "promo"] and read.first_row == 3
    np.testing.assert_array_equal(read.numbers("sales net"), [1, 4])
    path.write_bytes(path.read_bytes().replace(b",6", b",6,7"))
    with pytest.raises(UsageError, match="Line 4 has 5 values for 4 columns"):
        columns.read(path)


def test_a_quotation_mark_among_names_that_nothing_ends_is_of_one_line(tmp_path):
    read = columns.read(csv(tmp_path, 'date,"v\n2024-01-01,1\n2024-01-02,2\n'))
    assert read.names == ["date", "v"] and len(read) == 2
    with pytest.raises(UsageError, match="expected columns of different names, got 'y' twice"):
        columns.read(csv(tmp_path, "date,y, y\n2024-01-01,1,2\n"))


def test_an_empty_line_of_a_single_column_is_a_missing_value(tmp_path):
    read = columns.read(csv(tmp_path, "v\n1\n\n3\n\n\n"))
    np.testing.assert_array_equal(read.numbers("v"), [1, np.nan, 3])


def test_a_quotation_mark_that_nothing_ends_is_an_error(tmp_path, monkeypatch):
    rows = [(day, f'"{number}\n"' if number == 3 else number) for number, day in enumerate(MONTHS)]
    assert len(columns.read(csv(tmp_path, lines("month,note", rows)))) == len(MONTHS)
    rows = [(day, number, '"5 pipe' if number == 3 else "ok") for number, day in enumerate(MONTHS)]
    path = csv(tmp_path, lines("month,v,note", rows))
    message = "line 5: expected a quotation mark that ends the value"
    with pytest.raises(UsageError, match=message):
        columns.read(path)
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 10)
    with pytest.raises(UsageError, match=message):
        list(columns.read(path).parts())


def test_utf_16_without_a_mark_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(lines("month,v", zip(MONTHS, range(99))).encode("utf-16-le"))
    with pytest.raises(UsageError, match="expected a table in UTF-8. .* probably utf_16_le"):
        columns.read(path)


def test_another_encoding_is_named_wherever_it_begins(tmp_path):
    rows = [(month, number, "plain") for month in MONTHS for number in range(999)]
    path = tmp_path / "a.csv"
    path.write_bytes(lines("month,v,note", [*rows, ("2021-06", 1, "Käse für Müller")] * 9).encode(
        "cp1252"))
    with pytest.raises(UsageError, match="probably cp1252, in which it reads .*Käse.* `iconv -f c"):
        columns.read(path)


def test_a_wrong_year_is_an_error_before_the_grid_is_allocated(tmp_path):
    start = datetime.datetime(2024, 1, 1)
    rows = [(start + datetime.timedelta(seconds=n), n) for n in range(500)]
    rows[0] = (start.replace(year=1970), 0)
    path = csv(tmp_path, lines("time,v", rows))
    for gaps, limit in (("auto", "half"), ("missing", "134,217,728")):
        message = (f"more than {limit}; the longest gap is from 1970-01-01T00:00:00 to "
                   "2024-01-01T00:00:01, .*, row 3. Is a time wrong there")
        with pytest.raises(UsageError, match=message):
            build(path, gaps=gaps)
    assert [len(one.values) for one in build(path, gaps="split").series] == [1, 499]


def test_columns_of_other_types_are_left_out_and_plain_ones_are_read(tmp_path):
    days = MONTHS.astype("datetime64[D]")
    count, number = len(days), pa.array(np.arange(len(days), dtype=float))
    nanoseconds = pa.array(days.astype("datetime64[ns]").astype(np.int64) + 1, pa.timestamp("ns"))
    for date in (pa.array(days.astype(str)).dictionary_encode(), nanoseconds, pa.array(days)):
        path = tmp_path / "data"  # without a suffix
        pa.parquet.write_table(pa.table({
            "date": date, "v": number, "tags": pa.array([[1, 2]] * count),
            "raw": pa.array([b"\xff"] * count), "__index_level_0__": number}), path)
        read = build(path)
        assert read.step.unit == "MS" and read.roles.targets == ("v",)
        assert dict(read.roles.ignored) == {
            "tags": "list<element: int64>", "raw": "binary",
            "__index_level_0__": "number of the row"}
    # With --targets the other columns are not read.
    path = csv(tmp_path, lines("month,v,id", ((m, 1, 1 << 60) for m in MONTHS)))
    assert build(path, Options(targets=("v",))).roles.targets == ("v",)


@pytest.mark.parametrize("value", [[1, 2], datetime.time(1), b"a", datetime.timedelta(1)])
def test_columns_of_other_types_have_no_role(tmp_path, value):
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({
        "t": pa.array(np.tile(MONTHS.astype("datetime64[D]"), 2)), "v": range(2 * len(MONTHS)),
        "id": pa.array([value] * 2 * len(MONTHS))}), path)
    with pytest.raises(UsageError, match="expected each time once, got .* give --series COLUMN"):
        build(path)
    read = columns.read(path)
    for values in (read.numbers, read.texts, read.categories):
        with pytest.raises(UsageError, match="column 'id': expected (texts or )?numbers, got"):
            values("id")


def test_arrays_of_any_byte_order_and_lengths_of_any_kind(tmp_path):
    values = np.arange(10.0).reshape(5, 2)
    for array, lengths in ((values.astype(">f8"), [2.0, 3.0]),
                           (values.astype(np.longdouble), [[2], [3]])):
        np.savez(tmp_path / "a.npz", values=array, lengths=np.array(lengths))
        read = columns.read(tmp_path / "a.npz")
        series = table.build([read], roles.find(read)).series
        assert [one.values.tolist() for one in series] == [values[:2].tolist(), values[2:].tolist()]
    for content in ({"values": np.zeros([0, 3])}, {"values": values, "lengths": [1.5, 3.5]}):
        np.savez(tmp_path / "a.npz", **content)
        with pytest.raises(UsageError, match="expected (whole )?numbers"):
            columns.read(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", values)
    (tmp_path / "a.npy").rename(tmp_path / "b.npz")
    with pytest.raises(UsageError, match="expected an NPZ archive"):
        columns.read(tmp_path / "b.npz")


DAYS = np.arange("2024-01-01", "2024-04-15", dtype="datetime64[D]")


@pytest.mark.parametrize("other", ["{0:%G-W%V}", "{0:%b-%y}", "Q{1} 2024"])
def test_days_are_times_before_weeks_months_and_quarters(other, tmp_path):
    rows = [(day, other.format(day.item(), _quarter(day.item())), f"{day.item():%a}", n)
            for n, day in enumerate(DAYS)]
    read = build(csv(tmp_path, lines("order_date,week,weekday,sales", rows)))
    assert (read.roles.time, len(read.series), read.step.unit) == ("order_date", 1, "D")
    rows = [(contract, day, n) for contract in ("Dec-24", "Mar-25") for n, day in enumerate(DAYS)]
    read = build(csv(tmp_path, lines("contract,trade_date,price", rows)))
    assert (read.roles.time, read.roles.series, len(read.series)) == ("trade_date", "contract", 2)


def test_parts_of_a_time_are_joined_only_without_a_time(tmp_path):
    rows = [(h.isoformat(), h.year, h.month, n) for n, h in enumerate(HOURS.tolist())]
    for name in ("datetime_utc", "Zeitpunkt"):
        read = build(csv(tmp_path, lines(f"{name},year,month,load", rows)))
        assert (read.roles.time, read.roles.targets) == (name, ("load",))
        assert len(read.series[0].values) == len(HOURS)


def test_a_part_without_a_date_is_an_error(tmp_path, monkeypatch):
    rows = [(d.year, d.month, d.day if n < 90 else "", n) for n, d in enumerate(DAYS.tolist())]
    path = csv(tmp_path, lines("year,month,day,v", rows))
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(columns, "PART_BYTES", 400)
    with pytest.raises(UsageError, match="expected a date by the columns year, month and so on"):
        build(path)


@pytest.mark.parametrize("delimiter, texts, numbers", [
    (";", ["1.000 €|0,00 %", "1.007 €|1,10 %"], [[1000, 0], [1007, 1.1]]),
    (",", ["1,050|0,5", "1,060|0,75"], [[1.05, 0.5], [1.06, 0.75]]),
    (";", ["1,769|0,5", "0|1,5"], [[1.769, 0.5], [0, 1.5]])])
def test_decimal_commas_in_one_column_decide_for_others(delimiter, texts, numbers, tmp_path):
    quoted = (delimiter.join(f'"{part}"' for part in text.split("|")) for text in texts)
    path = csv(tmp_path, delimiter.join(["month", "a", "b"]) + "\n" + "".join(
        f"{month}{delimiter}{text}\n" for month, text in zip(MONTHS, quoted)))
    read = columns.read(path)
    np.testing.assert_array_equal(np.stack([read.numbers("a"), read.numbers("b")], 1), numbers)


def test_truth_is_a_number_of_targets_and_a_text_of_covariates(tmp_path):
    rows = [(day, ["True", "False", "Unknown"][n % 3], n) for n, day in enumerate(DAYS)]
    read = columns.read(csv(tmp_path, lines("day,promo,v", rows)))
    trained = table.build([read], roles.find(read, Options(known=("promo",))))
    assert trained.levels["promo"] == ("False", "True", "Unknown")
    read = columns.read(csv(tmp_path, lines("day,promo,v", rows[::3] + rows[1::3])))
    later = table.build([read], trained.roles, levels=trained.levels)
    known = later.series[0].known[:, 0]
    assert set(known[np.isfinite(known)]) == {0.0, 1.0}  # none is unknown, which is -1
    rows = [(day, ["true", ""][n % 2]) for n, day in enumerate(DAYS)]
    read = columns.read(csv(tmp_path, lines("day,v", rows)))
    assert roles.find(read).targets == ("v",)
    np.testing.assert_array_equal(read.numbers("v")[:3], [1, np.nan, 1])


def test_two_digits_of_a_year_are_of_the_last_hundred_years(tmp_path):
    months = np.arange("1959-01", "2024-01", dtype="datetime64[M]")
    rows = [(f"{month.item():%b-%y}", n) for n, month in enumerate(months)]
    times, _ = _times_read(csv(tmp_path, lines("date,v", rows)))
    np.testing.assert_array_equal(times, months.astype("datetime64[us]"))


def test_numbers_of_weeks_and_fiscal_years_are_no_months(tmp_path):
    mondays = np.arange("2024-01-01", "2024-03-20", 7, dtype="datetime64[D]")
    rows = [("{0.year}{0.week:02d}".format(day.item().isocalendar()), 1) for day in mondays]
    times, _ = _times_read(csv(tmp_path, lines("week,v", rows)))
    np.testing.assert_array_equal(times, mondays.astype("datetime64[us]"))
    rows = [(f"{year}/{(year + 1) % 100:02d}", year) for year in range(1998, 2012)]
    assert build(csv(tmp_path, lines("year,v", rows))).roles.time == ""
    rows = [(1500 + n / 4, n) for n in range(9)]  # seconds
    assert build(csv(tmp_path, lines("time,v", rows))).roles.time == ""
    rows = [(day, "1.02.03", n) for n, day in enumerate(DAYS)]
    assert build(csv(tmp_path, lines("Date,Version,v", rows))).step.unit == "D"


def test_missing_values_at_the_end_of_a_single_column_stay(tmp_path):
    assert len(columns.read(csv(tmp_path, "v\n1\n2\nNA\nNA\n\n"))) == 4


def test_a_comma_in_a_name_does_not_divide_the_rows(tmp_path):
    text = "Datum;Temperatur, °C\n2024-01-01;0,5\n2024-01-02;1,5\n"
    read = columns.read(csv(tmp_path, text))
    np.testing.assert_array_equal(read.numbers("Temperatur, °C"), [0.5, 1.5])


def test_quoted_lines_and_open_quotes_in_large_files(tmp_path):
    count = 60_000  # several blocks of Arrow's
    moments = np.datetime64("2024-01-01") + np.arange(count).astype("timedelta64[m]")
    rows = [(moment, n, '"two\nlines, one value"') for n, moment in enumerate(moments)]
    assert len(columns.read(csv(tmp_path, lines("time,v,note", rows)))) == count
    rows = [(moment, n, '"5 pipe' if n == 3 else "ok") for n, moment in enumerate(moments)]
    with pytest.raises(UsageError, match="line 5: expected a quotation mark"):
        columns.read(csv(tmp_path, lines("time,v,note", rows)))


def test_later_parts_are_read_like_the_first(tmp_path, monkeypatch):
    rows = [(day, f"{number}%", f'"{1000 + number:,}"') for number, day in enumerate(HOURS)]
    path = csv(tmp_path, lines("time,v,w", rows))
    whole = build(path).series[0].values
    monkeypatch.setattr(columns, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(columns, "PART_BYTES", 200)
    assert len(list(csv_tables.read_parts(path, 200))) > 3
    np.testing.assert_array_equal(build(path).series[0].values, whole)
