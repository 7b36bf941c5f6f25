# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tables of results as CSV or Parquet."""
from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet


def write_table(path: Path | None, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    """Writes columns of one length; NaN becomes an empty cell.

    Writes Parquet if the name ends with .parquet, otherwise CSV; prints it without a path.
    """
    if path is not None and path.name.endswith((".parquet", ".pq")):
        pa.parquet.write_table(pa.table({
            name: pa.array(values, from_pandas=True) for name, values in columns.items()}), path)
        return
    if path is None:
        _write_csv(sys.stdout, columns)
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        _write_csv(file, columns)


def _write_csv(file: Any, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values()):
        writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.7g}"
    return value
