# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What `fuzz` counts, and how it is told."""
from __future__ import annotations

import collections
import json
import re
from collections.abc import Mapping
from typing import Any

_MOST_PRINTED = 50
_STATUSES = {0: "succeeded", 1: "failed", 2: "refused"}
_KEPT = ("kind", "number", "depth", "status", "findings")
# What differs from one message to the next of the same sort: what was given, numbers, paths.
_GIVEN = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[-+]?\d[\d.,e+-]*|\S*/\S*")


class Tally:
    """The counts of one kind of input.

    Attributes:
      findings: the answers in which something is wrong.
    """

    def __init__(self, before: Mapping[str, Any] | None = None):
        """Args: before: what `as_dict` gave of the cases that were run already."""
        known = before or {}
        self.findings: list[dict[str, Any]] = list(known.get("found", []))
        self._depths = collections.Counter(
            {name: known.get(name, 0) for name in ("warm", "whole", "process")})
        self._statuses = collections.Counter(
            {status: known.get(name, 0) for status, name in _STATUSES.items()})
        self._messages = collections.Counter(known.get("messages", {}))
        self._seconds = known.get("most_seconds", 0.0)
        self._mebibytes = known.get("most_mebibytes", 0.0)

    @property
    def cases(self) -> int:
        """How many were run."""
        return self._depths.total()

    def add(self, answer: dict[str, Any]) -> None:
        """Counts an answer; one with findings is printed."""
        self._depths[answer["depth"]] += 1
        self._statuses[answer["status"]] += 1
        if answer["status"] in (1, 2):
            self._messages[_GIVEN.sub("_", answer["said"])[:200]] += 1
        self._seconds = max(self._seconds, answer["seconds"])
        self._mebibytes = max(self._mebibytes, answer["mebibytes"])
        if answer["findings"]:
            self.findings.append({name: answer[name] for name in _KEPT})
            if len(self.findings) <= _MOST_PRINTED:
                print(json.dumps(answer), flush=True)

    def as_dict(self) -> dict[str, Any]:
        """For the result."""
        return {
            "cases": self.cases, **self._depths,
            **{name: self._statuses[status] for status, name in _STATUSES.items()},
            "different_messages": len(self._messages), "findings": len(self.findings),
            "most_seconds": self._seconds, "most_mebibytes": self._mebibytes,
            "found": self.findings, "messages": dict(self._messages.most_common())}


def table(tallies: Mapping[str, Tally]) -> str:
    """Markdown, a row a kind."""
    lines = ["| input | cases | succeeded | status 1 | status 2 | different messages | findings | "
             "most work, s | most memory, MiB |", "| --- " * 9 + "|"]
    for kind, tally in tallies.items():
        row = tally.as_dict()
        lines.append(
            f"| {kind.replace('_', ' ')} | {row['cases']:,} | {row['succeeded']:,} | "
            f"{row['failed']:,} | {row['refused']:,} | {row['different_messages']} | "
            f"{row['findings']} | {row['most_seconds']:.1f} | {row['most_mebibytes']:,.0f} |")
    return "\n".join(lines)
