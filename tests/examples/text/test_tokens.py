# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tokens of bytes, words and byte pairs: laws, an oracle, hostile files, the program."""

import collections
import io
import json
import math

import hypothesis
import numpy as np
import pytest
import sentencepiece
from hypothesis import strategies

from examples.text.data import Vocabulary, byte_tokens, tokenization
from examples.text.data.byte_tokens import ByteTokens
from examples.text.model import TextModel, saved_vocabulary
from examples.text.warm_start import by_content
from tests.tiny_text import SMALL, TEXT
from vaeseq.runs.log_dir import LogDir

PROSE = TEXT + "“naïve” señor;\n\n    indented 天地玄黃 🙂🙂\t1,234.5\r\n" * 7
COUNTS = byte_tokens.count_pieces([[PROSE]])
KINDS = {
    "bytes": ByteTokens("bytes"),
    "words": byte_tokens.words(COUNTS, 20),
    "bpe": byte_tokens.byte_pairs(COUNTS, 300),
    "characters": Vocabulary.of([PROSE], 4096, 1),
}
LOSSLESS = ("bytes", "words", "bpe")
# Characters that occur in the vocabularies, and any others.
texts = strategies.text(strategies.sampled_from(PROSE) | strategies.characters(
    exclude_categories=["Cs"]))


# Laws.


@hypothesis.given(texts)
def test_decoding_inverts_encoding(text):
    for kind in LOSSLESS:
        symbols = KINDS[kind].encode(text)
        assert symbols.dtype == KINDS[kind].dtype
        assert KINDS[kind].decode(symbols) == text
        assert KINDS[kind].num_characters(symbols) == len(text)
        assert KINDS[kind].num_unknown(symbols) == 0 and not KINDS[kind].unknown(text)


@hypothesis.given(strategies.lists(texts))
def test_chunk_boundaries_change_no_symbol(chunks):
    for tokens in KINDS.values():
        joined = [symbol for array in tokens.encode_chunks(chunks) for symbol in array]
        assert joined == tokens.encode("".join(chunks)).tolist()


@hypothesis.given(texts, strategies.lists(strategies.integers(0, 400)))
def test_decoding_in_pieces_equals_decoding_at_once(text, cuts):
    for tokens in KINDS.values():
        symbols = tokens.encode(text)
        decoder, places = tokens.decoder(), [0, *sorted(cuts), len(symbols)]
        pieces = [decoder.decode(symbols[a:b]) for a, b in zip(places, places[1:])]
        assert "".join([*pieces, decoder.decode(symbols[:0], final=True)]) == tokens.decode(symbols)


@hypothesis.given(strategies.lists(strategies.integers(0, 255)))
def test_any_symbols_decode_to_text(symbols):
    for tokens in KINDS.values():
        array = np.array(symbols, int) % len(tokens)
        assert isinstance(tokens.decode(array), str)


def test_pieces_are_short_and_join_to_the_text():
    text = PROSE + "x" * 999 + " " * 999 + "\n" * 999 + "\U0010ffff" * 999
    pieces = [piece for pieces in byte_tokens.split_pieces([text]) for piece in pieces]
    assert "".join(pieces) == text
    assert max(len(piece.encode()) for piece in pieces) <= 128
    assert " quick" in pieces and "\n\n" in pieces and "    " in pieces


@pytest.mark.parametrize("kind", KINDS)
def test_json_restores_a_vocabulary(kind):
    written = KINDS[kind].to_json()
    assert written.isascii()
    restored = tokenization.from_json(written, "here")
    assert restored == KINDS[kind] and restored != ByteTokens("words", [b"xy"])
    assert restored.encode(PROSE).tolist() == KINDS[kind].encode(PROSE).tolist()


def test_many_long_words_are_read_from_a_log_directory(tmp_path):
    log_dir = LogDir(tmp_path)
    tokens = ByteTokens("words", [
        b"\xff" * 125 + number.to_bytes(3, "big") for number in range(23_000)])
    log_dir.write("vocabulary.json", tokens.to_json())
    assert (tmp_path / "vocabulary.json").stat().st_size > 1 << 24
    assert saved_vocabulary(log_dir) == tokens


def test_frequent_words_are_symbols_and_others_bytes():
    tokens = byte_tokens.words(collections.Counter({" the": 5, "ab": 3, "cd": 3, "e": 9}), 2)
    assert tokens.strings[256:] == [b" the", b"ab"]
    assert tokens.encode("ab the cd").tolist() == [257, 256, *b" cd"]


# Byte pair encoding.


def test_byte_pairs_by_hand():
    tokens = ByteTokens("bpe:260", [b"ab", b"bc", b"abc", b"aa"])
    assert tokens.encode("abc").tolist() == [258]  # ab first, then abc
    assert tokens.encode("xbcab").tolist() == [ord("x"), 257, 256]
    assert tokens.encode("aaa").tolist() == [259, ord("a")]  # a tie goes to the left
    assert tokens.encode("ca bb").tolist() == list(b"ca bb")


@pytest.mark.oracle
def test_byte_pairs_equal_those_of_sentencepiece():
    model = io.BytesIO()
    lines = [f"{byte_tokens._to_stand_ins(piece)}\t{count}" for piece, count in COUNTS.items()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), input_format="tsv", model_writer=model, model_type="bpe",
        vocab_size=301, hard_vocab_limit=False, character_coverage=1.0, add_dummy_prefix=False,
        normalization_rule_name="identity", split_by_whitespace=False, unk_id=0, bos_id=-1,
        eos_id=-1, split_by_unicode_script=False, split_by_number=False, minloglevel=2,
        max_sentencepiece_length=128)
    oracle = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    merged = [oracle.id_to_piece(number) for number in range(1, oracle.get_piece_size())]
    strings = [bytes(ord(c) - 0x100 for c in piece) for piece in merged if len(piece) > 1]
    tokens = ByteTokens("bpe:300", strings)
    for piece in [*COUNTS, *("".join(reversed(piece)) for piece in COUNTS), " lazyquick"]:
        pieces = oracle.encode(byte_tokens._to_stand_ins(piece), out_type=str)
        expected = [bytes(ord(c) - 0x100 for c in piece) for piece in pieces]
        actual = [tokens.strings[symbol] for symbol in tokens.encode_piece(piece.encode())]
        assert actual == expected, piece


def test_training_is_deterministic_and_limited():
    again = byte_tokens.byte_pairs(dict(reversed(COUNTS.items())), 300)
    assert again == KINDS["bpe"] and len(again) == 300
    few = byte_tokens.byte_pairs({"ab": 2}, 5000)
    assert few.strings[256:] == [b"ab"] and few.name == "bpe:5000"


def test_a_missing_sentencepiece_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentencepiece", None)
    with pytest.raises(ValueError, match=r"pip install 'vaeseq\[tokens\]'"):
        byte_tokens.byte_pairs(COUNTS, 300)
    restored = tokenization.from_json(KINDS["bpe"].to_json(), "")  # which needs no sentencepiece
    assert restored.decode(restored.encode(PROSE)) == PROSE


# Hostile files.


STRINGS = [
    None, 3, "ab", {"ab": 1}, ["a"], [""], ["ab", "ab"], ["a" * 129], [3], [None], [["ab"]],
    ["\u0100\u0100"], ["ab"] * 1000, [chr(i) * 2 for i in range(256)] + ["\ud800x"]]


@pytest.mark.parametrize("values", [
    *({"tokens": name, "strings": strings} for name in ("bpe:300", "words") for strings in STRINGS),
    {"tokens": "bytes"}, {"tokens": "bytes", "strings": ["ab"]}, {"tokens": 3, "strings": []},
    {"tokens": "sentencepiece", "strings": []}, {"tokens": None, "strings": []},
    {"tokens": "bpe:300", "characters": "ab", "oov_buckets": 1}])
def test_hostile_vocabularies_are_refused(values):
    with pytest.raises(ValueError, match="here: expected .*The log directory is damaged"):
        tokenization.from_json(json.dumps(values), "here")


# Warm starts.


def test_weights_of_the_same_strings_are_copied():
    ours, theirs = ByteTokens("words", [b"bc", b"de"]), ByteTokens("bpe:257", [b"de"])
    old = np.arange(257.0)[:, None]
    new = by_content(theirs, ours)("x/embeddings", old, np.full([258, 1], -1.0))
    assert new[:, 0].tolist() == [*range(256), -1, 256]
    new = by_content(Vocabulary("bé", 1), ours)("x/embeddings", old[:3], np.full([258, 1], -1.0))
    assert (new[ord("b")], new[ord("c")], (new >= 0).sum()) == (0, -1, 1)


# The program.


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A run with byte pairs; tests only read it."""
    from examples.text.cli import program
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "text").write_text(PROSE, encoding="utf-8")
    command = ["train", "--log-dir", str(folder / "log"), "--train-corpus", str(folder / "text"),
               "--hparams", SMALL, "--num-steps", "2", "--valid-every", "2"]
    assert program.run([*command, "--tokens", "bpe:300"]) == 0
    return folder, command


def test_scores_are_printed_per_character(run, pairs):
    folder, command = pairs
    log_dir = folder / "log"
    score = json.loads(run("evaluate", "--log-dir", log_dir, "--json").out)
    tokens = tokenization.from_json((log_dir / "vocabulary.json").read_text(), "")
    held_out = tokens.encode(PROSE)[-score["steps"]:]
    assert score["tokens"] == "bpe:300" and score["characters"] == len(tokens.decode(held_out))
    np.testing.assert_allclose(score["nats_per_character"] * score["characters"],
                               score["nats_per_step"] * score["steps"])
    np.testing.assert_allclose(
        score["bits_per_character"], score["nats_per_character"] / math.log(2))
    head, row = run("evaluate", "--log-dir", log_dir).out.splitlines()
    assert head.split()[:6] == ["nats/char", "bits/char", "nats/token", "perplexity", "tokens",
                                "characters"]
    assert row.split()[0] == f"{score['nats_per_character']:.4f}"
    more = run(*command[:-4], "--num-steps", "3", "--valid-every", "1", status=0)
    assert "validation" in more.err and "nats per token" in more.err
    assert "nats per character" in more.err
    other = run(*command, "--tokens", "bytes")
    assert "holds a run with --tokens bpe:300, but --tokens bytes was given" in other.err


def test_each_token_has_a_surprise_and_whole_characters(run, pairs, tmp_path):
    folder, _ = pairs
    (tmp_path / "new").write_text("the \u72d0 \U0001f98a fox\n", encoding="utf-8")
    run("evaluate", "--log-dir", folder / "log", "--eval-corpus", tmp_path / "new",
        "--per-character", tmp_path / "page", status=0)
    page = (tmp_path / "page").read_text(encoding="utf-8")
    assert ">\u72d0<" in page and ">\U0001f98a<" in page and "\ufffd" not in page
    model = TextModel.load(folder / "log")
    score, surprises = model.score_text(model.vocabulary.encode("the \u72d0 \U0001f98a fox\n"))
    titles = [float(part.partition('"')[0]) for part in page.split('title="')[1:]]
    np.testing.assert_allclose(sum(titles), surprises.sum(), atol=0.01 * len(titles))
    assert "12 characters, on average" in page and score.steps == len(surprises)


def test_generation_prints_text_and_primes_any_script(run, pairs):
    folder, _ = pairs
    words = ("generate", "--log-dir", folder / "log", "--length", "30", "--prime", "天 \u72d0")
    one = run(*words, "--num-samples", "2")
    assert one.status == 0 and one.out.count("天 \u72d0") == 2
    assert one.out.encode().decode() == one.out and one.out == run(*words, "--num-samples", "2").out
    assert "expected characters" in run(*words[:-1], "\udcff").err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bytes", "words"])
def test_every_kind_trains_fine_tunes_and_exports(run, pairs, tmp_path, kind):
    folder, command = pairs
    log_dir, tuned = tmp_path / "log", tmp_path / "tuned"
    words = [*command, "--tokens", kind]
    words[2] = log_dir
    ended = run(*words, status=0)
    assert run("evaluate", "--log-dir", log_dir).status == 0
    assert run("generate", "--log-dir", log_dir, "--length", "9").status == 0
    words = [*command, "--tokens", "bpe:280", "--init-from", log_dir]
    words[2] = tuned
    ended = run(*words, status=0)
    assert "Warm start with 5 weights" in ended.out and "tokens of the vocabulary" in ended.out
    ended = run("export", "--log-dir", tuned, "--output", tmp_path / "model", "--no-xla", status=0)
    written = (tmp_path / "model" / "assets.extra" / "vocabulary.json").read_text()
    assert tokenization.from_json(written, "").name == "bpe:280"
