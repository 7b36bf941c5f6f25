# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Windows of vaeseq-series: scaling without a leak, lags, inputs, and extreme series."""

import dataclasses

import numpy as np
import pytest

from examples.series.data import Options, columns, layout, roles, sources, table, windows
from examples.series.data.windows import SPACES
from examples.series.hparams import SeriesHParams
from vaeseq.cli.arguments import UsageError


def table_of(values, start="2020-01-01"):
    """A table of one daily series."""
    days = np.datetime64(start) + np.arange(len(values))
    read = columns.of_mapping({"date": days, "y": np.asarray(values, float)})
    return table.build([read], roles.find(read, Options()))


def maker_of(one, output="normal", lags=(1, 2, 7), held_out=0, **space):
    described = layout.describe(one, held_out=held_out, valid_windows=0, files=["f"])
    return windows.WindowMaker(
        described, dataclasses.replace(SPACES[output], **space), season=7, lags=lags)


def leaves(window):
    return [window.values, window.is_observed, *window.inputs, window.loc, window.scale]


WAVE = 50 + 10 * np.sin(np.arange(90) / 3)


@pytest.mark.parametrize("output", ["normal", "lognormal"])
def test_nothing_after_the_origin_reaches_a_window(output):
    changed = WAVE.copy()
    changed[60:] = 999.0
    one, other = table_of(WAVE), table_of(changed)
    maker = maker_of(one, output)
    here = maker.window(one.series[0], 40, 75, origin=60)
    there = maker.window(other.series[0], 40, 75, origin=60)
    for mine, its in zip(leaves(here), leaves(there)):
        np.testing.assert_array_equal(mine, its)
    assert not here.is_observed[20:].any() and not here.inputs.lags_given[21:, 0].any()
    # With another origin the change is seen: the test above could fail.
    assert not np.array_equal(maker.window(other.series[0], 40, 75).values[20:],
                              maker.window(one.series[0], 40, 75).values[20:])


@pytest.mark.parametrize("output, values, impossible", [
    ("normal", [-500, 0, 500], []), ("lognormal", [-500, 0, 500], [-500, 0]),
    ("negative_binomial", [-1, 0, 1.5, 500], [-1, 1.5]), ("bernoulli", [0, 1, 2], [2]),
    ("categorical", [0, 3, 1.5], [1.5])])
def test_values_that_an_output_cannot_have(output, values, impossible):
    maker = maker_of(table_of(np.arange(40) % 4), output)
    values = np.array([*values, np.nan])
    assert values[~maker.is_possible(values[:, None])[:, 0]].tolist() == impossible
    window = maker.window(table_of(values).series[0], 0, len(values))  # where they are missing
    assert (~window.is_observed[:, 0]).sum() == len(impossible) + 1


def test_the_name_of_a_space_tells_the_datas_units():
    numbers, bits, classes = 2.0 + np.arange(40) % 4, np.arange(40) % 2.0, np.arange(2.0, 6)
    in_data_units = {
        "scaled": lambda x, loc, scale: x * scale + loc, "counts": lambda x, *_: x,
        "log": lambda x, loc, scale: np.exp(x * scale + loc), "bits": lambda x, *_: x,
        "classes": lambda x, *_: classes[x]}
    for output, space in SPACES.items():
        one = table_of(bits if space.name == "bits" else numbers)
        maker = maker_of(one, output)
        values, *_, loc, scale = maker.window(one.series[0], 20, 40)
        data = maker.to_data(values, loc, scale)
        np.testing.assert_allclose(in_data_units[space.name](values, loc, scale), data, rtol=1e-6)
        assert np.abs(data - one.series[0].values[20:]).max() <= 0.5 + 1e-5  # of rounding


def test_the_pen_of_strokes_is_0_or_1():
    one = table_of(WAVE)
    described = layout.describe(one, held_out=0, valid_windows=0, files=["f"])
    maker = windows.WindowMaker(described, SPACES["strokes"], season=7, lags=(1,), binary=[2])
    values = np.array([[5.0, -5, 0], [5, -5, 0.5]])
    assert maker.is_possible(values).tolist() == [[True] * 3, [True, True, False]]


def test_a_window_is_scaled_by_the_history_before_it_alone():
    one = table_of(WAVE)
    changed = WAVE.copy()
    changed[40:] *= 7
    maker = maker_of(one)
    window = maker.window(one.series[0], 40, 60)
    assert window.loc == pytest.approx(WAVE[:40].mean())
    assert window.scale == pytest.approx(np.abs(WAVE[:40] - WAVE[:40].mean()).mean())
    other = maker.window(table_of(changed).series[0], 40, 60)
    np.testing.assert_array_equal((window.loc, window.scale), (other.loc, other.scale))
    np.testing.assert_allclose(maker.to_data(window.values, window.loc, window.scale)[:, 0],
                               WAVE[40:60], rtol=1e-5)


def test_the_jacobian_is_the_sum_of_the_log_scales():
    one = table_of(WAVE)
    window = maker_of(one).window(one.series[0], 40, 60)
    np.testing.assert_allclose(window.inputs.log_jacobian, -np.log(window.scale[0]), rtol=1e-5)
    logs = maker_of(one, "lognormal").window(one.series[0], 40, 60)
    np.testing.assert_allclose(  # d log x / d x = 1 / x
        logs.inputs.log_jacobian, -np.log(logs.scale[0]) - np.log(WAVE[40:60]), rtol=1e-5)


def test_rounding_noise_depends_on_the_series_the_step_and_the_target_alone():
    def part(first, stop, name="a"):
        days = np.datetime64("1969-11-01") + np.arange(first, stop)  # steps below and above 0
        read = columns.of_mapping({
            "date": days, "id": [name] * len(days),
            **{f"y{d}": np.round(WAVE[first:stop] * (d + 1)) for d in range(3)}})
        return table.build([read], roles.find(read, Options()))

    def noise(one, start):
        window = maker.window(one.series[0], start, start + 40)
        values = window.values * window.scale + window.loc
        return values - one.series[0].values[start:start + 40]

    maker = maker_of(part(0, 90), history=False)
    whole = noise(part(0, 90), 40)
    assert np.abs(whole).max() <= 0.5 + 1e-4 and len(np.unique(whole.round(4))) > 110
    assert whole.std() == pytest.approx(12 ** -0.5, abs=0.04)
    for first, stop in ((0, 85), (33, 90)):
        np.testing.assert_allclose(noise(part(first, stop), 40 - first), whole, atol=1e-4)
    assert np.abs(noise(part(0, 90, "b"), 40) - whole).mean() > 0.2


def test_lags_are_earlier_values_in_the_windows_units():
    values = WAVE.copy()
    values[50] = np.nan
    one = table_of(values)
    window = maker_of(one).window(one.series[0], 45, 65)
    for number, lag in enumerate((1, 2, 7)):
        expected = (values[45 - lag:65 - lag] - window.loc) / window.scale
        is_finite = np.isfinite(expected)
        np.testing.assert_array_equal(window.inputs.lags_seen[:, number, 0], is_finite)
        np.testing.assert_allclose(
            window.inputs.lags[is_finite, number, 0], expected[is_finite], rtol=1e-5)
    assert not window.is_observed[5, 0] and window.values[5, 0] == 0.0


@pytest.mark.parametrize("values", [
    np.where(np.arange(90) == 70, 1e5, 0.0), np.where(np.arange(90) < 50, 1.0, np.arange(90)),
    np.r_[np.full(60, np.nan), WAVE[60:]]], ids=["spike", "constant at first", "leading gap"])
def test_extreme_series_have_finite_scales(values):
    one = table_of(values)
    maker = maker_of(one)
    for start in range(len(one.series[0].values) - 10):
        window = maker.window(one.series[0], start, start + 10)
        assert all(np.isfinite(leaf).all() for leaf in leaves(window)) and (window.scale > 0).all()


def test_calendar_codes():
    one = table_of(np.arange(800.0), "2023-11-01")
    inputs = layout.Inputs(layout.describe(one, held_out=0, valid_windows=0, files=[]), 7)
    codes = dict(zip(one.step.format(np.arange(19662, 19662 + 800)), inputs.compute(
        "", np.arange(19662, 19662 + 800), np.zeros([800, 0]), np.zeros(0))[1].tolist()))
    # weekday, month, day of the year, weekday of the month
    assert codes["2023-11-23"] == [3, 10, 327, (10 * 5 + 3) * 7 + 3]  # the fourth Thursday
    assert codes["2024-12-31"][2] == codes["2023-12-31"][2] == 365
    assert codes["2024-02-29"][2] == 59 and codes["2023-11-06"][0] == 0


def test_the_training_windows_are_a_function_of_the_step():
    one = table_of(WAVE)
    maker = maker_of(one)
    data = windows.RandomWindows(maker, one, windows.positions([80]), 6, 30, seed=3)
    first, again, other = data.batch(5), data.batch(5), data.batch(6)
    np.testing.assert_array_equal(first.observed, again.observed)
    assert not np.array_equal(first.observed, other.observed)
    assert first.observed.shape == (6, 30, 1) and (first.lengths == 30).all()
    with pytest.raises(ValueError, match="a series with steps to train on, got none"):
        windows.RandomWindows(maker, one, [], 6, 30, seed=3)


def test_what_follows_an_origin_does_not_choose_where_its_window_begins():
    place = windows.Places(0, 12, 24)
    starts = []
    for size in (24, 80):
        one = table_of(WAVE[:size])
        before, after = windows.scoring_batches(maker_of(one), one, [place], 20, 12, 1)
        starts.append(before.lengths.tolist())
        assert after.lengths.tolist() == [12]
    assert starts == [[6], [6]]


def test_windows_are_made_when_their_batch_is_read(monkeypatch):
    one, starts = table_of(WAVE), []
    maker = maker_of(one)
    window = maker.window
    monkeypatch.setattr(maker, "window", lambda series, start, stop: starts.append(start) or (
        window(series, start, stop)))
    batches = windows.scoring_batches(maker, one, windows.positions([90]), 20, 5, 2)
    sizes = [len(starts) for _ in batches]
    assert sizes == [min(18, 2 * (number // 2 + 1)) for number in range(18)]


def test_each_place_is_scored_once_after_its_context():
    one = table_of(WAVE)
    places = [windows.positions([90])[0][60:]]
    batches = list(windows.scoring_batches(maker_of(one), one, places, 20, 12, 2))
    assert [batch.lengths.tolist() for batch in batches] == [[20, 20], [12, 12], [20, 0], [6, 0]]
    assert [batch.is_start.all() for batch in batches] == [True, False, True, False]
    maker = maker_of(one)
    whole = maker.window(one.series[0], 52, 84)  # of the second row
    np.testing.assert_array_equal(
        np.concatenate([batches[0].observed[1], batches[1].observed[1]]), whole.values)
    for parts, leaf in zip(zip(batches[0].inputs, batches[1].inputs), whole.inputs):
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), leaf)


def test_the_lags_of_a_base_are_added_to_those_of_the_data_and_required_of_the_user():
    one, hparams = table_of(WAVE), SeriesHParams(base="season", season=50)
    assert {1, 2, 50, 51} <= set(sources.resolve(hparams, one).lags)
    for lags in ((51, 50, 1), (1, 2, 50, 51)):
        assert sources.resolve(hparams.replace(lags=lags), one, ["lags"]).lags == lags
    with pytest.raises(UsageError, match=r"lags: expected 1, 50, 51 among them with base=season, "
                       r"got \[2,50\]"):
        sources.resolve(hparams.replace(lags=(2, 50)), one, ["lags"])


def test_what_the_data_decide_and_what_they_suit():
    one = table_of(WAVE)
    hparams = sources.resolve(SeriesHParams(), one)
    assert (hparams.horizon, hparams.season, hparams.scaling) == (22, 7, "history")
    assert hparams.lags == (1, 2, 3, 4, 5, 6, 7, 8, 14, 21, 28)
    assert sources.resolve(SeriesHParams(season=3), one).season == 3
    rng = np.random.default_rng(0)
    for values, expected in (
            (rng.random(400) < 0.5, ("bernoulli",)),
            (rng.poisson(200, 400), ("negative_binomial",)),
            (rng.poisson(0.3, 400) * 30 + rng.poisson(0.1, 400),
             ("negative_binomial", "zero_inflated")),
            (rng.integers(-1, 2, 400), ("categorical",)),
            (rng.normal(size=400), ("student_t", "mixture")),
            (rng.random(400), ("student_t", "mixture", "lognormal")),
            # lognormal has no zero, not even one held out
            ([*rng.random(399), 0.0], ("student_t", "mixture"))):
        chosen = sources.candidates(table_of(np.array(values)))
        assert chosen[:len(expected)] == expected and ("lognormal" in chosen) == (
            "lognormal" in expected)


def test_targets_without_values_or_change_are_refused():
    with pytest.raises(UsageError, match="a target that changes, got 4 in every row"):
        layout.describe(table_of(np.full(20, 4)), held_out=2, valid_windows=1, files=[])
    assert layout.rounding_unit(np.array([1.1, 1.2, 1.1, 3.0])) == 0.1
    assert layout.rounding_unit(np.array([1.123456, 1.123456])) == 0.0
    assert layout.rounding_unit(np.arange(9) % 5 * 1e-9) == 0.0
