# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The whole family on the JSB chorales, without transposition.

Every model sees what the published ones saw: the 229 training pieces in their keys, and of the past
no more than its core keeps (no place in the bar, no search for earlier occurrences), but for the
rows whose names end in "-recall". The decoder is factorised over notes, with weights that depend on
intervals alone. Recurrences have 128 units, networks 128, and there are 32 latents, 16 in KVAE and
in each layer of TDVAE. `dmm-wide` has 200 units and 64 latents; its recipe and those of the rows
with "-fivo" in their names were chosen on the validation pieces.

Figures are of the test split, pooled, with the weights of the best validation score: a bound of 128
samples (a particle filter's; exact for the RNN) and the ELBO of 16. Statistics of 64 free-running
samples of 64 frames stand beside them (`benchmarks.quality.free_running`): the number, out of six,
that are further from the training set's than 95 % of as many training pieces are.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.quality import polyphonic_models
from benchmarks.quality.dynamics_tables.table import Settings, Table
from benchmarks.quality.polyphonic_models import Recipe
from examples.midi.data import archives

_RECALL = "recall=160,beats=16"
_COMMON = "transpose=0,transpose_share=0.0,relative_channels=8"
_NARROW = "latent_decoder_fc_layers=[128],divergence_strength_half=100"
_SIZES = f"{_NARROW},rnn_hidden_sizes=[128],dropout=0.2"
_WIDE = ("latent_decoder_fc_layers=[200],divergence_strength_half=1500,rnn_hidden_sizes=[200],"
         "dropout=0.2")
_FIVO = "train_bound=fivo,train_samples=8,weight_dropout=0.5"
_FIVO_SIZES = f"{_NARROW},rnn_hidden_sizes=[160],dropout=0.4,context_dropout=0.2"


def _without_recall(overrides: str, latents: int = 32, sizes: str = _SIZES) -> str:
    return f"{_COMMON},{sizes},latent_size={latents},recall=0,beats=0,{overrides}"


MODELS = {
    "rnn": _without_recall("vae_type=RNN"),
    "dmm": _without_recall("vae_type=DMM"),
    "srnn": _without_recall("vae_type=SRNN"),
    "vrnn": _without_recall("vae_type=VRNN"),
    "dmm-aug": _without_recall("vae_type=DMM,dmm_augmented=true"),
    "storn": _without_recall("vae_type=STORN"),
    "rvae": _without_recall("vae_type=RVAE"),
    "kvae": _without_recall("vae_type=KVAE,kvae_state_size=16", 16),
    "dsae": _without_recall("vae_type=DSAE"),
    "tdvae": _without_recall("vae_type=TDVAE", 16),
    "srnn-recall": f"{_COMMON},{_SIZES},latent_size=32,{_RECALL},vae_type=SRNN",
    "dmm-st-lr": _without_recall("vae_type=DMM,dmm_inference=ST-LR"),
    "dmm-wide": _without_recall("vae_type=DMM,dmm_inference=ST-LR", 64, _WIDE),
    "dmm-st-l": _without_recall("vae_type=DMM,dmm_inference=ST-L"),
    "dmm-mf-lr": _without_recall("vae_type=DMM,dmm_inference=MF-LR"),
    "dmm-flows-1": _without_recall("vae_type=DMM,posterior_flows=1"),
    "dmm-flows-2": _without_recall("vae_type=DMM,posterior_flows=2"),
    "iseq": _without_recall("vae_type=ISEQ"),
    "vrnn-fivo": _without_recall(f"vae_type=VRNN,{_FIVO}", sizes=_FIVO_SIZES),
    "vrnn-fivo-recall":
        f"{_COMMON},{_FIVO_SIZES},latent_size=32,{_RECALL},vae_type=VRNN,{_FIVO}",
    "dmm-aug-fivo": _without_recall(
        f"vae_type=DMM,dmm_augmented=true,dmm_inference=ST-L,{_FIVO}"),
}


def checksum(path: Path) -> str:
    """Returns a checksum of the music in an archive."""
    return polyphonic_models.checksum(archives.load(path))


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains, scores and samples a model of the table."""
    return measured(MODELS[name], settings)


def measured(overrides: str, settings: Settings) -> dict[str, Any]:
    """Trains, scores and samples the model of some hyperparameters."""
    assert settings.data is not None
    pieces = archives.load(settings.data)
    recipe = Recipe(overrides, settings.updates, 1.0, "fivo", 128, "")
    result = polyphonic_models.run(
        recipe, settings.seed, pieces, settings.log_dir, max_minutes=settings.max_minutes)
    figures = dict(result.figures)
    elbo = polyphonic_models.score_of_run(
        recipe._replace(bound="elbo", samples=16), settings.seed, pieces, settings.log_dir)
    figures["elbo"] = elbo.nats_per_step
    figures["unlike"] = sum(statistic["distance"] > statistic["spread"]
                            for statistic in figures["free_running"].values())
    return figures


TABLE = Table(
    "JSB chorales without transposition: nats per frame",
    "DMM at most 6.388 (ELBO 6.926), DMM-Aug 6.288, the best under 5.6",
    {"nats_per_step": "128 samples", "elbo": "ELBO", "unlike": "free-running, unlike (of 6)"},
    MODELS, 3000, run, checksum=checksum,
    other_updates={
        "rnn": 1000, "kvae": 1500, "iseq": 2000, "srnn-recall": 2000, "vrnn-fivo": 2000,
        "vrnn-fivo-recall": 2000, "dmm-aug": 6000, "dmm-wide": 6000, "dmm": 9000,
        "dmm-st-lr": 9000})
