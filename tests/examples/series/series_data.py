# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Small tables for the tests of vaeseq-series, and hyperparameters of a small model."""

import numpy as np

SMALL = ("rnn_hidden_sizes=[6],output=normal,embed_size=2,batch_size=4,num_shards=1,context=14,"
         "lags=[1,7],dropout=0,context_dropout=0,learning_rate=0.02,weight_average=0,latent_size=2,"
         "latent_decoder_fc_layers=[4],log_prob_samples=2")


def rows(names=("a", "b"), days=100, start="2024-01-01"):
    """Rows (date, series, sales, promo) of a weekly wave that a promotion lifts."""
    dates = np.datetime64(start) + np.arange(days)
    result = []
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        promo = (np.arange(days) % 5 == number).astype(int)
        sales = 100 * (number + 1) + 20 * np.sin(2 * np.pi * np.arange(days) / 7) + 30 * promo
        sales = np.round(sales + rng.normal(0, 2, days), 2)
        result += zip(dates.tolist(), [name] * days, sales.tolist(), promo.tolist())
    return result


def csv(rows, header="date,shop,sales,promo"):
    """The text of a CSV file."""
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
