# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Fields of a frozen dataclass that know their help text and what they accept.

A field is declared in one place, its type being the annotation:

    dropout: float = fields.declare(0.0, "share of outputs dropped", Range(0, 1, open_high=True))

The annotation is `bool`, `int`, `float`, `str`, `tuple[int, ...]`, `Literal["a", "b"]`, or a union
of these. Nothing here is converted by guessing: "false" is not true, 1.5 is no whole number, and
no number may be NaN or infinite.
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
# What can stand in "key=value,key=value" without quotes.
_WORD = re.compile(r"[A-Za-z0-9_./+-]{1,200}")
_MOST_SIZES = 64
_METADATA = "vaeseq.field"


class Refused(Exception):  # noqa: N818 (never leaves this module)
    """A value is not of the kind asked for."""


def shown(value: object, most: int = 80) -> str:
    """The `repr` of an offending value, its middle left out where a line would be too long.

    The ends stay, as a path's last part tells more than its first.
    """
    text = repr(value)
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Asks whether the nearest of the known names was meant; "" where none is near."""
    near = difflib.get_close_matches(name[:100], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers between two bounds; `open_*` leaves the bound itself out."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def allows(self, value: Any) -> bool:
        """Whether each number in `value` lies inside; words always do."""
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


class Kind(abc.ABC):
    """One type of value: how it is called, read from text, and accepted from Python or JSON."""

    expected: str

    @abc.abstractmethod
    def read(self, text: str) -> Any:
        """The value that `text` writes; raises `Refused`."""

    @abc.abstractmethod
    def accept(self, value: Any) -> Any:
        """`value` in its normal form; raises `Refused` when it is of another type."""


class _Flag(Kind):
    expected = "true or false"

    def read(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise Refused
        return text.lower() == "true"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Refused
        return value


class _Whole(Kind):
    expected = "a whole number"

    def read(self, text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise Refused
        return int(text)

    def accept(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise Refused
        return operator.index(value)


class _Real(Kind):
    expected = "a finite number"

    def read(self, text: str) -> float:
        if not _REAL.fullmatch(text):
            raise Refused
        return self.accept(float(text))

    def accept(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise Refused
        try:
            number = float(value)
        except OverflowError:
            raise Refused from None
        if not math.isfinite(number):
            raise Refused
        return number


class _Word(Kind):
    expected = "a word of letters, digits and _ . / + -"

    def read(self, text: str) -> str:
        return self.accept(text)

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise Refused
        return value


class _Choice(Kind):
    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        names = ", ".join(map(repr, words))
        self.expected = f"one of {names}" if len(words) > 1 else names

    def read(self, text: str) -> str:
        return self.accept(text)

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise Refused
        return value


class _Sizes(Kind):
    expected = f"up to {_MOST_SIZES} whole numbers in brackets, such as [256,128] or []"

    def read(self, text: str) -> tuple[int, ...]:
        if not (text.startswith("[") and text.endswith("]")):
            raise Refused
        inside = text[1:-1].strip()
        items = inside.split(",", _MOST_SIZES) if inside else []
        return self.accept([_Whole().read(item.strip()) for item in items])

    def accept(self, value: Any) -> tuple[int, ...]:
        if not isinstance(value, (list, tuple)) or len(value) > _MOST_SIZES:
            raise Refused
        return tuple(_Whole().accept(item) for item in value)


class _Either(Kind):
    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self.kinds = kinds
        self.expected = " or ".join(kind.expected for kind in kinds)

    def _first(self, method: str, value: Any) -> Any:
        for kind in self.kinds:
            try:
                return getattr(kind, method)(value)
            except Refused:
                continue
        raise Refused

    def read(self, text: str) -> Any:
        return self._first("read", text)

    def accept(self, value: Any) -> Any:
        return self._first("accept", value)


def _kind(annotation: Any) -> Kind:
    """The kind of value that a type annotation names."""
    simple: dict[Any, Kind] = {
        bool: _Flag(), int: _Whole(), float: _Real(), str: _Word(), tuple[int, ...]: _Sizes()
    }  # fmt: skip
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return _Choice(typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return _Either(tuple(_kind(item) for item in typing.get_args(annotation)))
    if annotation not in simple:
        raise TypeError(
            f"a field's type is bool, int, float, str, tuple[int, ...], Literal[...] or a union "
            f"of these, not {annotation!r}"
        )
    return simple[annotation]


@dataclasses.dataclass(frozen=True)
class Field:
    """What is known of one field: enough to check it and to print its row of a table."""

    name: str
    kind: Kind
    default: Any
    help: str
    allowed: Range | None

    @property
    def expected(self) -> str:
        """What would do, in words: "a whole number, at least 1 and at most 4096"."""
        return self.kind.expected + (f", {self.allowed}" if self.allowed else "")

    def read(self, text: str) -> Any:
        """The value that `text` writes; raises ValueError."""
        return self._checked(self.kind.read, text)

    def accept(self, value: Any) -> Any:
        """`value` in its normal form; raises ValueError."""
        return self._checked(self.kind.accept, value)

    def _checked(self, convert: Callable[[Any], Any], given: Any) -> Any:
        try:
            value = convert(given)
        except Refused:
            value = None
        if value is None or (self.allowed and not self.allowed.allows(value)):
            words = self.kind.words if isinstance(self.kind, _Choice) else ()
            hint = suggestion(given, words) if isinstance(given, str) else ""
            name = f"{self.name}: " if self.name else ""
            raise ValueError(f"{name}expected {self.expected}; got {shown(given)}.{hint}")
        return value


def reader(annotation: Any, allowed: Range | None = None) -> Callable[[str], Any]:
    """A function from text to a value of that type and range; it raises ValueError."""
    return Field("", _kind(annotation), None, "", allowed).read


def declare(default: Any, help: str, allowed: Range | None = None) -> Any:
    """A dataclass field with its default, help text and allowed range in one line."""
    return dataclasses.field(default=default, metadata={_METADATA: (help, allowed)})


def redeclare(base: type, name: str, default: Any) -> Any:
    """The field `name` of `base` with another default, for a subclass."""
    known = of(base)
    if name not in known:
        raise ValueError(f"{base.__name__} has no field {name!r}.{suggestion(name, known)}")
    return declare(default, known[name].help, known[name].allowed)


def of(cls: Any) -> Mapping[str, Field]:
    """The fields of a dataclass by name, in the order they are declared."""
    return _of(cls)


@functools.cache
def _of(cls: Any) -> Mapping[str, Field]:
    hints = typing.get_type_hints(cls)
    found = {}
    for item in dataclasses.fields(cls):
        if _METADATA not in item.metadata:
            raise TypeError(
                f"{cls.__name__}.{item.name} has no help text: declare it as "
                f"`{item.name}: {item.type} = fields.declare(default, help)`"
            )
        help_text, allowed = item.metadata[_METADATA]
        found[item.name] = Field(
            item.name, _kind(hints[item.name]), item.default, help_text, allowed
        )
    return types.MappingProxyType(found)
