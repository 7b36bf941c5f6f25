# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of vaeseq-play (imports no TensorFlow: wrong ones are told at once).

A "real step" is one step of the environment; an "update" is one of an optimizer.
"""
from __future__ import annotations

import dataclasses
from typing import Literal

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.hparams import HParams

_COUNT = Range(1, 1 << 20)
_SIZE = Range(1, 1 << 14)
_RATIO = Range(0, 1e3)
_SHARE = Range(0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlayHParams(HParams):
    """Hyperparameters of a game's model and of the policy learned in it."""

    # The game.
    game: str = fields.declare("CartPole-v1", "a Gymnasium environment's name")
    observed_indices: tuple[int, ...] = fields.declare(
        (), "numbers of the observation that are seen; []: all", Range(0, 1 << 16))

    # Real games.
    first_steps: int = fields.declare(
        500, "least real steps of random play before anything is learned", _COUNT)
    games_per_round: int = fields.declare(
        1, "whole games played between two sets of updates", Range(1, 1 << 12))
    replay_steps: int = fields.declare(
        1_000_000, "most real steps remembered; the oldest games are forgotten", _COUNT)
    eval_every: int = fields.declare(
        1000, "real steps between evaluations; each is saved", _COUNT)
    eval_games: int = fields.declare(
        100, "games of an evaluation, played greedily and not learned from", Range(1, 1 << 16))

    # How much is learned from a real step.
    first_updates: int = fields.declare(
        500, "updates of the model, and of the policy, after the random play", Range(0, 1 << 20))
    model_ratio: float = fields.declare(0.5, "updates of the model for each real step", _RATIO)
    policy_ratio: float = fields.declare(0.5, "updates of the policy for each real step", _RATIO)

    # The policy.
    policy_gradient: Literal["score", "pathwise"] = fields.declare(
        "score", "score: of log-probabilities, with a value baseline; pathwise: through the model, "
        "which takes twice as long")
    memory: bool = fields.declare(
        True, "the policy reads the model's state beside the latest observation")
    policy_layers: tuple[int, ...] = fields.declare(
        (64,), "hidden layers of the policy, and of the value", _SIZE)
    horizon: int = fields.declare(30, "steps imagined from each state", Range(1, 1 << 10))
    discount: float = fields.declare(
        0.99, "weight of a reward one step later", Range(0, 1, open_high=True))
    lambda_: float = fields.declare(
        0.97, "lambda: share of a return taken from rewards further on, not from the value", _SHARE)
    entropy: float = fields.declare(
        3e-3, "weight of the policy's entropy", Range(0, 1e3))
    action_temperature: float = fields.declare(
        4.0, "above 1 the player tries more while it collects games", Range(0.01, 100))
    policy_learning_rate: float = fields.declare(
        3e-4, "of the policy", Range(0, 1, open_low=True))
    value_learning_rate: float = fields.declare(
        2e-3, "of the value", Range(0, 1, open_low=True))
    policy_rate_half: float = fields.declare(
        4000.0, "updates in which both of these rates halve", Range(1, 1e12))
    policy_clip_norm: float = fields.declare(
        1.0, "greatest global norm of a gradient of the policy or of the value", Range(1e-6, 1e12))
    policy_average: float = fields.declare(
        0.998, "decay of the average of policy weights, which plays once it is learned",
        Range(0, 1, open_high=True))
    value_average: float = fields.declare(
        0.9, "decay of the average of value weights that returns are completed with",
        Range(0, 1, open_high=True))

    jit_compile: bool = fields.declare(
        True, "compile by XLA; without it a run begins sooner and every update takes longer")

    # What fits a game's model: small, quick steps, no noise that is not there.
    cell: Literal["lstm", "gru", "mingru", "rglru"] = fields.redeclare(HParams, "cell", "gru")
    rnn_hidden_sizes: tuple[int, ...] = fields.redeclare(HParams, "rnn_hidden_sizes", (64,))
    obs_encoder_fc_layers: tuple[int, ...] = fields.redeclare(
        HParams, "obs_encoder_fc_layers", (64,))
    obs_decoder_fc_hidden_layers: tuple[int, ...] = fields.redeclare(
        HParams, "obs_decoder_fc_hidden_layers", (64,))
    # The end of a game is seen rarely; what tells it should reach the heads without a detour.
    context_skip: bool = fields.redeclare(HParams, "context_skip", True)
    latent_size: int = fields.redeclare(HParams, "latent_size", 16)
    latent_decoder_fc_layers: tuple[int, ...] = fields.redeclare(
        HParams, "latent_decoder_fc_layers", (64,))
    activation: Literal["elu", "gelu", "relu", "sigmoid", "silu", "softplus", "tanh"] = (
        fields.redeclare(HParams, "activation", "silu"))
    positive_eps: float = fields.redeclare(HParams, "positive_eps", 0.05)
    clip_gradient_norm: float = fields.redeclare(HParams, "clip_gradient_norm", 10.0)
    divergence_strength_half: float = fields.redeclare(HParams, "divergence_strength_half", 500.0)
    learning_rate: float = fields.redeclare(HParams, "learning_rate", 1e-3)
    # How many updates there will be is not known beforehand, so there is no "cosine".
    learning_rate_schedule: Literal["constant", "exponential"] = fields.redeclare(
        HParams, "learning_rate_schedule", "exponential")
    learning_rate_half: float = fields.redeclare(HParams, "learning_rate_half", 10_000.0)
    batch_size: int = fields.redeclare(HParams, "batch_size", 8)
    # Of half as many steps, the state of a long game became one that was never learned from.
    sequence_size: int = fields.redeclare(HParams, "sequence_size", 32)
    num_shards: int | Literal["auto"] = fields.redeclare(HParams, "num_shards", 1)
