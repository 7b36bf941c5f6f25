# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tiny trained runs that every later version must load, and the program that creates them.

    tests/golden/runs/NAME/    a log directory with one checkpoint, and expected.json

`python -m tests.golden.cases [NAME ...]` creates all of them, or those named, in about a minute.
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
from examples.text.data import Vocabulary
from examples.text.hparams import TextHParams
from examples.text.model import TextModel
from vaeseq import bounds, data, seeds
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.train.trainer import Periods
from vaeseq.version import __version__

RUNS = pathlib.Path(__file__).parent / "runs"
NUM_STEPS = 12
SAMPLE_STEPS = 20
TEXT = "she sells sea shells by the sea shore. " * 12
LATENTS = {"latent_size": 2, "latent_decoder_fc_layers": (4,), "log_prob_samples": 2}
SMALL = {"rnn_hidden_sizes": (6,), "batch_size": 2, "sequence_size": 8, "num_shards": 1,
         "learning_rate": 0.01}
MIDI = MidiHParams(**SMALL, lowest_note=60, highest_note=67, masked_hidden_size=16, grid=4,
                   transpose=1, relative_channels=0, recall=0, context_skip=False,
                   context_dropout=0, decoder_dropout=0, weight_decay=0.02)


def _text(vae_type):
    return TextHParams(vae_type=vae_type, embed_size=3, divergence_strength_half=500.0,
                       learning_rate_half=1e5, **SMALL, **LATENTS)


TEXTS = {f"text-{vae_type.lower()}": _text(vae_type)
         for vae_type in ("RNN", "SRNN", "VRNN", "ISEQ")}
NAMES = [*TEXTS, "midi-rnn"]


def sequences(name):
    """Returns the training and evaluation data of a run."""
    if name in TEXTS:
        return [Vocabulary.of([TEXT], 64, 1).encode(TEXT)]
    steps = np.arange(48)[:, None]
    return [((steps // 2 + np.arange(8) * shift) % 5 == 0).astype(np.uint8) for shift in (2, 3)]


def load(name, log_dir):
    """Returns the model in a log directory."""
    return (TextModel if name in TEXTS else MidiModel).load(log_dir)


def train(name, log_dir, num_steps):
    """Starts a run, or resumes it."""
    if name in TEXTS:
        model = TextModel(TEXTS[name], Vocabulary.of([TEXT], 64, 1), log_dir, seed=1)
    else:
        mean = observations.means(sequences(name), MIDI)
        model = MidiModel(MIDI, log_dir, mean=np.round(mean, 8), seed=1)
    model.after_validation = lambda *_: None
    model.train(sequences(name), num_steps=num_steps, periods=Periods(log=1, valid=NUM_STEPS))


def last_metrics(log_dir):
    """Returns the metrics of the last step."""
    return json.loads((log_dir / "metrics.jsonl").read_text().splitlines()[-1])


def figures(name, log_dir):
    """Computes bounds, KL and a sample of the first steps, as JSON values.

    Without XLA, whose compilation takes longer and is tested elsewhere.
    """
    model = load(name, log_dir)
    (first, *_) = sequences(name)
    observed = first[:SAMPLE_STEPS] if name in TEXTS else observations.observe(
        first[:SAMPLE_STEPS], MIDI)
    gen_core = model.gen_core
    evaluator = Evaluator(gen_core.agent, gen_core.core, bounds.make("elbo", 2), jit_compile=False)
    (window,) = evaluator.windows(
        data.windows([observed], 1, SAMPLE_STEPS), seed=seeds.make(1))
    generated, _ = gen_core.generate(
        SAMPLE_STEPS, gen_core.initial_state(1), seed=seeds.make(2))
    return {"nats": window.increments[0].tolist(),
            "divergence": window.kl[0].tolist(),
            "sample": generated.observed[0].numpy().astype(int).tolist()}


def make(name):
    """Creates one run and writes its figures."""
    with tempfile.TemporaryDirectory() as folder:
        log_dir, saved = pathlib.Path(folder) / "log", RUNS / name
        train(name, log_dir, NUM_STEPS)
        shutil.rmtree(saved, ignore_errors=True)
        (saved / "checkpoints").mkdir(parents=True)
        for path in (*log_dir.glob("*.json"), log_dir / "metrics.jsonl"):
            shutil.copy(path, saved)
        checkpoint = f"step-{NUM_STEPS:09d}"
        shutil.copytree(log_dir / "checkpoints" / checkpoint, saved / "checkpoints" / checkpoint)
        expected = figures(name, saved)
        train(name, log_dir, NUM_STEPS + 1)
        expected["next"] = last_metrics(log_dir)
        expected["made_with"] = {"vaeseq": __version__, "tensorflow": tf.__version__,
                                 "python": platform.python_version()}
        (saved / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    for case in sys.argv[1:] or NAMES:
        make(case)
