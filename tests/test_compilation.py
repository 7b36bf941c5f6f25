# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models with and without XLA."""

import pytest
import tensorflow as tf

from tests import small
from vaeseq.compilation import compiled, without_xla


def characters(x):
    return tf.strings.length(tf.strings.as_string(x))  # no operation of XLA


@pytest.mark.xla
def test_a_function_keeps_the_choice_that_held_when_it_was_created():
    with without_xla():
        plain = compiled(characters)
    assert plain(tf.constant(123)) == 3
    for function in (compiled(characters), compiled(characters, jit_compile=True)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="XLA"), without_xla():
            function(tf.constant(123))
    assert compiled(characters, jit_compile=False)(tf.constant(123)) == 3


class Adds:
    def __init__(self, number):
        self.number = number

    def add(self, x):
        return x + self.number


def test_methods_of_many_objects_are_traced_without_a_warning(caplog):
    functions = [compiled(Adds(number).add, jit_compile=False) for number in range(8)]
    assert [int(function(tf.constant(1))) for function in functions] == list(range(1, 9))
    assert "retracing" not in caplog.text


@pytest.mark.xla
def test_a_model_is_the_same_with_and_without_xla(tmp_path):
    def figures(name):
        model = small.Reals(small.HPARAMS, tmp_path / name)
        sequence = small.reals(5).numpy()
        trained = model.train([sequence], num_steps=2, valid=[sequence])
        return trained.best, model.evaluate([sequence]).nats

    with without_xla():
        plain = figures("plain")
    assert figures("xla") == pytest.approx(plain, rel=1e-4)
