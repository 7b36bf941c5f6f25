# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tables of results as CSV or Parquet."""
from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from vaeseq.cli.arguments import UsageError

from ..data import Table


def check_targets(targets: Sequence[str], others: Sequence[str]) -> None:
    """Raises UsageError where a target has the name of another column of the output."""
    for target in targets:
        if target in others:
            raise UsageError(
                f"column {target!r}: expected a target with a name of its own, got one that the "
                "output needs for another column. Rename the target and train a new run.")


def place_columns(table: Table) -> list[str]:
    """Returns the columns that tell the rows of an output apart: the series, if any, and the time.
    """
    return ["series", "time"] if len(table.series) > 1 or table.series[0].name else ["time"]


def write_table(path: Path | None, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    """Writes columns of one length; NaN becomes an empty cell.

    Writes Parquet if the name ends with .parquet or .pq, otherwise CSV; prints it without a path,
    with numbers of ten digits. In a file they are as short as they can be without another value.
    """
    if path is not None and path.suffix.lower() in (".parquet", ".pq"):
        pa.parquet.write_table(pa.table({
            name: pa.array(values, from_pandas=True) for name, values in columns.items()}), path)
        return
    if path is None:
        _write_csv(sys.stdout, columns, "{:.10g}".format)
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        _write_csv(file, columns, lambda value: str(value).removesuffix(".0"))


def _write_csv(
    file: Any, columns: Mapping[str, Sequence[Any] | np.ndarray], number: Callable[[Any], str]
) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([("" if np.isnan(value) else number(value))
                         if isinstance(value, (float, np.floating)) else value for value in row])
