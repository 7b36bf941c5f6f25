# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Binary events that are a row of like things, such as the notes of a keyboard.

What is learnt of two places holds for all places at their distance: the weights between rows are
the sum of one that depends on the distance alone (a convolution as wide as the row) and a free one
that begins at zero. Some of the features may be rows of the same places (the frame before, say):
they are aligned with the event, and weights by distance lead from them to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import _layers, distributions, heads
from vaeseq.dist_module import DistModule
from vaeseq.nn.scan import matmul
from vaeseq.types import Spec, Tensor


class AlignedHead(snt.Module):
    """From features to C hidden units of each of D places, before activation, and to its logit."""

    def __init__(self, initial_logits: np.ndarray, hidden_size: int, aligned: Sequence[int] = (),
                 name: str | None = None) -> None:
        """Builds the layers; the variables come with the first call.

        Args:
          initial_logits: where the features are zero at the start of training, [D].
          hidden_size: H, with `aligned` a multiple of D.
          aligned: where in the features D of them stand for the places.
          name: of the module.
        """
        super().__init__(name=name)
        size = len(initial_logits)
        self._head = heads.Head([np.zeros(hidden_size), initial_logits])
        self._aligned = [
            (start, _layers.RelativeWeights(size, 1, hidden_size // size, name="to_hidden"),
             _layers.RelativeWeights(size, 1, 1, name="to_logits")) for start in aligned]

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[..., F] -> [..., H] and [..., D]."""
        hidden, logits = self._head(features)
        for start, to_hidden, to_logits in self._aligned:
            row = features[..., start:start + logits.shape[-1]]
            hidden += matmul.plain((row,), to_hidden(row.dtype), None)
            logits += matmul.plain((row,), to_logits(row.dtype), None)
        return hidden, logits


class RelativeBernoulli(DistModule):
    """Yes or no at each place of a row (see module description), independent given the features.

    Parameters: logits [..., D]. `temper` is exact.
    """

    def __init__(self, event_spec: Spec, channels: int, *, aligned: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 initial_logits: float | np.ndarray = 0.0, name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          event_spec: of shape [D]; events are 0 and 1 in any floating or integer dtype, or bools.
          channels: hidden units of each place.
          aligned: where in the features D of them stand for the places.
          activation: of the hidden units (see `networks.MLP`).
          dropout: the share of them dropped, inside `dropout.enable_dropout`.
          initial_logits: those of the training data's means, one number or [D].
          name: of the module.

        Raises:
          TypeError: an event_spec that is no spec.
          ValueError: an event_spec that is not [D], less than one channel, or initial_logits of
            another shape.
        """
        super().__init__(name=name)
        self._event_spec = heads.check_event_spec(
            "RelativeBernoulli", event_spec, "floating", "integer", "bool")
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

    @property
    def event_spec(self) -> Spec:
        return self._event_spec

    def __call__(self, features: Tensor) -> Tensor:
        hidden, logits = self._head(features)
        return logits + self._output(self._activation(hidden))

    def dist(self, params: Tensor) -> tfd.Distribution:
        return heads.independent(
            distributions.Bernoulli(logits=params, dtype=self._event_spec.dtype), self._event_spec)

    def _temper(self, params: Tensor, temperature: float | Tensor) -> Tensor:
        return params / tf.cast(temperature, params.dtype)
