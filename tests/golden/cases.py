# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tiny trained runs that every later version must load, and the program that creates them.

    tests/golden/runs/NAME/    a log directory with one checkpoint, and expected.json

`python -m tests.golden.cases NAME ...` creates runs, each in about a minute, mostly without XLA,
whose compilation takes longer and is tested elsewhere.
Use it for a new kind of model only. The runs of a released version are fixed: a change that cannot
load them, or computes other figures from them, breaks every user's checkpoints.
"""

import json
import pathlib
import platform
import shutil
import sys
import tempfile

import numpy as np
import tensorflow as tf

from examples.midi.hparams import MidiHParams
from examples.midi.model import MidiModel, observations
from examples.series.data import columns, layout, roles, sources, table, windows
from examples.series.hparams import SeriesHParams
from examples.series.model import SeriesModel
from examples.text.data import Vocabulary
from examples.text.hparams import TextHParams
from examples.text.model import TextModel
from vaeseq import bounds, data, seeds
from vaeseq.codec import decoders, encoders
from vaeseq.compilation import without_xla
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.hparams import HParams
from vaeseq.model import Model
from vaeseq.train.trainer import Periods
from vaeseq.version import __version__

RUNS = pathlib.Path(__file__).parent / "runs"
RESUMED = "text-rnn"  # the run that a test resumes, compiled by XLA
NUM_STEPS = 12
SAMPLE_STEPS = 20
TEXT = "she sells sea shells by the sea shore. " * 12
LATENTS = {"latent_size": 2, "latent_decoder_fc_layers": (4,), "log_prob_samples": 2}
SMALL = {"rnn_hidden_sizes": (6,), "batch_size": 2, "sequence_size": 8, "num_shards": 1,
         "learning_rate": 0.01}
MIDI = MidiHParams(**SMALL, lowest_note=60, highest_note=67, masked_hidden_size=16, grid=4,
                   transpose=1, relative_channels=0, recall=0, context_skip=False,
                   context_dropout=0, decoder_dropout=0, weight_decay=0.02)
MUSIC = {
    "midi-rnn": MIDI,
    # The agent and the decoder of the defaults
    "midi-srnn": MIDI.replace(
        vae_type="SRNN", masked_hidden_size=0, relative_channels=2, recall=8, beats=4,
        context_skip=True, **LATENTS),
}


def _text(vae_type):
    return TextHParams(vae_type=vae_type, embed_size=3, divergence_strength_half=500.0,
                       learning_rate_half=1e5, **SMALL, **LATENTS)


TEXTS = {f"text-{vae_type.lower()}": _text(vae_type)
         for vae_type in ("RNN", "SRNN", "VRNN", "ISEQ")}


class Numbers(Model):
    """A model of one number a step."""

    observation_spec = tf.TensorSpec([1], tf.float32)
    data = [np.sin(np.arange(48, dtype=np.float32) * speed)[:, None] for speed in (0.5, 0.8)]

    def make_encoder(self):
        return encoders.MLPEncoder(self.observation_spec, (3,))

    def make_decoder(self):
        return decoders.Normal(self.observation_spec)

    def after_validation(self, *_):
        """Logs nothing."""


class Symbols(Numbers):
    """A model of one of four symbols a step."""

    observation_spec = tf.TensorSpec([], tf.int32)
    data = [np.arange(48, dtype=np.int32) // steps % 4 for steps in (1, 2)]

    def make_encoder(self):
        return encoders.Embed(4, 3)

    def make_decoder(self):
        return decoders.Categorical(4, self.observation_spec)


MODELS = {f"numbers-{vae_type.lower()}": vae_type
          for vae_type in ("DMM", "STORN", "RVAE", "KVAE", "DSAE", "SEQAE", "TDVAE", "GAUSSDIFF")}
MODELS["symbols-maskdiff"] = "MASKDIFF"
SERIES = SeriesHParams(**SMALL, output="normal", embed_size=2, horizon=3, context=8, season=4,
                       lags=(1, 4), weight_average=0.0)
NAMES = [*TEXTS, *MUSIC, *MODELS, "series-rnn"]
CLASSES = {"text": TextModel, "midi": MidiModel, "series": SeriesModel, "numbers": Numbers,
           "symbols": Symbols}


def _class_of(name):
    return CLASSES[name.partition("-")[0]]


def series_table():
    """Returns a table of two series with a missing value."""
    time = np.tile(np.arange(40), 2)
    values = np.sin(time * 0.5) + np.repeat([1.0, 2.0], 40)
    values[5] = np.nan
    read = columns.of_mapping({"series": np.repeat(["a", "b"], 40), "time": time, "y": values})
    return table.build([read], roles.find(read))


def sequences(name):
    """Returns the training and evaluation data of a run."""
    if name in TEXTS:
        return [Vocabulary.of([TEXT], 64, 1).encode(TEXT)]
    if name in MODELS:
        return _class_of(name).data
    if name == "series-rnn":
        return windows.positions([30, 30])
    steps = np.arange(48)[:, None]
    return [((steps // 2 + np.arange(8) * shift) % 5 == 0).astype(np.uint8) for shift in (2, 3)]


def load(name, log_dir):
    """Returns the model in a log directory."""
    return _class_of(name).load(log_dir)


def train(name, log_dir, num_steps):
    """Starts a run, or resumes it."""
    if name in TEXTS:
        model = TextModel(TEXTS[name], Vocabulary.of([TEXT], 64, 1), log_dir, seed=1)
    elif name in MODELS:
        hparams = HParams(vae_type=MODELS[name], attention_heads=1, **SMALL, **LATENTS)
        model = _class_of(name)(hparams, log_dir, seed=1)
    elif name == "series-rnn":
        data_table = series_table()
        described = layout.describe(data_table, held_out=0, valid_windows=0, files=["f"])
        model = SeriesModel(sources.resolve(SERIES, data_table), described, log_dir, seed=1,
                            table=data_table)
    else:
        hparams = MUSIC[name]
        mean = observations.means(sequences(name), hparams)
        model = MidiModel(hparams, log_dir, mean=np.round(mean, 8), seed=1)
    model.after_validation = lambda *_: None
    model.train(sequences(name), num_steps=num_steps, periods=Periods(log=1, valid=NUM_STEPS))


def last_metrics(log_dir):
    """Returns the metrics of the last step."""
    return json.loads((log_dir / "metrics.jsonl").read_text().splitlines()[-1])


def figures(name, log_dir):
    """Computes bounds, KL and a sample of the first steps, as JSON values."""
    model = load(name, log_dir)
    if name == "series-rnn":
        data_table = series_table()
        scores = model.log_densities(data_table, [windows.Places(0, 6, 15)])
        paths = model.forecast(data_table.series[0], 9, horizon=3, num_paths=2)
        return {"nats": np.concatenate([*scores]).tolist(), "sample": paths.tolist()}
    (first, *_) = sequences(name)
    observed = first[:SAMPLE_STEPS]
    if name in MUSIC:
        observed = observations.observe(observed, MUSIC[name])
    gen_core = model.gen_core
    evaluator = Evaluator(gen_core.agent, gen_core.core, bounds.make("elbo", 2), jit_compile=False)
    (window,) = evaluator.windows(
        data.windows([observed], 1, SAMPLE_STEPS), seed=seeds.make(1))
    scores = {"nats": window.increments[0].tolist(), "divergence": window.kl[0].tolist()}
    if name in MODELS:  # diffusions have no steps that GenCore could generate
        (sample,) = model.generate(length=SAMPLE_STEPS, seed=2)
        return {**scores, "sample": sample.tolist()}
    generated, _ = gen_core.generate(
        SAMPLE_STEPS, gen_core.initial_state(1), seed=seeds.make(2))
    return {**scores, "sample": generated.observed[0].numpy().astype(int).tolist()}


def make(name):
    """Creates one run and writes its figures."""
    with tempfile.TemporaryDirectory() as folder:
        log_dir, saved = pathlib.Path(folder) / "log", RUNS / name
        with without_xla():
            train(name, log_dir, NUM_STEPS)
        shutil.rmtree(saved, ignore_errors=True)
        (saved / "checkpoints").mkdir(parents=True)
        for path in (*log_dir.glob("*.json"), log_dir / "metrics.jsonl"):
            shutil.copy(path, saved)
        checkpoint = f"step-{NUM_STEPS:09d}"
        shutil.copytree(log_dir / "checkpoints" / checkpoint, saved / "checkpoints" / checkpoint)
        with without_xla():
            expected = figures(name, saved)
        if name == RESUMED:
            train(name, log_dir, NUM_STEPS + 1)
            expected["next"] = last_metrics(log_dir)
        expected["made_with"] = {"vaeseq": __version__, "tensorflow": tf.__version__,
                                 "python": platform.python_version()}
        (saved / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    for case in sys.argv[1:] or NAMES:
        make(case)
