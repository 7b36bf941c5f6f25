# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text tune: begins or resumes the tuning of a trained model."""
from __future__ import annotations

import argparse
import functools
import os

from vaeseq import fields
from vaeseq.cli import options, program, tuning_options
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir
from vaeseq.tuning.run import original_features
from vaeseq.tuning.settings import TuningRecord

from ..data.corpus import open_corpus
from ..data.sources import Description, Texts, check_same, read_texts
from ..data.tokens import Tokens
from ..hparams import TextHParams
from ..model import PROGRAM, TextModel, saved_vocabulary
from ..tuning import rewards
from ..tuning.run import TextTuning
from ..tuning.settings import TextTuneSettings


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    log_dir = LogDir(args.log_dir, PROGRAM)
    chosen = {name: getattr(args, name) for name in fields.of(TextTuneSettings)}
    record = TuningRecord.resolve(
        log_dir, TextTuneSettings,
        {"start": args.start and os.path.abspath(args.start), "reward": args.reward, **chosen})
    assert isinstance(record.settings, TextTuneSettings)
    source = log_dir if log_dir.exists else LogDir(record.start, PROGRAM)
    hparams = source.hparams(TextHParams).replace(weight_average=0.0)
    vocabulary = saved_vocabulary(source)
    seed = options.resolve_seed(log_dir, args.seed)
    texts = _read(source, vocabulary)

    def make_model() -> TextModel:
        return TextModel(
            hparams, vocabulary, log_dir.path, seed=seed, trained_on=texts.description)

    original = make_model()
    sequences = rewards.domain(
        original, functools.partial(original_features, original, record, log_dir))
    tuning = TextTuning(
        log_dir, record,
        rewards.find(record.reward, original.unit, sequences, seed, program.log), make_model,
        texts.train, texts.valid, length=record.settings.length, num_steps=args.num_steps,
        valid_steps=args.valid_steps, seed=seed)
    tuning_options.run(
        args, tuning, PROGRAM, f"{record.settings.length} {tuning.model.unit}s")


def _read(source: LogDir, vocabulary: Tokens) -> Texts:
    """Reads the texts of a run again; raises ValueError where they have changed."""
    saved = Description.load(source)
    try:
        train = open_corpus(saved.train_corpus, saved.encoding, saved.file_boundaries)
        valid = saved.valid_corpus and open_corpus(
            saved.valid_corpus, saved.encoding, saved.file_boundaries)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"the text that the run was trained on cannot be read any more ({error})."
                         ) from None
    texts = read_texts(train, valid or None, saved.valid_fraction, vocabulary)
    check_same(source, texts.description)
    return texts
