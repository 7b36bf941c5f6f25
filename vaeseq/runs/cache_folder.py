# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The folder where programs keep what they can compute again."""
from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Returns `vaeseq/NAME` in $XDG_CACHE_HOME, or in ~/.cache; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(root) if os.path.isabs(root) else Path(os.path.expanduser("~")) / ".cache"
    return base / "vaeseq" / name
