# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Metrics of samples against cases worked by hand and brute force."""

import itertools

import numpy as np
import pytest

from vaeseq.evaluate import samples

RNG = np.random.default_rng(0)


@pytest.mark.oracle
def test_an_n_gram_model_worked_by_hand():
    model = samples.NGram([np.array([0, 0, 1])], 3, order=2)
    # 3 symbols of 2 kinds. After the beginning: one kind, once. After 0: 0 and 1, once each.
    p = {0: (2 + 2 / 3) / 5, 1: (1 + 2 / 3) / 5, 2: (2 / 3) / 5}
    expected = [
        (1 + p[0]) / 2, (1 + 2 * p[1]) / 4, p[2], p[0], (1 + 2 * p[0]) / 4]  # 1 and 2: not seen
    actual = np.exp(model.log_probs([np.array([0, 1, 2, 0, 0])]))
    np.testing.assert_allclose(actual, expected)
    assert model.nats_per_symbol([np.array([2])]) == pytest.approx(-np.log(p[2] / 2))


@pytest.mark.oracle
@pytest.mark.parametrize("order", [1, 3])
def test_probabilities_of_an_n_gram_model_sum_to_one(order):
    model = samples.NGram([RNG.integers(0, 3, 40), RNG.integers(0, 4, 5)], 5, order)
    for length in (1, 3):
        words = [np.array(word) for word in itertools.product(range(5), repeat=length)]
        nats = model.log_probs(words).reshape([-1, length]).sum(1)
        np.testing.assert_allclose(np.exp(nats).sum(), 1)


def test_sequences_do_not_see_each_other():
    model = samples.NGram([RNG.integers(0, 4, 60)], 4, 3)
    parts = [RNG.integers(0, 4, 5), RNG.integers(0, 4, 7)]
    np.testing.assert_array_equal(
        model.log_probs(parts), np.concatenate([model.log_probs([part]) for part in parts]))
    with pytest.raises(ValueError, match="symbols from 0 to 3"):
        model.log_probs([np.array([4])])
    with pytest.raises(ValueError, match="symbols to count, got order=3 and 0 symbols"):
        samples.NGram([], 4, 3)


def test_frames_are_symbols_whatever_their_dtype():
    roll = np.array([[0, 1], [1, 1], [0, 1]], np.uint8)
    frames = samples.FrameSymbols([roll, np.array([[1, 0]])])
    assert len(frames) == 4
    assert frames.encode(roll.astype(np.float32)).tolist() == [0, 1, 0]
    assert frames.encode(np.array([[0, 0], [1, 0]])).tolist() == [3, 2]
    numbers = samples.FrameSymbols([np.array([7, 9, 7])])
    assert numbers.encode(np.array([9, 8])).tolist() == [1, 2]
    assert numbers.unknown_share([np.array([1, 2]), np.array([0, 1])]) == 0.25


def test_distinct_and_repetition_worked_by_hand():
    group = [np.array([0, 1, 0, 1]), np.array([0, 1])]  # 01 10 01, and 01
    assert samples.distinct(group, 2) == 2 / 4
    assert samples.repetition(group, 2) == 1 - 3 / 4
    assert np.isnan(samples.distinct(group, 9)) and np.isnan(samples.repetition(group, 9))


@pytest.mark.oracle
def test_the_longest_copy_is_that_of_brute_force():
    def brute(sample, texts):
        strings = ["".join(map(str, text)) for text in texts]
        whole = "".join(map(str, sample))
        return max(stop - start for start in range(len(whole) + 1)
                   for stop in range(start, len(whole) + 1)
                   if any(whole[start:stop] in string for string in strings))

    for kinds in (2, 4):
        texts = [RNG.integers(0, kinds, size) for size in (30, 1, 12)]
        group = [RNG.integers(0, kinds, size) for size in (25, 3, 1)]
        group += [np.concatenate([texts[0][3:20], texts[2][:5]]), np.array([9]), texts[2]]
        assert samples.longest_copies(group, texts) == [brute(s, texts) for s in group]


@pytest.mark.oracle
def test_bleu_worked_by_hand():
    pytest.importorskip("sacrebleu")
    # 2 of 3 words, and (1 + 1) of (2 + 1) pairs.
    assert samples.bleu(["the cat sat"], ["the cat ran"], 2) == pytest.approx(100 * 2 / 3)
    assert samples.self_bleu(["a b c d e", "a b c d e"]) == pytest.approx(100)
    assert samples.self_bleu(["a b c d e", "v w x y z"]) < 20


@pytest.mark.oracle
def test_the_frechet_distance_of_normals_worked_by_hand():
    # Commuting covariances: each axis adds the squared differences of means and deviations.
    x = np.array([[1, 0], [-1, 0], [0, 2], [0, -2]]) * np.sqrt(2)
    assert samples.frechet_distance(x, x + [3, 4]) == pytest.approx(25)
    assert samples.frechet_distance(x, x * [3, 1]) == pytest.approx((3 - 1) ** 2)
    assert samples.frechet_distance(x[:, :1], -2 * x[:, :1]) == pytest.approx(1)


def test_lines_that_are_cut_do_not_count():
    assert samples.line_lengths(["cut\nfour\nsixsix\ncut"]) == (5, 1)
    assert samples.line_lengths(["no line"]) == (None, None)


def test_samples_of_the_law_of_real_text_have_its_bleu():
    pytest.importorskip("sacrebleu")

    def text(size):
        return RNG.integers(20, size=size)

    compared = samples.compare(
        [text(400) for _ in range(8)], [text(20_000)], [text(6000)], 20, lengths=(400,),
        decode=lambda symbols: " ".join("abcdefghijklmnopqrst"[symbol] for symbol in symbols))
    (sampled,), (real,) = compared
    # Passages that overlap give real text some 30 more.
    assert abs(sampled.bleu - real.bleu) < 6
    assert abs(sampled.self_bleu - real.self_bleu) < 6


def test_a_comparison_tells_copies_and_repetition_from_real_data():
    weights = RNG.random([8, 8]) ** 6
    weights /= weights.sum(1, keepdims=True)

    def text(size):
        symbols = [0]
        while len(symbols) < size:
            symbols.append(int(RNG.choice(8, p=weights[symbols[-1]])))
        return np.array(symbols)

    train, held_out = text(6000), text(4000)
    copied = [train[100:1100], train[2000:3000]]
    repeated = [np.tile(train[100:120], 50) for _ in range(2)]
    results = {}
    for name, group in (("copied", copied), ("repeated", repeated)):
        compared = samples.compare(
            group, [train], [held_out], 8, lengths=(100, 1000, 5000), order=3)
        assert [row.length for row in compared.samples] == [100, 1000]
        results[name] = compared.samples[-1]
    real = compared.real[-1]
    assert results["copied"].longest_copy == 1000 > 10 * real.longest_copy
    assert abs(results["copied"].reverse_nats - real.reverse_nats) < 0.1
    assert results["repeated"].repetition > 0.9 > real.repetition
    assert results["repeated"].reverse_nats > real.reverse_nats + 0.5
    assert results["repeated"].distinct < real.distinct
    assert real.bleu is None and real.line_length is None
    with pytest.raises(ValueError, match="at least 100 symbols, got 50"):
        samples.compare([train[:50]], [train], [held_out], 8)
