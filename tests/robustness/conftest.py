# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Registers the profiles of hypothesis; `make test-all` chooses "thorough"."""

import os

from hypothesis import HealthCheck, settings

_SHARED = {"deadline": 20_000, "database": None, "print_blob": True,
           "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
settings.register_profile("fast", max_examples=60, derandomize=True, **_SHARED)
settings.register_profile("thorough", max_examples=2000, **_SHARED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
