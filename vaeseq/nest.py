# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Operations on the leading dimensions of nests, masks from lengths, and zeros from specs."""

from __future__ import annotations

import tensorflow as tf

from vaeseq.types import Nest, Tensor


def shape_of(tensor: Tensor) -> list[int | Tensor]:
    """Returns the shape as a list, an int for each static size and a scalar tensor otherwise."""
    static = tensor.shape.as_list()
    if None not in static:
        return static
    dynamic = tf.shape(tensor)
    return [dynamic[i] if size is None else size for i, size in enumerate(static)]


def leading_dim(nest: Nest, axis: int = 0) -> int | Tensor:
    """Returns the size of one leading axis, taken from the first tensor of the nest.

    Raises:
      ValueError: the nest holds no tensor.
    """
    flat = tf.nest.flatten(nest)
    if not flat:
        raise ValueError(f"Expected a nest with at least one tensor, got {nest!r}: its leading "
                         "dimensions are unknown. Pass the size explicitly.")
    return shape_of(flat[0])[axis]


def require_leading(
    nest: Nest, num_rows: int | Tensor, num_steps: int | Tensor, what: str
) -> None:
    """Raises ValueError unless the tensors of a nest are `[B, T, ...]`; `what` names them.

    A number of rows or steps that is a tensor is not checked.
    """
    expected = [size if isinstance(size, int) else None for size in (num_rows, num_steps)]
    for leaf in tf.nest.flatten(nest):
        if not leaf.shape[:2].is_compatible_with(expected):
            raise ValueError(f"expected {what} of shape [{num_rows}, {num_steps}, ...], rows and "
                             f"steps, got {leaf.shape}.")


def mask_from_lengths(lengths: Tensor, num_steps: int | Tensor) -> Tensor:
    """Returns bool [B, T], True for the valid steps of each row; `lengths` is an integer [B]."""
    return tf.sequence_mask(lengths, num_steps)


def where(mask: Tensor, if_true: Nest, if_false: Nest) -> Nest:
    """Selects between two nests of one structure for each leading index.

    Args:
      mask: bool [...].
      if_true: nest of [..., *].
      if_false: nest of the same structure and shapes.

    Returns:
      A nest of [..., *]: `if_true` where the mask is set.
    """
    def choose(yes: Tensor, no: Tensor) -> Tensor:
        trailing = [1] * (yes.shape.rank - mask.shape.rank)
        return tf.where(tf.reshape(mask, shape_of(mask) + trailing), yes, no)
    return tf.nest.map_structure(choose, if_true, if_false)


def require_like(nest: Nest, other: Nest, message: str) -> None:
    """Raises ValueError, with both, unless nests agree in structure, shapes and dtypes.

    Args:
      nest: of tensors.
      other: what it must be like.
      message: what was expected; "expected A" of "expected A like B, got C".
    """
    def specs(nest: Nest) -> Nest:
        return tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), nest)

    one, two = specs(nest), specs(other)
    try:
        tf.nest.assert_same_structure(one, two)
        is_like = all(a.dtype == b.dtype and a.shape.is_compatible_with(b.shape)
                      for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(two)))
    except (TypeError, ValueError):
        is_like = False
    if not is_like:
        raise ValueError(f"{message} like {two}, got {one}.")


def with_leading(specs: Nest, *leading: int | None) -> Nest:
    """Puts dimensions before those of specs: a nest of `[*]` -> one of `[*leading, *]`.

    None is a size that is not fixed: `with_leading(spec, None, 5)` are 5 steps of any batch.
    """
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec([*leading, *spec.shape], spec.dtype), specs)


def zeros(specs: Nest, *leading: int | Tensor) -> Nest:
    """Returns zeros for a nest of specs: `zeros(spec, batch_size)` is [B, *spec.shape]."""
    return tf.nest.map_structure(
        lambda spec: tf.zeros([*leading, *spec.shape.as_list()], spec.dtype), specs)


def merge_leading(nest: Nest, num_dims: int = 2) -> Nest:
    """Merges the first `num_dims` dimensions: [B, T, *] -> [B*T, *]."""
    def merge(tensor: Tensor) -> Tensor:
        static = tensor.shape.as_list()
        joined = -1 if None in static[:num_dims] else tf.TensorShape(
            static[:num_dims]).num_elements()
        return tf.reshape(tensor, [joined] + shape_of(tensor)[num_dims:])
    return tf.nest.map_structure(merge, nest)


def swap_leading(nest: Nest) -> Nest:
    """Swaps the first two dimensions: [B, T, *] <-> [T, B, *]."""
    return tf.nest.map_structure(
        lambda tensor: tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)]), nest)


def repeat_rows(nest: Nest, count: int | Tensor) -> Nest:
    """Repeats every row, for each sample or step: [B, *] -> [B, N, *]."""
    return tf.nest.map_structure(
        lambda tensor: tf.repeat(tensor[:, tf.newaxis], count, axis=1), nest)


def split_samples(nest: Nest, num_samples: int) -> Nest:
    """Splits rows into samples: [B*S, *] -> [B, S, *]."""
    def split(tensor: Tensor) -> Tensor:
        rows, *rest = shape_of(tensor)
        return tf.reshape(tensor, [rows // num_samples, num_samples, *rest])
    return tf.nest.map_structure(split, nest)


def mask(valid: Tensor, nest: Nest) -> Nest:
    """Zeroes a nest of [..., *] (False for bools) where `valid`, bool [...], is not set."""
    return where(valid, nest, tf.nest.map_structure(tf.zeros_like, nest))


def fill(mask: Tensor, nest: Nest) -> Nest:
    """Puts the first entry that a mask selects in place of those that it leaves out.

    Zeros may be outside of the domain of what an encoder or a density computes, a logarithm say,
    whose NaN would reach the gradients even of the entries that count. An entry of the data is not.

    Args:
      mask: bool `[A, B]`.
      nest: nest of `[A, B, *]`.

    Returns:
      A nest of `[A, B, *]`, with zeros where the mask selects nothing; masks, which are of bools,
      are False where the mask is.
    """
    if 0 in mask.shape.as_list():
        return nest
    flat = tf.reshape(mask, [-1])
    first = tf.argmax(tf.cast(flat, tf.int32))

    def choose(tensor: Tensor) -> Tensor:
        entry = tf.gather(merge_leading(tensor), first)
        is_entry = tf.reduce_any(flat) & (tensor.dtype != tf.bool)
        return where(mask, tensor, tf.where(is_entry, entry, tf.zeros_like(entry)))
    return tf.nest.map_structure(choose, nest)


def fill_time(nest: Nest, lengths: Tensor | None) -> Nest:
    """Puts a valid step, the first one, in place of the steps after each row's length.

    Args:
      nest: nest of `[B, T, *]`.
      lengths: integer `[B]`, or None if every row has T valid steps.
    """
    if lengths is None:
        return nest
    return fill(mask_from_lengths(lengths, leading_dim(nest, 1)), nest)


def mask_time(nest: Nest, lengths: Tensor | None, axis: int = 1) -> Nest:
    """Zeroes the steps after each row's length.

    Args:
      nest: nest of [B, T, *], or [B, S, T, *] with `axis` 2.
      lengths: integer [B], or None if every row has T valid steps.
      axis: the axis of time.
    """
    if lengths is None:
        return nest
    valid = mask_from_lengths(lengths, leading_dim(nest, axis))

    def zero(tensor: Tensor) -> Tensor:
        shape = shape_of(tensor)
        ones = [1] * (len(shape) - 1 - axis)
        mask = tf.reshape(valid, [shape_of(valid)[0], *[1] * (axis - 1), shape[axis], *ones])
        return tf.where(mask, tensor, tf.zeros_like(tensor))
    return tf.nest.map_structure(zero, nest)
