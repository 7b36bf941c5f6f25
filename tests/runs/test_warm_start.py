# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Warm start: the weights of one model are the initial weights of another."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from examples.text.data import Vocabulary
from examples.text.warm_start import by_content
from tests import small
from vaeseq.hparams import HParams
from vaeseq.runs import warm_start
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir


class Layers(tf.Module):
    def __init__(self, value, **shapes):
        super().__init__()
        for name, shape in shapes.items():
            setattr(self, name, tf.Variable(np.full(shape, value, np.float32)))


def test_matching_weights_are_taken_and_the_others_listed():
    source = Layers(1, same=[2], grown=[2], gone=[3])
    target = Layers(0, same=[2], grown=[4], new=[5])
    origin = warm_start.take("/there", 7, source, target)
    np.testing.assert_array_equal(target.same, [1, 1])
    np.testing.assert_array_equal(target.grown, [0] * 4)
    np.testing.assert_array_equal(target.new, [0] * 5)
    assert origin[:4] == ("/there", 7, ["same"], [])
    assert sorted(origin.not_taken) == [
        "gone [3]: not in this model", "grown [4]: that model has [2]",
        "new [5]: not in that model"]
    assert "Warm start with 1 weights of step 7 of '/there'." in origin.summary()
    assert "\n  not taken: grown [4]: that model has [2]" in origin.summary()


def test_no_matching_weight_is_an_error():
    message = r"with weights that match this one.*w \[3\]: that model has \[2\]"
    with pytest.raises(ValueError, match=message):
        warm_start.take("/there", 1, Layers(1, w=[2]), Layers(0, w=[3]))


def test_weights_lists_each_variable_once():
    model = small.gen_core("SRNN")
    listed = warm_start.weights(model)
    assert {id(v) for v in listed.values()} == {id(v) for v in model.variables}
    assert len(listed) == len(model.variables)
    again = warm_start.take("/there", 1, model, small.set_weights(small.gen_core("SRNN"), 0.1))
    assert sorted(again.taken) == sorted(listed) and not again.not_taken


def test_a_shared_weight_is_found_under_any_of_its_paths():
    def wrapped(value, *, shares):
        outer = Layers(value, own=[2])
        part = Layers(value, w=[3])
        outer.agent = Layers(value)
        outer.agent.inner = part  # a longer path than that of the core
        outer.core = Layers(value, v=[1])
        if shares:
            outer.core.part = part
        return outer

    for shares in (True, False):
        target = wrapped(0, shares=not shares)
        origin = warm_start.take("/there", 1, wrapped(1, shares=shares), target)
        np.testing.assert_array_equal(target.agent.inner.w, [1] * 3)
        assert len(origin.taken) == 3 and not origin.not_taken


def log_dir(tmp_path, origin=None):
    run = LogDir(tmp_path / "run")
    run.create(HParams(), 0)
    if origin is not None:
        origin.save(run)
    return run


def test_a_run_takes_weights_until_it_has_a_checkpoint(tmp_path):
    other = tmp_path / "other"
    assert warm_start.resolve_source(LogDir(tmp_path / "none"), None) is None
    assert warm_start.resolve_source(LogDir(tmp_path / "none"), other) == other
    origin = warm_start.Origin(str(other), 3, ["w"], [], [])
    run = log_dir(tmp_path, origin)
    assert warm_start.resolve_source(run, other) == warm_start.resolve_source(run, None) == other
    Checkpoints(run.checkpoints).save(1, {"model": Layers(0, w=[1])})
    assert warm_start.resolve_source(run, other) is warm_start.resolve_source(run, None) is None
    assert warm_start.recorded(run) == origin
    with pytest.raises(ValueError, match=r"started from '.*other', but --init-from '.*third'"):
        warm_start.resolve_source(run, tmp_path / "third")
    with pytest.raises(ValueError, match="expected another run than that of --log-dir"):
        warm_start.resolve_source(run, tmp_path / "run" / "." / "")


def test_a_relative_path_upwards_names_the_run_it_was_recorded_for(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    other = Path("../other")
    origin = warm_start.take(other, 3, Layers(1, w=[2]), Layers(0, w=[2]))
    assert warm_start.resolve_source(log_dir(tmp_path, origin), other) == tmp_path / "other"


def test_a_run_with_random_weights_takes_no_others_later(tmp_path):
    with pytest.raises(ValueError, match="started from random weights, but --init-from"):
        warm_start.resolve_source(log_dir(tmp_path), tmp_path / "other")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"log_dir": 1, "step": 1, "taken": [], '
                                  '"adapted": [], "not_taken": []}', "[" * 100_000])
def test_a_damaged_record_is_an_error(tmp_path, text):
    run = log_dir(tmp_path)
    (run.path / "init_from.json").write_text(text)
    with pytest.raises(ValueError, match=r"init_from.json.*expected a JSON object that records"):
        warm_start.recorded(run)


def test_an_interrupted_warm_start_takes_the_same_weights_again(tmp_path):
    source = Layers(1, w=[2])
    origin = warm_start.begin(LogDir(tmp_path / "run"), tmp_path, 3, source, Layers(0, w=[2]))
    run = log_dir(tmp_path, origin)
    assert warm_start.begin(run, tmp_path, 3, source, Layers(0, w=[2])) == origin
    assert json.loads((run.path / "init_from.json").read_text())["step"] == 3
    with pytest.raises(ValueError, match="started from step 3 of .*; that run is now at step 4"):
        warm_start.begin(run, tmp_path, 4, source, Layers(0, w=[2]))


def test_the_weights_of_a_symbol_follow_its_character():
    adapt = by_content(Vocabulary("abc", 2), Vocabulary("bdca", 1))
    old, first = np.arange(10.0).reshape(5, 2), -np.ones([5, 2])
    expected = [[2, 3], [-1, -1], [4, 5], [0, 1], [6, 7]]
    np.testing.assert_array_equal(adapt("agent/_encoder/embeddings", old, first), expected)
    np.testing.assert_array_equal(
        adapt("core/decoder/_head/_linear/w", old.T, first.T), np.transpose(expected))
    np.testing.assert_array_equal(
        adapt("core/decoder/_head/_linear/b", old[:, 0], first[:, 0]), [2, -1, 4, 0, 6])
    assert adapt("core/_d_core/_layers/0/_gates/w", old, first) is None
    assert adapt("agent/_encoder/embeddings", old, np.zeros([5, 3])) is None


def test_a_decoder_is_reset_by_one_start_and_not_by_those_after_it(tmp_path):
    run = LogDir(tmp_path / "run", "vaeseq-test")
    saved = HParams(vae_type="SEQAE", latent_size=3, seqae_reset_decoder=True)
    run.create(saved, 0)
    taken = warm_start.source_hparams(run, HParams)
    assert taken == saved.replace(seqae_reset_decoder=False)
    with pytest.raises(ValueError, match="--init-from: "):
        warm_start.source_hparams(LogDir(tmp_path / "none", "vaeseq-test"), HParams)
