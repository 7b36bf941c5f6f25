# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text with lines as sequences: training, scores, and the commands of an autoencoder."""

import json

import numpy as np
import pytest
import tensorflow as tf

from examples.midi.cli import program as midi_program
from examples.text.cli import program
from examples.text.commands import autoencoding
from examples.text.commands.autoencoding import encode_text
from examples.text.data import Vocabulary, units
from examples.text.data.byte_tokens import ByteTokens
from examples.text.ending_agent import EndingAgent
from examples.text.model import TextModel
from tests import tiny_text
from vaeseq import testing
from vaeseq.autoencoder import Autoencoder
from vaeseq.cli.arguments import UsageError
from vaeseq.codec import encoders
from vaeseq.data import RaggedArray

LINES = ["one two.", "two one.", "three four.", "four.", ""]
TEXT = "\n".join(LINES * 20) + "\n"
SMALL = ("vae_type=SEQAE,unit=line,cell=gru,rnn_hidden_sizes=[6],embed_size=3,latent_size=2,"
         "latent_decoder_fc_layers=[4],batch_size=4,sequence_size=12,num_shards=1,"
         "log_prob_samples=2")
SYMBOL = tf.TensorSpec([], tf.int32)


class TestEndingAgent(testing.AgentContract):
    def make_object_under_test(self):
        return EndingAgent(encoders.Embed(3, 2), SYMBOL, end=1, count=2)

    def make_observations(self, leading):
        return tf.random.stateless_uniform(leading, [1, 2], 0, 3, tf.int32)


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """A trained run; tests only read it."""
    folder = tmp_path_factory.mktemp("lines")
    tiny_text.train(folder, "--num-steps", "2", text=TEXT, hparams=SMALL)
    return folder


def test_texts_are_split_after_their_ends():
    texts = [np.array([1, 0, 2, 0, 0, 0, 3]), np.array([0, 4, 0])]
    parts = units.split(texts, end=0, count=1)
    assert [part.tolist() for part in parts] == [
        [1, 0], [2, 0], [0], [0], [3], [0], [4, 0]]
    assert [part.tolist() for part in units.split(parts, 0, 1)] == [p.tolist() for p in parts]
    paragraphs = units.split(texts, end=0, count=2)
    assert [part.tolist() for part in paragraphs] == [[1, 0, 2, 0, 0], [0, 3], [0, 4, 0]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_splitting_is_that_of_a_loop_over_symbols_and_copies_nothing(count, monkeypatch):
    monkeypatch.setattr(units, "_SEARCHED_AT_ONCE", 7)
    rng = np.random.default_rng(count)
    for _ in range(30):
        symbols = rng.integers(0, 3, 50)
        splits = np.unique([0, *rng.integers(1, 50, 4), 50])
        expected = []
        for text in RaggedArray(symbols, splits):
            part, run = [], 0
            for symbol in text.tolist():
                part.append(symbol)
                run = run + 1 if symbol == 0 else 0
                if run == count:
                    expected.append(part)
                    part, run = [], 0
            expected += [part] if part else []
        parts = units.split(RaggedArray(symbols, splits), 0, count)
        assert [part.tolist() for part in parts] == expected
        assert parts.values is symbols


def test_a_score_counts_every_end_of_a_line(lines):
    model = TextModel.load(lines / "log")
    symbols = model.vocabulary.encode(TEXT)
    score, surprises = model.score_text(symbols, bound="elbo", num_samples=1)
    assert score.steps == len(TEXT) == len(surprises)
    assert surprises.sum() == pytest.approx(-score.nats, rel=1e-5)
    alone, _ = model.score_text(symbols[:9], bound="reconstruction", num_samples=1)
    assert alone.steps == 9 and alone.bound == "reconstruction"


@pytest.mark.slow
def test_samples_end_with_their_line(run, lines):
    ended = run("generate", "--log-dir", lines / "log", "--num-samples", "5", "--length", "300",
                "--state-model", "normal", "--seed", "1", status=0)
    samples = ended.out.split("--- sample")[1:]
    assert len(samples) == 5
    for sample in samples:
        text = sample.split("---\n")[1]
        assert text.rstrip("\n").count("\n") == 0
    refused = run("generate", "--log-dir", lines / "log", "--state-model", "vamp", "--prime", "one")
    assert refused.status != 0 and "--state-model: expected no --prime" in refused.err


def test_encode_writes_latents_that_anything_can_read(run, lines, tmp_path):
    run("encode", "--log-dir", lines / "log", "--input", lines / "corpus.txt",
        "--output", tmp_path / "z.npz", status=0)
    with np.load(tmp_path / "z.npz", allow_pickle=False) as arrays:
        assert arrays["text"].tolist() == TEXT.splitlines(keepends=True)
        assert arrays["mean"].shape == arrays["stddev"].shape == (100, 2)
        np.testing.assert_allclose(arrays["mean"][0], arrays["mean"][5], atol=1e-5)


def test_one_very_long_text_does_not_pad_all_others_to_its_length(monkeypatch):
    texts = ["a\n"] * 99 + ["b" * 10_000]
    assert autoencoding.text_array(texts).tolist() == texts
    monkeypatch.setattr(autoencoding, "_MOST_PADDED", 100)
    array = autoencoding.text_array(texts)
    assert array.nbytes <= 4 * 8 * sum(map(len, texts))
    assert array.tolist() == ["a\n"] * 99 + ["b" * 815]  # 8 * 10,198 // 100


@pytest.fixture(scope="module")
def loaded(lines):
    """The model and its autoencoder, whose functions are compiled once."""
    model = TextModel.load(lines / "log")
    return model, Autoencoder(model.gen_core)


def test_reconstruct_prints_pairs_and_a_report(run, lines, loaded, monkeypatch):
    monkeypatch.setattr(autoencoding, "load_autoencoder", lambda args: loaded)
    words = ("reconstruct", "--log-dir", lines / "log", "--num-samples", "12", "--length", "24")
    shown = run(*words, "--latent", "sample", status=0)
    assert shown.out.count("\n-> ") == 10 and "mutual information" in shown.out
    report = json.loads(run(*words, "--json").out)
    assert report["sequences"] == 10 and report["information"]["cap"] == pytest.approx(np.log(10))
    assert report["is_collapsed"] in (True, False)


def test_interpolate_prints_the_way(run, lines, loaded, monkeypatch):
    monkeypatch.setattr(autoencoding, "load_autoencoder", lambda args: loaded)
    words = ("interpolate", "--log-dir", lines / "log", "--from", "one two.", "--length", "24")
    ended = run(*words, "--to", "four.", "--num-samples", "12", status=0)
    assert len(ended.out.splitlines()) == 12
    for text, message in (("four?", "--to: expected a text of the model's vocabulary, got '?'"),
                          ("one\ntwo", "--to: expected one line, got 2")):
        ended = run(*words, "--to", text)
        assert ended.status != 0 and message in ended.err


def test_an_end_of_a_path_is_one_line_or_one_paragraph(lines):
    model = TextModel.load(lines / "log")
    tokens = model.vocabulary
    for text in ("one", "one\n", "one\n\n"):
        assert tokens.decode(encode_text(model, text, "--from")) == "one\n"
    assert tokens.decode(encode_text(model, "\n", "--from")) == "\n"
    model.hparams = model.hparams.replace(unit="paragraph")
    for text in ("one.\ntwo.", "one.\ntwo.\n\n"):
        assert tokens.decode(encode_text(model, text, "--from")) == "one.\ntwo.\n\n"
    with pytest.raises(UsageError, match="--to: expected one paragraph, got 2"):
        encode_text(model, "one.\n\ntwo.", "--to")


def test_other_models_are_refused(run, trained, tmp_path):
    ended = run("encode", "--log-dir", trained.log_dir, "--output", tmp_path / "z.npz")
    assert ended.status != 0
    assert "vae_type=SEQAE; got RNN. Train with --hparams vae_type=SEQAE,unit=line" in ended.err


def test_commands_that_save_nothing_before_their_end_may_be_interrupted_at_once():
    prompt = {command.name for command in program.commands if command.saves_at_end}
    assert prompt == {"evaluate", "encode", "reconstruct", "interpolate"}
    prompt = {command.name for command in midi_program.commands if command.saves_at_end}
    assert prompt == {"evaluate", "encode", "reconstruct", "interpolate", "vary"}


def test_a_vocabulary_without_line_breaks_has_no_lines():
    with pytest.raises(UsageError, match="the vocabulary has none"):
        units.end_symbol(Vocabulary("ab", 1))
    assert units.end_symbol(ByteTokens("words", [b"ab"])) == ord("\n")
    with pytest.raises(UsageError, match="symbols of several; expected --tokens characters or"):
        units.end_symbol(ByteTokens("words", [b"ab", b"\n\n"]))


def test_a_prime_of_several_lines_is_continued_from_the_last(lines):
    model = TextModel.load(lines / "log")
    np.testing.assert_array_equal(
        model.encode_prime("one two.\nfo"), model.vocabulary.encode("fo"))
    assert model.encode_prime("one two.\n") is None and model.encode_prime("") is None


def test_the_defaults_train_every_objective_of_autoencoders(tmp_path):
    """The default free bits are the ELBO's alone."""
    for objective in ("reconstruction", "mmd"):
        (tmp_path / objective).mkdir()
        tiny_text.train(tmp_path / objective, "--num-steps", "1", text=TEXT,
                        hparams=f"{SMALL},train_bound={objective}")
