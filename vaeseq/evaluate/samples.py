# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Metrics of samples of symbols: are they like the data, and are they new?

    forward perplexity   of samples under an n-gram model of the training data: quality. A model
                         that repeats one good phrase has the best one, so read it beside diversity.
    reverse perplexity   of held-out data under an n-gram model of samples: quality and diversity.
                         It depends on the amount of samples; compare with as much real data.
    BLEU, self-BLEU      n-grams of words shared with held-out data, and with the other samples
                         (Papineni et al., ACL 2002; Zhu et al., arXiv:1802.01886)
    distinct-n           share of different n-grams among all (Li et al., arXiv:1510.03055)
    repetition           share of n-grams that occurred before in the same sample
                         (Welleck et al., arXiv:1908.04319)
    longest copy         longest passage that stands in the training data
    Frechet distance     of features of samples and of data, for any features

Forward and reverse perplexity are those of Zhao et al., arXiv:1706.04223, with exact n-gram models
instead of a toolkit's. Everything here is NumPy, but BLEU, which needs sacrebleu.

Axes: N symbols of a sequence, V symbols of the vocabulary. Symbols are 0 to V - 1.
"""
from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

LENGTHS = (100, 300, 1000, 3000, 10_000)


class _Level(NamedTuple):
    """The counts of one length of contexts."""

    contexts: np.ndarray  # sorted codes of the contexts; their ranks are the numbers of contexts
    totals: np.ndarray  # how often each context occurred
    types: np.ndarray  # number of different symbols after each context
    pairs: np.ndarray  # sorted codes of context and next symbol
    counts: np.ndarray  # how often each pair occurred


class NGram:
    """An n-gram model with Witten-Bell interpolation; its probabilities sum to 1 exactly.

        p_k(x | c) = (count(c x) + types(c) p_k-1(x | c')) / (count(c) + types(c)),

    where c is the last k symbols, c' the last k - 1, types(c) the number of different symbols seen
    after c, and p_-1 = 1 / V (Witten and Bell, 1991). After a context that was not seen, p_k-1
    holds. The beginning of a sequence is part of the context.
    """

    def __init__(self, sequences: Sequence[np.ndarray], vocabulary_size: int, order: int = 5):
        """Counts the n-grams of sequences.

        Args:
          sequences: symbols, each `[N]`.
          vocabulary_size: V.
          order: n, the number of symbols of the longest n-grams, at least 1.

        Raises:
          ValueError: there is no symbol, one is out of range, or `order` is below 1.
        """
        self._size = vocabulary_size
        self._order = order
        if order < 1 or not sum(map(len, sequences)):
            raise ValueError("expected an order of at least 1 and symbols to count, got "
                             f"order={order} and {sum(map(len, sequences))} symbols.")
        flat, places = self._flatten(sequences)
        symbols = flat[places]
        numbers = np.zeros(len(places), np.int64)
        contexts = np.zeros([1], np.int64)
        self._levels = []
        for level in range(order):
            if level:
                contexts, numbers = np.unique(
                    self._code(numbers, flat[places - level]), return_inverse=True)
            pairs, counts = np.unique(self._code(numbers, symbols), return_counts=True)
            self._levels.append(_Level(
                contexts, np.bincount(numbers), np.bincount(pairs // (self._size + 1)), pairs,
                counts))

    def log_probs(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the log-probability of each symbol of all sequences, in nats."""
        flat, places = self._flatten(sequences)
        symbols = flat[places]
        numbers = np.zeros(len(places), np.int64)
        probs = np.full(len(places), 1 / self._size)
        for level, (contexts, totals, types, pairs, counts) in enumerate(self._levels):
            if level:
                places_of, is_seen = _find(contexts, self._code(numbers, flat[places - level]))
                numbers = np.where((numbers >= 0) & is_seen, places_of, -1)
            occurs = numbers >= 0
            place, is_pair = _find(pairs, self._code(numbers, symbols))
            count = np.where(is_pair, counts[place], 0)
            kinds = types[numbers]
            probs = np.where(
                occurs, (count + kinds * probs) / (totals[numbers] + kinds), probs)
        return np.log(probs)

    def nats_per_symbol(self, sequences: Sequence[np.ndarray]) -> float:
        """Returns the mean negative log-probability; its exponential is the perplexity."""
        return -float(self.log_probs(sequences).mean())

    def _flatten(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Returns all symbols with the beginnings of sequences (V), and the symbols' places."""
        before = np.full([self._order - 1], self._size, np.int64)
        parts = [part for sequence in sequences for part in (before, sequence)]
        flat = np.concatenate([before[:0], *parts]).astype(np.int64)
        places = np.flatnonzero(flat != self._size)
        if len(places) != sum(map(len, sequences)) or flat.min(initial=0) < 0 or (
                flat.max(initial=0) > self._size):
            raise ValueError(f"expected symbols from 0 to {self._size - 1}.")
        return flat, places

    def _code(self, numbers: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        return numbers * (self._size + 1) + symbols


def _find(table: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of values in a sorted table, and whether they stand there."""
    places = np.minimum(np.searchsorted(table, values), len(table) - 1)
    return places, table[places] == values


class FrameSymbols:
    """Numbers the different frames of sequences `[N, ...]` of whole numbers, such as piano rolls.

    All frames that are not among them share the last symbol.
    """

    def __init__(self, sequences: Sequence[np.ndarray]):
        """Numbers the frames of sequences in the order of their first occurrence."""
        self._numbers: dict[bytes, int] = {}
        for sequence in sequences:
            for frame in np.asarray(sequence, np.int64):
                self._numbers.setdefault(frame.tobytes(), len(self._numbers))

    def __len__(self) -> int:
        """V, the number of symbols, with that of unknown frames."""
        return len(self._numbers) + 1

    def encode(self, sequence: np.ndarray) -> np.ndarray:
        """Returns the symbols of a sequence, int32 `[N]`."""
        unknown = len(self._numbers)
        return np.array([self._numbers.get(frame.tobytes(), unknown)
                         for frame in np.asarray(sequence, np.int64)], np.int32)

    def unknown_share(self, encoded: Sequence[np.ndarray]) -> float:
        """Returns the share of unknown frames among the symbols of sequences."""
        return float(np.mean(np.concatenate(encoded) == len(self._numbers)))


def distinct(samples: Sequence[np.ndarray], n: int) -> float:
    """Returns the number of different n-grams of all samples, over the number of n-grams."""
    grams = np.concatenate([_windows(sample, n) for sample in samples])
    return len(np.unique(grams, axis=0)) / len(grams) if len(grams) else math.nan


def repetition(samples: Sequence[np.ndarray], n: int) -> float:
    """Returns the share of n-grams that occurred before in the same sample."""
    total = different = 0
    for sample in samples:
        grams = _windows(sample, n)
        total += len(grams)
        different += len(np.unique(grams, axis=0))
    return 1 - different / total if total else math.nan


def _windows(sample: np.ndarray, n: int) -> np.ndarray:
    """Returns the n-grams of a sample, `[N - n + 1, n]`."""
    if len(sample) < n:
        return np.zeros([0, n], np.int64)
    return np.lib.stride_tricks.sliding_window_view(np.asarray(sample, np.int64), n)


def longest_copies(samples: Sequence[np.ndarray], texts: Sequence[np.ndarray]) -> list[int]:
    """Returns, for each sample, the length of its longest passage that stands in a text.

    Exact: passages are compared by ranks that prefix doubling gives to windows of 1, 2, 4, ...
    symbols (Manber and Myers, 1993), and the length is found by bisection.

    Args:
      samples: symbols, each `[N]`.
      texts: likewise.
    """
    parts = [np.asarray(part, np.int64) for part in (*texts, *samples)]
    most = max((int(part.max(initial=0)) for part in parts), default=0) + 1
    # A different symbol after each part, so that no window that crosses it has an equal.
    flat = np.concatenate([symbols for number, part in enumerate(parts)
                           for symbols in (part, [most + number])])
    starts = np.cumsum([0, *(len(part) + 1 for part in parts)])
    begin = starts[len(texts)]
    ranks = [np.unique(flat, return_inverse=True)[1]]
    cache: dict[int, np.ndarray] = {}

    def names(length: int) -> np.ndarray:
        """Returns equal numbers for equal windows of `length` symbols, by their first places."""
        level = length.bit_length() - 1
        while len(ranks) <= level:
            half = 1 << (len(ranks) - 1)
            ranks.append(_pair_ranks(ranks[-1], half))
        rest = length - (1 << level)
        return ranks[level] if not rest else _pair_ranks(ranks[level], rest)

    def is_copied(sample: int, length: int) -> bool:
        if length not in cache:
            name = names(length)
            in_texts = np.zeros(int(name.max(initial=0)) + 1, bool)
            in_texts[name[:max(0, begin - length)]] = True
            cache[length] = in_texts[name]
        first = starts[len(texts) + sample]
        last = starts[len(texts) + sample + 1] - 1 - length
        return bool(cache[length][first:last + 1].any()) if last >= first else False

    results = []
    for sample in range(len(samples)):
        low, high = 0, 1
        while is_copied(sample, high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if is_copied(sample, middle) else (low, middle)
        results.append(low)
    return results


def _pair_ranks(ranks: np.ndarray, distance: int) -> np.ndarray:
    """Returns ranks of pairs of windows at a distance, where both are inside."""
    if len(ranks) <= distance:
        return ranks[:0]
    codes = ranks[:-distance] * (int(ranks.max()) + 1) + ranks[distance:]
    return np.unique(codes, return_inverse=True)[1]


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Returns the squared Frechet distance of two sets of vectors, each taken as one normal.

    |m - m'|^2 + tr(C + C' - 2 (C C')^1/2), with means m and covariances C (Heusel et al.,
    arXiv:1706.08500). It falls with the number of vectors; compare sets of equal size.

    Args:
      features: `[N, F]`, N at least 2.
      others: `[M, F]`, M at least 2.
    """
    one, other = (np.asarray(x, np.float64) for x in (features, others))
    covariances = [np.cov(x.T, bias=True).reshape([x.shape[1]] * 2) for x in (one, other)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    roots = np.linalg.eigvalsh(root @ covariances[1] @ root)
    return float(((one.mean(0) - other.mean(0)) ** 2).sum() + sum(map(np.trace, covariances))
                 - 2 * np.sqrt(np.maximum(roots, 0)).sum())


def line_lengths(texts: Sequence[str]) -> tuple[float | None, float | None]:
    """Returns the mean and the standard deviation of the lengths of whole lines.

    The first and the last line of a text are cut and do not count. None, None for no whole line.
    """
    sizes = [len(line) for text in texts for line in text.split("\n")[1:-1]]
    return (float(np.mean(sizes)), float(np.std(sizes))) if sizes else (None, None)


def has_bleu() -> bool:
    """Returns whether sacrebleu is installed."""
    return importlib.util.find_spec("sacrebleu") is not None


def bleu(samples: Sequence[str], references: Sequence[str], n: int = 4) -> float:
    """Returns the mean BLEU-n of samples, each against all references, from 0 to 100.

    Args:
      samples: texts; words are those of sacrebleu's tokenizer 13a.
      references: texts.
      n: longest n-grams of words. The counts of two words and more are smoothed by 1
        (Lin and Och, ACL 2004).
    """
    metric = _bleu_metric(n)
    return float(np.mean([metric.sentence_score(sample, list(references)).score
                          for sample in samples]))


def self_bleu(samples: Sequence[str], n: int = 4) -> float:
    """Returns the mean BLEU-n of each sample against all others: lower is more diverse."""
    metric = _bleu_metric(n)
    return float(np.mean([
        metric.sentence_score(sample, [*samples[:number], *samples[number + 1:]]).score
        for number, sample in enumerate(samples)]))


def _bleu_metric(n: int) -> Any:
    from sacrebleu.metrics.bleu import BLEU
    return BLEU(max_ngram_order=n, smooth_method="add-k", smooth_value=1, effective_order=True)


class Row(NamedTuple):
    """The metrics of samples, or of real data, cut to one length.

    Attributes:
      length: in symbols.
      forward_nats: nats per symbol under the n-gram model of the training data.
      latest_forward_nats: likewise of the symbols after the previous length alone.
      reverse_nats: nats per symbol of held-out data under an n-gram model of these.
      distinct: distinct-n.
      repetition: share of n-grams that occurred before in the same sample.
      longest_copy: median over samples of the longest passage from the training data.
      most_copied: the maximum.
      bleu: BLEU-4 against held-out data; None without sacrebleu, or of symbols without text.
      self_bleu: likewise against each other.
      line_length: mean number of characters of whole lines, without line breaks; None if there are
        none, or of symbols without text.
      line_length_stddev: their standard deviation.
    """

    length: int
    forward_nats: float
    latest_forward_nats: float
    reverse_nats: float
    distinct: float
    repetition: float
    longest_copy: float
    most_copied: int
    bleu: float | None
    self_bleu: float | None
    line_length: float | None
    line_length_stddev: float | None


class Comparison(NamedTuple):
    """Samples and real data of equal size, one row for each length.

    Attributes:
      samples: of the model.
      real: of held-out data; the reverse figures and BLEU are those of training data.
    """

    samples: list[Row]
    real: list[Row]


def compare(
    samples: Sequence[np.ndarray], train: Sequence[np.ndarray], held_out: Sequence[np.ndarray],
    vocabulary_size: int, *, lengths: Sequence[int] = LENGTHS, order: int = 5, n: int = 4,
    decode: Callable[[np.ndarray], str] | None = None, seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Comparison:
    """Measures samples at growing lengths, and real data of the same sizes beside them.

    Args:
      samples: symbols, each `[N]`.
      train: what the model was trained on.
      held_out: what it was not.
      vocabulary_size: V.
      lengths: to which samples are cut, in increasing order; those longer than all samples or
        than the held-out data are left out.
      order: of the n-gram models.
      n: of distinct-n and repetition.
      decode: from symbols to text, for BLEU and lines.
      seed: of the choice of real data.
      advance: called after each of the `2 * len(lengths)` rows.

    Raises:
      ValueError: no sample or no held-out data is as long as the first length.
    """
    longest = min(max(map(len, samples), default=0), sum(map(len, held_out)))
    short_enough = [length for length in lengths if length <= longest]
    if not short_enough:
        raise ValueError(f"expected samples and held-out data of at least {min(lengths)} symbols, "
                         f"got {longest}.")
    rng = np.random.default_rng(seed)
    real = _excerpts(held_out, len(samples), short_enough[-1], rng)
    of_train = _excerpts(train, len(samples), short_enough[-1], rng)
    model = NGram(train, vocabulary_size, order)

    def rows(group: Sequence[np.ndarray], of_reverse: Sequence[np.ndarray]) -> Iterator[Row]:
        before = 0
        for length in short_enough:
            cut = [sample[:length] for sample in group]
            nats = -model.log_probs(cut)
            latest = np.concatenate([each[before:] for each in np.split(
                nats, np.cumsum([len(sample) for sample in cut])[:-1])])
            copies = longest_copies(cut, train)
            others = [sample[:length] for sample in of_reverse]
            scored = list(map(decode, others)) if decode and has_bleu() else []
            references = list(map(decode, _excerpts(
                held_out, len(cut), length,
                np.random.default_rng(seed + 1)))) if decode and scored else []
            yield Row(
                length, float(nats.mean()), float(latest.mean()),
                NGram(others, vocabulary_size, order).nats_per_symbol(held_out),
                distinct(cut, n), repetition(cut, n), float(np.median(copies)), max(copies),
                bleu(scored, references) if scored else None,
                self_bleu(scored) if len(scored) > 1 else None,
                *line_lengths([decode(sample) for sample in cut] if decode else []))
            before = length
            advance()

    return Comparison(list(rows(samples, samples)), list(rows(real, of_train)))


def _excerpts(
    texts: Sequence[np.ndarray], count: int, length: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Returns `count` random passages of `length` symbols of all texts joined.

    They overlap only where the texts are too short for as many.
    """
    sizes = np.cumsum([0, *map(len, texts)])
    step = length if count * length <= sizes[-1] else 0
    last = max(0, int(sizes[-1]) - length - (count - 1) * step)
    starts = np.sort(rng.integers(last + 1, size=count)) + step * np.arange(count)
    results = []
    for start in starts.tolist():
        first = int(np.searchsorted(sizes, start, side="right")) - 1
        parts, left, offset = [], length, start - int(sizes[first])
        while left > 0 and first < len(texts):
            part = np.asarray(texts[first][offset:offset + left])
            parts.append(part)
            left, offset, first = left - len(part), 0, first + 1
        results.append(np.concatenate(parts))
    return results
