# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Nests as tensors by name, for callers that know no nests."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf
import tree

from vaeseq.types import Nest, Spec, Tensor

Tensors = dict[str, Tensor]


class Signature(NamedTuple):
    """A function from named tensors to named tensors.

    Attributes:
      function: of keyword arguments.
      inputs: their specs.
    """

    function: Callable[..., Tensors]
    inputs: dict[str, Spec]


def flat(prefix: str, structure: Nest) -> dict[str, Any]:
    """The leaves of a nest by name: the prefix and the path to each, "state_core_latent".

    A nest that is a single leaf has the prefix for its name.
    """
    return {"_".join([prefix, *map(str, path)]): leaf
            for path, leaf in tree.flatten_with_path(structure)}


def packed(structure: Nest, prefix: str, tensors: Mapping[str, Any]) -> Nest:
    """The nest of this structure whose leaves `flat` named."""
    return tf.nest.pack_sequence_as(
        structure, [tensors[name] for name in flat(prefix, structure)])
