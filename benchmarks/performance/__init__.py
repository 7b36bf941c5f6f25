# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Speed and memory: training steps, sampling, rollouts, several workers."""
from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def new_process(
    initializer: Callable[..., None] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """Returns an executor of one new process; `initializer(*arguments)` runs in it first."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer, arguments)


def seconds_of(run: Callable[[], object]) -> float:
    """Returns the wall time of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_memory() -> int:
    """Returns the peak of the resident memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
