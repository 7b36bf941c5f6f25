# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures of an autoencoder: what its latents hold, and whether the decoder uses them.

Posterior collapse is a decoder that ignores z. Its reconstructions with teacher forcing may still
look good, because the decoder predicts each observation from the one before. It shows in these:

    active units           dimensions whose mean varies over sequences (Burda, arXiv:1509.00519)
    mutual information     of sequences and latents (Hoffman and Johnson, 2016)
    z shuffled             nats that the sequences lose with the latents of other sequences
    free-running           accuracy of decoding without the sequence

Axes: N sequences, Z latent. Figures are in nats of a whole sequence unless they say otherwise.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import data
from vaeseq.autoencoder.autoencoder import Autoencoder, normal_log_prob
from vaeseq.autoencoder.states import aggregate_log_prob
from vaeseq.bounds import mmd
from vaeseq.evaluate import samples

ACTIVE_VARIANCE = 0.01  # of a dimension's mean over sequences, above which it counts as active
COLLAPSED_NATS = 0.01  # per step: what shuffled latents must cost at least
_MOST_FOR_MMD = 2000
_MAX_DECODED = 200
_MOST_FOR_MIXTURE = 4000  # posteriors in q(z), whose density takes time for each pair of them


class Information(NamedTuple):
    """What the posteriors of N sequences hold; nats.

    Attributes:
      kl: mean of KL(q(z | x) || N(0, I)), in closed form.
      mutual_information: of sequence and latent, E log q(z | x) / q(z), where q(z) is the mean of
        M = min(N, 4000) posteriors, evenly spread over the sequences.
      aggregate_kl: KL(q(z) || N(0, I)); large where samples of the prior are decoded from places
        that the decoder does not know.
      cap: ln M, the most that `mutual_information` can be.
    """

    kl: float
    mutual_information: float
    aggregate_kl: float
    cap: float


class Report(NamedTuple):
    """What an autoencoder does with N sequences.

    Attributes:
      nats_per_step: -log p(x | z) with z the mean of the posterior, teacher-forced.
      sampled_nats_per_step: likewise with z a sample.
      shuffled_nats_per_step: likewise with the mean of another sequence.
      worth: the nats of a sequence that its own mean saves compared with another's.
      active_units: number of dimensions; see `active_units`.
      mmd: MMD^2 between samples of the posteriors and draws of N(0, I).
      information: of a posterior with a density; None for points.
      accuracy: share of the steps that greedy free-running decoding gets right, whole frames where
        observations are vectors; None where they are not whole numbers or are masked.
      edit_distance: mean edits (insert, delete, replace) between a sequence and its free-running
        reconstruction, for each step of the sequence; None likewise.
    """

    nats_per_step: float
    sampled_nats_per_step: float
    shuffled_nats_per_step: float
    worth: float
    active_units: int
    mmd: float
    information: Information | None
    accuracy: float | None
    edit_distance: float | None

    @property
    def is_collapsed(self) -> bool:
        """Whether the decoder ignores z: another sequence's latent serves as well."""
        return self.active_units == 0 or (
            self.shuffled_nats_per_step - self.nats_per_step < COLLAPSED_NATS)


def active_units(means: np.ndarray) -> int:
    """Returns the number of dimensions whose mean `[N, Z]` has a variance over 0.01."""
    return int((np.var(np.asarray(means, np.float64), axis=0) > ACTIVE_VARIANCE).sum())


def information(means: np.ndarray, stddevs: np.ndarray, *, seed: int = 0) -> Information:
    """Measures the posteriors of a set of sequences.

    The expectations over z are estimated with one sample of each posterior in the mixture q(z).
    The mixture is not that of a batch, which would limit the information to the logarithm of the
    batch size; of more than 4,000 sequences it is of an even sample (see `Information`).

    Args:
      means: `[N, Z]`, N at least 1.
      stddevs: `[N, Z]`, above 0.
      seed: of the samples.
    """
    means, stddevs = np.asarray(means, np.float64), np.asarray(stddevs, np.float64)
    kl = 0.5 * (means ** 2 + stddevs ** 2 - 1 - 2 * np.log(stddevs)).sum(1)
    count = min(len(means), _MOST_FOR_MIXTURE)
    rows = np.arange(count) * len(means) // count
    means, stddevs = means[rows], stddevs[rows]
    z = means + stddevs * np.random.default_rng(seed).standard_normal(means.shape)
    aggregate = aggregate_log_prob(z, means, stddevs)
    return Information(
        float(kl.mean()), float((normal_log_prob(z, means, stddevs) - aggregate).mean()),
        float((aggregate - normal_log_prob(z)).mean()), math.log(count))


def derangement(n: int, seed: int) -> np.ndarray:
    """Returns a permutation of n >= 2 that leaves nothing in its place."""
    order = np.random.default_rng(seed).permutation(n)
    result = np.empty(n, int)
    result[order] = np.roll(order, 1)
    return result


def edit_distance(a: Sequence[int] | np.ndarray, b: Sequence[int] | np.ndarray) -> int:
    """Returns the Levenshtein distance of two sequences of symbols."""
    a, b = np.asarray(a), np.asarray(b)
    places = np.arange(len(b) + 1)
    row = places.copy()
    for number, symbol in enumerate(a, 1):
        changed = np.concatenate([[number], np.minimum(row[1:] + 1, row[:-1] + (b != symbol))])
        row = np.minimum.accumulate(changed - places) + places  # insertions
    return int(row[-1])


def accuracy(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the share of the steps of `a` at which `b` has the same symbol; `a` is not empty."""
    size = min(len(a), len(b))
    return float((np.asarray(a)[:size] == np.asarray(b)[:size]).sum()) / len(a)


def report(
    autoencoder: Autoencoder, sequences: Sequence[np.ndarray], *, seed: int = 0
) -> Report:
    """Measures an autoencoder on held-out sequences.

    Args:
      autoencoder: the trained model.
      sequences: at least two; the first 200 are decoded free-running.
      seed: of samples and of the order in which latents are shuffled.

    Raises:
      ValueError: there are fewer than two sequences.
    """
    if len(sequences) < 2:
        raise ValueError(f"expected at least two sequences to compare, got {len(sequences)}.")
    encoded = autoencoder.encode(sequences)
    sampled = encoded.sample(seed)
    own, of_sample, other = (float(autoencoder.log_prob(sequences, z).sum()) for z in (
        encoded.mean, sampled, encoded.mean[derangement(len(sequences), seed)]))
    num_steps = sum(len(tf.nest.flatten(sequence)[0]) for sequence in sequences)
    right = edits = None
    if (isinstance(sequences[0], np.ndarray) and sequences[0].dtype.kind in "iub"
            and not data.has_masks(sequences)):
        frames = samples.FrameSymbols(sequences[:_MAX_DECODED])
        originals = [frames.encode(sequence) for sequence in sequences[:_MAX_DECODED]]
        shortest, longest = (pick(map(len, originals)) for pick in (min, max))
        # Sequences that are all equally long do not end by themselves.
        length = longest if shortest == longest else 2 * longest
        decoded = [frames.encode(one) for one in autoencoder.decode_greedily(
            encoded.mean[:_MAX_DECODED], length=length, seed=seed)]
        if shortest < longest and min(map(len, decoded)) == length:  # the agent ends no sequence
            decoded = [copy[:len(one)] for one, copy in zip(originals, decoded, strict=True)]
        sizes = sum(map(len, originals))
        pairs = list(zip(originals, decoded, strict=True))
        right = sum(accuracy(a, b) * len(a) for a, b in pairs if len(a)) / sizes
        edits = sum(edit_distance(a, b) for a, b in pairs) / sizes
    compared = sampled[:_MOST_FOR_MMD]
    prior = np.random.default_rng(seed + 1).standard_normal(compared.shape).astype(np.float32)
    return Report(
        -own / num_steps, -of_sample / num_steps, -other / num_steps,
        (own - other) / len(sequences),
        active_units(encoded.mean), float(mmd.squared_mmd(compared, prior)),
        information(*encoded, seed=seed) if autoencoder.has_density else None, right, edits)

