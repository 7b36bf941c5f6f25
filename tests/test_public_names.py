# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The names that users import from `vaeseq`."""

import ast
import pathlib
import types

import pytest

import vaeseq

# Renaming or moving a module must not take one of these away.
MODULES = [
    "agent", "bounds", "checkpoint", "cli", "codec", "data", "evaluate", "export", "fields",
    "hparams", "init_from", "latent", "log_dir", "metrics", "networks", "progress", "sampler",
    "schedules", "seeds", "testing", "train", "trainer", "unroll", "vae"]
CLASSES = [
    "Agent", "Batch", "DataSet", "DistModule", "ELBO", "Encoder", "Evaluator", "FIVO", "GenCore",
    "HParams", "IWAE", "Model", "Sampler", "Score", "TrainOps", "VAECore"]


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_resolves(name):
    assert isinstance(getattr(vaeseq, name), types.ModuleType)


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_resolves(name):
    assert getattr(vaeseq, name).__name__ == name


def test_type_checkers_see_every_public_name():
    source = pathlib.Path(vaeseq.__file__).read_text(encoding="utf-8")
    (block,) = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    imported = {alias.asname for node in block.body for alias in node.names}
    assert imported == set(vaeseq.__all__) - {"__version__"}
