# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Probabilistic models of sequences, with and without latent variables.

    import vaeseq

    class Waves(vaeseq.Model): ...

Submodules, and with them TensorFlow, are imported on first use of a name.
"""
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vaeseq.version import __version__

# What type checkers and editors see; the tables below serve at run time.
if TYPE_CHECKING:
    from vaeseq import agent as agent
    from vaeseq import autoencoder as autoencoder
    from vaeseq import bounds as bounds
    from vaeseq import cli as cli
    from vaeseq import codec as codec
    from vaeseq import data as data
    from vaeseq import dist_module as dist_module
    from vaeseq import dtypes as dtypes
    from vaeseq import encoder as encoder
    from vaeseq import evaluate as evaluate
    from vaeseq import fields as fields
    from vaeseq import hparams as hparams
    from vaeseq import model as model
    from vaeseq import nest as nest
    from vaeseq import nn as nn
    from vaeseq import runs as runs
    from vaeseq import seeds as seeds
    from vaeseq import testing as testing
    from vaeseq import train as train
    from vaeseq import tuning as tuning
    from vaeseq import types as types
    from vaeseq import vae as vae
    from vaeseq.agent import Agent as Agent
    from vaeseq.autoencoder import Autoencoder as Autoencoder
    from vaeseq.bounds import ELBO as ELBO
    from vaeseq.bounds import FIVO as FIVO
    from vaeseq.bounds import IWAE as IWAE
    from vaeseq.bounds import Bound as Bound
    from vaeseq.cli.program import Command as Command
    from vaeseq.cli.program import Program as Program
    from vaeseq.codec import decoders as decoders
    from vaeseq.codec import distributions as distributions
    from vaeseq.codec import encoders as encoders
    from vaeseq.codec import heads as heads
    from vaeseq.codec import latent as latent
    from vaeseq.codec import missing as missing
    from vaeseq.codec.missing import MaskedDecoder as MaskedDecoder
    from vaeseq.codec.missing import MaskedEncoder as MaskedEncoder
    from vaeseq.compilation import without_xla as without_xla
    from vaeseq.data import Batch as Batch
    from vaeseq.data import DataSet as DataSet
    from vaeseq.data import Masked as Masked
    from vaeseq.data import TFDataSet as TFDataSet
    from vaeseq.dist_module import DistModule as DistModule
    from vaeseq.dtypes import float_dtype as float_dtype
    from vaeseq.encoder import Encoder as Encoder
    from vaeseq.evaluate import Evaluator as Evaluator
    from vaeseq.evaluate import Sampler as Sampler
    from vaeseq.evaluate import Score as Score
    from vaeseq.evaluate import export as export
    from vaeseq.evaluate import imputation as imputation
    from vaeseq.evaluate import sampler as sampler
    from vaeseq.evaluate.beam_search import BeamSearch as BeamSearch
    from vaeseq.hparams import HParams as HParams
    from vaeseq.model import Model as Model
    from vaeseq.nn import networks as networks
    from vaeseq.nn.scan import unroll as unroll
    from vaeseq.runs import checkpoint as checkpoint
    from vaeseq.runs import log_dir as log_dir
    from vaeseq.runs import progress as progress
    from vaeseq.runs import warm_start as init_from  # noqa: F401
    from vaeseq.runs import warm_start as warm_start
    from vaeseq.runs.checkpoint import Checkpoints as Checkpoints
    from vaeseq.runs.log_dir import LogDir as LogDir
    from vaeseq.runs.progress import Progress as Progress
    from vaeseq.train import Callback as Callback
    from vaeseq.train import Periods as Periods
    from vaeseq.train import Trainer as Trainer
    from vaeseq.train import TrainMetrics as TrainMetrics
    from vaeseq.train import TrainOps as TrainOps
    from vaeseq.train import TrainResult as TrainResult
    from vaeseq.train import metrics as metrics
    from vaeseq.train import schedules as schedules
    from vaeseq.train import trainer as trainer
    from vaeseq.train.loss import SequenceLoss as SequenceLoss
    from vaeseq.truncation import Truncation as Truncation
    from vaeseq.vae import GenCore as GenCore
    from vaeseq.vae import VAECore as VAECore

# Public classes and functions, and the module that defines each.
_NAMES = {
    "Agent": "agent",
    "Autoencoder": "autoencoder",
    "Batch": "data",
    "BeamSearch": "evaluate.beam_search",
    "Bound": "bounds",
    "Callback": "train",
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
    "TFDataSet": "data",
    "TrainMetrics": "train",
    "TrainOps": "train",
    "TrainResult": "train",
    "Trainer": "train",
    "Truncation": "truncation",
    "VAECore": "vae",
    "float_dtype": "dtypes",
    "without_xla": "compilation",
}
# Public modules, and the address of each.
_MODULES = {
    "agent": "agent",
    "autoencoder": "autoencoder",
    "bounds": "bounds",
    "checkpoint": "runs.checkpoint",
    "cli": "cli",
    "codec": "codec",
    "data": "data",
    "decoders": "codec.decoders",
    "dist_module": "dist_module",
    "distributions": "codec.distributions",
    "dtypes": "dtypes",
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
    "tuning": "tuning",
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
