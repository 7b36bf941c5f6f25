# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a model is made of, as JSON: the classes of its parts and their constructors' arguments.

A run saves this beside its hyperparameters, so that a model with another decoder, or another
activation in it, is not taken for the one whose weights were saved.
"""
from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import math
import weakref
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

# The constructor's arguments of each part, while it lives.
_ARGUMENTS: weakref.WeakKeyDictionary[Any, tuple[tuple, dict]] = weakref.WeakKeyDictionary()
_MOST_NUMBERS = 16  # of an array that is written out


class Described:
    """A base class that remembers the arguments of the constructor, for `describe`.

    Attributes:
      evaluation_arguments: names of arguments that may differ when a saved run is used, and are
        not described.
    """

    evaluation_arguments: tuple[str, ...] = ()

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        instance = super().__new__(cls)
        _ARGUMENTS[instance] = arguments, keywords
        return instance


def describe(value: Any) -> Any:
    """Returns a description of a part of a model, or of an argument of one, for JSON.

    A `Described` part is an object of its class and its arguments by name, defaults included; so is
    a dataclass with its fields. A large array is described by its shape and a checksum; functions
    and objects of other classes by their names alone.
    """
    if isinstance(value, Described):
        arguments, keywords = _ARGUMENTS[value]
        bound = inspect.signature(type(value).__init__).bind(value, *arguments, **keywords)
        bound.apply_defaults()
        values = list(bound.arguments.items())[1:]
        left_out = {"name", *value.evaluation_arguments}
        return {"class": type(value).__qualname__,
                **{name: describe(item) for name, item in values if name not in left_out}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        values = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {"class": type(value).__qualname__,
                **{name: describe(item) for name, item in values}}
    if isinstance(value, functools.partial):
        return {"class": describe(value.func), "args": describe(value.args),
                "keywords": describe(value.keywords)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, float) and math.isnan(value):
        return "nan"  # which equals itself, and is JSON
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [describe(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(describe, value), key=repr)
    if isinstance(value, (bytes, complex, range, slice)):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(name): describe(item) for name, item in value.items()}
    if isinstance(value, tf.TensorSpec):
        return f"{value.dtype.name}{value.shape}"
    if isinstance(value, tf.DType):
        return value.name
    if isinstance(value, (np.ndarray, np.generic, tf.Tensor)):
        array = np.asarray(value)
        if array.dtype.hasobject:
            return describe(array.tolist())
        if array.size <= _MOST_NUMBERS and array.dtype.kind in "biufU":
            return describe(array.tolist())
        return f"{array.dtype}{list(array.shape)} {zlib.crc32(array.tobytes()):08x}"
    return getattr(value, "__qualname__", type(value).__qualname__)
