# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models of sequences of observations, with and without latent variables.

    import vaeseq

    class Waves(vaeseq.Model): ...

TensorFlow is imported when a name that needs it is first used.
"""
from __future__ import annotations

import importlib
from typing import Any

from vaeseq.version import __version__

# Where each public name comes from; a module stands for itself.
_MODULES = (
    "agent", "bounds", "checkpoint", "codec", "data", "evaluate", "export", "hparams", "init_from",
    "latent", "metrics", "networks", "sampler", "schedules", "seeds", "testing", "train", "trainer",
    "unroll", "vae")
_NAMES = {
    "Agent": "agent",
    "Batch": "data",
    "DataSet": "data",
    "DistModule": "dist_module",
    "ELBO": "bounds",
    "Encoder": "encoder",
    "Evaluator": "evaluate",
    "FIVO": "bounds",
    "GenCore": "vae",
    "HParams": "hparams",
    "IWAE": "bounds",
    "Model": "model",
    "Sampler": "sampler",
    "Score": "evaluate",
    "TrainOps": "train",
    "VAECore": "vae",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"vaeseq.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"vaeseq.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'vaeseq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
