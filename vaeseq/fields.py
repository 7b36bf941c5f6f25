# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Dataclass fields with a help text and an allowed range, checked from Python, JSON and text.

One declaration gives the default, the help text and the range; the annotation gives the type:

    dropout: float = fields.declare(0.0, "share of outputs dropped", Range(0, 1, open_high=True))

The annotation is `bool`, `int`, `float`, `str`, `tuple[int, ...]`, `Literal["a", "b"]`, or a union
of these. Conversion is strict: "false" is not true, 1.5 is not a whole number, and NaN and infinity
are not accepted.
"""

from __future__ import annotations

import abc
import dataclasses
import difflib
import functools
import math
import numbers
import operator
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Characters that need no quotes in "key=value,key=value".
_WORD = re.compile(r"[A-Za-z0-9_./+-]{1,200}")
_MOST_SIZES = 64
_METADATA = "vaeseq.field"


class _Mismatch(Exception):  # noqa: N818 (never leaves this module)
    """A value has another type than the field."""


def short_repr(value: object, most: int = 80) -> str:
    """Returns the `repr` of a value for a message, with dots for the middle of a long one."""
    text = repr(value)
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """Returns " Did you mean ...?" with the closest candidate; "" if none is close."""
    near = difflib.get_close_matches(name[:100], list(candidates), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


@dataclasses.dataclass(frozen=True)
class Range:
    """An interval of numbers; `open_*` excludes that bound."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def allows(self, value: Any) -> bool:
        """Returns whether all numbers in `value` are in the interval; words always are."""
        if isinstance(value, tuple):
            return all(self.allows(item) for item in value)
        if isinstance(value, str):
            return True
        above = self.low < value if self.open_low else self.low <= value
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        high = f"below {self.high:.10g}" if self.open_high else f"at most {self.high:.10g}"
        return f"{low} and {high}"


class _Kind(abc.ABC):
    """A type of value: its name in messages, and its conversion from text, Python and JSON."""

    expected: str

    @abc.abstractmethod
    def read(self, text: str) -> Any:
        """Parses a value; raises `_Mismatch`."""

    @abc.abstractmethod
    def accept(self, value: Any) -> Any:
        """Returns `value` in its canonical type; raises `_Mismatch` for another type."""


class _Flag(_Kind):
    expected = "true or false"

    def read(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise _Mismatch
        return text.lower() == "true"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise _Mismatch
        return value


class _Whole(_Kind):
    expected = "a whole number"

    def read(self, text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise _Mismatch
        return int(text)

    def accept(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise _Mismatch
        return operator.index(value)


class _Real(_Kind):
    expected = "a finite number"

    def read(self, text: str) -> float:
        if not _REAL.fullmatch(text):
            raise _Mismatch
        return self.accept(float(text))

    def accept(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise _Mismatch
        try:
            number = float(value)
        except OverflowError:
            raise _Mismatch from None
        if not math.isfinite(number):
            raise _Mismatch
        return number


class _Word(_Kind):
    expected = "a word of letters, digits and _ . / + -"

    def read(self, text: str) -> str:
        return self.accept(text)

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise _Mismatch
        return value


class _Choice(_Kind):
    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        names = ", ".join(map(repr, words))
        self.expected = f"one of {names}" if len(words) > 1 else names

    def read(self, text: str) -> str:
        return self.accept(text)

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise _Mismatch
        return value


class _Sizes(_Kind):
    expected = f"up to {_MOST_SIZES} whole numbers in brackets, such as [256,128] or []"

    def read(self, text: str) -> tuple[int, ...]:
        if not (text.startswith("[") and text.endswith("]")):
            raise _Mismatch
        inside = text[1:-1].strip()
        items = inside.split(",", _MOST_SIZES) if inside else []
        return self.accept([_Whole().read(item.strip()) for item in items])

    def accept(self, value: Any) -> tuple[int, ...]:
        if not isinstance(value, (list, tuple)) or len(value) > _MOST_SIZES:
            raise _Mismatch
        return tuple(_Whole().accept(item) for item in value)


class _Either(_Kind):
    def __init__(self, kinds: tuple[_Kind, ...]) -> None:
        self.kinds = kinds
        self.expected = " or ".join(kind.expected for kind in kinds)

    def _first(self, method: str, value: Any) -> Any:
        for kind in self.kinds:
            try:
                return getattr(kind, method)(value)
            except _Mismatch:
                continue
        raise _Mismatch

    def read(self, text: str) -> Any:
        return self._first("read", text)

    def accept(self, value: Any) -> Any:
        return self._first("accept", value)


def _kind_of(annotation: Any) -> _Kind:
    """Returns the kind of value of a type annotation."""
    simple: dict[Any, _Kind] = {
        bool: _Flag(), int: _Whole(), float: _Real(), str: _Word(), tuple[int, ...]: _Sizes()
    }  # fmt: skip
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Literal and all(isinstance(word, str) for word in arguments):
        return _Choice(arguments)
    if origin in (typing.Union, types.UnionType):
        return _Either(tuple(_kind_of(item) for item in arguments))
    if annotation not in simple:
        raise TypeError(
            f"a field's type is bool, int, float, str, tuple[int, ...], Literal[...] of words or "
            f"a union of these, not {annotation!r}"
        )
    return simple[annotation]


@dataclasses.dataclass(frozen=True)
class Field:
    """The declaration of a field, which checks its values."""

    name: str
    kind: _Kind
    default: Any
    help: str
    allowed: Range | None
    is_fixed: bool = True

    @property
    def expected(self) -> str:
        """The accepted values in words: "a whole number, at least 1 and at most 4096"."""
        return self.kind.expected + (f", {self.allowed}" if self.allowed else "")

    def is_like(self, other: Field) -> bool:
        """Returns whether another declaration has the same default and accepts the same values."""
        return (self.default, self.expected, self.is_fixed) == (
            other.default, other.expected, other.is_fixed)

    def read(self, text: str) -> Any:
        """Parses a value; raises ValueError."""
        return self._checked(self.kind.read, text)

    def accept(self, value: Any) -> Any:
        """Returns `value` in its canonical type; raises ValueError."""
        return self._checked(self.kind.accept, value)

    def _checked(self, convert: Callable[[Any], Any], source: Any) -> Any:
        try:
            value = convert(source)
        except _Mismatch:
            value = None
        if value is None or (self.allowed and not self.allowed.allows(value)):
            words = self.kind.words if isinstance(self.kind, _Choice) else ()
            hint = suggestion(source, words) if isinstance(source, str) else ""
            name = f"{self.name}: " if self.name else ""
            raise ValueError(f"{name}expected {self.expected}; got {short_repr(source)}.{hint}")
        return value


def reader(annotation: Any, allowed: Range | None = None) -> Callable[[str], Any]:
    """Returns a parser of values of a type and range; it raises ValueError."""
    return Field("", _kind_of(annotation), None, "", allowed).read


def declare(
    default: Any, help: str, allowed: Range | None = None, *, is_fixed: bool = True
) -> Any:
    """Declares a dataclass field.

    Args:
      default: its value where none is given.
      help: one line for people.
      allowed: the range of numbers.
      is_fixed: whether a training run keeps the value; False for what may differ when it is
        resumed or evaluated.
    """
    return dataclasses.field(default=default, metadata={_METADATA: (help, allowed, is_fixed)})


def undeclared(default: Any) -> Any:
    """Makes a dataclass field that is no part of `of`: neither text nor JSON reaches it."""
    return dataclasses.field(default=default, metadata={_METADATA: None})


def redeclare(base: type, name: str, default: Any) -> Any:
    """Declares the field `name` of `base` with another default, in a subclass."""
    inherited = of(base)
    if name not in inherited:
        raise ValueError(f"{base.__name__} has no field {name!r}.{suggestion(name, inherited)}")
    field = inherited[name]
    return declare(default, field.help, field.allowed, is_fixed=field.is_fixed)


def of(cls: Any) -> Mapping[str, Field]:
    """Returns the fields of a dataclass by name, in order of declaration."""
    return _of(cls)


@functools.cache
def _of(cls: Any) -> Mapping[str, Field]:
    hints = typing.get_type_hints(cls)
    result = {}
    for item in dataclasses.fields(cls):
        if _METADATA not in item.metadata:
            raise TypeError(
                f"{cls.__name__}.{item.name} has no help text: declare it as "
                f"`{item.name}: {item.type} = fields.declare(default, help)`"
            )
        if item.metadata[_METADATA] is None:
            continue
        result[item.name] = Field(
            item.name, _kind_of(hints[item.name]), item.default, *item.metadata[_METADATA]
        )
    return types.MappingProxyType(result)
