# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Descriptions of models: what they tell apart, and what they do not."""

import dataclasses
import enum
import functools
import gc
import json
import re
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import description
from vaeseq.codec import decoders
from vaeseq.runs import log_dir

SPEC = tf.TensorSpec([2], tf.float32)


def described(**arguments):
    return description.describe(decoders.Normal(SPEC, **arguments))


def test_a_description_names_class_and_arguments():
    assert described(hidden_sizes=(3,), activation="tanh") | {
        "class": "Normal", "event_spec": "float32(2,)", "hidden_sizes": [3],
        "activation": "tanh"} == described(hidden_sizes=(3,), activation="tanh")
    assert "name" not in described(name="mine")


@pytest.mark.parametrize("vae_type", ["RNN", "ISEQ", "SRNN", "VRNN", "DMM"])
def test_whole_models_survive_json_and_equal_their_like(vae_type):
    one, other = (description.describe(small.gen_core(vae_type).core) for _ in range(2))
    assert json.loads(json.dumps(one)) == one
    assert list(log_dir.differences(one, other)) == []


@pytest.mark.parametrize("changed,words", [
    ({"activation": "tanh"}, "activation: the run has 'relu', this model 'tanh'"),
    ({"hidden_sizes": (4, 4)}, r"hidden_sizes: the run has \[\], this model \[4, 4\]"),
    ({"initial_loc": np.array([0.0, 1.0])}, r"initial_loc: the run has 0.0, this model \[0.0, 1"),
    ({"positive_projection": "exp"}, "positive_projection: the run has 'softplus'"),
])
def test_a_difference_is_named(changed, words):
    (difference,) = log_dir.differences(described(), described(**changed))
    assert re.match(words, difference), difference


@dataclasses.dataclass
class Scale:
    low: float = 0.0
    high: float = 1.0


class Kind(enum.Enum):
    WEAK = 1
    STRONG = 2


@pytest.mark.parametrize("one,other,words", [
    (Scale(), Scale(high=2.0), "high: the run has 1.0, this model 2.0"),
    (Kind.WEAK, Kind.STRONG, "the run has 'WEAK', this model 'STRONG'"),
    (functools.partial(tf.nn.leaky_relu, alpha=0.1), functools.partial(tf.nn.leaky_relu, alpha=0.2),
     "keywords.alpha: the run has 0.1, this model 0.2"),
    (functools.partial(tf.nn.relu), functools.partial(tf.nn.tanh),
     "the run has 'relu', this model 'tanh'"),
    (functools.partial(tf.nn.leaky_relu, alpha=0.1), functools.partial(tf.nn.leaky_relu),
     "keywords: the run has {'alpha': 0.1}, this model {}"),
    ({"a": 1}, {"b": 1}, "the run has {'a': 1}, this model {'b': 1}"),
    ({"x", "y"}, {"y", "z"}, "[0]: the run has 'x', this model 'y'"),
    (float("nan"), 1.0, "the run has 'nan', this model 1.0"),
    (np.array([0.0, np.nan]), np.array([0.0, 1.0]), "[1]: the run has 'nan', this model 1.0"),
    (np.array(["a", None]), np.array(["b", None]), "[0]: the run has 'a', this model 'b'"),
    (b"ab", b"ac", 'the run has "b\'ab\'", this model "b\'ac\'"'),
    (1 + 2j, 1 + 3j, "the run has '(1+2j)', this model '(1+3j)'"),
])
def test_arguments_that_hold_values_differ_by_them(one, other, words):
    one, other = (json.loads(json.dumps(description.describe(value))) for value in (one, other))
    assert list(log_dir.differences(one, one)) == []
    assert next(log_dir.differences(one, other)) == words


@pytest.mark.parametrize("make", [
    lambda: np.array([1 + 2j]), lambda: np.array(["2026-11-30"], "datetime64[D]"),
    lambda: np.array([f"text {i}" for i in range(20)], object), lambda: np.full([20], np.nan)])
def test_equal_arrays_of_any_kind_have_one_description(make):
    one, other = (json.dumps(description.describe(make())) for _ in range(2))
    assert one == other


def test_another_class_is_the_only_difference():
    normal, beta = decoders.Normal(SPEC), decoders.Beta(SPEC)
    nested = [description.describe(decoders.Group({"a": decoder})) for decoder in (normal, beta)]
    assert list(log_dir.differences(*nested)) == [
        "decoders.a: the run has 'Normal', this model 'Beta'"]


def test_large_arrays_are_told_apart_by_their_numbers():
    one, other = (np.arange(100.0) for _ in range(2))
    assert description.describe(one) == description.describe(other)
    other[50] += 1
    assert description.describe(one) != description.describe(other)


def test_an_argument_of_another_version_is_no_difference():
    older = described()
    del older["dropout"]
    assert list(log_dir.differences(older, described())) == []
    assert list(log_dir.differences(described(), older)) == []
    assert list(log_dir.differences([older], [described()])) == []


def test_parts_of_a_list_are_compared_one_by_one():
    one, other = ([described(), described(activation=name)] for name in ("relu", "tanh"))
    assert list(log_dir.differences(one, other, "agents")) == [
        "agents[1].activation: the run has 'relu', this model 'tanh'"]
    (difference,) = log_dir.differences(one, one[:1], "agents")
    assert difference.startswith("agents: ")


def test_arguments_are_forgotten_with_the_part():
    loc = np.zeros(2)
    decoder = decoders.Normal(SPEC, initial_loc=loc)
    argument = weakref.ref(loc)
    del loc
    gc.collect()
    assert argument() is not None
    del decoder
    gc.collect()
    assert argument() is None
