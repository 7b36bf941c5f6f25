# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Shows where the time of one training step goes, kernel by kernel, and what its floor is.

    python -m benchmarks.performance.step_profile run [--rows rnn-256,srnn] [--kernels 12]

A step is a program that XLA compiles to kernels: matrix products, and fusions of element-wise
operations. TensorFlow's profiler times each of their calls, and XLA's text of the program has their
shapes. The table of a row has a line for each kind of kernel with equal shapes, by its time:

    calls        in a step, of all shards
    operations   of a call: two for each multiplication and addition of a product
    bytes        of a call: its operands and its result, once each (of an operand that a fusion
                 slices, that is more than it reads)
    us           the median call; of a large product ("shared"), whose parts threads share, the time
                 until its end, in which other kernels run, too
    floor        the longer of the operations over the rate of a core and, for a product, the bytes
                 over the bandwidth of a core, both measured in the same process
    time         calls x us (of shared ones, x floor), over what all cores have in the median step

The last lines add them up: products, other kernels, and the rest of the step, which is that of
TensorFlow's own operations, of starting kernels, of waiting for the other shard, and of what shared
products take beyond their floor.
"""
from __future__ import annotations

import argparse
import collections
import os
import re
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.performance import new_process, seconds_of, speed
from benchmarks.report import markdown_table
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_STEPS = 10
_END = 10_000_000  # picoseconds from the end of a call to the event that says so, at most
_TRAINED = [name for name, row in speed.ROWS.items()
            if row.work == "train" and row.precision == "float32"]
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%(\S+) = (\w+)\[([\d,]*)\]\S* ([\w-]+)\(([^)]*)\)")
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]+)\}")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "s64": 8, "u64": 8, "f64": 8}


class Kernel(NamedTuple):
    """What XLA's text says of an instruction."""

    label: str
    operations: int
    bytes: int

    @property
    def is_product(self) -> bool:
        """Whether it is a matrix product."""
        return self.operations > 0


class Line(NamedTuple):
    """Kernels with equal shapes."""

    kernel: Kernel  # their shapes and sizes
    calls: float  # in a step
    seconds: float  # of the median call
    floor: float  # the seconds that a call of a product takes at least
    is_shared: bool  # whether threads share the parts of a call

    @property
    def total(self) -> float:
        """Core-seconds in a step; those of shared kernels are counted as their floor."""
        return self.calls * (self.floor if self.is_shared else self.seconds)


class Profile(NamedTuple):
    """Lines, the longest first; seconds of a step; operations and bytes per second of a core."""

    lines: list[Line]
    step_seconds: float
    operation_rate: float
    byte_rate: float


def kernels(program: str) -> dict[str, Kernel]:
    """Reads the instructions of XLA's text of a program, by name; leaves out what is not an array.
    """
    shapes: dict[str, tuple[int, list[int]]] = {}
    parsed = {}
    for line in program.splitlines():
        match = _INSTRUCTION.match(line)
        if match is None:
            continue
        name, dtype, dims, opcode, operands = match.groups()
        size, shape = _BYTES.get(dtype, 4), [int(d) for d in dims.split(",") if d]
        shapes[name] = (size, shape)
        inputs = [shapes[word[1:]] for word in operands.split(", ") if word[1:] in shapes]
        moved = sum(itemsize * _product(dims) for itemsize, dims in [*inputs, (size, shape)])
        operations = 0
        if opcode == "dot":
            contracted = _CONTRACTED.search(line)
            assert contracted is not None, line
            left = inputs[0][1]
            operations = 2 * _product(shape) * _product(
                [left[int(axis)] for axis in contracted[1].split(",")])
        sizes = ", ".join("x".join(map(str, dims)) for _, dims in inputs if dims)
        parsed[name] = Kernel(f"{opcode} {sizes} -> {'x'.join(map(str, shape))}", operations, moved)
    return parsed


def _product(dims: list[int]) -> int:
    product = 1
    for dim in dims:
        product *= dim
    return product


def _profile(row: speed.Row) -> Profile:
    """Compiles, runs and profiles a row in this process, which has imported no TensorFlow yet."""
    with tempfile.TemporaryDirectory() as folder:
        programs, events = Path(folder) / "xla", Path(folder) / "profile"
        os.environ["XLA_FLAGS"] = " ".join([
            os.environ.get("XLA_FLAGS", ""), f"--xla_dump_to={programs}",
            "--xla_dump_hlo_as_text"])
        import tensorflow as tf
        run, _ = speed.compiled(row, None)
        for _ in range(_STEPS):
            run()
        step_seconds = statistics.median(seconds_of(run) for _ in range(_STEPS))
        tf.profiler.experimental.start(str(events))
        for _ in range(_STEPS):
            run()
        tf.profiler.experimental.stop()
        shapes = {
            path.name.split(".", 1)[1].removesuffix(".cpu_after_optimizations.txt"):
                kernels(path.read_text())
            for path in programs.glob("*.cpu_after_optimizations.txt")}
        seconds = collections.defaultdict(list)
        for path in events.rglob("*.xplane.pb"):
            for module, name, duration, is_shared in _calls(path):
                if name in shapes[module]:
                    seconds[shapes[module][name], is_shared].append(duration)
    operation_rate, byte_rate = speed.matrix_rate() / (os.cpu_count() or 1), _byte_rate()
    lines = [
        Line(kernel, len(times) / _STEPS, statistics.median(times),
             max(kernel.operations / operation_rate, kernel.bytes / byte_rate), is_shared)
        for (kernel, is_shared), times in seconds.items()]
    return Profile(sorted(lines, key=lambda line: -line.total), step_seconds, operation_rate,
                   byte_rate)


def _calls(path: Path) -> Iterator[tuple[str, str, float, bool]]:
    """Yields module, instruction, seconds and "shared" of each call, without calls inside it.

    A call that threads share returns before its end, which is an event of its own.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2
    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    for plane in space.planes:
        statistic = {number: item.name for number, item in plane.stat_metadata.items()}
        threads: list[list[_Call]] = []
        ends: dict[int, int] = {}
        for line in plane.lines:
            threads.append([])
            for event in line.events:
                stats = {statistic[item.metadata_id]: item for item in event.stats}
                start = 1000 * line.timestamp_ns + event.offset_ps
                if "hlo_op" in stats:
                    module, name = (statistic[stats[key].ref_value] if stats[key].ref_value
                                    else stats[key].str_value for key in ("hlo_module", "hlo_op"))
                    threads[-1].append(_Call(
                        module, name, start, event.duration_ps,
                        _number(stats["_p"]) if "_p" in stats else None))
                elif "_c" in stats:
                    ends[_number(stats["_c"])] = start
        for calls in threads:
            for call, own in _own_times(sorted(calls, key=lambda call: (call.start, -call.length))):
                until = ends.get(call.number, 0) - call.start if call.number is not None else 0
                is_shared = until > 1.5 * call.length + _END
                yield call.module, call.name, (until if is_shared else own) / 1e12, is_shared


def _number(stat: Any) -> int:
    return stat.uint64_value or stat.int64_value


class _Call(NamedTuple):
    """A call: its kernel, its picoseconds, and the number that its end has, too."""

    module: str
    name: str
    start: int
    length: int
    number: int | None


def _own_times(calls: list[_Call]) -> Iterator[tuple[_Call, int]]:
    """Yields the picoseconds of calls without the calls inside; the outer ones come first."""
    own = [call.length for call in calls]
    around: list[int] = []
    for number, call in enumerate(calls):
        while around and calls[around[-1]].start + calls[around[-1]].length <= call.start:
            around.pop()
        if around:
            own[around[-1]] -= call.length
        around.append(number)
    yield from zip(calls, own)


def _byte_rate(size: int = 1 << 24) -> float:
    """Returns the bytes per second that a core copies, read and written ones counted."""
    import numpy as np
    source = np.ones(size, np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / min(seconds_of(lambda: np.copyto(target, source)) for _ in range(5))


def _table(profile: Profile, count: int) -> str:
    available = profile.step_seconds * (os.cpu_count() or 1)
    rows: list[tuple[str, ...]] = []
    for line in profile.lines[:count]:
        kernel = line.kernel
        rows.append((
            f"{kernel.label}{', shared' if line.is_shared else ''}", f"{line.calls:.0f}",
            f"{kernel.operations / 1e6:.2f} M" if kernel.is_product else "",
            f"{kernel.bytes / 1024:.0f} KiB", f"{1e6 * line.seconds:.1f}",
            f"{1e6 * line.floor:.1f}" if kernel.is_product else "",
            _share(line.total, available)))
    products = [line for line in profile.lines if line.kernel.is_product]
    floor = sum(line.calls * line.floor for line in products)
    spent = sum(line.total for line in products)
    other = sum(line.total for line in profile.lines) - spent
    rows += [(f"all products (floor: {_share(floor, available)})", *[""] * 5,
              _share(spent, available)),
             ("all other kernels", *[""] * 5, _share(other, available)),
             ("the rest of the step", *[""] * 5, _share(available - spent - other, available))]
    return markdown_table(
        ("kernel", "calls", "operations", "bytes", "us", "floor, us", "time"), rows)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=arguments.some_of(_TRAINED), default=_TRAINED, metavar="A,B",
                        help=f"rows of the speed benchmark, out of {','.join(_TRAINED)}")
    parser.add_argument("--kernels", type=arguments.whole(1, 1000), default=12, metavar="N",
                        help="lines of a table")


def _run(options: argparse.Namespace) -> None:
    for name in options.rows:
        with new_process() as process:
            profile = process.submit(_profile, speed.ROWS[name]).result()
        print(f"**{speed.ROWS[name].label}**: {1e3 * profile.step_seconds:.1f} ms a step; a core "
              f"has {profile.operation_rate / 1e9:.0f} G operations and "
              f"{profile.byte_rate / 1e9:.1f} GB per second\n\n"
              f"{_table(profile, options.kernels)}\n", flush=True)


program = Program("python -m benchmarks.performance.step_profile", "Profiles a training step.", (
    Command("run", "profile a step, kernel by kernel", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
