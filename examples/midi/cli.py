# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command line of vaeseq-midi: its commands and their options."""
from __future__ import annotations

import argparse

from vaeseq.cli import arguments, options, tuning_options
from vaeseq.cli.program import Program, deferred_commands
from vaeseq.fields import Range

from . import autoencoding
from .data.lines import LINES
from .data.piano_roll import RATES
from .hparams import MAX_SECONDS, MidiHParams
from .tuning.settings import MidiTuneSettings

_MUSIC = "MIDI files, folders, patterns, or splits of archives of piano rolls as PATH.npz:train"
_MAX_STEPS = 10**9
_seconds = arguments.real(Range(0, MAX_SECONDS, open_low=True))


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_new_run(parser)
    add("--train-files", nargs="+", metavar="NAME", default=[],
        help=f"music to train on: {_MUSIC} (default: the Bach chorales of music21)")
    add("--valid-files", nargs="+", metavar="NAME", default=[],
        help="music to validate on (default: a part of the training music)")
    add("--valid-fraction", type=arguments.fraction, default=0.1, metavar="F",
        help="fraction of the training pieces that is held out without --valid-files")
    add("--grid", type=arguments.whole(0, 192), metavar="N",
        help="the hyperparameter grid: frames follow the tempo, 16 for sixteenth notes")
    options.add_init_from(parser)
    options.add_training(parser, MidiHParams, valid_every=250)
    options.add_strategy(parser)


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--eval-files", nargs="+", metavar="NAME", default=[],
        help=f"music to score, one row for each name: {_MUSIC} (default: the held-out music)")
    options.add_scoring(parser, "name")
    add("--histograms", type=arguments.output_file, metavar="FILE.png",
        help="draw histograms of notes, pitch classes and intervals of free-running samples beside "
             "the music's; write the numbers into FILE.json")
    options.add_samples(parser, "frames", text="n-gram perplexities, diversity, repetition, copies")


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    _add_output(parser)
    add("--length", type=_seconds, default=30.0, metavar="SECONDS",
        help="duration of each sample, after the prime")
    add("--num-samples", "--samples", type=arguments.whole(1, 1000), default=1, metavar="N",
        help="number of samples")
    add("--prime", metavar="FILE.mid", help="a piece that each sample continues")
    add("--prime-length", type=_seconds, metavar="SECONDS",
        help="use only so much of the piece's beginning, as long as the sample plays it")


def _harmonise_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    _add_output(parser)
    add("--melody", required=True, metavar="FILE.mid",
        help="the piece, a part of whose notes is kept")
    add("--keep", choices=LINES, default="melody",
        help="what is kept of each frame of the piece: " + "; ".join(
            f"{name}: {help_}" for name, help_ in LINES.items()))
    add("--length", type=_seconds, metavar="SECONDS",
        help="use only so much of the piece's beginning")
    add("--num-samples", "--samples", type=arguments.whole(1, 1000), default=1, metavar="N",
        help="number of samples")
    add("--num-particles", type=arguments.whole(1, 1 << 14), default=256, metavar="N",
        help="particles of the filter that a sample is drawn from; more are closer to the model")


def _fill_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    _add_output(parser)
    add("piece", metavar="FILE.mid", help="the piece whose bars are drawn anew")
    add("--from", dest="first", type=arguments.whole(1, 10**6), required=True, metavar="BAR",
        help="the first bar to draw, of four beats, counted from 1")
    add("--to", dest="last", type=arguments.whole(1, 10**6), required=True, metavar="BAR",
        help="the last bar to draw")
    add("--num-samples", "--samples", type=arguments.whole(1, 1000), default=1, metavar="N",
        help="number of samples")


def _latent_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    _add_output(parser)
    options.add_latent(parser, "piece", "FILE.mid")
    parser.add_argument("--length", type=_seconds, default=15.0, metavar="SECONDS",
                        help="duration of each sample")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    options.add_export(parser, window=160)


def _tune_arguments(parser: argparse.ArgumentParser) -> None:
    tuning_options.add_tune(
        parser, MidiTuneSettings, "counterpoint, discriminator, choices:FILE, "
        "listener:NAME:FILE, mean:FILE, worst:FILE, or a Python function of a piano roll as "
        "MODULE:FUNCTION, imported from the current folder or Python's path (default: "
        "counterpoint)")


def _prefer_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    tuning_options.add_prefer(parser)


def _listen_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    tuning_options.add_page(parser)
    add("--length", type=_seconds, default=10.0, metavar="SECONDS", help="duration of each sample")
    _add_playing(parser)


def _add_trained(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the commands that load a trained model."""
    options.add_trained(parser)
    arguments.add_hparams(parser, MidiHParams)


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the commands that write music."""
    add = parser.add_argument
    add("--out-dir", type=arguments.new_directory, metavar="DIR",
        help="folder of the MIDI, MusicXML, WAV and PNG files and index.html (default: samples in "
             "--log-dir)")
    _add_playing(parser)


def _add_playing(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the commands that draw and play samples."""
    add = parser.add_argument
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    add("--rate", type=arguments.real(RATES), metavar="N",
        help="play N frames per second (default: those of the music that the model was trained on)")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same music")


_COMMANDS = f"{__package__}.commands"
program = Program(
    "vaeseq-midi", "Models of music, frame by frame: train one, score pieces, generate more.", (
        *deferred_commands(
            _COMMANDS, ("train", "train a model on music, or resume its training",
                        _train_arguments)),
        *deferred_commands(
            _COMMANDS, ("evaluate", "score pieces under a trained model", _evaluate_arguments),
            saves_at_end=True),
        *deferred_commands(
            _COMMANDS,
            ("generate", "generate music with a trained model", _generate_arguments),
            ("harmonise", "draw the other notes of a melody or bass with a trained model",
             _harmonise_arguments),
            ("fill", "draw bars of a piece anew, given those around them", _fill_arguments),
            ("latent", "play what the latents of a trained model mean", _latent_arguments),
            ("export", "export a trained model for TensorFlow Serving and other programs",
             _export_arguments),
            ("tune", "tune a trained model towards a reward, such as rules of counterpoint",
             _tune_arguments),
            ("listen", "choose between samples on a page in the browser", _listen_arguments),
            ("prefer", "learn a reward from choices, and measure it", _prefer_arguments)),
        *autoencoding.commands(_add_trained, _add_output)))
main = program.main
