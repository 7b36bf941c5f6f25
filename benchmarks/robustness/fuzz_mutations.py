# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Ways to spoil bytes, texts and JSON; each a pure function of what is given and a generator.

`PLANTED` are the payloads that must never run. Where one does, it makes the directory that it is
given: loading the pickle or the YAML document, or evaluating the expression.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator

_MOST_BYTES = 1 << 17  # of what is made by repeating
_LARGE = (0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
TOKENS = (
    "", " ", "0", "-1", "1e999", "-1e-999", "nan", "inf", "NaN", "Infinity", "1" * 400, "0x10",
    "1_000", "1.5", "true", "null", "None", "[", "]", "[" * 3000, "[]", "[[1]]", "{}", ",", ",,",
    "=", "==", "a=b", "\n", "\r\n", "\t", "\x1b[2J", "\x7f", "\u202e", "\ufeff", "\U0001f3b5",
    "\u0661", "\udcff", "\udc80\udcfe", "'", '"', "`id`", "$(id)", "%s%n", "{0.__class__}", "../",
    "~", "*", "--", "-", "é", "e\u0301", "A" * 5000)
_JSON_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, float("nan"), float("inf"), 10**400, "", "x",
    "\u0000", "\ud800", "a" * 70000, [], {}, [[]], [None], [1] * 1000, {"a": {}}, "vaeseq-play",
    [1e999], 1 << 62, 1 << 63, -(1 << 63))


def pickled(directory: Path) -> bytes:
    """A pickle that makes `directory` when it is loaded, as protocol 0 writes it."""
    return b"cos\nmkdir\n(V" + str(directory).encode("unicode_escape") + b"\ntR."


def tagged(directory: Path) -> str:
    """A YAML document whose tag makes `directory` when a loader obeys it."""
    return f"!!python/object/apply:os.mkdir [{json.dumps(str(directory))}]"


def expression(directory: Path) -> str:
    """Python that makes `directory` when it is evaluated."""
    return f"__import__('os').mkdir({str(directory)!r})"


def planted(directory: Path) -> tuple[str, ...]:
    """Every payload as text."""
    return (tagged(directory), expression(directory), pickled(directory).decode("latin-1"))


def spoil(data: bytes, rng: Rng, others: Sequence[bytes] = (), tokens: Sequence[bytes] = ()
          ) -> bytes:
    """`data` after one to four mutations.

    Args:
      data: to spoil.
      rng: what decides.
      others: like `data`, to splice with.
      tokens: that mean something where `data` is read, to be inserted.
    """
    for _ in range(1 + int(rng.integers(4))):
        data = pick(_BYTE_MUTATIONS, rng)(data, rng, others, tokens)
    return data[:_MOST_BYTES * 4]


def pick(choices: Sequence[Any], rng: Rng) -> Any:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def _span(size: int, rng: Rng, most: int = 1 << 30) -> tuple[int, int]:
    """Where a span of a sequence begins and ends; short ones are more likely than long ones."""
    start = int(rng.integers(size + 1))
    length = min(size - start, most, int(2 ** rng.uniform(0, 12)))
    return start, start + length


def _truncate(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    return data[:int(rng.integers(len(data) + 1))]


def _flip(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    spoilt = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 6)) if data else 0):
        spoilt[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


def _insert(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(int(2 ** rng.uniform(0, 8))) + data[at:]


def _token(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    known = [*tokens, *(token.encode("utf-8", "surrogateescape") for token in TOKENS)]
    at, end = _span(len(data), rng, 8)
    return data[:at] + pick(known, rng) + data[pick((at, end), rng):]


def _number(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Overwrites a few bytes with a number that is the largest of its kind."""
    value = pick(_LARGE, rng)
    size = max(1, (value.bit_length() + 7) // 8)
    at = int(rng.integers(len(data) + 1))
    return data[:at] + value.to_bytes(size, pick(("big", "little"), rng)) + data[at + size:]


def _delete(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), rng)
    times = min(int(2 ** rng.uniform(0, 14)), _MOST_BYTES // max(1, end - start))
    return data[:start] + data[start:end] * times + data[end:]


def _swap(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    a, b, c = sorted(int(rng.integers(len(data) + 1)) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _splice(data: bytes, rng: Rng, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    other = pick(others, rng) if others else data
    start, end = _span(len(other), rng)
    at = int(rng.integers(len(data) + 1))
    return data[:at] + other[start:pick((end, len(other)), rng)] + data[at:]


_BYTE_MUTATIONS: tuple[Callable[..., bytes], ...] = (
    _truncate, _flip, _flip, _insert, _token, _token, _number, _delete, _repeat, _swap, _splice)


def spoil_text(text: str, rng: Rng, tokens: Sequence[str] = ()) -> str:
    """`text` after one to four mutations; what is no text comes as surrogate escapes."""
    data = text.encode("utf-8", "surrogateescape")
    known = [token.encode("utf-8", "surrogateescape") for token in tokens]
    return spoil(data, rng, [], known).decode("utf-8", "surrogateescape").replace("\0", "")


def spoil_json(text: str, rng: Rng, directory: Path) -> bytes:
    """A JSON document with another value, key or shape somewhere, or with spoilt bytes."""
    if rng.random() < 0.3:
        return spoil(text.encode(), rng, [], [p.encode("latin-1") for p in planted(directory)])
    root = json.loads(text)
    holder = {"root": root}
    place, key = _place(holder, rng)
    move = int(rng.integers(6))
    if move == 0 and isinstance(place, dict) and place is not holder:
        del place[key]
    elif move == 1 and isinstance(place, dict):
        place[pick((*TOKENS, "__class__", "vae_type", key.upper()), rng)] = place[key]
    elif move == 2:
        return _repeated(holder["root"], rng)
    elif move == 3:
        place[key] = pick(planted(directory), rng)
    else:
        place[key] = pick(_JSON_VALUES, rng)
    if rng.random() < 0.03:
        return pick((b"[" * 60000, b'{"a":' * 20000, b"[" * 10**5 + b"]" * 10**5), rng)
    return json.dumps(holder["root"]).encode("utf-8", "surrogateescape")


def _place(holder: dict[str, Any], rng: Rng) -> tuple[Any, Any]:
    """A container somewhere in the document, and one of its keys."""
    place, key = holder, "root"
    while isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.9:
        place = place[key]
        key = pick(list(place) if isinstance(place, dict) else range(len(place)), rng)
    return place, key


def _repeated(value: Any, rng: Rng) -> bytes:
    """The document with one of its keys twice."""
    if not isinstance(value, dict) or not value:
        return json.dumps([value, value]).encode("utf-8", "surrogateescape")
    name = pick(list(value), rng)
    extra = json.dumps({name: pick(_JSON_VALUES, rng)})
    return (json.dumps(value)[:-1] + "," + extra[1:]).encode("utf-8", "surrogateescape")
