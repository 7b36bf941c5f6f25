# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Gaps, anomaly scores, the spread of paths, pen strokes and sound, without a model."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from examples.series import detection, gaps
from examples.series.data import columns, roles, table
from examples.series.data.table import Series, Table
from examples.series.data.times import Step
from examples.series.data.windows import Places
from examples.series.model import spread
from examples.series.model.spread import Spread
from examples.series.output import plots, sound, strokes
from vaeseq.cli.arguments import UsageError

NAN = float("nan")


class Constant:
    """Completes every value, seen or not, with a number that tells the call."""

    def __init__(self):
        self.calls = []

    def complete(self, series, start, stop, *, lookahead, num_samples, num_particles, seed=0):
        self.calls.append((start, stop, seed))
        return np.full([num_samples, stop - start, series.values.shape[1]], -float(len(self.calls)))


class Drawing:
    """Draws completions around given values."""

    def __init__(self, values, spread):
        self.values, self.spread = values, spread

    def complete(self, series, start, stop, *, num_samples, seed, **_):
        noise = np.random.default_rng(seed).normal(size=[num_samples, stop - start, 1])
        return self.values[start:stop] + self.spread * noise


def test_completions_are_as_near_a_line_as_hidden_values_say():
    steps, rng = np.arange(400), np.random.default_rng(0)
    signal = 10 * np.sin(steps)[:, None]  # a line between two neighbours tells little
    noise = 0.5 * rng.normal(size=signal.shape)
    hidden = {size: gaps.hidden_gaps(one_table(signal), [Places(0, 100, 400)], size)
              for size in (1, 6)}
    options = {"lookahead": 4, "num_samples": 200, "num_particles": 1}
    # The model is right but for a density that is four times too narrow.
    waves = one_table(signal + noise)
    bridge = gaps.fit(Drawing(signal, 0.125), waves, hidden, **options)
    assert min(bridge.values) > 100 and min(bridge.levels) >= 0.9
    widths = [spread * gaps.line_error(waves.series[0].values[:, 0], size)
              for size, spread in zip(bridge.sizes, bridge.spreads)]
    np.testing.assert_allclose(widths, 0.5 * np.sqrt(2 / np.pi), rtol=0.35)
    # The line is right, and the model is not.
    straight = one_table(0.1 * steps[:, None] + noise)
    wrong = Drawing(0.1 * steps[:, None] + signal, 0.5)
    bridge = gaps.fit(wrong, straight, hidden, **options)
    assert max(bridge.levels) <= 0.1
    values = straight.series[0].values.copy()
    values[50], values[60:66] = np.nan, np.nan
    completed = gaps.complete(
        wrong, straight.series[0]._replace(values=values), lookahead=4, num_samples=200,
        num_particles=1, bridge=bridge)
    samples, filled = samples_of(completed), completed.filled
    np.testing.assert_allclose(
        np.median(samples, 0)[filled], gaps.lines(values[:, 0])[filled[:, 0]], atol=1.5)
    np.testing.assert_array_equal(samples[7][~filled], values[~filled])
    inside = np.abs(samples - np.median(samples, 0))[:, filled].mean() / np.sqrt(2 / np.pi)
    np.testing.assert_allclose(inside, 0.55, rtol=0.3)


def test_the_error_of_lines_over_gaps_worked_by_hand():
    column = np.array([0.0, 3, 0, 1])
    assert gaps.line_error(column, 1) == pytest.approx((3 + 2) / 2)
    assert gaps.line_error(column, 2) == pytest.approx((8 / 3 + 2 / 3) / 2)
    assert gaps.line_error(column, 3) == gaps.line_error(column, 9) == pytest.approx(
        (0.5 + 2.5 + 0.5 + 0.5) / 4)  # no stretch is so long
    assert gaps.line_error(np.array([0.0, 3, NAN, 1]), 1) == pytest.approx(
        np.mean(np.abs(np.array([0, 3, 1]) - 1)))


def test_a_target_without_values_keeps_the_models_completions():
    values = np.stack([np.sin(np.arange(80.0)), np.full(80, NAN)], -1)
    values[40] = NAN
    samples = np.random.default_rng(0).normal(size=[9, 80, 2])
    bridge = gaps.Bridge((1, 4), (0.0, 0.0), (1.0, 1.0), (99, 99))
    changed = applied(bridge, samples, values)
    np.testing.assert_array_equal(changed[..., 1], samples[..., 1])
    assert np.median(changed[:, 40, 0]) == pytest.approx((values[39, 0] + values[41, 0]) / 2)
    table = one_table(values)
    hidden = {size: gaps.hidden_gaps(table, [Places(0, 10, 80)], size) for size in (1, 4)}
    bridge = gaps.fit(Drawing(values, 1.0), table, hidden, lookahead=4, num_samples=20,
                      num_particles=1)
    assert min(bridge.values) > 60


def test_too_few_hidden_values_change_nothing():
    table = one_table(np.sin(np.arange(60.0))[:, None])
    hidden = {size: gaps.hidden_gaps(table, [Places(0, 40, 60)], size) for size in (1, 4)}
    assert gaps.fit(Drawing(table.series[0].values, 9.0), table, hidden, lookahead=4,
                    num_samples=20, num_particles=1) is None


def test_gaps_to_hide_lie_around_the_steps_that_training_did_not_see():
    values = np.arange(40.0)[:, None]
    values[[4, 12, 13, 14], 0] = NAN
    table = one_table(values)
    assert gaps.sizes_to_hide(table, 99) == [1, 2] and gaps.sizes_to_hide(table, 1) == [1]
    # Of single steps: now at the beginning, now at the end, and never the first or last of all.
    steps = [Places(0, step, step + 1) for step in (1, 20, 30, 38)]
    hidden = gaps.hidden_gaps(table, steps, 4)
    assert [(gap.start, gap.start + gap.compared.start) for gap in hidden] == [
        (1, 1), (19, 20), (28, 30), (35, 38)]
    assert all(gap.compared.stop - gap.compared.start == 1 for gap in hidden)
    # In a long stretch: side by side, all steps compared, none where all values are missing.
    assert gaps.hidden_gaps(table, [Places(0, 10, 17)], 2) == [
        gaps.HiddenGap(0, start, slice(0, 2)) for start in (10, 14)]
    assert gaps.hidden_gaps(table, steps, 39) == []


def test_a_gap_between_two_sizes_takes_factors_between_theirs():
    values = np.array([0.0, 3, 1, NAN, NAN, 2, 8, 4, 1, 0])[:, None]
    samples = np.repeat(np.nan_to_num(values)[None], 3, 0)
    samples[:, 3:5, 0] = [[5.0, 5], [6, 6], [7, 7]]
    bridge = gaps.Bridge((1, 4), (0.0, 1.0), (1.0, 2.0), (99, 99))
    changed = applied(bridge, samples, values)
    (part,) = bridge.apply([gaps.Span(2, samples[:, 2:6])], values)
    assert part.start == 2
    np.testing.assert_array_equal(part.samples, changed[:, 2:6])
    line = np.array([4 / 3, 5 / 3])
    np.testing.assert_allclose(changed[1, 3:5, 0], (line + 6) / 2)  # log 2 / log 4 is a half
    width = np.abs(changed[:, 3:5, 0] - changed[1, 3:5, 0]).mean(0)
    np.testing.assert_allclose(width, 1.5 * gaps.line_error(values[:, 0], 2))


def test_gaps_at_the_ends_keep_the_models_completions():
    values = np.array([NAN, 0.0, 3, NAN, 1, 2, NAN, NAN])[:, None]
    samples = np.random.default_rng(0).normal(size=[5, 8, 1])
    bridge = gaps.Bridge((1, 4), (0.0, 0.0), (1.0, 1.0), (99, 99))
    changed = applied(bridge, samples, values)
    np.testing.assert_array_equal(changed[:, [0, 6, 7]], samples[:, [0, 6, 7]])
    assert np.median(changed[:, 3, 0]) == 2.0


def applied(bridge, samples, values):
    """Returns the samples of a whole series with the bridge's factors."""
    (span,) = bridge.apply([gaps.Span(0, samples)], values)
    return span.samples


def samples_of(completed):
    """Returns the completions of a whole series, `[M, N, D]`."""
    return np.stack([completed.sample(number)
                     for number in range(len(completed.spans[0].samples))])


def one_table(values):
    return Table((Series("", 0, values, np.empty([len(values), 0]), np.empty([0])),), Step("row"),
                 roles.Roles("", "", ("y",)), {}, ())


def test_near_gaps_are_completed_together():
    values = np.ones([400, 1])
    values[[3, 4, 8, 30]] = NAN
    assert gaps.groups(values, 5) == [(3, 9), (30, 31)]
    values[100:300] = NAN  # one gap is not cut
    assert gaps.groups(values, 5) == [(3, 9), (30, 31), (100, 300)]
    every_other = np.where(np.arange(400) % 2, NAN, 1.0)[:, None]
    assert [stop - start for start, stop in gaps.groups(every_other, 5)] == [127, 127, 127, 15]


def test_observed_values_stay_and_each_group_has_its_seed():
    values = np.arange(40.0).reshape(20, 2)
    values[2, 0] = values[4, 1] = values[15] = NAN
    model = Constant()
    completed = gaps.complete(
        model, Series("", 0, values, np.zeros([20, 0]), np.zeros(0)), lookahead=4, num_samples=3,
        num_particles=1)
    samples, filled = samples_of(completed), completed.filled
    np.testing.assert_array_equal(
        completed.quantiles([0.1, 0.5]), np.quantile(samples, [0.1, 0.5], axis=0))
    np.testing.assert_array_equal(samples[0], np.where(
        filled, np.where(np.arange(20)[:, None] < 10, -1.0, -2.0), values))
    assert filled.sum() == 4 and len({seed for *_, seed in model.calls}) == 2


def test_memory_of_completions_grows_with_the_gaps_alone():
    values = np.sin(np.arange(50_000.0))[:, None]
    values[[100, 30_000]] = NAN
    series = Series("", 0, values, np.zeros([len(values), 0]), np.zeros(0))
    bridge = gaps.Bridge((1, 4), (0.5, 0.5), (1.0, 1.0), (99, 99))
    tracemalloc.start()
    completed = gaps.complete(Drawing(np.nan_to_num(values), 1.0), series, lookahead=4,
                              num_samples=200, num_particles=1, bridge=bridge)
    completed.quantiles([0.1, 0.5, 0.9])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(span.start, span.samples.shape) for span in completed.spans] == [
        (100, (200, 1, 1)), (30_000, (200, 1, 1))]
    assert peak < 20 * values.nbytes  # 200 whole series are ten times as large


def test_average_precision_of_a_case_worked_by_hand():
    assert detection.average_precision(np.array([1, 0, 1, 0]), np.array([4, 3, 2, 1])) == (
        pytest.approx(0.5 * 1 + 0.5 * 2 / 3))
    tied = detection.average_precision(np.array([1, 0, 1, 0]), np.array([1, 1, 1, 1.0]))
    assert tied == 0.5  # the chance level
    assert detection.average_precision(np.array([1, 0, 0]), np.array([NAN, 2, 1])) != 1  # NaN
    infinite = np.array([np.inf, np.inf, 1])
    assert detection.average_precision(np.array([1, 0, 0]), infinite) == 0.5  # one threshold
    assert np.isnan(detection.average_precision(np.zeros(3), np.arange(3)))


def test_the_false_alarm_rate_is_that_of_the_calibration():
    rng = np.random.default_rng(0)
    rate, flagged, total = 0.05, 0, 0
    for _ in range(300):
        limit = detection.threshold(rng.gumbel(size=59), rate)
        flagged += (rng.gumbel(size=50) > limit.value).sum()
        total += 50
    # Scores are exchangeable: exactly 3 of 60 are above the place of the threshold.
    assert abs(flagged / total - rate) < 4 * 0.029 / np.sqrt(300)
    overlapping = detection.threshold(np.arange(39.0), 0.05, 4)
    assert (overlapping.value, overlapping.rate, overlapping.size) == (38.0, 0.1, 39)
    few = detection.threshold(np.arange(9.0), 0.01)
    assert few == (8.0, 0.1, 9)  # nine scores tell a rate of a tenth


def test_tail_probabilities_and_smoothing():
    calibration = np.array([1.0, 2.0, NAN, 3.0])
    np.testing.assert_allclose(
        detection.tail_probability(np.array([0.0, 2.0, 9.0, NAN]), calibration),
        [1.0, 0.75, 0.25, NAN])
    scores = np.array([1.0, NAN, 3.0, 5.0, NAN, NAN])
    np.testing.assert_allclose(detection.smooth(scores, 2), [NAN, 1, 3, 4, 5, NAN])
    np.testing.assert_array_equal(detection.smooth(scores, 1), scores)
    impossible = np.array([1.0, np.inf, 3.0, 5.0, NAN, NAN])
    np.testing.assert_allclose(
        detection.smooth(impossible, 2), [NAN, np.inf, np.inf, 4, 5, NAN])
    assert detection.smooth(impossible, 4)[1] == np.inf
    np.testing.assert_allclose(detection.tail_probability(impossible[:2], calibration), [1, 0.25])
    assert detection.stretches(np.array([0, 1, 1, 0, 1, 0, 0, 0, 1]) > 0, 2) == [(1, 5), (8, 9)]
    assert detection.worst_tenth([np.arange(15.0), np.array([NAN, 99.0])]) == 99.0


def test_the_spread_is_found_and_makes_intervals_hold():
    rng = np.random.default_rng(0)
    horizon, true = 10, np.linspace(1.0, 2.0, 10)  # paths that do not widen as the truth does
    samples = list(rng.normal(size=[300, 200, horizon]))
    observed = list(true * rng.normal(size=[300, horizon]))
    fitted = spread.fit(samples, observed, 7)
    assert fitted.first == pytest.approx(1.0, abs=0.15)
    assert fitted.last == pytest.approx(2.0, abs=0.25) and fitted.step == 7 and fitted.gain > 0.01
    paths = fitted.apply(rng.normal(size=[4000, horizon, 1]), "scaled")
    np.testing.assert_allclose(paths.std(0)[:, 0] / true, 1, atol=0.2)
    np.testing.assert_allclose(np.median(paths, 0), 0, atol=0.1)


def test_a_horizon_of_one_step_has_one_factor():
    rng = np.random.default_rng(0)
    fitted = spread.fit(
        list(rng.normal(size=[300, 200, 1])), list(2.0 * rng.normal(size=[300, 1])), 7)
    assert fitted.first == fitted.last == pytest.approx(2.0, abs=0.25)


@pytest.mark.parametrize("lengths", [(600, 20), (20, 600)])
def test_false_alarms_have_the_rate_whatever_the_length_of_runs(lengths):
    """Of the calibration and of the scores; means over fewer steps vary more."""
    rng = np.random.default_rng(0)
    calibration, scores = (np.concatenate([
        detection.smooth(run, 12) for run in rng.normal(size=[200_000 // length, length])])
        for length in lengths)
    scores = scores[~np.isnan(scores)]
    alarms = scores > detection.threshold(calibration, 0.05, 12).value
    # Of overlapping means one in twelve is independent, of each side.
    assert abs(alarms.mean() - 0.05) < 4 * np.sqrt(2 * 0.05 * 0.95 * 12 / len(scores))


def test_true_paths_keep_their_spread_and_few_values_fit_none():
    rng = np.random.default_rng(1)
    fitted = spread.fit(list(rng.normal(size=[200, 100, 6])), list(rng.normal(size=[200, 6])), 1)
    assert abs(fitted.first - 1) < 0.12 and abs(fitted.last - 1) < 0.12
    few = spread.fit(list(rng.normal(size=[3, 100, 6])), list(9 * rng.normal(size=[3, 6])), 1)
    assert (few.first, few.last) == (1.0, 1.0)


def test_counts_stay_counts_and_classes_stay_as_they_are():
    paths = np.random.default_rng(0).poisson(2.0, [50, 4, 1]).astype(float)
    wide = Spread(first=2.0, last=3.0, horizon=4).apply(paths, "counts")
    assert (wide >= 0).all() and not (wide % 1).any() and wide.std() > paths.std()
    assert Spread(first=2.0, last=3.0, horizon=4).apply(paths, "classes") is paths


def test_strokes_are_lines_between_lifts(tmp_path):
    drawing = np.array([[0, 0, 0], [1, 0, 1], [5, 5, 0], [0, 2, 1.0]])
    first, second = strokes.lines_of(drawing)
    np.testing.assert_array_equal(first, [[0, 0], [1, 0]])
    np.testing.assert_array_equal(second, [[6, 5], [6, 7]])
    strokes.write_svg(tmp_path / "s.svg", [drawing, drawing, np.zeros([2, 3])])
    text = (tmp_path / "s.svg").read_text()
    assert text.count("<polyline") == 5 and text.startswith("<svg") and "nan" not in text
    strokes.write_png(tmp_path / "s.png", [drawing] * 3)
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"


def test_titles_are_the_names_as_they_are(tmp_path):
    title, none = r"AAPL$ close_$ \$", np.array([])
    times, values = np.arange(5), np.arange(5.0)
    plots.fans(tmp_path / "f.png", [plots.Fan(
        title, times, values, times + 5, np.ones([9, 5]), none, none)])
    plots.lines(tmp_path / "l.png", np.ones([2, 5, 1]), times, [title])
    plots.anomalies(tmp_path / "a.png", [plots.Scored(
        title, times, values[:, None], values, values > 3, 3.0)])
    for name in "fla":
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name, subtype", [
    ("a.wav", "PCM_U8"), ("a.wav", "PCM_16"), ("a.WAV", "PCM_24"), ("a.wav", "FLOAT"),
    ("a.wav", "DOUBLE"), ("a.flac", "PCM_16"), ("a.aiff", "PCM_16")])
def test_sound_is_read_as_frames_of_the_mean_of_its_channels(tmp_path, name, subtype):
    channels = np.array([[0, 0], [1, 0], [-1, -1], [-0.75, -0.25], [0.5, 0.5]])
    soundfile.write(tmp_path / name, channels / 2, 8000, subtype)
    read = columns.read(tmp_path / name, 2)  # the fifth sample is half a frame
    one = table.build([read], roles.find(read))
    np.testing.assert_array_equal(one.series[0].values, [[0, 0.25], [-0.5, -0.25]])
    assert read.sample_rate == 8000 and one.roles.time == "time"


@pytest.mark.parametrize("name", ["a.ogg", "a.mp3"])
def test_compressed_sound_is_read_nearly_as_it_was(tmp_path, name):
    tone = 0.5 * np.sin(np.arange(24_000) * 2 * np.pi * 400 / 8000)
    soundfile.write(tmp_path / name, tone, 8000)
    read = columns.read(tmp_path / name, 20)
    frames = np.stack([read.numbers(f"value{d}") for d in range(20)], -1)
    assert np.abs(frames[:1000] - tone[:20_000].reshape(1000, 20)).mean() < 0.01


def test_sound_is_written_as_it_is_read(tmp_path):
    sounds = np.random.default_rng(0).uniform(-1, 1, [2, 20])
    sound.save_all(tmp_path / "s.wav", sounds, 8000)
    read = columns.read(tmp_path / "s-2.wav", 10)
    again = np.stack([read.numbers(f"value{d}") for d in range(10)], -1)
    np.testing.assert_allclose(again.ravel(), sounds[1], atol=1e-4)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(UsageError, match="expected sound as WAV, FLAC, .*; Format not"):
        columns.read(tmp_path / "bad.wav")
    with pytest.raises(UsageError, match="at least 80 samples, one row, got 20"):
        columns.read(tmp_path / "s-2.wav")
