# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Command-line programs: subcommands, options and error reporting."""
