# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The file of choices: one JSON object for each line, appended and never rewritten.

    {"id": "...", "listener": "ann", "first": ..., "second": ..., "choice": "first"}
    {"undo": "..."}

`first` and `second` are what was compared, in a form of the program: a string, or the notes of each
frame. `choice` is "first", "second" or "neither". A line with `undo` takes a choice back. Each line
is on the disk (fsync) before the next pair is shown, so that a kill loses nothing; what a crash
left of an unfinished last line is dropped. Imports no TensorFlow.
"""
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, get_args

from vaeseq.fields import short_repr

Answer = Literal["first", "second", "neither"]
_LONGEST_LINE = 1 << 22  # bytes
_MOST_NAME = 200  # characters of a listener's name


class Choice(NamedTuple):
    """A choice between two samples.

    Attributes:
      id: distinguishes it from all others.
      listener: who chose.
      first: a sample, as JSON values.
      second: likewise.
      choice: "first", "second" or "neither".
    """

    id: str
    listener: str
    first: Any
    second: Any
    choice: Answer

    @property
    def preference(self) -> float:
        """1 for the first, 0 for the second, 0.5 for neither."""
        return {"first": 1.0, "second": 0.0, "neither": 0.5}[self.choice]


def read(path: str | os.PathLike[str]) -> list[Choice]:
    """Reads the choices of a file, without those that were taken back.

    Raises:
      OSError: the file cannot be read.
      ValueError: a line is not as expected.
    """
    with open(path, "rb") as file:
        return _parse(file, os.fspath(path))


class ChoicesFile:
    """A file of choices, open for appending; only one process can have it open.

        with ChoicesFile("choices.jsonl") as file:
            file.append("ann", "a text", "another", "first")
            file.undo("ann")
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Opens the file, creating it if need be.

        Raises:
          OSError: the file cannot be opened or written.
          ValueError: another process has it open, or a line is not as expected.
        """
        self._path = Path(path)
        is_new = not self._path.exists()
        # Not buffered: what could not be written must not be written later.
        self._file = open(self._path, "a+b", buffering=0)  # noqa: SIM115 - closed by __exit__
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"{str(self._path)!r}: another process collects choices in this file. Stop it, "
                    "or give another --choices.") from None
            self._choices = read(self._path)
            self._end_last_line()
            if is_new:
                _sync_directory(self._path.absolute().parent)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ChoicesFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def choices(self, listener: str) -> list[Choice]:
        """Returns the choices of a listener, oldest first, without those taken back."""
        return [choice for choice in self._choices if choice.listener == listener]

    def append(self, listener: str, first: Any, second: Any, answer: Answer) -> None:
        """Writes a choice; it is on the disk when the method returns.

        Raises:
          OSError: the disk is full.
        """
        choice = Choice(uuid.uuid4().hex, listener, first, second, answer)
        self._write(choice._asdict())
        self._choices.append(choice)

    def undo(self, listener: str) -> None:
        """Takes the last choice of a listener back, if there is one."""
        ours = self.choices(listener)
        if ours:
            self._write({"undo": ours[-1].id})
            self._choices.remove(ours[-1])

    def _write(self, value: dict[str, Any]) -> None:
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        size = self._path.stat().st_size
        try:
            while line:
                line = line[self._file.write(line):]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(size)  # no part of the line stays
            raise

    def _end_last_line(self) -> None:
        """Drops the part of a line at the end, or ends a whole one."""
        content = self._path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end == len(content):
            return
        if _value(content[end:]) is None:  # as `read` has checked, a line of ours
            self._file.truncate(end)
        else:
            self._file.write(b"\n")
        os.fsync(self._file.fileno())


def check_listener(name: str) -> str:
    """Returns the name of a listener.

    Raises:
      ValueError: it is empty, too long, or has characters that cannot be printed.
    """
    if not (0 < len(name) <= _MOST_NAME and name.isprintable()):
        raise ValueError(f"expected a name of 1 to {_MOST_NAME} printable characters; got "
                         f"{short_repr(name)}.")
    return name


def _parse(file: Any, name: str) -> list[Choice]:
    choices: dict[str, Choice] = {}
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
        value = _value(line)
        if value is None and not line.endswith(b"\n") and len(line) <= _LONGEST_LINE and any(
                line.startswith(begin) or begin.startswith(line) for begin in _BEGINS):
            break  # the part of a line that a crash left
        choice = _choice(value)
        if isinstance(choice, Choice) and choice.id not in choices:
            choices[choice.id] = choice
        elif isinstance(choice, str) and choice in choices:
            del choices[choice]
        else:
            raise ValueError(
                f"{name!r}, line {number}: expected a JSON object of a choice (id, listener, "
                "first, second, and a choice of first, second or neither) or an undo of an earlier "
                f"one; got {short_repr(line.decode(errors='replace'))}.")
    return list(choices.values())


_BEGINS = (b'{"id":"', b'{"undo":"')  # of the lines that `ChoicesFile` writes


def _value(line: bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(line)
    return None


def _choice(value: Any) -> Choice | str | None:
    """Returns a choice, or the id of one that is taken back; None for something else."""
    if not isinstance(value, dict):
        return None
    if set(value) == {"undo"}:
        return value["undo"] if isinstance(value["undo"], str) else None
    if set(value) != set(Choice._fields):
        return None
    choice = Choice(**value)
    texts = choice.id, choice.listener, choice.choice
    if not all(isinstance(text, str) for text in texts) or choice.choice not in get_args(Answer):
        return None
    try:
        check_listener(choice.listener)
    except ValueError:
        return None
    return choice


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named_lines(path: str | os.PathLike[str], number: int) -> Iterator[None]:
    """Raises ValueError with the file and the choice's number where the inner code raises one."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"{os.fspath(path)!r}, choice {number}: {error}") from None
