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

# The public names, and the module that defines each. A name that ends a module's path stands for
# the module itself.
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
    "Sampler": "evaluate",
    "Score": "evaluate",
    "TrainOps": "train",
    "VAECore": "vae",
}
_MODULES = {
    "agent": "agent",
    "bounds": "bounds",
    "checkpoint": "runs.checkpoint",
    "cli": "cli",
    "codec": "codec",
    "data": "data",
    "dist_module": "dist_module",
    "encoder": "encoder",
    "evaluate": "evaluate",
    "export": "evaluate.export",
    "fields": "fields",
    "hparams": "hparams",
    "init_from": "runs.warm_start",
    "latent": "codec.latent",
    "log_dir": "runs.log_dir",
    "metrics": "train.metrics",
    "model": "model",
    "nest": "nest",
    "networks": "nn.networks",
    "nn": "nn",
    "progress": "runs.progress",
    "runs": "runs",
    "sampler": "evaluate.sampler",
    "schedules": "train.schedules",
    "seeds": "seeds",
    "testing": "testing",
    "train": "train",
    "trainer": "train.trainer",
    "types": "types",
    "unroll": "nn.scan.unroll",
    "vae": "vae",
    "warm_start": "runs.warm_start",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"vaeseq.{_MODULES[name]}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"vaeseq.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'vaeseq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
