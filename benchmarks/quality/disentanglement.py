# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures how well the latents of sequence autoencoders follow the factors of waves.

    python -m benchmarks.quality.disentanglement run --log-dir DIR
        [--betas 0.1,1,4] [--seeds 0,1,2] [--picture FILE.png]
    python -m benchmarks.quality.disentanglement table [--results DIR]

The sequences are waves of 32 steps with three factors that are independent of each other and
uniform: x_t = amplitude sin(2 pi t / period) + offset + 0.05 noise, with amplitudes from 0.3 to
1.5, periods from 10 to 30 and offsets from -1 to 1. A beta is the weight of the KL (a beta-VAE);
0 is an autoencoder without a regularizer. --picture draws the map of an autoencoder with two
latents: the latents of the test waves, the waves that a grid of latents decodes to, and waves on
the way along each dimension.
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.report import existing_result, markdown_table, provenance, results_in
from vaeseq.autoencoder import Autoencoder, disentanglement, measures
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.codec import decoders, encoders
from vaeseq.encoder import Encoder
from vaeseq.fields import Range

_MODULE = "benchmarks.quality.disentanglement"
_RESULTS = Path(__file__).parents[1] / "results" / "disentanglement"
FACTORS = {"amplitude": (0.3, 1.5), "period": (10.0, 30.0), "offset": (-1.0, 1.0)}
_STEPS = 32
_TRAIN, _TEST = 4000, 1000
_GRID = 7  # decoded waves along each side of the picture
_DRAWN = 300  # waves whose latents are drawn


class Waves(vaeseq.Model):
    """A model of one number at each step."""

    observation_spec = tf.TensorSpec([1], tf.float32)

    def make_encoder(self) -> Encoder:
        return encoders.Flatten(self.observation_spec)

    def make_decoder(self) -> decoders.Normal:
        return decoders.Normal(self.observation_spec)


def make_waves(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns waves, float32 `[32, 1]` each, and their factors, `[count, 3]`."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.uniform(*ends, count) for ends in FACTORS.values()], 1)
    amplitude, period, offset = factors.T[..., np.newaxis]
    waves = amplitude * np.sin(2 * np.pi * np.arange(_STEPS) / period) + offset
    waves += 0.05 * rng.standard_normal(waves.shape)
    return list(waves[..., np.newaxis].astype(np.float32)), factors


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="folder of the runs, which a repeated command resumes")
    add("--results", type=arguments.new_directory, default=_RESULTS, metavar="DIR",
        help="folder of the results")
    add("--betas", type=arguments.list_of(arguments.real(Range(0, 1e6))), default="0,0.1,1,4",
        metavar="X,X", help="weights of the KL")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0", metavar="N,N",
        help="seeds of the runs")
    add("--num-steps", type=arguments.whole(1, 10**7), default=500, metavar="N",
        help="updates of each run")
    add("--latent-size", type=arguments.whole(2, 1 << 12), default=6, metavar="N",
        help="size of the latent")
    add("--picture", type=arguments.output_file, metavar="FILE.png",
        help="train one more autoencoder, with two latents, and draw its map")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=arguments.directory, default=_RESULTS, metavar="DIR",
                        help="folder of the results")


def _run(options: argparse.Namespace) -> None:
    options.results.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for beta in options.betas:
            path = options.results / f"beta-{beta:g}-{seed}.json"
            if existing_result(path, updates=options.num_steps,
                               latent_size=options.latent_size) is None:
                row = _measure(beta, seed, options)
                path.write_text(json.dumps(row, indent=1) + "\n")
            print(f"{path.stem}: measured", flush=True)
    _table(options)
    if options.picture:
        coder = _train(0.1, 0, 2, options, "picture")
        draw_map(options.picture, coder, make_waves(_DRAWN, 1)[0])


def _train(
    beta: float, seed: int, latent_size: int, options: argparse.Namespace, name: str
) -> Autoencoder:
    hparams = vaeseq.HParams().replace(
        vae_type="SEQAE", cell="gru", rnn_hidden_sizes=(64,), latent_size=latent_size,
        latent_decoder_fc_layers=(), batch_size=64, sequence_size=_STEPS, learning_rate=0.003,
        seqae_decoder_dropout=0.5, kl_weight=beta,
        train_bound="elbo" if beta else "reconstruction")
    model = Waves(hparams, options.log_dir / name, seed=seed)
    model.train(make_waves(_TRAIN, 0)[0], num_steps=options.num_steps)
    return Autoencoder(model.gen_core, batch_size=256)


def _measure(beta: float, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    coder = _train(beta, seed, options.latent_size, options, f"beta-{beta:g}-{seed}")
    waves, factors = make_waves(_TEST, 1)
    mean = coder.encode(waves).mean
    followed = disentanglement.dci(mean, factors)
    report = measures.report(coder, waves, seed=seed)
    return {
        "beta": beta, "seed": seed, "updates": options.num_steps,
        "latent_size": options.latent_size,
        **{key: value for key, value in followed._asdict().items() if key != "importances"},
        "importances": followed.importances.round(4).tolist(), "factors": list(FACTORS),
        "mutual_information_gap": disentanglement.mutual_information_gap(mean, factors),
        "nats_per_step": report.nats_per_step, "active_units": report.active_units,
        "kl": report.information.kl if report.information else None, **provenance(_MODULE)}


def draw_map(path: Path, coder: Autoencoder, waves: Sequence[np.ndarray]) -> None:
    """Draws the map of an autoencoder with two latents, and those of the waves, as a PNG file."""
    from matplotlib.figure import Figure
    mean = coder.encode(waves).mean
    low, high = np.quantile(mean, (0.02, 0.98), axis=0)
    sides = np.linspace(low, high, _GRID)
    grid = np.array([[x, y] for y in sides[:, 1] for x in sides[:, 0]])
    paths = [disentanglement.traverse(np.median(mean, 0), dimension, sides[:, dimension])
             for dimension in range(2)]
    decoded = [wave[:, 0] for wave in coder.decode_greedily(
        np.concatenate([grid, *paths]), length=_STEPS)]
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    points, decoded_axes, *path_axes = figure.subplots(1, 4)
    shades = points.scatter(*mean.T, c=[float(wave.mean()) for wave in waves], s=4)
    figure.colorbar(shades, ax=points, label="mean of the wave")
    points.set(title="latents of waves", xlabel="$z_1$", ylabel="$z_2$")
    cell = (high - low) / (_GRID - 1)
    steps = np.linspace(-0.4, 0.4, _STEPS)
    for (x, y), wave in zip(grid, decoded):
        decoded_axes.plot(x + cell[0] * steps, y + cell[1] * 0.16 * wave, color="#1f5a94", lw=1)
    decoded_axes.set(title="decoded from a grid", xlabel="$z_1$", ylabel="$z_2$")
    for dimension, axes in enumerate(path_axes):
        first = _GRID * (_GRID + dimension)
        for number, wave in enumerate(decoded[first:first + _GRID]):
            axes.plot(wave, color=str(0.75 * number / (_GRID - 1)))
        axes.set(title=f"along $z_{dimension + 1}$, dark to light", xlabel="step")
    figure.savefig(path, dpi=90, format="png")


def _table(options: argparse.Namespace) -> None:
    rows = results_in(options.results)
    rows.sort(key=lambda row: (row["beta"], row["seed"]))
    print(markdown_table(
        ("beta", "seed", "disentanglement", "completeness", "informativeness", "MIG",
         "nats/step of the mean", "KL", "active units"),
        [(f"{row['beta']:g}", row["seed"], f"{row['disentanglement']:.3f}",
          f"{row['completeness']:.3f}", f"{row['informativeness']:.3f}",
          f"{row['mutual_information_gap']:.3f}", f"{row['nats_per_step']:.3f}",
          "" if row["kl"] is None else f"{row['kl']:.2f}", row["active_units"]) for row in rows]))


program = Program(f"python -m {_MODULE}", "Measures how latents follow the factors of waves.", (
    Command("run", "train, measure and print the table", _run_arguments, _run),
    Command("table", "print the table of existing results", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
