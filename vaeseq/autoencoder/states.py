# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models of the latents of an autoencoder, fitted after it is trained.

The latents of a data set are rarely distributed as the prior: without a regularizer not at all, and
with one not exactly. A density fitted to them afterwards gives better samples (Ghosh et al.,
arXiv:1903.12436), and replaces the prior in the likelihood. This file has those of closed form and
expectation maximisation, in NumPy; `vaeseq.autoencoder.learned` those with networks.

Axes: N latents, Z their size, K components. Log-densities are in nats.
"""
from __future__ import annotations

import abc
import math

import numpy as np

_RIDGE = 1e-6  # of covariances, relative to the mean variance
_LEAST_VARIANCE = 1e-12
_EM_STEPS = 100
_EM_TOLERANCE = 1e-5  # nats per latent
_ROWS_AT_ONCE = 1 << 22  # numbers in memory while densities are computed


class StateModel(abc.ABC):
    """A distribution of latents `[Z]`.

    Attributes:
      name: in the table of `make`.
      has_density: whether `log_prob` is defined.
    """

    name: str
    has_density: bool = True
    _is_fitted: bool = False

    def fit(self, states: np.ndarray, stddevs: np.ndarray | None = None) -> None:
        """Fits the distribution.

        Args:
          states: means of the posteriors of sequences, `[N, Z]`.
          stddevs: their standard deviations, `[N, Z]`; by default 0. The distribution is that of
            samples of the posteriors, not of their means alone.

        Raises:
          ValueError: there are fewer than two latents, one is not finite, or the shapes differ.
        """
        states = np.asarray(states, np.float64)
        variances = (np.zeros_like(states) if stddevs is None
                     else np.asarray(stddevs, np.float64) ** 2)
        if states.ndim != 2 or len(states) < 2 or variances.shape != states.shape or not (
                np.isfinite(states).all() and np.isfinite(variances).all()):
            raise ValueError(
                "expected at least two finite latents [N, Z] to fit a state model to, and stddevs "
                f"of the same shape; got {states.shape} and {variances.shape}.")
        self._fit(states, variances)
        self._is_fitted = True

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draws latents `[n, Z]`; equal seeds give equal latents.

        Raises:
          ValueError: the model is not fitted.
        """
        self._check_fitted()
        return self._sample(n, seed)

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """Returns the log-densities `[...]` of latents `[..., Z]`, in nats.

        Raises:
          NotImplementedError: the distribution has no density.
          ValueError: the model is not fitted.
        """
        if not self.has_density:
            raise NotImplementedError(
                f"a state model {self.name!r} is a sampler without a density, so there is no "
                "likelihood with it. Take normal, mixture, flow or vamp.")
        self._check_fitted()
        return self._log_prob(np.asarray(z, np.float64))

    def _check_fitted(self) -> None:
        if not self._is_fitted:
            raise ValueError(f"expected a fitted state model, got a new {self.name!r}. Call "
                             "fit(*autoencoder.encode(sequences)) first.")

    @abc.abstractmethod
    def _fit(self, states: np.ndarray, variances: np.ndarray) -> None:
        """Fits the distribution to latents and the variances of their posteriors, `[N, Z]` each."""

    @abc.abstractmethod
    def _sample(self, n: int, seed: int) -> np.ndarray:
        """Draws latents, as `sample`."""

    def _log_prob(self, z: np.ndarray) -> np.ndarray:
        """Returns log-densities, as `log_prob`; only where there is a density."""
        raise NotImplementedError


class Normal(StateModel):
    """One normal distribution with the mean and the covariance of the latents."""

    name = "normal"

    def _fit(self, states: np.ndarray, variances: np.ndarray) -> None:
        self._mean = states.mean(0)
        covariance = np.cov(states.T, bias=True).reshape(2 * states.shape[1:])
        self._cholesky = _cholesky(covariance + np.diag(variances.mean(0)))

    def _sample(self, n: int, seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).standard_normal([n, len(self._mean)])
        return self._mean + noise @ self._cholesky.T

    def _log_prob(self, z: np.ndarray) -> np.ndarray:
        return _normal_log_prob(z - self._mean, self._cholesky)


class Mixture(StateModel):
    """A mixture of normal distributions with full covariances, by expectation maximisation.

    The means of latents decide which component each belongs to; the covariances of components also
    hold the variances of the posteriors.
    """

    name = "mixture"

    def __init__(self, num_components: int = 10, *, seed: int = 0):
        """Creates the model.

        Args:
          num_components: K; fewer where there are fewer than 2 Z latents for each.
          seed: of the first means, which are latents drawn as by k-means++.

        Raises:
          ValueError: `num_components` is below 1.
        """
        if num_components < 1:
            raise ValueError(f"expected at least one component, got {num_components}.")
        self._num_components = num_components
        self._seed = seed

    def _fit(self, states: np.ndarray, variances: np.ndarray) -> None:
        num_rows, size = states.shape
        count = max(1, min(self._num_components, num_rows // (2 * size)))
        shares = _nearest(states, _spread(states, count, np.random.default_rng(self._seed)))
        # A tenth of each latent's share goes to all: no component begins with a single latent.
        shares = 0.9 * shares + 0.1 / count
        before = -math.inf
        for _ in range(_EM_STEPS):
            self._maximise(states, variances, shares)
            joint = self._joint_log_prob(states)
            total = _log_sum_exp(joint)
            shares = np.exp(joint - total[:, None])
            if total.mean() - before < _EM_TOLERANCE:
                break
            before = total.mean()

    def _maximise(self, states: np.ndarray, variances: np.ndarray, shares: np.ndarray) -> None:
        counts = shares.sum(0) + 1e-9
        self._weights = counts / counts.sum()
        self._means = shares.T @ states / counts[:, None]
        choleskys = []
        for share, count, mean in zip(shares.T, counts, self._means):
            centred = states - mean
            covariance = (share[:, None] * centred).T @ centred + np.diag(share @ variances)
            # A tenth of a pseudo-count of the data's own variances, so that a component cannot
            # shrink to a point.
            covariance += np.diag(states.var(0) + variances.mean(0)) * 0.1
            choleskys.append(_cholesky(covariance / (count + 0.1)))
        self._choleskys = np.stack(choleskys)

    def _sample(self, n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        components = rng.choice(len(self._weights), n, p=self._weights)
        noise = rng.standard_normal([n, self._means.shape[1]])
        return self._means[components] + np.einsum(
            "nij,nj->ni", self._choleskys[components], noise)

    def _log_prob(self, z: np.ndarray) -> np.ndarray:
        return _log_sum_exp(self._joint_log_prob(z))

    def _joint_log_prob(self, z: np.ndarray) -> np.ndarray:
        """Returns log p(z, k), `[..., K]`."""
        return np.stack([
            math.log(weight) + _normal_log_prob(z - mean, cholesky)
            for weight, mean, cholesky in zip(self._weights, self._means, self._choleskys)], -1)


class Vamp(StateModel):
    """The mean of the posteriors of some sequences, the VampPrior (Tomczak, arXiv:1705.07120).

    Its pseudo-inputs are sequences of the data, drawn at random (the paper's "VampPrior data");
    nothing is trained. Deterministic posteriors are widened to the bandwidth of Silverman's rule.
    """

    name = "vamp"

    def __init__(self, num_components: int = 500, *, seed: int = 0):
        """Creates the model.

        Args:
          num_components: K, the number of sequences; all if there are fewer.
          seed: of their choice.

        Raises:
          ValueError: `num_components` is below 1.
        """
        if num_components < 1:
            raise ValueError(f"expected at least one component, got {num_components}.")
        self._num_components = num_components
        self._seed = seed

    def _fit(self, states: np.ndarray, variances: np.ndarray) -> None:
        rows = np.random.default_rng(self._seed).permutation(len(states))[:self._num_components]
        self._means = states[rows]
        self._stddevs = np.sqrt(variances[rows])
        if not variances.any():
            size = states.shape[1]
            factor = (4 / ((size + 2) * len(rows))) ** (1 / (size + 4))
            self._stddevs = np.broadcast_to(
                np.maximum(factor * states.std(0), math.sqrt(_LEAST_VARIANCE)), self._means.shape)

    def _sample(self, n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        rows = rng.integers(len(self._means), size=n)
        noise = rng.standard_normal([n, self._means.shape[1]])
        return self._means[rows] + self._stddevs[rows] * noise

    def _log_prob(self, z: np.ndarray) -> np.ndarray:
        return aggregate_log_prob(z, self._means, self._stddevs)


def aggregate_log_prob(z: np.ndarray, means: np.ndarray, stddevs: np.ndarray) -> np.ndarray:
    """Returns log mean_n N(z | mean_n, stddev_n^2), the density of the aggregate posterior.

    Args:
      z: latents, `[..., Z]`.
      means: of the posteriors, `[N, Z]`.
      stddevs: of the posteriors, `[N, Z]`, above 0.

    Returns:
      Nats, `[...]`.
    """
    flat = np.asarray(z, np.float64).reshape([-1, means.shape[1]])
    constant = -np.log(stddevs).sum(1) - 0.5 * means.shape[1] * math.log(2 * math.pi)
    result = np.empty(len(flat))
    size = max(1, _ROWS_AT_ONCE // means.size)
    for start in range(0, len(flat), size):
        scaled = (flat[start:start + size, None] - means) / stddevs
        result[start:start + size] = _log_sum_exp(constant - 0.5 * (scaled ** 2).sum(2))
    return (result - math.log(len(means))).reshape(np.shape(z)[:-1])


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    """Returns the Cholesky factor of a covariance with a small ridge."""
    ridge = max(_RIDGE * np.trace(covariance) / len(covariance), _LEAST_VARIANCE)
    return np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))


def _normal_log_prob(centred: np.ndarray, cholesky: np.ndarray) -> np.ndarray:
    """Returns the log-density of deviations from the mean, `[..., Z]`, as `[...]`."""
    size = len(cholesky)
    whitened = np.linalg.solve(cholesky, centred.reshape([-1, size]).T)
    log_det = np.log(np.diag(cholesky)).sum()
    result = -0.5 * (whitened ** 2).sum(0) - log_det - 0.5 * size * math.log(2 * math.pi)
    return result.reshape(centred.shape[:-1])


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    highest = values.max(-1)
    return highest + np.log(np.exp(values - highest[..., None]).sum(-1))


def _spread(states: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws latents far from each other, as k-means++ does; returns `[count, Z]`."""
    chosen = [states[rng.integers(len(states))]]
    distances = ((states - chosen[0]) ** 2).sum(1)
    for _ in range(count - 1):
        total = distances.sum()
        shares = distances / total if total > 0 else None
        chosen.append(states[rng.choice(len(states), p=shares)])
        distances = np.minimum(distances, ((states - chosen[-1]) ** 2).sum(1))
    return np.stack(chosen)


def _nearest(states: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns which of K centres is the nearest to each latent, one-hot `[N, K]`."""
    distances = np.stack([((states - centre) ** 2).sum(1) for centre in centres], 1)
    return np.eye(len(centres))[distances.argmin(1)]
