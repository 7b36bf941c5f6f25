# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Contracts as tests: mix one into a test class and say what is tested.

    class TestCounts(testing.DistModuleContract):
        def make_object_under_test(self):
            return Counts()

is a whole test of a decoder of one's own, for pytest as it stands and for unittest beside
`unittest.TestCase`. Failures are sentences.
"""

from __future__ import annotations

from vaeseq.testing._agent import AgentContract
from vaeseq.testing._codec import DistModuleContract, EncoderContract
from vaeseq.testing._core import VAECoreContract

__all__ = ["AgentContract", "DistModuleContract", "EncoderContract", "VAECoreContract"]
