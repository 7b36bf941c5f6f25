# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Writers of what a run measures and makes: terminal, JSON lines, TensorBoard.

Every writer takes the same calls and leaves out what it cannot show:

    with MultiWriter([Terminal(), JsonLines(path, last_step=-1), TensorBoard(directory)]) as writer:
        writer.scalars(100, {"loss": 1.9, "nats_per_char": 1.8})
        writer.text(100, "sample", "To be ...")

Axes: H height, W width, C channels (see `vaeseq.types` for the others).
"""

from __future__ import annotations

import abc
import contextlib
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

# A line longer than this was not written here; it is not read into memory whole.
_LONGEST_LINE = 1 << 20


class Writer(abc.ABC):
    """Takes what a run measures and makes, each with the training step it belongs to."""

    @abc.abstractmethod
    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Numbers by name: Python's or NumPy's, or tensors of shape []."""

    def text(self, step: int, name: str, text: str) -> None:
        """A text, such as a sample."""

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """A picture `[H, W, C]`, C being 1, 3 or 4: uint8, or float in [0, 1]."""

    def audio(self, step: int, name: str, audio: np.ndarray, rate: int) -> None:
        """A sound `[T, C]`, float in [-1, 1], of `rate` samples a second."""

    def flush(self) -> None:
        """Brings everything written so far to where a crash does not reach it."""

    def close(self) -> None:
        """Flushes; nothing is written after it."""
        self.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Terminal(Writer):
    """Prints a line of scalars, and texts, through a function such as `Progress.write`."""

    def __init__(self, write: Callable[[str], None] = print) -> None:
        self._write = write

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Prints "step 100: loss 1.9, nats_per_char 1.8"."""
        shown = ", ".join(f"{name} {_number(value):.5g}" for name, value in values.items())
        self._write(f"step {step}: {shown}")

    def text(self, step: int, name: str, text: str) -> None:
        """Prints the text without the control characters that could command a terminal."""
        safe = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
        self._write(f"--- {name}, step {step}\n{safe}\n---")


class JsonLines(Writer):
    """Appends a JSON object for each step to a file: `{"step": 100, "loss": 1.9}`.

    A step has one line, and lines are in the order of their steps. So that a run which is resumed
    from a checkpoint leaves the same file as one that was never interrupted, write a step's line
    and `flush` before saving the checkpoint of that step, and write nothing that depends on the
    clock. What is no finite number is null.

    Args:
      path: the file.
      last_step: lines of later steps, left by a run that did not get to save them, are removed;
        -1, for a new run, removes all.

    Raises:
      OSError: the file cannot be written.
      ValueError: a step is written that is not later than the one before.
    """

    def __init__(self, path: str | os.PathLike[str], *, last_step: int) -> None:
        self._path = pathlib.Path(path)
        self._last_step = last_step
        _keep_steps(self._path, last_step)
        self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Appends a line, which is on its way to the disk on return."""
        if step <= self._last_step:
            raise ValueError(
                f"{str(self._path)!r}: expected a step after {self._last_step}, which was written; "
                f"got {step}. Write all values of a step at once"
            )
        kept = {name: _finite(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": int(step), **kept}, allow_nan=False) + "\n")
        self._file.flush()
        self._last_step = int(step)

    def flush(self) -> None:
        """Brings every line to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Brings every line to the disk and closes the file."""
        if not self._file.closed:
            with self._file:
                self.flush()


class TensorBoard(Writer):
    """Writes TensorBoard's event files into a directory."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        # TensorFlow takes bytes for a path that is no UTF-8.
        self._writer = tf.summary.create_file_writer(os.fsencode(directory))

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes a point of each curve."""
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, np.float64(_number(value)), step=np.int64(step))

    def text(self, step: int, name: str, text: str) -> None:
        """Writes a text as it stands: indented, which is Markdown for "not Markdown"."""
        verbatim = "".join(f"    {line}\n" for line in text.splitlines())
        with self._writer.as_default():
            tf.summary.text(name, verbatim.encode("utf-8", "replace"), step=np.int64(step))

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a picture."""
        with self._writer.as_default():
            tf.summary.image(name, image[np.newaxis], step=np.int64(step))

    def audio(self, step: int, name: str, audio: np.ndarray, rate: int) -> None:
        """Writes a sound."""
        with self._writer.as_default():
            tf.summary.audio(name, np.float32(audio)[np.newaxis], rate, step=np.int64(step))

    def flush(self) -> None:
        """Writes what is buffered to the event file."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()


class MultiWriter(Writer):
    """Passes everything on to several writers, in their order."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = tuple(writers)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Passes it on."""
        for writer in self._writers:
            writer.scalars(step, values)

    def text(self, step: int, name: str, text: str) -> None:
        """Passes it on."""
        for writer in self._writers:
            writer.text(step, name, text)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Passes it on."""
        for writer in self._writers:
            writer.image(step, name, image)

    def audio(self, step: int, name: str, audio: np.ndarray, rate: int) -> None:
        """Passes it on."""
        for writer in self._writers:
            writer.audio(step, name, audio, rate)

    def flush(self) -> None:
        """Flushes every writer."""
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        """Closes every writer, also when one of them fails."""
        with contextlib.ExitStack() as stack:
            for writer in reversed(self._writers):
                stack.callback(writer.close)


def _number(value: Any) -> float:
    """A scalar as a Python number; whole numbers stay whole."""
    number = np.asarray(value)
    if number.shape != () or number.dtype.kind not in "biuf":
        raise TypeError(f"expected a number of shape []; got {value!r}")
    return number.item()


def _finite(value: Any) -> float | None:
    number = _number(value)
    return number if math.isfinite(number) else None


def _keep_steps(path: pathlib.Path, last_step: int) -> None:
    """Leaves in the file the whole lines of steps up to `last_step`, if any, and only those."""
    if not path.exists():
        return
    kept = path.with_name(path.name + ".kept")
    kept.unlink(missing_ok=True)  # a link there would lead elsewhere
    changed = False
    with open(path, "rb") as old, open(kept, "wb") as new:
        for line in _lines(old):
            step = _step(line)
            keep = step is not None and step <= last_step
            changed = changed or not keep or not line.endswith(b"\n")
            if keep:
                new.write(line.rstrip(b"\n") + b"\n")
        new.flush()
        os.fsync(new.fileno())
    if changed:
        os.replace(kept, path)
    else:
        os.remove(kept)


def _lines(file: Any) -> Iterator[bytes]:
    """The lines of a binary file; what is too long for a line comes in pieces."""
    while line := file.readline(_LONGEST_LINE):
        yield line


def _step(line: bytes) -> int | None:
    """The step of a line; None where it is not whole, or not one of ours."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = values.get("step") if isinstance(values, dict) else None
    return step if isinstance(step, int) and not isinstance(step, bool) else None
