# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Contracts as test mixins: derive a test class from one and construct the object under test.

    class TestCounts(testing.DistModuleContract):
        def make_object_under_test(self):
            return Counts()

This is a complete test of a decoder under pytest. Under unittest, derive from `unittest.TestCase`
too.
"""

from __future__ import annotations

from vaeseq.testing._agent import AgentContract
from vaeseq.testing._codec import DistModuleContract, EncoderContract
from vaeseq.testing._core import VAECoreContract

__all__ = ["AgentContract", "DistModuleContract", "EncoderContract", "VAECoreContract"]
