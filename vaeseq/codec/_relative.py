# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders of binary events over a row of similar positions, such as the notes of a keyboard.

Weights between two rows are shared by all pairs of positions at one distance: they are the sum of a
table indexed by the distance (a convolution as wide as the row) and free weights initialised with
zeros. Some of the features may be rows of the same positions, for instance the frame before. Such
features are aligned with the event: relative weights connect them to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sonnet as snt
from tensorflow_probability import distributions as tfd

from vaeseq.codec import _layers, distributions, heads
from vaeseq.nn.scan import matmul
from vaeseq.types import Spec, Tensor


class AlignedHead(snt.Module):
    """Maps features to hidden units of D positions, before activation, and to a logit each."""

    def __init__(self, initial_logits: np.ndarray, hidden_size: int, aligned: Sequence[int] = (),
                 name: str | None = None) -> None:
        """Builds the layers; their variables are created by the first call.

        Args:
          initial_logits: the logits for zero features before training, [D].
          hidden_size: H; with `aligned`, a multiple of D.
          aligned: indices at which D consecutive features represent the positions.
        """
        super().__init__(name=name)
        size = len(initial_logits)
        self._head = heads.Head([np.zeros(hidden_size), initial_logits])
        self._aligned = [
            (start, _layers.RelativeWeights(size, 1, hidden_size // size, name="to_hidden"),
             _layers.RelativeWeights(size, 1, 1, name="to_logits")) for start in aligned]

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps features [..., F] to hidden units [..., H] and logits [..., D]."""
        hidden, logits = self._head(features)
        for start, to_hidden, to_logits in self._aligned:
            row = features[..., start:start + logits.shape[-1]]
            hidden += matmul.plain((row,), to_hidden(row.dtype), None)
            logits += matmul.plain((row,), to_logits(row.dtype), None)
        return hidden, logits


class RelativeBernoulli(heads.LogitsDecoder):
    """Binary values at the positions of a row, independent given the features.

    The weights depend on the distance between positions (see the module description).

    Parameters: logits [..., D]. `temper` is exact.
    """

    def __init__(self, event_spec: Spec, channels: int, *, aligned: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 initial_logits: float | np.ndarray = 0.0, name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          event_spec: of shape [D]; events are 0 and 1 in any floating or integer dtype, or bools.
          channels: hidden units of each position.
          aligned: indices at which D consecutive features represent the positions.
          activation: of the hidden units, a name as for `networks.MLP`.
          dropout: dropout rate of the hidden units, inside `dropout.enable_dropout`.
          initial_logits: the logits for zero features before training, one number or [D]; best
            those of the training data's means.

        Raises:
          TypeError: `event_spec` is not a spec of numbers or bools.
          ValueError: `event_spec` is not of shape [D], `channels` is below 1, or `initial_logits`
            is of another shape.
        """
        super().__init__(event_spec, "floating", "integer", "bool", name=name)
        if event_spec.shape.rank != 1 or event_spec.shape[0] < 1 or channels < 1:
            raise ValueError(
                "RelativeBernoulli expects an event_spec of shape [D] with D >= 1 and at least one "
                f"channel, got {event_spec.shape} and {channels=}.")
        initial = heads.initial_values("initial_logits", initial_logits, event_spec.shape)
        size, hidden = len(initial), len(initial) * channels
        self._head = AlignedHead(initial, hidden, aligned)
        self._activation = _layers.Activation(activation, dropout)
        self._output = _layers.MaskedLinear(
            np.ones([hidden, size]), relative=_layers.RelativeWeights(size, channels, 1),
            use_bias=False, name="output")

    def __call__(self, features: Tensor) -> Tensor:
        hidden, logits = self._head(features)
        return logits + self._output(self._activation(hidden))

    def dist(self, params: Tensor) -> tfd.Distribution:
        return heads.independent(distributions.Bernoulli(
            logits=params, dtype=self.event_spec.dtype), self.event_spec)
