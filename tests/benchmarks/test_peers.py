# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The models of other projects that the benchmarks compare with."""
import argparse
import importlib

import pytest


@pytest.mark.parametrize("work", ["trainer", "sampler"])
def test_the_transformer_of_pytorch_takes_windows_of_any_length(work):
    pytest.importorskip("torch")
    module = importlib.import_module("benchmarks.peers.torch_transformer")
    getattr(module, work)(argparse.Namespace(hidden=16, batch=1, steps=140, compile=False))()
