# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tuning of trained models towards rewards, and rewards learnt from choices.

    policy       policy gradients with KL control: from samples and rewards to updates
    control      strength of the reward against the KL divergence; MIXER's schedule
    rewards      rewards as objects, and their weighted sums
    scorer       a recurrent network from a sequence to a number
    features     features of sequences by a trained model
    logistic     Bayesian logistic regression
    discriminator, preferences, listeners
                 rewards that are learnt: from data, from choices, from listeners who disagree
    choices      the file of choices
    page         the page on which people choose
    monitor      diversity of samples, and warnings of reward hacking
    run          a run of tuning, in a log directory of its own

Import the modules by name; this package imports nothing by itself.
"""
