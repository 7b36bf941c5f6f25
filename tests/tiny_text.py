# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A text and hyperparameters that vaeseq-text trains on in seconds."""

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 20
SMALL = "rnn_hidden_sizes=[8],embed_size=4,batch_size=2,sequence_size=8,num_shards=1"
