# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of vaeseq-play (without TensorFlow: errors appear at once).

A "real step" is one step of the environment; an "update" is one of an optimizer.
"""
from __future__ import annotations

import dataclasses
from typing import Literal

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.hparams import CellName, HParams

_COUNT = Range(1, 1 << 20)
_SIZE = Range(1, 1 << 14)
_RATIO = Range(0, 1e3)
_SHARE = Range(0, 1)
_FIXED = {"accumulate": 1, "weight_average": 0.0, "weight_posterior": "none", "patience": 0,
          "missing_values": "none"}  # what the training of games does not have


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlayHParams(HParams):
    """Hyperparameters of a game's model and of the policy learned in it."""

    # The game.
    game: str = fields.declare("CartPole-v1", "a Gymnasium environment's name")
    observed_indices: tuple[int, ...] = fields.declare(
        (), "indices of the observation's numbers that are visible; []: all", Range(0, 1 << 16))

    # Real games.
    first_steps: int = fields.declare(
        500, "minimum of real steps of random play before training", _COUNT)
    games_per_round: int = fields.declare(
        1, "whole episodes played between updates", Range(1, 1 << 12))
    max_game_steps: int = fields.declare(
        0, "real steps after which a collected game is cut; 0: only the environment ends it",
        Range(0, 1 << 20))
    replay_steps: int = fields.declare(
        1_000_000, "real steps in the replay buffer; the oldest episodes are dropped", _COUNT)
    end_share: float = fields.declare(
        0.0, "share of the training windows that end with an episode, the episodes drawn "
        "uniformly; where the end is what matters, and rare", _SHARE)
    reward_unit: Literal["deviation", "quantiles"] = fields.declare(
        "deviation", "what the model's rewards are divided by: their standard deviation, or what "
        "it would be given their 5 % and 95 % quantiles, which rare large rewards do not change")
    eval_every: int = fields.declare(
        1000, "real steps between evaluations; each saves a checkpoint", _COUNT)
    eval_games: int = fields.declare(
        100, "episodes of an evaluation, played greedily and not trained on", Range(1, 1 << 16))

    # Updates for each real step.
    first_updates: int = fields.declare(
        500, "updates of the model, and of the policy, after the random play", Range(0, 1 << 20))
    model_ratio: float = fields.declare(0.5, "updates of the model for each real step", _RATIO)
    policy_ratio: float = fields.declare(0.5, "updates of the policy for each real step", _RATIO)

    # The policy.
    policy_gradient: Literal["score", "pathwise"] = fields.declare(
        "score", "score: REINFORCE with a value baseline; pathwise: backpropagation through the "
        "model, which takes twice as long")
    memory: bool = fields.declare(
        True, "the policy reads the model's state and the latest observation")
    policy_layers: tuple[int, ...] = fields.declare(
        (64,), "hidden layers of the policy, and of the value", _SIZE)
    horizon: int = fields.declare(30, "steps imagined from each state", Range(1, 1 << 10))
    discount: float = fields.declare(
        0.99, "weight of a reward one step later", Range(0, 1, open_high=True))
    lambda_: float = fields.declare(
        0.97, "lambda of returns: 0 bootstraps from the next value, 1 from the last", _SHARE)
    entropy: float = fields.declare(
        3e-3, "weight of the policy's entropy", Range(0, 1e3))
    action_temperature: float = fields.declare(
        4.0, "of the policy in collected episodes; above 1 explores more", Range(0.01, 100))
    policy_learning_rate: float = fields.declare(
        3e-4, "of the policy", Range(0, 1, open_low=True))
    value_learning_rate: float = fields.declare(
        2e-3, "of the value", Range(0, 1, open_low=True))
    policy_rate_half: float = fields.declare(
        4000.0, "updates in which both learning rates halve", Range(1, 1e12))
    policy_clip_norm: float = fields.declare(
        1.0, "clips the global norm of each gradient, of the policy and of the value",
        Range(1e-6, 1e12))
    policy_average: float = fields.declare(
        0.998, "decay of the moving average of policy weights, which plays greedily",
        Range(0, 1, open_high=True))
    value_average: float = fields.declare(
        0.9, "decay of the moving average of value weights that returns bootstrap from",
        Range(0, 1, open_high=True))

    jit_compile: bool = fields.declare(
        True, "compile with XLA: a slower start and faster updates")

    # Defaults for games: small networks and little observation noise.
    cell: CellName = fields.redeclare(HParams, "cell", "gru")
    rnn_hidden_sizes: tuple[int, ...] = fields.redeclare(HParams, "rnn_hidden_sizes", (64,))
    obs_encoder_fc_layers: tuple[int, ...] = fields.redeclare(
        HParams, "obs_encoder_fc_layers", (64,))
    obs_decoder_fc_hidden_layers: tuple[int, ...] = fields.redeclare(
        HParams, "obs_decoder_fc_hidden_layers", (64,))
    # Terminal states are rare: a skip connection shortens the path from inputs to heads.
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
    # The number of updates is unknown beforehand, which "cosine" would need.
    learning_rate_schedule: Literal["constant", "exponential"] = fields.redeclare(
        HParams, "learning_rate_schedule", "exponential")
    learning_rate_half: float = fields.redeclare(HParams, "learning_rate_half", 10_000.0)
    batch_size: int = fields.redeclare(HParams, "batch_size", 8)
    # With 16 steps, states late in long episodes were outside of the training distribution.
    sequence_size: int = fields.redeclare(HParams, "sequence_size", 32)
    num_shards: int | Literal["auto"] = fields.redeclare(HParams, "num_shards", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, default in _FIXED.items():
            if getattr(self, name) != default:
                raise ValueError(f"{name}: expected {default} in games, got {getattr(self, name)}")
        if self.precision == "float64":
            raise ValueError("precision: expected float32 or bfloat16 in games, got float64")
        if self.cell == "transformer" or self.vae_type in ("KVAE", "MASKDIFF", "GAUSSDIFF"):
            raise ValueError("expected a core whose state is vectors, which the policy reads; got "
                             f"vae_type={self.vae_type}, cell={self.cell}")
        if self.vae_type in ("RVAE", "DSAE", "TDVAE") or (
                self.vae_type == "DMM" and not self.dmm_augmented):
            raise ValueError("expected a core that reads contexts, which the actions are part of; "
                             f"got vae_type={self.vae_type}. Try VRNN, or DMM with "
                             "dmm_augmented=true.")
