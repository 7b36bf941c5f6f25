# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Text as symbols: vocabulary, files in pieces, what is held out and what a run remembers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from examples.text import data, texts
from examples.text.data import UNKNOWN, Corpus, FewCharactersError, Vocabulary
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir

SCRIPTS = {
    "english": "To be, or not to be.\n",
    "cjk": "天地玄黃,宇宙洪荒。\n",
    "emoji": "🙂👩‍👩‍👧‍👦🏳️‍🌈 ok\n",
    "arabic": "السلام عليكم\u200f\n",
    "combining": "e\u0301 n\u0303 ก็\n",
    "line ends": "one\r\ntwo\rthree\n",
    "control": "a\x00b\x1b[31mc\x7f",
    "last plane": "\U0010ffff\U000e0041 x",
}


def _corpus(*pieces):
    return Corpus("a text", lambda: iter(pieces))


# The vocabulary.


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_encoding_round_trip(text):
    vocabulary = Vocabulary.of([text], 4096, 1)
    symbols = vocabulary.encode(text)
    assert vocabulary.decode(symbols) == text
    assert len(symbols) == len(text) and symbols.max() < len(vocabulary.characters)


def test_characters_are_ordered_by_code_point_and_the_frequent_ones_are_kept():
    vocabulary = Vocabulary.of(["bbb", "aacc", "bd"], 3, 1)
    assert vocabulary.characters == "abc"  # d is rarest; a and c tie with each other
    assert Vocabulary.of(["abab", "cd"], 3, 1).characters == "abc"  # a tie goes to the first


def test_an_unknown_character_has_its_own_symbol():
    vocabulary = Vocabulary("ab", 1)
    np.testing.assert_array_equal(vocabulary.encode("axb\U0010ffff"), [0, 2, 1, 2])
    assert vocabulary.decode(vocabulary.encode("axb")) == f"a{UNKNOWN}b"
    assert vocabulary.unknown("xaxé") == ["x", "é"]
    assert len(vocabulary) == 3


def test_buckets_share_the_unknown_characters_out():
    vocabulary = Vocabulary("ab", 4)
    others = "".join(map(chr, range(0x4E00, 0x4E00 + 4000)))
    symbols = vocabulary.encode(others)
    counts = np.bincount(symbols, minlength=6)
    assert counts[:2].sum() == 0 and counts.sum() == 4000
    assert counts[2:].min() > 900  # of 1000 each, with a standard deviation of 27
    np.testing.assert_array_equal(symbols, Vocabulary("ab", 4).encode(others))
    np.testing.assert_array_equal(vocabulary.encode("ba"), [1, 0])


def test_symbols_are_as_small_as_they_can_be():
    assert Vocabulary("ab", 1).dtype == np.uint8
    assert Vocabulary("".join(map(chr, range(255))), 1).dtype == np.uint8
    many = Vocabulary("".join(map(chr, range(256))), 1)
    assert many.dtype == np.uint16 and many.encode("\u00ff")[0] == 255


@pytest.mark.parametrize("text", ["", "aaaa"])
def test_a_text_without_two_characters_teaches_nothing(text):
    with pytest.raises(FewCharactersError, match=f"two different characters.*got {len(set(text))}"):
        Vocabulary.of([text], 10, 1)


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_json_round_trip(text):
    vocabulary = Vocabulary.of([text], 4096, 3)
    written = vocabulary.to_json()
    assert written.isascii()
    assert Vocabulary.from_json(written, "here") == vocabulary


@pytest.mark.parametrize("text", [
    "", "null", "[]", "{}", "3", "[" * 5000, '{"characters": "ab"}', "\x80\x04.", "9" * 5000,
    '{"characters": ["a"], "oov_buckets": 1}', '{"characters": "ab", "oov_buckets": true}',
    '{"characters": "ab", "oov_buckets": 1.0}', '{"characters": "ab", "oov_buckets": NaN}',
    '{"characters": "ab", "oov_buckets": 0}', '{"characters": "ab", "oov_buckets": 1000000000000}',
    '{"characters": "", "oov_buckets": 1}', '{"characters": "aba", "oov_buckets": 1}',
    '{"characters": "a\\ud800", "oov_buckets": 1}', "!!python/object/apply:os.system ['x']",
])
def test_hostile_json_is_refused_with_its_place(text):
    with pytest.raises(ValueError, match="here/vocabulary.json: "):
        Vocabulary.from_json(text, "here/vocabulary.json")


# Files.


def _written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_characters_across_the_pieces_that_are_read(text, size, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_PIECE", size)
    corpus = data.from_file(_written(tmp_path / "text", text))
    assert "".join(corpus.pieces()) == text
    assert corpus.size() == len(text)
    vocabulary = Vocabulary.of(corpus.pieces(), 4096, 1)
    np.testing.assert_array_equal(corpus.symbols(vocabulary), vocabulary.encode(text))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_byte_order_mark_is_no_text(size, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_PIECE", size)
    path = _written(tmp_path / "text", b"\xef\xbb\xbfa\xef\xbb\xbfb")
    assert "".join(data.read(path)) == "a\ufeffb"  # within a text it is a character


@pytest.mark.parametrize("size", [1, 2, 4, 1000])
@pytest.mark.parametrize(("content", "byte", "offset"), [
    (b"caf\xe9!", "0xe9", 3), (b"ab\xff\xfe", "0xff", 2), ("aé".encode()[:-1], "0xc3", 1),
    (b"x\xed\xa0\x80y", "0xed", 1),
])
def test_what_is_not_utf8_is_told_with_its_offset(
        content, byte, offset, size, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_PIECE", size)
    path = _written(tmp_path / "text", content)
    with pytest.raises(ValueError, match=f"text': expected UTF-8 .* {byte} at offset {offset}"):
        list(data.read(path))


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got an empty file"):
        list(data.read(_written(tmp_path / "text", "")))


def test_the_prose_that_python_carries():
    corpus = data.embedded_prose()
    assert corpus.size() > 400_000
    assert "statement" in next(corpus.pieces())


# Parts.


@pytest.mark.parametrize("pieces", [["abcdefghij"], ["abc", "", "defgh", "ij"], list("abcdefghij")])
def test_parts(pieces):
    corpus = _corpus(*pieces)
    assert "".join(corpus.part(2, 7).pieces()) == "cdefg"
    first, last = corpus.split(0.3)
    assert ("".join(first.pieces()), "".join(last.pieces())) == ("abcdefg", "hij")
    everything, nothing = corpus.split(0.0)
    assert (everything.size(), nothing.size()) == (10, 0)


@pytest.mark.parametrize(("size", "most"), [(10, 3), (3, 10), (12, 4), (1, 1)])
def test_rows_hold_every_symbol_once(size, most):
    rows = data.contiguous(np.arange(size), most)
    assert len(rows) <= most
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(size))


# What a run remembers.


@pytest.fixture
def run(tmp_path):
    """A text, its vocabulary, and a log directory that describes a run on it."""
    path = _written(tmp_path / "text", "abcdefghij" * 10)
    vocabulary = Vocabulary.of(data.from_file(path).pieces(), 99, 1)
    log_dir = LogDir(tmp_path / "log")
    log_dir.path.mkdir()
    texts.read(path, None, 0.25, vocabulary).description.save(log_dir)
    return path, vocabulary, log_dir


def test_the_end_is_held_out_and_found_again(run):
    path, vocabulary, log_dir = run
    read = texts.read(path, None, 0.25, vocabulary)
    assert (len(read.train), len(read.valid)) == (75, 25)
    corpus = texts.held_out(log_dir, vocabulary)
    assert "(the held-out end)" in corpus.name
    np.testing.assert_array_equal(corpus.symbols(vocabulary), read.valid)
    texts.check_same(log_dir, read.description)


def test_a_text_of_its_own_to_validate_on(run, tmp_path):
    path, vocabulary, log_dir = run
    other = _written(tmp_path / "other", "jihg")
    read = texts.read(path, other, 0.25, vocabulary)
    assert (len(read.train), len(read.valid)) == (100, 4)
    with pytest.raises(UsageError, match="validated on the last 0.25 of its text; now .*other"):
        texts.check_same(log_dir, read.description)
    read.description.save(log_dir)
    assert "".join(texts.held_out(log_dir, vocabulary).pieces()) == "jihg"
    _written(tmp_path / "nothing", "\ufeff")
    with pytest.raises(UsageError, match="nothing': expected text to validate on, got none"):
        texts.read(path, tmp_path / "nothing", 0.25, vocabulary)


def test_another_text_is_told(run, tmp_path):
    _, vocabulary, log_dir = run
    other = _written(tmp_path / "other", "abcdefghij" * 11)
    with pytest.raises(UsageError, match="holds a run that is trained on '.*text' .*; now .*other"):
        texts.check_same(log_dir, texts.read(other, None, 0.25, vocabulary).description)


def test_the_same_text_elsewhere_is_the_same(run, tmp_path):
    path, vocabulary, log_dir = run
    path.rename(tmp_path / "moved")
    texts.check_same(log_dir, texts.read(tmp_path / "moved", None, 0.25, vocabulary).description)
    with pytest.raises(UsageError, match="not there any more. Name a text with --eval-corpus"):
        texts.held_out(log_dir, vocabulary)


def test_a_text_that_changed_is_told(run):
    path, vocabulary, log_dir = run
    _written(path, "jihgfedcba" * 10)
    with pytest.raises(UsageError, match="text' has changed since the run began"):
        texts.held_out(log_dir, vocabulary)


def test_nothing_was_held_out(run):
    path, vocabulary, log_dir = run
    texts.read(path, None, 0.0, vocabulary).description.save(log_dir)
    with pytest.raises(UsageError, match="held no text out"):
        texts.held_out(log_dir, vocabulary)


@pytest.mark.parametrize("change", [
    None, "", "[]", "{}", "[" * 5000, {"valid_fraction": "x"}, {"valid_fraction": 2},
    {"train_corpus": 3}, {"train_checksum": True}, {"train_checksum": None}, {"more": 1},
    {"valid_fraction": float("nan")},
])
def test_a_damaged_description_is_told(run, change):
    _, vocabulary, log_dir = run
    path = log_dir.path / "corpus.json"
    if isinstance(change, dict):
        change = json.dumps({**json.loads(path.read_text()), **change})
    path.unlink()
    if change is not None:
        path.write_text(change)
    with pytest.raises(ValueError, match="corpus.json': expected a JSON object .* damaged"):
        texts.held_out(log_dir, vocabulary)
