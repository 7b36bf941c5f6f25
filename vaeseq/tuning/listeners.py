# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards of listeners who disagree: preferences with a latent variable for the listener.

One reward for all listeners averages their tastes, and where groups disagree it is right for
none. Variational preference learning (Poddar et al., arXiv:2408.10075) gives each listener u a
latent z_u:

    generative                              inference
    z_u ~ N(0, I)                           q(z_u | choices of u)
    p(a over b | u) = sigmoid(r(a, z_u) - r(b, z_u))

and maximises the ELBO: E_q[ sum over choices of log p ] - KL(q || N(0, I)).

Deviations: the reward is linear in z, r(x, z) = w_0 f(x) + sum_k z_k w_k f(x), with the features f
of a recurrent network, which few choices suffice to learn. q is a product of the prior and one
normal factor for each choice (Wu and Goodman, arXiv:1802.05335), so that it narrows with their
number; the paper averages over choices. While learning, q sees a random part of the choices, so
that it is good for listeners of few choices too.

Axes: U listeners, M pairs, B sequences, F features, Z latent.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.nn import initializers
from vaeseq.nn.networks import MLP
from vaeseq.tuning.preferences import Accuracy, Pair, score_choices
from vaeseq.tuning.rewards import Reward, Sample
from vaeseq.tuning.scorer import Minimizer, SequenceScorer
from vaeseq.types import Nest, Seed, Tensor

Combine = Literal["mean", "worst"]
_CHUNK = 64  # sequences whose features are computed at once
_LISTENERS = 16  # of an update
_CHOICES = 16  # of each of them in an update


class ListenerPosterior(NamedTuple):
    """What is known of a listener: a normal distribution of the latent.

    Attributes:
      mean: `[Z]`.
      stddev: `[Z]`.
    """

    mean: np.ndarray
    stddev: np.ndarray


class VariationalPreferenceModel(tf.Module):
    """Rewards with a latent variable for the listener, learnt from choices.

    Attributes:
      scorer: the network; its outputs are the reward of z = 0, and the change with each latent.
      latent_size: Z.
    """

    def __init__(
        self, make_scorer: Callable[[int], SequenceScorer], *, latent_size: int = 1,
        hidden_size: int = 32, seed: int = 0,
    ):
        """Creates the model.

        Args:
          make_scorer: creates a network of so many outputs, here 1 + Z.
          latent_size: Z.
          hidden_size: units of the network that reads a choice.
          seed: of the initial weights of that network.
        """
        super().__init__(name="listeners")
        self.scorer = make_scorer(1 + latent_size)
        self.latent_size = latent_size
        self._factor = MLP((hidden_size, 2 * latent_size), activation="tanh", name="factor")
        with initializers.weights_seed(seeds.make(seed)):
            one = self.scorer.features(
                nest.zeros(self.scorer.observation_spec, 1, 1), tf.ones([1], tf.int32))
            self._factor(one)
        self._features = tf.function(self.scorer.features, autograph=False)

    def elbo(
        self, differences: Tensor, choices: Tensor, listeners: Tensor, weights: Tensor,
        context: Tensor, num_listeners: int, *, seed: Seed,
    ) -> Tensor:
        """Returns the ELBO of choices in nats, `[U]`.

        Args:
          differences: f(first) - f(second), `[M, F]`.
          choices: 1 for the first, 0 for the second, 0.5 for neither, `[M]`.
          listeners: the listener of each choice, int32 `[M]`.
          weights: how often each choice counts in the likelihood, `[M]`.
          context: likewise in the posterior, `[M]`.
          num_listeners: U.
          seed: int32 `[2]`, of the sampled latents.
        """
        mean, stddev = self.posterior(differences, choices, listeners, context, num_listeners)
        noise = seeds.normal([num_listeners, self.latent_size], seed)
        latents = mean + stddev * noise
        log_prob = self.log_prob(differences, choices, tf.gather(latents, listeners))
        likelihood = tf.math.unsorted_segment_sum(weights * log_prob, listeners, num_listeners)
        kl = 0.5 * tf.reduce_sum(
            mean**2 + stddev**2 - 1 - 2 * tf.math.log(stddev), axis=1)
        return likelihood - kl

    def posterior(
        self, differences: Tensor, choices: Tensor, listeners: Tensor, context: Tensor,
        num_listeners: int,
    ) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation of q(z), each `[U, Z]`; see `elbo`."""
        # The same factor for (a, b, first) and (b, a, second): the sign carries the choice.
        factors = self._factor(differences * (2 * choices - 1)[:, None])
        means, log_precisions = tf.split(factors, 2, axis=1)
        precisions = context[:, None] * tf.exp(log_precisions)
        precision, total = (
            tf.math.unsorted_segment_sum(values, listeners, num_listeners)
            for values in (precisions, precisions * means))
        return total / (1 + precision), tf.math.rsqrt(1 + precision)

    def log_prob(self, differences: Tensor, choices: Tensor, latents: Tensor) -> Tensor:
        """Returns the log-probability of choices given latents `[M, Z]`, in nats, `[M]`."""
        outputs = self.scorer.head(differences)
        logits = outputs[:, 0] + tf.reduce_sum(outputs[:, 1:] * latents, axis=1)
        return -tf.nn.sigmoid_cross_entropy_with_logits(labels=choices, logits=logits)

    def fit(
        self, pairs: Sequence[Pair], *, num_steps: int = 600, learning_rate: float = 5e-3,
        weight_decay: float = 0.1, seed: int = 0,
    ) -> None:
        """Learns from the choices of listeners.

        Args:
          pairs: at least one.
          num_steps: number of updates.
          learning_rate: of Adam.
          weight_decay: see `scorer.Minimizer`.
          seed: of the batches and the sampled latents.

        Raises:
          ValueError: there are no pairs.
        """
        if not pairs:
            raise ValueError("expected at least one choice to learn from, got none.")
        groups = list(by_listener(pairs, range(len(pairs))).values())
        users, most = min(_LISTENERS, len(groups)), min(_CHOICES, max(map(len, groups)))
        listeners = tf.repeat(tf.range(users), most)
        rng = np.random.default_rng(seed)
        minimizer = Minimizer([*self.scorer.trainable_variables, *self._factor.trainable_variables],
                              learning_rate=learning_rate, weight_decay=weight_decay)
        observed, lengths = self.scorer.batch(
            [pair.first for pair in pairs] + [pair.second for pair in pairs])
        choices = np.array([pair.choice for pair in pairs], np.float32)

        def update(rows: Tensor, choice: Tensor, valid: Tensor, context: Tensor, step: Tensor
                   ) -> Tensor:
            both = tf.concat([rows, rows + len(pairs)], 0)
            part = tf.nest.map_structure(lambda leaf: tf.gather(leaf, both), observed)
            part_lengths = tf.gather(lengths, both)

            def loss() -> Tensor:
                first, second = tf.split(self.scorer.features(part, part_lengths), 2)
                bounds = self.elbo(first - second, choice, listeners, valid, context, users,
                                   seed=seeds.fold_in(seeds.make(seed), step))
                return -tf.reduce_sum(bounds) / tf.reduce_sum(valid)

            return minimizer.step(loss)

        compiled = tf.function(update, autograph=False)
        for step in range(num_steps):
            rows = np.zeros([users, most], np.int32)
            valid, context = np.zeros([2, users, most], np.float32)
            for place, group in enumerate(rng.permutation(len(groups))[:users]):
                drawn = rng.permutation(groups[group])[:most]
                rows[place, :len(drawn)] = drawn
                valid[place, :len(drawn)] = 1
                context[place, :rng.integers(1, len(drawn) + 1)] = 1
            flat = rows.reshape(-1)
            compiled(tf.constant(flat), tf.constant(choices[flat]), tf.constant(valid.reshape(-1)),
                     tf.constant(context.reshape(-1)), tf.constant(step))

    def infer(self, pairs: Sequence[Pair]) -> ListenerPosterior:
        """Returns what the choices of one listener say; without any, the prior."""
        if not pairs:
            return ListenerPosterior(np.zeros(self.latent_size), np.ones(self.latent_size))
        mean, stddev = self.posterior(
            self._differences(pairs), _choices(pairs), tf.zeros([len(pairs)], tf.int32),
            tf.ones([len(pairs)]), 1)
        return ListenerPosterior(mean[0].numpy(), stddev[0].numpy())

    def probabilities(self, pairs: Sequence[Pair], latents: np.ndarray) -> np.ndarray:
        """Returns the probability that a listener with latents `[Z]` chooses the first, `[M]`."""
        tiled = tf.tile(tf.constant(latents, tf.float32)[None], [len(pairs), 1])
        log_prob = self.log_prob(self._differences(pairs), tf.ones([len(pairs)]), tiled)
        return np.exp(log_prob.numpy().astype(np.float64))

    def accuracy(
        self, known: Sequence[Pair], pairs: Sequence[Pair], most: int | None = None
    ) -> Accuracy:
        """Returns how well choices are predicted, each listener's latent inferred from others.

        Args:
          known: choices that the latents are inferred from.
          pairs: choices that are predicted.
          most: largest number of known choices of a listener; all by default.
        """
        groups = by_listener(known, known)
        probabilities, choices = [], []
        for name, held in by_listener(pairs, pairs).items():
            held = [pair for pair in held if pair.choice != 0.5]
            if held:
                mean = self.infer(groups.get(name, [])[:most]).mean
                probabilities.append(self.probabilities(held, mean))
                choices += [pair.choice for pair in held]
        return score_choices(np.concatenate([np.zeros(0), *probabilities]), np.array(choices))

    def rewards(self, sequences: Sequence[Nest], latents: np.ndarray) -> np.ndarray:
        """Returns the rewards of sequences for listeners with latents `[U, Z]`, `[U, B]`."""
        outputs = self.scorer.head(self._all_features(sequences)).numpy().astype(np.float64)
        return (outputs[:, :1] + outputs[:, 1:] @ np.asarray(latents).T).T

    def _differences(self, pairs: Sequence[Pair]) -> Tensor:
        features = self._all_features(
            [pair.first for pair in pairs] + [pair.second for pair in pairs])
        return features[:len(pairs)] - features[len(pairs):]

    def _all_features(self, sequences: Sequence[Nest]) -> Tensor:
        results = []
        for first in range(0, len(sequences), _CHUNK):
            part = list(sequences[first:first + _CHUNK])
            filled = part + [part[0]] * (_CHUNK - len(part))
            results.append(self._features(*self.scorer.batch(filled))[:len(part)])
        return tf.concat(results, 0)


class Listeners(Reward):
    """The reward of one listener, or of several: their mean, or the worst of them.

    Choices say nothing about the origin and little about the scale of a listener's reward, so each
    is brought to mean 0 and variance 1 on given sequences before rewards of listeners are compared.
    The worst of groups is the max-min objective of Chakraborty et al., arXiv:2402.08925.
    """

    def __init__(
        self, model: VariationalPreferenceModel, latents: Mapping[str, np.ndarray],
        sequences: Sequence[Nest], *, combine: Combine = "mean", label: str = "listeners",
    ):
        """Creates the reward.

        Args:
          model: learnt from choices.
          latents: of each listener, `[Z]`, by name; at least one.
          sequences: on which rewards are brought to one scale, such as those of the choices.
          combine: how the rewards of several listeners become one.
          label: names it in reports.

        Raises:
          ValueError: there is no listener, or `combine` is unknown.
        """
        super().__init__(label)
        if not latents or combine not in ("mean", "worst"):
            raise ValueError("expected at least one listener, and combine 'mean' or 'worst'; got "
                             f"{len(latents)} and {combine!r}.")
        self.model = model
        self._latents = tf.Variable(
            np.stack(list(latents.values())), dtype=tf.float32, trainable=False, name="latents")
        self._combine = combine
        rewards = model.rewards(sequences, self._latents.numpy())
        self._mean, self._scale = (
            tf.Variable(values, dtype=tf.float32, trainable=False) for values in (
                rewards.mean(axis=1), np.maximum(rewards.std(axis=1), 1e-6)))

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        del references
        rewards = self.model.rewards(
            [sample.observed for sample in samples], self._latents.numpy())
        scaled = (rewards - self._mean.numpy()[:, None]) / self._scale.numpy()[:, None]
        return list(scaled.mean(axis=0) if self._combine == "mean" else scaled.min(axis=0))


def by_listener(pairs: Sequence[Pair], values: Sequence) -> dict[str, list]:
    """Groups values, one for each pair, by the listeners of the pairs, in order."""
    groups: dict[str, list] = {}
    for pair, value in zip(pairs, values, strict=True):
        groups.setdefault(pair.listener, []).append(value)
    return groups


def _choices(pairs: Sequence[Pair]) -> Tensor:
    return tf.constant([pair.choice for pair in pairs], tf.float32)
