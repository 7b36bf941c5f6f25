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

# Public modules by the package that has them.
_MODULES = {
    "vaeseq": [
        "agent", "autoencoder", "bounds", "cli", "codec", "data", "dist_module", "dtypes",
        "encoder", "evaluate", "fields", "hparams", "model", "nest", "nn", "runs", "seeds",
        "testing", "train", "tuning", "types", "vae"],
    "vaeseq.codec": ["decoders", "distributions", "encoders", "heads", "latent", "missing"],
    "vaeseq.evaluate": ["export", "imputation", "sampler"],
    "vaeseq.nn": ["networks"],
    "vaeseq.nn.scan": ["unroll"],
    "vaeseq.runs": ["checkpoint", "log_dir", "progress", "warm_start"],
    "vaeseq.train": ["metrics", "schedules", "trainer"],
}
# Public classes and functions by the module that has them.
_NAMES = {
    "vaeseq.agent": ["Agent"],
    "vaeseq.autoencoder": ["Autoencoder"],
    "vaeseq.bounds": ["Bound", "ELBO", "FIVO", "IWAE"],
    "vaeseq.cli.program": ["Command", "Program"],
    "vaeseq.codec.missing": ["MaskedDecoder", "MaskedEncoder"],
    "vaeseq.compilation": ["without_xla"],
    "vaeseq.data": ["Batch", "DataSet", "Masked", "TFDataSet"],
    "vaeseq.dist_module": ["DistModule"],
    "vaeseq.dtypes": ["float_dtype"],
    "vaeseq.encoder": ["Encoder"],
    "vaeseq.evaluate": ["Evaluator", "Sampler", "Score"],
    "vaeseq.evaluate.beam_search": ["BeamSearch"],
    "vaeseq.hparams": ["HParams"],
    "vaeseq.model": ["Model"],
    "vaeseq.runs.checkpoint": ["Checkpoints"],
    "vaeseq.runs.log_dir": ["LogDir"],
    "vaeseq.runs.progress": ["Progress"],
    "vaeseq.train": ["Callback", "Periods", "TrainMetrics", "TrainOps", "TrainResult", "Trainer"],
    "vaeseq.train.loss": ["SequenceLoss"],
    "vaeseq.truncation": ["Truncation"],
    "vaeseq.vae": ["GenCore", "VAECore"],
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
_ADDRESSES = {name: f"{package}.{name}" for package, names in _MODULES.items() for name in names}
_ADDRESSES["init_from"] = "vaeseq.runs.warm_start"  # its earlier name

__all__ = ["__version__", *_ADDRESSES, *_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name in _ADDRESSES:
        return importlib.import_module(_ADDRESSES[name])
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'vaeseq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
