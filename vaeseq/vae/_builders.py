# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Builds the networks of a core from hyperparameters."""
from __future__ import annotations

import tensorflow as tf

from vaeseq import nest
from vaeseq.codec.latent import DiagonalNormal
from vaeseq.hparams import HParams
from vaeseq.nn.networks import RecurrentStack
from vaeseq.nn.scan import unroll
from vaeseq.nn.scan.matmul import Parts
from vaeseq.nn.transformer import BidirectionalTransformer
from vaeseq.types import Tensor


def recurrent_stack(hparams: HParams, name: str, *, skip: bool = False) -> RecurrentStack:
    """Builds the recurrent layers of a core; with `skip` the inputs follow their outputs."""
    return RecurrentStack(hparams.rnn_hidden_sizes, cell=hparams.cell, dropout=hparams.dropout,
                          residual=hparams.residual, skip=skip, heads=hparams.attention_heads,
                          window=hparams.attention_window, name=name)


def bidirectional_transformer(hparams: HParams, name: str) -> BidirectionalTransformer:
    """Builds the network of a diffusion, of `rnn_hidden_sizes`.

    Its window has only distances that a training sequence shows.
    """
    return BidirectionalTransformer(
        hparams.rnn_hidden_sizes, heads=hparams.attention_heads, dropout=hparams.dropout,
        window=max(1, min(hparams.attention_window, hparams.sequence_size - 1)), name=name)


def diagonal_normal(hparams: HParams, name: str, *, size: int | None = None) -> DiagonalNormal:
    """Builds the network of p(z_t) or q(z_t), of `latent_size` or of another size."""
    return DiagonalNormal(
        hparams.latent_size if size is None else size, hparams.latent_decoder_fc_layers,
        activation=hparams.activation, positive_projection=hparams.positive_projection,
        positive_eps=hparams.positive_eps, name=name)


def forward(stack: RecurrentStack, inputs: Parts, lengths: Tensor | None) -> Tensor:
    """Runs a recurrence from zeros over sequences, in parts `[B, T, F]`; returns `[B, T, H]`."""
    return stack(inputs, stack.initial_state(nest.leading_dim(inputs)), lengths)[0]


def backward(stack: RecurrentStack, inputs: Parts, lengths: Tensor | None) -> Tensor:
    """Runs a recurrence as `forward`, but from each row's last valid step back to its first."""
    return unroll.reverse(forward(stack, unroll.reverse(inputs, lengths), lengths), lengths)


def ends(past: Tensor, future: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns the final outputs of two recurrences over sequences, `[B, H]` each.

    These are the output of `past`, of `forward`, at each row's last valid step and of `future`, of
    `backward`, at the first; zeros for an empty sequence.
    """
    past = tf.pad(past, [[0, 0], [1, 0], [0, 0]])
    last = past[:, -1] if lengths is None else tf.gather(past, lengths, batch_dims=1)
    return last, tf.pad(future, [[0, 0], [0, 1], [0, 0]])[:, 0]
