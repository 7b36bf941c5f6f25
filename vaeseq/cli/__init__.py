# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Command-line programs: subcommands, options and error reporting (see `vaeseq.cli.program`)."""
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import Command, Program

__all__ = ["Command", "Program", "UsageError"]
