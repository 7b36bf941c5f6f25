# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The sample of held-out steps that each validation scores."""
import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vaeseq import data
from vaeseq.evaluate.validation import checksum, num_steps, spread_sample


def sequences(sizes):
    ends = list(itertools.accumulate(sizes, initial=0))
    return [{"x": np.arange(*pair)} for pair in itertools.pairwise(ends)]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20), st.integers(1, 2000))
def test_sample_is_bounded_has_every_step_at_most_once_and_is_the_same_each_time(sizes, most):
    held_out = sequences(sizes)
    sample = spread_sample(held_out, most)
    if sum(sizes) <= most:
        assert sample is held_out
        return
    steps = np.concatenate([window["x"] for window in sample])
    assert 0 < num_steps(sample) == len(steps) <= most
    assert (np.diff(steps) > 0).all()
    again = np.concatenate([window["x"] for window in spread_sample(held_out, most)])
    assert (steps == again).all()


def test_sample_of_long_and_of_many_sequences_is_spread_evenly():
    for sizes in ([100_000], [100] * 1000, [1, 99] * 1000, [90_000, 10_000]):
        steps = np.concatenate([window["x"] for window in spread_sample(sequences(sizes), 3200)])
        assert len(steps) > 1600
        counts, _ = np.histogram(steps, bins=8, range=(0, sum(sizes)))
        assert counts.max() < 1.5 * counts.min() + 200


def test_windows_begin_at_multiples_of_the_alignment():
    starts = [window["x"][0] for window in spread_sample(sequences([1000, 1000]), 300, 16)]
    assert len(starts) > 5 and all(start % 1000 % 16 == 0 for start in starts)


def test_checksums_differ_by_values_lengths_and_masks():
    def of(sequences):
        return checksum(sequences, list(data.windows(sequences, 2, 8)))

    values = np.arange(4.0)
    several = [[values], [values + 1], [values[:3]], [values[:1], values[1:]],
               [values[1:], values[:1]], [np.ma.masked_equal(values, 0)],
               [np.ma.masked_equal(values, 1)]]
    assert len({of(sequences) for sequences in several}) == len(several)
    assert of([values.copy()]) == of([values]) and checksum((), ()) == 0
