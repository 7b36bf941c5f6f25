# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tables of numbers: columns, their roles, series on a grid of steps, and windows of them."""
from vaeseq.cli.arguments import UsageError

try:
    import pyarrow  # noqa: F401 (the modules below need it)
except ImportError:
    raise UsageError("vaeseq-series needs pyarrow: pip install 'vaeseq[series]'.") from None

from .roles import Options, Roles
from .table import Series, Table
from .times import Step

__all__ = ["Options", "Roles", "Series", "Step", "Table"]
