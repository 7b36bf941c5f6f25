# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Feed-forward and recurrent networks.

They take [..., F] with any leading dimensions, create their variables at the first call, in the
dtype of their inputs, and can be called inside a `scan`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sonnet as snt
import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.description import Described
from vaeseq.nn import cells
from vaeseq.nn.cells import Linear, RMSNorm
from vaeseq.nn.dropout import apply_dropout, check_dropout_rate, segment_dropout
from vaeseq.nn.linear_recurrence import LINEAR_CELLS, ParallelCell
from vaeseq.nn.mamba import Mamba
from vaeseq.nn.scan import unroll
from vaeseq.nn.scan.matmul import Parts, as_parts, concat_parts
from vaeseq.nn.transformer import Transformer
from vaeseq.types import Nest, Tensor

__all__ = ["CELLS", "Linear", "MLP", "RecurrentStack", "activation_function"]

CELLS: dict[str, type[cells.Cell]] = {
    **cells.CELLS, **LINEAR_CELLS, "mamba": Mamba, "transformer": Transformer}

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": tf.nn.elu, "gelu": tf.nn.gelu, "relu": tf.nn.relu, "sigmoid": tf.sigmoid,
    "silu": tf.nn.silu, "softplus": tf.nn.softplus, "tanh": tf.tanh}


def activation_function(name: str) -> Callable[[Tensor], Tensor]:
    """Returns an activation, [..., H] -> [..., H], by its name in `MLP`.

    Raises:
      ValueError: an unknown name.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"Expected an activation among {sorted(_ACTIVATIONS)}, got {name!r}.")
    return _ACTIVATIONS[name]


class MLP(Described, snt.Module):
    """Linear layers with an activation between them."""

    def __init__(self, output_sizes: Sequence[int], *, activation: str = "relu",
                 activate_final: bool = False, dropout: float = 0.0,
                 name: str | None = None) -> None:
        """Creates the layers; their variables are created at the first call.

        Args:
          output_sizes: units of each layer; an MLP without layers is the identity.
          activation: one of "elu", "gelu", "relu", "sigmoid", "silu", "softplus", "tanh".
          activate_final: whether activation and dropout follow the last layer too.
          dropout: the probability that a unit is dropped after each activation, inside
            `dropout.enable_dropout`.

        Raises:
          ValueError: an unknown activation or a dropout rate outside [0, 1).
        """
        super().__init__(name=name)
        check_dropout_rate(dropout)
        self._activation = activation_function(activation)
        self._activate_final = activate_final
        self._dropout = dropout
        self._layers = [Linear(size, name=f"linear_{i}") for i, size in enumerate(output_sizes)]

    @property
    def output_size(self) -> int:
        """Returns the size of the last layer."""
        if not self._layers:
            raise ValueError("An MLP without layers is the identity: its output size is that of "
                             "its inputs. Give it at least one size, got output_sizes=().")
        return self._layers[-1].output_size

    def __call__(self, inputs: Parts) -> Tensor:
        """Maps [..., F], or tensors to be concatenated to it, to [..., `output_size`].

        In the step of a `scan`, the products of parts that are inputs of the scan are computed
        before the loop; so pass `(inputs_t, z)` rather than a concatenation.
        """
        if not self._layers:
            return concat_parts(as_parts(inputs))
        outputs = inputs
        for i, layer in enumerate(self._layers):
            outputs = layer(outputs)
            if i + 1 < len(self._layers) or self._activate_final:
                outputs = apply_dropout(layer, self._activation(outputs), self._dropout)
        return outputs


class RecurrentStack(Described, snt.Module):
    """Recurrent layers, each of which reads the outputs of the one before.

    The state is a tuple with one entry per layer: `cells.LSTMState`,
    `linear_recurrence.ParallelState`, `transformer.TransformerState` or, for the GRU, a tensor.
    """

    def __init__(self, sizes: Sequence[int], *, cell: str = "lstm", dropout: float = 0.0,
                 residual: bool = False, skip: bool = False, heads: int = 4, window: int = 128,
                 name: str | None = None) -> None:
        """Creates the layers; their variables are created at the first call.

        Args:
          sizes: hidden units of each layer; a stack without layers is the identity.
          cell: one of `CELLS`: "lstm", "gru", or parallel in time, "mingru", "rglru",
            "mamba" or "transformer".
          dropout: the probability that an output of a layer is dropped, inside
            `dropout.enable_dropout`; the recurrent state is never dropped.
          residual: whether a layer adds its inputs to its outputs if their sizes agree; layers that
            are parallel in time always do.
          skip: whether the stack's inputs are appended to its outputs, [..., H + F].
          heads: attention heads of each "transformer" layer.
          window: past steps that each "transformer" layer attends to.

        Raises:
          ValueError: an unknown cell, a dropout rate outside [0, 1), or sizes that the heads do not
            divide.
        """
        super().__init__(name=name)
        if cell not in CELLS:
            raise ValueError(f"Expected a cell among {sorted(CELLS)}, got {cell!r}.")
        check_dropout_rate(dropout)
        self._sizes = tuple(sizes)
        self._dropout = dropout
        self._residual = residual or issubclass(CELLS[cell], ParallelCell)
        self._skip = skip
        options = {"heads": heads, "window": window, "dropout": dropout}
        self._layers = [CELLS[cell](size, name=f"{cell}_{i}",
                                    **(options if cell == "transformer" else {}))
                        for i, size in enumerate(sizes)]
        self._norm = RMSNorm(name="norm") if sizes and CELLS[cell].is_pre_norm else None

    @property
    def output_size(self) -> int:
        """Returns H, the units of the last layer, without appended inputs."""
        if not self._sizes:
            raise ValueError("A RecurrentStack without layers is the identity: its output size is "
                             "that of its inputs. Give it at least one size, got sizes=().")
        return self._sizes[-1]

    @property
    def state_spec(self) -> Nest:
        """Returns the specs of the state of one sequence."""
        return tuple(layer.state_spec for layer in self._layers)

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        """Returns zeros, a nest of [B, H]."""
        return nest_lib.zeros(self.state_spec, batch_size)

    def __call__(self, inputs: Parts, state: Nest,
                 lengths: Tensor | None = None) -> tuple[Tensor, Nest]:
        """Runs whole sequences.

        Args:
          inputs: [B, T, F], or tensors to be concatenated to it.
          state: nest of [B, H], as from `initial_state`.
          lengths: integer [B], or None where every row has T steps.

        Returns:
          outputs [B, T, H], zeros past the length, and the state after the last valid step.
        """
        inputs = as_parts(inputs)
        num_steps = nest_lib.leading_dim(inputs, 1)

        def run(segment: Parts, state: Nest, number: Tensor | None) -> tuple[Tensor, Nest]:
            segment_lengths = unroll.segment_lengths(lengths, num_steps, number)
            with segment_dropout(number):
                outputs, state = self._run(
                    segment, state, lambda layer, x, s: layer(x, s, segment_lengths))
            if self._residual or self._skip or not self._layers:
                outputs = nest_lib.mask_time(outputs, segment_lengths)
            return outputs, state

        return unroll.by_segments(run, inputs, state)

    def step(self, inputs: Parts, state: Nest) -> tuple[Tensor, Nest]:
        """Runs one step: ([..., F], nest of [..., H]) -> ([..., H], nest of [..., H]).

        The inputs may be a tuple of tensors to be concatenated, as for an `MLP`.
        """
        return self._run(inputs, state, lambda layer, x, s: layer.step(x, s))

    def _run(self, inputs: Parts, state: Nest,
             run: Callable[[cells.Cell, Parts, Nest], tuple[Tensor, Nest]]
             ) -> tuple[Tensor, Nest]:
        stack_inputs, next_state = inputs, []
        for layer, layer_state in zip(self._layers, state, strict=True):
            outputs, layer_state = run(layer, inputs, layer_state)
            if not layer.is_residual:
                outputs = apply_dropout(layer, outputs, self._dropout)
                size = sum(x.shape[-1] for x in as_parts(inputs))
                if self._residual and outputs.shape[-1] == size:
                    outputs += concat_parts(as_parts(inputs))
            inputs = outputs
            next_state.append(layer_state)
        if self._norm is not None:
            inputs = self._norm(inputs)
        parts = (*as_parts(inputs), *as_parts(stack_inputs)) if self._skip else as_parts(inputs)
        return concat_parts(parts), tuple(next_state)
