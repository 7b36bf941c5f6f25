# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Exported models: their signatures in TensorFlow Serving's REST form, and their files."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import rest_form, small
from vaeseq import data, seeds
from vaeseq.bounds import ELBO, Reconstruction
from vaeseq.dist_module import DistModule
from vaeseq.evaluate import export
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.evaluate.sampler import Sampler
from vaeseq.evaluate.signatures import Signatures, flatten_named, pack_named
from vaeseq.nn.networks import MLP

ROWS, WINDOW = 2, 4


def below_four(symbols):
    return [tf.debugging.Assert(
        tf.reduce_all(symbols < small.NUM_SYMBOLS), ["expected symbols 0 to 3"])]


@pytest.fixture(scope="module")
def gen_core():
    return small.gen_core("RNN", small.symbol_codec)


@pytest.fixture(scope="module")
def served(gen_core, tmp_path_factory):
    """Returns a function that sends an exported model a request in REST form."""
    path = tmp_path_factory.mktemp("export") / "below" / "model"
    export.save(gen_core, ELBO(), path, rows=ROWS, window=WINDOW, jit_compile=False,
                check=below_four, description={"unit": "symbol"}, files={"more.txt": "more"})
    assert (path / "assets.extra" / "more.txt").read_text() == "more"
    assert json.loads((path / "assets.extra" / "model.json").read_text())["unit"] == "symbol"
    assert [child.name for child in path.parent.iterdir()] == ["model"]
    model = tf.saved_model.load(str(path))

    def ask(signature, inputs):
        request = json.dumps({"signature_name": signature, "inputs": inputs})
        return json.loads(rest_form.answer(model, request))

    return ask


def rows_of(*lengths):
    return [np.asarray(small.symbols(n, number=i + 1)) for i, n in enumerate(lengths)]


def padded(rows, size):
    return [[*row.tolist(), *[0] * (size - len(row))] for row in rows]


def library_scores(evaluator, rows, size, seed, group):
    """Returns the scores of `Evaluator.windows`, `[B, size]`."""
    windows = evaluator.windows(data.windows(rows, group, WINDOW), seed=seeds.make(seed))
    result = np.zeros([len(rows), size + WINDOW], np.float32)
    for first in range(0, len(rows), group):
        members = rows[first:first + group]
        for start in range(0, max(1, *map(len, members), 0), WINDOW):
            result[first:first + group, start:start + WINDOW] = next(
                windows).increments[:len(members)]
    return result[:, :size]


@pytest.mark.parametrize("lengths", [(0,), (1,), (9,), (4, 2), (3, 0, 7, 11, 1)])
def test_scores_of_any_batch_size_and_length_equal_the_evaluators(served, gen_core, lengths):
    rows, size = rows_of(*lengths), max(lengths) + 1
    scores = served("score", {
        "observed": padded(rows, size), "lengths": list(lengths), "seed": 3})["outputs"]
    evaluator = Evaluator(gen_core.agent, gen_core.core, ELBO(), jit_compile=False)
    group = 1 if len(lengths) == 1 else ROWS
    np.testing.assert_array_equal(
        np.float32(scores), library_scores(evaluator, rows, size, 3, group))


def test_scores_with_latents_equal_the_evaluators():
    model = small.gen_core("VRNN", small.symbol_codec)
    signatures = Signatures(model, ELBO(3), rows=ROWS, window=WINDOW, jit_compile=False,
                            check=lambda observed: ())
    score = tf.function(signatures.all()["score"].function, autograph=False)
    rows, seed = rows_of(6, 1, 3), (9 << 31) + 1
    scores = score(observed=tf.constant(padded(rows, 7)), lengths=tf.constant([6, 1, 3]),
                   seed=tf.constant(seed, tf.int64))["log_density"]
    evaluator = Evaluator(model.agent, model.core, ELBO(3), jit_compile=False)
    np.testing.assert_array_equal(scores, library_scores(evaluator, rows, 7, seed, ROWS))


def test_steps_sample_the_sequence_of_generate(served):
    """Also after a prime (without latents), and beyond the first chunk."""
    whole = served("generate", {"num_samples": 3, "length": 36, "prime": [1, 2, 2],
                                "temperature": 0.5, "seed": 2})["outputs"]
    assert np.shape(whole["observed"]) == (3, 36) and whole["lengths"] == [36] * 3
    state = served("initial_state", {"num_samples": 3})["outputs"]
    request = {"observed": [[1, 2, 2, 0]] * 3, "lengths": [3, 3, 3], "seed": 2}
    state = served("observe", {**state, **request})["outputs"]
    log_density = state.pop("log_density")
    scores = served("score", request)["outputs"]
    np.testing.assert_allclose(log_density, scores, rtol=1e-5, atol=1e-6)
    for step in range(3):
        state = served("step", {**state, "temperature": 0.5, "seed": 2})["outputs"]
        assert state.pop("observed") == np.transpose(whole["observed"])[step].tolist()
        np.testing.assert_allclose(state.pop("log_prob"), np.transpose(whole["log_prob"])[step],
                                   rtol=1e-5, atol=1e-6)
    assert state["state_steps"] == [6, 6, 6]
    other = served("step", {**state, "temperature": 0.5, "seed": 3})["outputs"]
    assert other["state_finished"] == [False] * 3


def test_samples_of_low_temperature_are_the_most_probable(served):
    sampled = served("generate", {"num_samples": 1, "length": 6, "prime": [], "temperature": 1e-4,
                                  "seed": 1})["outputs"]
    symbols = sampled["observed"][0]
    variants = [[*symbols[:3], symbol, *symbols[4:]] for symbol in range(small.NUM_SYMBOLS)]
    scores = served("score", {"observed": variants, "lengths": [6] * 4, "seed": 0})["outputs"]
    assert np.argmax(np.array(scores)[:, 3]) == symbols[3]


SCORE = {"observed": [[1, 2]], "lengths": [2], "seed": 0}
GENERATE = {"num_samples": 1, "length": 2, "prime": [1], "temperature": 1, "seed": 0}


@pytest.mark.parametrize(("signature", "good", "wrong", "message"), [
    ("score", SCORE, {"lengths": [3]}, "expected 0 to the number of steps"),
    ("score", SCORE, {"lengths": [1, 1]}, "expected one for each row"),
    ("score", SCORE, {"observed": [[1, 4]]}, "expected symbols 0 to 3"),
    ("score", SCORE, {"observed": [[1, 1.5]]}, "not of the expected type int32"),
    ("score", SCORE, {"observed": [[1], [1, 2]]}, ""),
    ("generate", GENERATE, {"temperature": 0}, "temperature: expected above 0"),
    ("generate", GENERATE, {"num_samples": 0}, "num_samples: expected at least 1"),
    ("generate", GENERATE, {"length": 0}, "length: expected at least 1"),
    ("generate", GENERATE, {"prime": [9]}, "expected symbols 0 to 3"),
])
def test_wrong_request_is_an_error(served, signature, good, wrong, message):
    assert "outputs" in served(signature, good)
    assert message in served(signature, {**good, **wrong})["error"]
    missing = {name: value for name, value in good.items() if name not in wrong}
    assert "Missing named input" in served(signature, missing)["error"]


@pytest.mark.parametrize("signature,inputs", [
    ("step", {"temperature": 1, "seed": 0}),
    ("observe", {"observed": [[1], [2]], "lengths": [1, 1], "seed": 0}),
])
def test_states_of_different_numbers_of_rows_are_an_error(served, signature, inputs):
    one, two = (served("initial_state", {"num_samples": number})["outputs"] for number in (1, 2))
    assert "outputs" in served(signature, {**two, **inputs})
    for name, row in one.items():
        error = served(signature, {**two, name: row, **inputs})["error"]
        assert "expected equal numbers of rows in all tensors" in error


def test_nests_have_named_leaves():
    nest = {"b": (1, [2]), "a": 3}
    assert flatten_named("state", nest) == {"state_a": 3, "state_b_0": 1, "state_b_1_0": 2}
    assert pack_named(nest, "state", {"state_a": 6, "state_b_0": 4, "state_b_1_0": 5}) == {
        "b": (4, [5]), "a": 6}
    assert flatten_named("observed", 7) == {"observed": 7}
    assert flatten_named("observed", {"pen up": 1, "x-\u00e9": 2}) == {
        "observed_pen_up": 1, "observed_x__": 2}
    with pytest.raises(ValueError, match="whose names differ .*, got two of 'state_a_b'"):
        flatten_named("state", {"a": {"b": 1}, "a_b": 2})


def test_export_overwrites_nothing(gen_core, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match="expected a directory to make, or an empty one"):
            export.save(gen_core, ELBO(), path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_empty_directories_are_replaced_also_behind_links_but_not_the_working_one(
        gen_core, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to("model")
    export.save_signatures(gen_core, ELBO(), tmp_path / "link", {})
    assert (tmp_path / "model" / "saved_model.pb").exists() and (tmp_path / "link").is_symlink()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in (".", tmp_path / "here"):
        with pytest.raises(ValueError, match="not the working directory"):
            export.save_signatures(gen_core, ELBO(), name, {})
    assert {path.name for path in tmp_path.iterdir()} == {"model", "link", "here"}


@pytest.mark.parametrize("function,answer,message", [
    ("path.ismount", True, "got a mount point"), ("access", False, "that is not writable")])
def test_an_empty_directory_that_cannot_be_replaced_is_refused(
        tmp_path, monkeypatch, function, answer, message):
    (tmp_path / "model").mkdir()
    export.check_free(tmp_path / "model")
    monkeypatch.setattr(f"os.{function}", lambda *_: answer)
    with pytest.raises(ValueError, match=f"{message}.* --output .*model/1$"):
        export.check_free(tmp_path / "model")
    export.check_free(tmp_path / "model" / "1")


def test_full_disk_leaves_no_files(gen_core, tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    (tmp_path / "model").mkdir()
    with pytest.raises(OSError, match="cannot be written: No space left"):
        export.save_signatures(gen_core, ELBO(), tmp_path / "model", {})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"window": 0}])
def test_sizes_below_one_are_errors(gen_core, tmp_path, wrong):
    with pytest.raises(ValueError, match="expected at least 1 row and a window of at least 1"):
        export.save(gen_core, ELBO(), tmp_path / "model", **wrong)


class Counts(DistModule):
    """A decoder that defines no `temper`."""

    event_spec = small.REAL

    def __init__(self):
        super().__init__()
        self._loc = MLP((2,))

    def __call__(self, features):
        return self._loc(features)

    def dist(self, params):
        return tfd.Independent(tfd.Normal(params, 1.0), 1)


def test_samples_with_latents_equal_the_samplers_after_a_prime():
    """The latents of the prime are drawn from the same noise, whose number of rows is unknown."""
    model = small.gen_core("VRNN", small.symbol_codec)
    signatures = Signatures(model, ELBO(), rows=1, window=4, jit_compile=False,
                            check=lambda observed: ())
    prime, seed = small.symbols(3), seeds.make(5)
    primed = tf.function(
        lambda rows: signatures._primed(prime[tf.newaxis], rows, seed), autograph=False)
    expected = Sampler(model).primed(prime.numpy(), 3, seed=seed)
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6),
        primed(tf.constant(3)), expected)


@pytest.mark.parametrize("vae_type, hparams", [
    ("KVAE", {}), ("TDVAE", {}), ("SRNN", {"posterior_flows": 1})])
def test_models_whose_latents_have_no_terms_by_dimension_are_exported(vae_type, hparams):
    model = small.gen_core(vae_type, small.real_codec, **hparams)
    signatures = Signatures(model, ELBO(2), rows=ROWS, window=WINDOW, jit_compile=False,
                            check=lambda observed: ()).all()
    for name in ("observe", "score"):
        one = signatures[name]
        assert tf.function(one.function, autograph=False).get_concrete_function(**one.inputs)


def test_a_decoder_without_temper_is_exported_for_temperature_1():
    model = small.gen_core("RNN", lambda: (small.real_codec()[0], Counts()))
    signatures = Signatures(model, ELBO(), rows=1, window=4, jit_compile=False,
                            check=lambda observed: ())
    generate = tf.function(signatures.all()["generate"].function, autograph=False)
    inputs = {"num_samples": tf.constant(2), "length": tf.constant(3),
              "prime": tf.zeros([0, 2]), "seed": tf.constant(1, tf.int64)}
    assert generate(**inputs, temperature=tf.constant(1.0))["observed"].shape == [2, 3, 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="temperature: this decoder has only"):
        generate(**inputs, temperature=tf.constant(0.5))


def test_a_model_that_encodes_points_is_primed_and_scored_by_its_reconstruction():
    model = small.gen_core("SEQAE", small.symbol_codec, seqae_posterior="deterministic")
    signatures = Signatures(model, Reconstruction(), rows=1, window=4, jit_compile=False,
                            check=lambda observed: ())
    generate = tf.function(signatures.all()["generate"].function, autograph=False)
    drawn = generate(num_samples=tf.constant(2), length=tf.constant(3), prime=tf.constant([1, 2]),
                     seed=tf.constant(1, tf.int64), temperature=tf.constant(1.0))
    assert drawn["observed"].shape[0] == 2
