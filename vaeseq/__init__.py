# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Probabilistic models of sequences, with and without latent variables.

    import vaeseq

    class Waves(vaeseq.Model): ...

Submodules, and with them TensorFlow, are imported on first use of a name.
"""
from __future__ import annotations

import importlib
from typing import Any

from vaeseq.version import __version__

# Public classes, and the module that defines each.
_NAMES = {
    "Agent": "agent",
    "Batch": "data",
    "BeamSearch": "evaluate.beam_search",
    "Bound": "bounds",
    "Checkpoints": "runs.checkpoint",
    "Command": "cli.program",
    "DataSet": "data",
    "DistModule": "dist_module",
    "ELBO": "bounds",
    "Encoder": "encoder",
    "Evaluator": "evaluate",
    "FIVO": "bounds",
    "GenCore": "vae",
    "HParams": "hparams",
    "IWAE": "bounds",
    "LogDir": "runs.log_dir",
    "Masked": "data",
    "MaskedDecoder": "codec.missing",
    "MaskedEncoder": "codec.missing",
    "Model": "model",
    "Periods": "train",
    "Program": "cli.program",
    "Progress": "runs.progress",
    "Sampler": "evaluate",
    "Score": "evaluate",
    "SequenceLoss": "train.loss",
    "TrainMetrics": "train",
    "TrainOps": "train",
    "TrainResult": "train",
    "Trainer": "train",
    "Truncation": "truncation",
    "VAECore": "vae",
}
# Public modules, and the address of each.
_MODULES = {
    "agent": "agent",
    "bounds": "bounds",
    "checkpoint": "runs.checkpoint",
    "cli": "cli",
    "codec": "codec",
    "data": "data",
    "decoders": "codec.decoders",
    "dist_module": "dist_module",
    "distributions": "codec.distributions",
    "encoder": "encoder",
    "encoders": "codec.encoders",
    "evaluate": "evaluate",
    "export": "evaluate.export",
    "fields": "fields",
    "heads": "codec.heads",
    "hparams": "hparams",
    "imputation": "evaluate.imputation",
    "init_from": "runs.warm_start",
    "latent": "codec.latent",
    "log_dir": "runs.log_dir",
    "metrics": "train.metrics",
    "missing": "codec.missing",
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
