# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Weights of one core for another kind of core: pretraining for and by sequence autoencoders.

Dai and Le, arXiv:1511.01432, initialise a recurrent network with the weights of a language model or
of a sequence autoencoder. Between an `RNN` and a `SEQAE`, weights of equal paths are taken as they
are (`vaeseq.runs.warm_start`), and besides:

    the decoder's recurrence   its weights of contexts and of the recurrent state; those of z, which
                               an RNN does not have, keep their initial values or are left out. So
                               both models give x_1:T the same probability where z = 0, unless the
                               first layer adds its inputs to its outputs (`residual`, and cells
                               that are parallel in time) in one of them alone, as it does where
                               the inputs, with or without z, are of its size.
    the encoder                reads forwards with the language model's recurrence

With `seqae_reset_decoder`, a SEQAE takes the encoder alone: its decoder keeps its initial weights,
and cannot ignore what the encoder has learned before (Li et al., arXiv:1909.00868).
"""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from vaeseq.runs import warm_start
from vaeseq.vae.gen_core import GenCore
from vaeseq.vae.seqae import SEQAE

_RECURRENCE, _DECODER, _ENCODER = "core/_d_core/", "core/decoder/", "core/_past/"
_DECODERS = (_RECURRENCE, _DECODER, "core/_initial/", "core/_conductor")


def weights(source: GenCore, target: GenCore) -> dict[str, np.ndarray | None]:
    """Returns initial weights of `target`, other than the weights of equal paths in `source`.

    The variables of both models must exist.

    Returns:
      Values by path in `target`; None for weights that keep their initial values. Give them to
      `warm_start.begin`. It is empty where neither model is a SEQAE.
    """
    cores = source.core, target.core
    if not any(isinstance(core, SEQAE) for core in cores):
        return {}
    theirs, ours = warm_start.weights(source), warm_start.weights(target)
    values: dict[str, np.ndarray | None] = {}
    for name, variable in ours.items():
        if name not in theirs and name.startswith(_ENCODER):
            value = theirs.get(_RECURRENCE + name[len(_ENCODER):])
            if value is not None and value.shape == variable.shape:
                values[name] = value.numpy()
        elif name in theirs and name.startswith((_RECURRENCE, _DECODER)):
            value = _without_latents(name, theirs[name], variable)
            if value is not None:
                values[name] = value
    if isinstance(target.core, SEQAE) and target.core.resets_decoder:
        values.update({name: None for name in ours if name.startswith(_DECODERS)})
    return values


def _without_latents(name: str, theirs: tf.Variable, ours: tf.Variable) -> np.ndarray | None:
    """Returns our weights with theirs, where they differ in the rows of z alone."""
    if theirs.shape == ours.shape:
        return None
    if name.endswith("/_layers/0/_scale"):
        # Of a norm that divides by the root of the mean square of contexts and z.
        value, size = ours.numpy(), min(theirs.shape[0], ours.shape[0])
        value[:size] = theirs.numpy()[:size] * np.sqrt(theirs.shape[0] / ours.shape[0])
        return value
    if theirs.shape.rank != 2 or theirs.shape[1] != ours.shape[1]:
        return None
    # An LSTM's matrix has the rows of contexts, of z and of its hidden units.
    num_last = ours.shape[1] // 4 if name.endswith("_gates/w") else 0
    num_first = min(theirs.shape[0], ours.shape[0]) - num_last
    value, other = ours.numpy(), theirs.numpy()
    value[:num_first] = other[:num_first]
    value[len(value) - num_last:] = other[len(other) - num_last:]
    return value
