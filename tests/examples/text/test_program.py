# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text in this process: training, resuming, scores, samples, and wrong use."""

import html.parser
import json
import math
import os
import shutil

import numpy as np
import pytest

from examples.text.commands import generate as generate_command
from examples.text.commands import train as train_command
from examples.text.data import Vocabulary
from examples.text.hparams import TextHParams
from examples.text.model import TextModel
from tests.in_process import assert_one_line, assert_refused, saved
from tests.tiny_text import SMALL, TEXT
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.metrics import MultiWriter
from vaeseq.train.trainer import Periods

SRNN = "vae_type=SRNN,rnn_hidden_sizes=[4],latent_size=2,latent_decoder_fc_layers=[4]," \
    "embed_size=3,batch_size=2,sequence_size=8,num_shards=1,log_prob_samples=3"


@pytest.fixture
def copy(trained, tmp_path):
    """Copies the trained run's directory, for tests that change it."""
    shutil.copytree(trained.log_dir, tmp_path / "copy")
    return tmp_path / "copy"


def _by_ending(mapping, ending):
    (value,) = [value for name, value in mapping.items() if name.endswith(ending)]
    return value


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _surprises(weights, symbols):
    """Computes the nats of each symbol under an LSTM in NumPy, in double precision."""
    weights = {name: value.astype(np.float64) for name, value in weights.items()
               if name.startswith("gen_core")}
    embeddings = _by_ending(weights, "embeddings")
    w, b = _by_ending(weights, "_gates/w"), _by_ending(weights, "_gates/b")
    out_w, out_b = _by_ending(weights, "_head/_linear/w"), _by_ending(weights, "_head/_linear/b")
    hidden = cell = np.zeros(len(b) // 4)
    inputs, nats = np.zeros(embeddings.shape[1]), []
    for symbol in symbols:
        i, f, o, g = np.split(np.concatenate([inputs, hidden]) @ w + b, 4)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        hidden = _sigmoid(o) * np.tanh(cell)
        logits = hidden @ out_w + out_b
        nats.append(np.logaddexp.reduce(logits) - logits[symbol])
        inputs = embeddings[symbol]
    return np.array(nats)


def _score(run, *words):
    ended = run("evaluate", *words, "--json", status=0)
    return json.loads(ended.out)


# Training.


def test_the_log_directory_describes_the_model(trained):
    names = {path.name for path in trained.log_dir.iterdir()}
    assert {"run.json", "hparams.json", "vocabulary.json", "corpus.json", "metrics.jsonl",
            "events", "checkpoints"} <= names
    metrics = (trained.log_dir / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in metrics.splitlines()]
    assert [line["step"] for line in lines] == [30, 50, 60]
    assert "valid_nats_per_step" in lines[0] and "valid_nats_per_step" not in lines[1]
    assert lines[2]["nats_per_step"] < lines[0]["nats_per_step"] < math.log(40)
    assert not list(trained.log_dir.rglob("*writing*"))


def test_the_output_of_training(run, trained, tmp_path):
    log_dir = tmp_path / "a log"
    words = ("train", "--log-dir", log_dir, "--train-corpus", trained.corpus, "--valid-every", "1")
    first = run(*words, "--hparams", SMALL, "--num-steps", "1")
    assert first.status == 0
    assert "810 characters, 29 of them distinct; validating on 90" in first.out
    assert "step 1: validation " in first.err and "\n    | " in first.err
    assert f"vaeseq-text generate --log-dir '{log_dir}'" in first.out
    assert "INFO" not in first.err and "Sharding" not in first.err
    more = run(*words, "--num-steps", "2")
    assert "Step 2: done." in more.out
    fewer = run(*words, "--num-steps", "1")
    assert fewer.status == 0 and "Step 2: nothing to do" in fewer.out


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(run, trained, tmp_path, monkeypatch):
    words = ("train", "--train-corpus", trained.corpus, "--hparams", SMALL + ",dropout=0.2",
             "--num-steps", "3", "--valid-every", "3")
    monkeypatch.setattr(train_command, "Periods", lambda valid: Periods(log=2, valid=valid))
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    assert run(*words, "--log-dir", whole).status == 0
    ended = run(*words, "--log-dir", pieces, "--max-minutes", "0.000001")
    assert ended.status == 0 and "Step 1: time is up" in ended.out
    assert "The same command again resumes here." in ended.out
    (pieces / "checkpoints" / "writing-step-000000002").mkdir()  # left by a run that was killed
    assert "Step 3: done." in run(*words, "--log-dir", pieces).out
    assert not list((pieces / "checkpoints").glob("writing-*"))
    one, other = saved(whole), saved(pieces)
    assert one.keys() == other.keys() and len(one) > 10
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert (whole / "metrics.jsonl").read_bytes() == (pieces / "metrics.jsonl").read_bytes()
    assert (whole / "metrics.jsonl").read_bytes().count(b"\n") == 2  # steps 2 and 3


@pytest.mark.parametrize(("words", "message"), [
    (["--hparams", "batch_size=3"], "holds a run with batch_size=2, but batch_size=3 was given"),
    (["--seed", "5"], "holds a run with seed 0, but seed 5 was given"),
    (["--valid-fraction", "0.2"], "validated on the last 0.1 of its text, but one that"),
    (["--train-corpus", "{other}"], "is trained on '{corpus}' (checksum "),
    (["--valid-corpus", "{other}"], "but one that is validated on '{other}'"),
    (["--vocab-corpus", "{other}"], "only in the text '-XYZ', only in the run ''"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_resuming_with_other_options_is_refused(run, trained, tmp_path, words, message):
    other = tmp_path / "other"
    other.write_text(TEXT + "XYZ-", encoding="utf-8")
    names = {"other": other, "corpus": trained.corpus}
    before = sorted(path.stat().st_mtime_ns for path in trained.log_dir.rglob("*"))
    ended = run("train", "--log-dir", trained.log_dir, "--train-corpus", trained.corpus,
                *(word.format(**names) for word in words))
    assert_refused(ended, message.format(**names))
    assert sorted(path.stat().st_mtime_ns for path in trained.log_dir.rglob("*")) == before


def test_two_runs_cannot_share_a_directory(run, trained, copy):
    with LogDir(copy, "vaeseq-text").locked():
        ended = run("train", "--log-dir", copy, "--train-corpus", trained.corpus,
                    "--num-steps", "99")
    assert ended.status == 2 and "another run is training there" in ended.err


# Unsuitable texts.


@pytest.mark.parametrize(("content", "message"), [
    (b"", "expected text, got an empty file"),
    (b"a", "at least two different characters to learn from, got 1"),
    (b"\xef\xbb\xbf", "at least two different characters to learn from, got 0"),
    (b"caf\xe9 " * 99, "expected UTF-8 text, got byte 0xe9 at offset 3"),
    (b"hello world", "at least batch_size x sequence_size = 2 x 8 = 16 steps"),
], ids=["empty", "one", "mark", "latin-1", "short"])
def test_an_unsuitable_corpus_leaves_no_directory(run, tmp_path, content, message):
    (tmp_path / "text").write_bytes(content)
    ended = run("train", "--log-dir", tmp_path / "log", "--train-corpus", tmp_path / "text",
                "--hparams", SMALL)
    assert_refused(ended, message)
    assert str(tmp_path / "text") in ended.err
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(("size", "overrides", "expected"), [
    (270, {}, (4, 64)), (36, {}, (4, 8)), (270, {"batch_size": 8}, (8, 32)),
    (270, {"sequence_size": 50}, (4, 50)), (1024, {}, (16, 64)), (31, {}, (4, 8))])
def test_a_short_text_gets_a_smaller_batch_and_window(size, overrides, expected, capsys):
    hparams = train_command._fit_to_text(TextHParams().replace(**overrides), overrides, size)
    assert (hparams.batch_size, hparams.sequence_size) == expected
    # One that is refused all the same gets no second message.
    assert ("The text has only" in capsys.readouterr().out) == (32 <= size < 1024)


def test_a_short_text_in_another_encoding_is_learnt(run, tmp_path):
    (tmp_path / "text").write_bytes(("naïve señor, " * 4).encode("cp1252"))
    words = ("train", "--log-dir", tmp_path / "log", "--train-corpus", tmp_path / "text",
             "--num-steps", "1", "--hparams", "rnn_hidden_sizes=[4],embed_size=3,num_shards=1")
    ended = run(*words)
    assert ended.status == 2 and "--encoding cp1252" in ended.err
    ended = run(*words, "--encoding", "cp1252", status=0)
    assert "batch_size=4 (not 16) and sequence_size=8 (not 64)" in ended.out
    assert run("evaluate", "--log-dir", tmp_path / "log").status == 0


def test_empty_files_of_a_folder_or_pattern_are_not_scored(run, trained, tmp_path):
    for name, content in (("a", "some text\n" * 9), ("b", ""), ("c", "\ufeff"), ("d", "more\n")):
        (tmp_path / name).write_text(content)
    for name in (tmp_path, tmp_path / "[a-z]"):
        ended = run("evaluate", "--log-dir", trained.log_dir, "--eval-corpus", name, "--json",
                    status=0)
        assert [row["characters"] for row in map(json.loads, ended.out.splitlines())] == [90, 5]
    ended = run("evaluate", "--log-dir", trained.log_dir, "--eval-corpus", tmp_path / "[bc]")
    assert_refused(ended, "expected text to score, got none")


TRAIN = "train --log-dir {tmp}/log --train-corpus {corpus} "
EVALUATE, GENERATE = "evaluate --log-dir {run} ", "generate --log-dir {run} "


@pytest.mark.parametrize(("words", "message"), [
    (TRAIN + "--encoding hex", "expected an encoding that Python knows"),
    (TRAIN + "--train-corpus {tmp}/nothing", "no such file"),
    (TRAIN + "--log-dir {corpus}", "expected a directory; "),
    (TRAIN + "--hparams vae_type=LSTM,batch_size=2,sequence_size=8", "vae_type"),
    (TRAIN + "--hparams batch_sise=3", "Did you mean 'batch_size'?"),
    (TRAIN + "--max-minutes -1", "above 0"),
    (TRAIN + "--valid-fraction 1", "below 1; got '1'"),
    *((TRAIN + f"--tokens {name}", "bpe:N with N from 257 to 65536")
      for name in ("word", "bpe", "bpe:", "bpe:256", "bpe:99999", "bpe:-1", "bpe:1e3")),
    (EVALUATE + "--eval-corpus {corpus} {tmp}/empty", "empty': expected text, got an empty"),
    (EVALUATE + "--eval-corpus {tmp}/mark", "mark': expected text to score, got none"),
    (EVALUATE + "--eval-corpus {corpus} {corpus} --per-character {tmp}/page", "got 2."),
    (EVALUATE + "--bound best", "invalid choice: 'best'"),
    (EVALUATE + "--hparams vae_type=SRNN", "vae_type=RNN, but vae_type=SRNN was given"),
    (EVALUATE + "--vocab-corpus {tmp}/other", "another vocabulary than the run"),
    (GENERATE + "--length 0", "at least 1"),
    (GENERATE + "--length 1000000000000", "at most 1000000000; got"),
    (GENERATE + "--prime the\u72d0\udcff", "got '\u72d0', '\\udcff'. The vocabulary is '\\n .abc"),
    (GENERATE + "--hparams rnn_hidden_sizes=[9]", "rnn_hidden_sizes"),
    (GENERATE + "--fill=", "--fill: expected a text with gaps"),
    (GENERATE + "--top-k -1", "--top-k: expected"),
    (GENERATE + "--top-p 0", "--top-p: expected"),
    (GENERATE + "--min-p 2", "--min-p: expected"),
    ("evaluate --log-dir {tmp}", "found no run.json there. Train first"),
    ("generate --log-dir {tmp}", "found no run.json there. Train first"),
], ids=ascii)
def test_wrong_use_is_refused_in_a_line(run, trained, tmp_path, words, message):
    for name, content in (("empty", b""), ("mark", b"\xef\xbb\xbf"), ("other", b"abc")):
        (tmp_path / name).write_bytes(content)
    names = {"tmp": tmp_path, "corpus": trained.corpus, "run": trained.log_dir}
    assert_refused(run(*(word.format(**names) for word in words.split())), message)
    assert not (tmp_path / "log").exists()


def test_a_page_does_not_replace_the_text_that_it_shows(run, copy, trained, tmp_path):
    text = tmp_path / "text.txt"
    for words in (["--eval-corpus", text], []):  # without, it is the held-out end
        text.write_text(trained.corpus.read_text())
        description = json.loads((copy / "corpus.json").read_text())
        (copy / "corpus.json").write_text(json.dumps({**description, "train_corpus": str(text)}))
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(text)
        for page in (text, tmp_path / "link"):
            assert_refused(run("evaluate", "--log-dir", copy, *words, "--per-character", page),
                           "text.txt', which the command reads or writes, too. Give another name")
            assert text.read_text() == trained.corpus.read_text()


def test_an_output_does_not_replace_a_text_of_the_run(run, copy, tmp_path):
    text, record = tmp_path / "text.txt", copy / "corpus.json"
    text.write_text("mine")
    words = ["generate", "--log-dir", copy, "--output", text]
    description = json.loads(record.read_text())
    for content, message in (
            (json.dumps({**description, "train_corpus": ["/gone", str(text)]}), "would replace"),
            (record.read_text()[:-9], "corpus.json': expected a JSON object that records")):
        record.write_text(content)
        assert_refused(run(*words), message)
        assert text.read_text() == "mine"
    record.unlink()
    assert run(*words).status == 0 and text.read_text() != "mine"


def test_a_log_directory_that_cannot_be_written(run, trained):
    ended = run("train", "--log-dir", "/proc/vaeseq", "--train-corpus", trained.corpus,
                "--hparams", SMALL)
    assert ended.status in (1, 2) and "/proc" in ended.err and ended.err.count("\n") == 1


# Foreign and damaged log directories.


def test_a_directory_with_other_files_is_left_alone(run, trained, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    ended = run("train", "--log-dir", tmp_path / "thesis", "--train-corpus", trained.corpus,
                "--hparams", SMALL)
    assert ended.status == 2 and "no run.json but 'chapter.tex'" in ended.err
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


@pytest.mark.parametrize("command", ["train", "evaluate", "generate"])
def test_a_run_of_another_program_is_refused(run, copy, command):
    run_json = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**run_json, "program": "vaeseq-midi"}))
    ended = run(command, "--log-dir", copy)
    assert ended.status == 2 and "found one of 'vaeseq-midi'" in ended.err


@pytest.mark.parametrize("name", ["run.json", "hparams.json", "vocabulary.json", "corpus.json"])
def test_a_damaged_file_is_reported(run, trained, copy, name):
    (copy / name).write_bytes(bytes(range(128, 256)))
    for words in (["train", "--train-corpus", trained.corpus, "--hparams", SMALL], ["evaluate"]):
        ended = run(*words, "--log-dir", copy)
        assert_refused(ended, str(copy))


def test_a_huge_file_is_not_read(run, copy):
    with open(copy / "vocabulary.json", "wb") as file:
        file.truncate(1 << 33)
    assert "expected a text file of 1 to" in run("generate", "--log-dir", copy).err


def test_a_run_without_checkpoints_is_refused(run, copy):
    shutil.rmtree(copy / "checkpoints")
    ended = run("generate", "--log-dir", copy)
    assert ended.status == 2 and "expected a checkpoint, found none. Train first." in ended.err


def test_a_damaged_checkpoint_is_skipped_with_a_line_on_stderr(run, copy):
    best = next((copy / "checkpoints").glob("best-*"))
    data = next(best.glob("*.data*"))
    data.write_bytes(data.read_bytes()[:100])
    ended = run("evaluate", "--log-dir", copy, "--json")
    assert ended.status == 0 and f"{best} is damaged" in ended.err
    assert json.loads(ended.out)["steps"] == 90
    for data in (copy / "checkpoints").rglob("*.data*"):
        data.write_bytes(b"")
    ended = run("evaluate", "--log-dir", copy, "--json")
    assert ended.status == 2 and "expected an intact checkpoint; all 3 are damaged" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("name", ["lock", "metrics.jsonl", "events", "checkpoints"])
def test_a_pipe_in_place_of_a_file_is_refused(run, trained, copy, name):
    shutil.rmtree(copy / name, ignore_errors=True)
    (copy / name).unlink(missing_ok=True)
    os.mkfifo(copy / name)
    ended = run("train", "--log-dir", copy, "--train-corpus", trained.corpus)
    assert ended.status == 2 and f"{name}': expected a" in ended.err


# Scores.


@pytest.mark.oracle
def test_the_score_equals_an_lstm_in_numpy(run, trained):
    model = TextModel.load(trained.log_dir)
    symbols = model.vocabulary.encode(TEXT)
    nats = _surprises(saved(trained.log_dir, "best"), symbols)
    score = _score(run, "--log-dir", trained.log_dir, "--eval-corpus", trained.corpus)
    assert list(score) == ["nats_per_step", "bits_per_step", "perplexity", "steps", "bound",
                           "num_samples", "standard_error", "tokens", "characters",
                           "nats_per_character", "bits_per_character", "unknown_characters"]
    assert score["nats_per_character"] == score["nats_per_step"]
    np.testing.assert_allclose(score["nats_per_step"], nats.mean(), rtol=1e-5)
    np.testing.assert_allclose(score["bits_per_step"], nats.mean() / math.log(2), rtol=1e-5)
    np.testing.assert_allclose(score["perplexity"], math.exp(nats.mean()), rtol=1e-5)
    assert (score["steps"], score["bound"], score["standard_error"]) == (len(TEXT), "exact", 0)
    _, surprises = model.score_text(symbols)
    np.testing.assert_allclose(surprises, nats, rtol=1e-4, atol=1e-5)


def test_windows_change_no_score(trained, monkeypatch):
    model = TextModel.load(trained.log_dir)
    symbols = model.vocabulary.encode(TEXT[:101])
    score, surprises = model.score_text(symbols)
    monkeypatch.setattr("examples.text.model._WINDOW", 7)
    again, other = model.score_text(symbols)
    assert again.steps == score.steps == 101
    np.testing.assert_allclose(again.nats, score.nats, rtol=1e-6)
    np.testing.assert_allclose(other, surprises, rtol=1e-4, atol=1e-6)
    rows = model.evaluate([symbols[:50], symbols, symbols[:1]], batch_size=2, window=16)
    alone = sum(model.evaluate([part]).nats for part in (symbols[:50], symbols, symbols[:1]))
    np.testing.assert_allclose(rows.nats, alone, rtol=1e-6)


def test_unknown_characters_are_scored_and_counted(run, trained, tmp_path):
    (tmp_path / "text").write_text("the quick \u72d0 fox\U0001f98a", encoding="utf-8")
    words = ("--log-dir", trained.log_dir, "--eval-corpus", tmp_path / "text")
    nats = _surprises(saved(trained.log_dir, "best"), TextModel.load(
        trained.log_dir).vocabulary.encode("the quick \u72d0 fox\U0001f98a"))
    score = _score(run, *words)
    assert score["steps"] == 16
    np.testing.assert_allclose(score["nats_per_step"], nats.mean(), rtol=1e-5)
    assert "2 characters outside the vocabulary" in run("evaluate", *words).out


def test_several_texts_are_listed_best_first(run, trained, tmp_path):
    (tmp_path / "noise\nfile").write_text("zzzz qqqq xxxx jjjj", encoding="utf-8")
    texts = [tmp_path / "noise\nfile", trained.corpus]
    words = ("evaluate", "--log-dir", trained.log_dir, "--eval-corpus", *texts)
    head, first, second = run(*words).out.splitlines()
    assert head.split() == ["nats/char", "bits/char", "perplexity", "characters", "text"]
    assert first.endswith(str(trained.corpus)) and second.endswith("noise\\nfile")
    lines = run(*words, "--json").out.splitlines()
    assert [json.loads(line)["corpus"] for line in lines] == list(map(str, texts))


def test_options_without_an_effect_are_refused(run, trained, tmp_path):
    words = ("evaluate", "--log-dir", trained.log_dir)
    assert_one_line(run(*words, "--plot", tmp_path / "p.png"), "--plot draws the metrics of")
    assert_one_line(run(*words, "--samples", 2, "--per-character", tmp_path / "p.html"),
                    "--per-character has no effect with --samples")


def test_the_held_out_end_is_scored_by_default(run, trained):
    ended = run("evaluate", "--log-dir", trained.log_dir)
    assert "(the held-out end)" in ended.out and " 90 " in ended.out


class _Page(html.parser.HTMLParser):
    """Checks the nesting of tags; collects the visible text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.titles, self.tags = [], "", [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        if self.open[-2:] == ["pre", "span"]:
            self.titles.append(float(dict(attributes)["title"]))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "pre" in self.open:
            self.text += data


def test_a_page_shows_each_character_with_its_surprise(run, trained, tmp_path):
    text = "<script>alert('&amp;')</script>\n\tthe \x1b[31m fox\u200d\u00a0\u3000\n"
    name = tmp_path / "<b>\udcff&"
    name.write_text(text, encoding="utf-8")
    page = tmp_path / "page.html"
    run("evaluate", "--log-dir", trained.log_dir, "--eval-corpus", name,
        "--per-character", page, status=0)
    parsed = _Page()
    parsed.feed(page.read_text("utf-8"))
    parsed.close()
    assert parsed.open == [] and "script" not in parsed.tags and "b" not in parsed.tags
    assert parsed.text == text.replace("\n", "\u21b5\n").replace("\x1b", "\ufffd")
    model = TextModel.load(trained.log_dir)
    _, surprises = model.score_text(model.vocabulary.encode(text))
    np.testing.assert_allclose(parsed.titles, surprises, atol=0.006)


# Samples.


def test_the_same_seed_gives_the_same_text(run, trained, tmp_path):
    words = ("generate", "--log-dir", trained.log_dir, "--length", "300")
    one, again = run(*words, "--seed", "7"), run(*words, "--seed", "7")
    assert one.status == 0 and len(one.out) == 301 and one.out == again.out
    assert set(one.out) <= set(TEXT) | {"\ufffd"}
    assert run(*words, "--seed", "8").out != one.out
    output = tmp_path / "-out put"
    ended = run(*words, "--seed", "7", "--output", output)
    assert ended.out == "" and output.read_text("utf-8") == one.out


def test_samples_differ_and_start_with_the_prime(run, trained):
    ended = run("generate", "--log-dir", trained.log_dir, "--length", "20", "--samples", "3",
                "--prime", "the\n")
    *_, first, second, third = ended.out.split("--- sample ")
    bodies = [sample.partition(" of 3 ---\n")[2] for sample in (first, second, third)]
    assert all(body.startswith("the\n") and len(body) == 4 + 20 + 1 for body in bodies)
    assert len(set(bodies)) == 3


def test_batches_of_samples_share_no_seed(run, trained, monkeypatch):
    monkeypatch.setattr(generate_command, "_LARGEST_BATCH", 2)
    words = ("generate", "--log-dir", trained.log_dir, "--length", "30", "--num-samples")
    samples = [run(*words, "4", "--seed", seed).out.split("---\n")[1:] for seed in (0, 2)]
    bodies = [sample.partition("---")[0].strip("\n") for row in samples for sample in row]
    assert len(bodies) == 8 and len(set(bodies)) == 8


def test_the_prime_conditions_the_sample(trained):
    model = TextModel.load(trained.log_dir)
    text = TEXT[:30]
    (chunk,) = model.sampler.stream(
        num_samples=1, length=1, prime=model.vocabulary.encode(text), seed=0)
    character = model.vocabulary.decode(chunk.observed[0])
    nats = _surprises(saved(trained.log_dir, "best"), model.vocabulary.encode(text + character))
    np.testing.assert_allclose(chunk.log_prob[0, 0], -nats[-1], rtol=1e-4)


def test_a_prime_of_many_windows(run, trained):
    prime = (TEXT * 12)[:10_000]
    ended = run("generate", "--log-dir", trained.log_dir, "--length", "2", "--prime", prime)
    assert ended.status == 0 and ended.out.startswith(prime) and len(ended.out) == 10_003


def test_at_a_low_temperature_the_seed_does_not_matter(run, trained):
    words = ("generate", "--log-dir", trained.log_dir, "--length", "40", "--temperature", "0.001")
    assert run(*words, "--seed", "1").out == run(*words, "--seed", "2").out


def test_the_most_likely_symbol_alone_makes_all_samples_equal(run, trained):
    words = ("generate", "--log-dir", trained.log_dir, "--length", "20", "--num-samples", "2",
             "--prime", "a")
    greedy, free = (run(*words, *more)[1] for more in (("--top-k", "1"), ()))
    first, second = (text.splitlines()[0] for text in greedy.split("---\n")[1:])
    assert first == second
    assert free != greedy


# VAE-Seq's command lines, and any script.


def test_the_command_lines_of_vae_seq_2017(run, trained, tmp_path):
    log_dir = tmp_path / "log"
    ended = run("train", "--train_corpus", trained.corpus, "--log_dir", log_dir,
                "--hparams", SRNN, "--iters", "2", status=0)
    generate = ("generate", "--train_corpus", trained.corpus, "--log_dir", log_dir)
    ended = run(*generate, "--hparams", "vae_type=SRNN,sequence_size=30", "--samples", "2")
    assert ended.status == 0 and len(ended.out.splitlines()[1]) <= 30
    assert 2 * 30 < len(ended.out) < 2 * (30 + 30)
    words = ("--log_dir", log_dir, "--eval_corpus", trained.corpus, "--bound", "iwae")
    score = _score(run, *words)
    assert (score["bound"], score["num_samples"]) == ("iwae", 3)
    assert 0 < score["standard_error"] < math.inf


def test_the_command_lines_of_vae_seq_2018(run, trained):
    words = ("--log-dir", trained.log_dir, "--vocab-corpus", trained.corpus)
    ended = run("generate", *words, "--length", "10", "--num-samples", "20")
    assert ended.status == 0 and ended.out.count("--- sample ") == 20
    ended = run("evaluate", *words, "--eval-corpus", trained.corpus)
    assert ended.status == 0 and " 900 " in ended.out


def test_any_script_and_any_path(run, tmp_path):
    folder = tmp_path / "a b\nc\udcff"
    folder.mkdir()
    corpus = folder / "-text"
    text = "\ufeff天地玄黃。\r\n🙂 السلام\0 " * 40
    corpus.write_bytes(text.encode())
    ended = run("train", "--log-dir", folder / "-log", "--train-corpus", corpus, "--hparams",
                SMALL + ",vocab_size=10,oov_buckets=4", "--num-steps", "2", status=0)
    assert "10 of them distinct" in ended.out
    vocabulary = json.loads((folder / "-log" / "vocabulary.json").read_text())
    assert len(vocabulary["characters"]) == 10 and vocabulary["oov_buckets"] == 4
    score = _score(run, "--log-dir", folder / "-log", "--eval-corpus", corpus)
    assert score["steps"] == len(text.replace("\r\n", "\n")) - 1
    assert run("generate", "--log-dir", folder / "-log", "--length", "9").status == 0


def test_a_printed_sample_has_no_control_characters(tmp_path):
    model = TextModel(TextHParams().parse(SMALL), Vocabulary("\x1b\a", 1), tmp_path / "log")
    lines: list[str] = []
    model.after_validation(1, MultiWriter([]), lines.append)
    assert lines[0].startswith("    | \ufffd") and not {"\x1b", "\a"} & set(lines[0])
