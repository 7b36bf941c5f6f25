# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Whether a belief keeps what it needs a hundred steps later.

After section 5.2 of the TD-VAE paper (arXiv:1806.03107): an oscillation whose frequency changes at
steps 10, 20 and 120 of 140. In the last part it is 0.9 if the first frequency is above the second,
and 0.4 if it is not; so what the belief at step 119 must know was seen a hundred steps before.

    x_t = sin(phase) + N(0, 0.05^2)    frequencies 1 to 3 ~ U(0.2, 1.2) radians a step

The paper leaves ranges and noise open. 4,000 sequences for training and 200 for validation (NumPy's
default_rng(52)). The figures are accuracies of logistic regression from the belief after 20 steps,
when both frequencies have just been seen, and after 30, 60 and 120, just before the last change. It
is fitted on 2,000 further sequences and measured on 2,000 more. An LSTM's output stands for its
belief; both recurrences have the same size. Two layers of RG-LRU, which decay slowly at first, in
place of one LSTM layer are the rows "rglru".
"""
from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.quality.dynamics_tables.oscillator import Oscillator
from benchmarks.quality.dynamics_tables.table import Settings, Table, train
from vaeseq import vae
from vaeseq.types import Tensor

CHANGES, STEPS, HIGH, LOW, NOISE = (10, 20, 120), 140, 0.9, 0.4, 0.05
SCORED = (20, 30, 60, CHANGES[-1])  # number of steps that the scored beliefs know


def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws sequences, float32 `[count, STEPS, 1]`, and whether the first frequency is above."""
    frequencies = rng.uniform(0.2, 1.2, [count, 3])
    is_above = frequencies[:, 0] > frequencies[:, 1]
    parts = np.concatenate([frequencies, np.where(is_above, HIGH, LOW)[:, np.newaxis]], 1)
    lengths = np.diff([0, *CHANGES, STEPS])
    phase = rng.uniform(0, 2 * np.pi, [count, 1]) + np.cumsum(np.repeat(parts, lengths, 1), 1)
    x = np.sin(phase) + rng.normal(0, NOISE, phase.shape)
    return x[..., np.newaxis].astype(np.float32), is_above


def beliefs(model: vaeseq.Model, x: np.ndarray) -> np.ndarray:
    """Returns what a recurrence knows before each step, `[B, STEPS, H]`."""
    agent, core = model.gen_core.agent, model.gen_core.core

    @tf.function(jit_compile=True, autograph=False)
    def run(x: Tensor) -> Tensor:
        rows = x.shape[0]
        contexts, _ = agent.contexts(x, agent.initial_state(rows), seed=tf.constant([0, 0]))
        features, _ = core.encode_contexts(contexts, core.initial_state(rows).context)
        # The context of a step is the observation before it.
        return features.output if isinstance(core, vae.TDVAE) else features

    return run(tf.constant(x)).numpy()


def accuracy(
    fit: np.ndarray, fit_labels: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> float:
    """Returns the accuracy of logistic regression, fitted by 100 Newton steps with a ridge of 1e-3.

    Args:
      fit: features to fit on, `[N, H]`.
      fit_labels: bool `[N]`.
      test: features, `[M, H]`.
      labels: bool `[M]`.
    """
    mean, scale = fit.mean(0), fit.std(0) + 1e-6
    fit, test = (np.concatenate([(x - mean) / scale, np.ones([len(x), 1])], 1).astype(float)
                 for x in (fit, test))
    w = np.zeros(fit.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(fit @ w, -30, 30)))
        gradient = fit.T @ (p - fit_labels) / len(fit) + 1e-3 * w
        curvature = (fit * (p * (1 - p))[:, None]).T @ fit / len(fit) + 1e-3 * np.eye(len(w))
        w -= np.linalg.solve(curvature, gradient)
    return float(np.mean((test @ w > 0) == labels))


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains a model; returns the accuracy from its belief."""
    rng = np.random.default_rng(52)
    (x, _), (valid, _), (fit, fit_labels), (test, labels) = (
        draw(count, rng) for count in (4000, 200, 2000, 2000))
    model = Oscillator(vaeseq.HParams().parse(str(TABLE.models[name])), settings.log_dir,
                       seed=settings.seed)
    figures = train(model, settings, list(x), list(valid), valid_every=500)
    fit_beliefs, test_beliefs = beliefs(model, fit), beliefs(model, test)
    return {**figures, **{
        f"accuracy_{step}": accuracy(
            fit_beliefs[:, step], fit_labels, test_beliefs[:, step], labels)
        for step in SCORED}}


_COMMON = ("latent_decoder_fc_layers=[64],batch_size=32,sequence_size=140,learning_rate=0.002,"
           "learning_rate_final=0.01,divergence_strength_half=50,num_shards=1")
_TDVAE = ("vae_type=TDVAE,latent_size=8,train_bound=jumpy,tdvae_max_gap=10,tdvae_far_gap=120,"
          "tdvae_far_share=0.5")
_RNN = "vae_type=RNN"
_RGLRU = "cell=rglru,rnn_hidden_sizes=[50,50]"
TABLE = Table(
    "Memory task: accuracy from the belief", "first published figures",
    {f"accuracy_{step}": f"after {step} steps" for step in SCORED},
    {**{f"{name}-{size}": f"{_COMMON},{overrides},rnn_hidden_sizes=[{size}]"
        for size in (20, 50) for name, overrides in (("td-vae", _TDVAE), ("lstm", _RNN))},
     "td-vae-rglru-50": f"{_COMMON},{_TDVAE},{_RGLRU}", "rglru-50": f"{_COMMON},{_RNN},{_RGLRU}"},
    1500, run, other_updates={"td-vae-50": 10_000, "lstm-50": 10_000, "rglru-50": 6000})
