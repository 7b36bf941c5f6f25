# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A text and hyperparameters that vaeseq-text trains on in seconds."""

from examples.text.cli import program

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 20
SMALL = "rnn_hidden_sizes=[8],embed_size=4,batch_size=2,sequence_size=8,num_shards=1"


def train(folder, *words, text=TEXT, hparams=SMALL):
    """Trains a run on a text with more options; returns its log directory."""
    corpus, log_dir = folder / "corpus.txt", folder / "log"
    corpus.write_text(text, encoding="utf-8")
    assert program.run(["train", "--log-dir", str(log_dir), "--train-corpus", str(corpus),
                        "--hparams", hparams, *words]) == 0
    return log_dir
