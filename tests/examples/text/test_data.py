# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Text as symbols: characters, reading files in chunks, the held-out part, the record."""

import gzip
import io
import json
import lzma
import tarfile

import numpy as np
import pytest

from examples.text.data import (
    UNKNOWN,
    Corpus,
    Vocabulary,
    corpus,
    reading,
    sources,
    tokenization,
)
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


def _as_read(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_line_ends_of_all_systems_are_line_breaks(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", 4)  # some end within a line end
    path = tmp_path / "windows.txt"
    path.write_bytes("One.\r\n\r\nTwo,\r\nthree.\r\rFour".encode("utf-16"))
    assert "".join(reading.read_file(path)) == "One.\n\nTwo,\nthree.\n\nFour"


# The vocabulary.


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_decoding_inverts_encoding(text):
    vocabulary = Vocabulary.of([text], 4096, 1)
    symbols = vocabulary.encode(text)
    assert vocabulary.decode(symbols) == text
    assert len(symbols) == len(text) and symbols.max() < len(vocabulary.characters)


def test_the_most_frequent_characters_are_taken_in_order_of_code_point():
    vocabulary = Vocabulary.of(["bbb", "aacc", "bd"], 3, 1)
    assert vocabulary.characters == "abc"  # d is rarest; a and c tie with each other
    assert Vocabulary.of(["abab", "cd"], 3, 1).characters == "abc"  # a tie goes to the first


def test_an_unknown_character_has_a_symbol_of_its_own():
    vocabulary = Vocabulary("ab", 1)
    np.testing.assert_array_equal(vocabulary.encode("axb\U0010ffff"), [0, 2, 1, 2])
    assert vocabulary.decode(vocabulary.encode("axb")) == f"a{UNKNOWN}b"
    assert vocabulary.unknown("xaxé") == ["x", "é"]
    assert len(vocabulary) == 3


def test_unknown_characters_are_spread_evenly_over_the_buckets():
    vocabulary = Vocabulary("ab", 4)
    others = "".join(map(chr, range(0x4E00, 0x4E00 + 4000)))
    symbols = vocabulary.encode(others)
    counts = np.bincount(symbols, minlength=6)
    assert counts[:2].sum() == 0 and counts.sum() == 4000
    assert counts[2:].min() > 900  # of 1000 each, with a standard deviation of 27
    np.testing.assert_array_equal(symbols, Vocabulary("ab", 4).encode(others))
    np.testing.assert_array_equal(vocabulary.encode("ba"), [1, 0])


def test_symbols_have_the_smallest_integer_type():
    assert Vocabulary("ab", 1).dtype == np.uint8
    assert Vocabulary("".join(map(chr, range(255))), 1).dtype == np.uint8
    many = Vocabulary("".join(map(chr, range(256))), 1)
    assert many.dtype == np.uint16 and many.encode("\u00ff")[0] == 255


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_json_restores_a_vocabulary(text):
    vocabulary = Vocabulary.of([text], 4096, 3)
    written = vocabulary.to_json()
    assert written.isascii()
    assert tokenization.from_json(written, "here") == vocabulary


@pytest.mark.parametrize("text", [
    "", "null", "[]", "{}", "3", "[" * 5000, '{"characters": "ab"}', "\x80\x04.", "9" * 5000,
    '{"characters": ["a"], "oov_buckets": 1}', '{"characters": "ab", "oov_buckets": true}',
    '{"characters": "ab", "oov_buckets": 1.0}', '{"characters": "ab", "oov_buckets": NaN}',
    '{"characters": "ab", "oov_buckets": 0}', '{"characters": "ab", "oov_buckets": 1000000000000}',
    '{"characters": "", "oov_buckets": 1}', '{"characters": "aba", "oov_buckets": 1}',
    '{"characters": "a\\ud800", "oov_buckets": 1}', "!!python/object/apply:os.system ['x']",
])
def test_hostile_json_is_refused_with_its_path(text):
    with pytest.raises(ValueError, match="here/vocabulary.json: "):
        tokenization.from_json(text, "here/vocabulary.json")


# Files.


def _written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_chunk_boundaries_change_no_text(text, size, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", size)
    opened = corpus.open_corpus(_written(tmp_path / "text", text))
    text = _as_read(text)
    assert "".join(opened.chunks()) == text
    assert opened.size() == len(text)
    vocabulary = Vocabulary.of(opened.chunks(), 4096, 1)
    np.testing.assert_array_equal(opened.encode(vocabulary).symbols, vocabulary.encode(text))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_byte_order_mark_is_skipped_at_the_beginning_only(size, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", size)
    path = _written(tmp_path / "text", b"\xef\xbb\xbfa\xef\xbb\xbfb")
    assert "".join(reading.read_file(path)) == "a\ufeffb"


@pytest.mark.parametrize("size", [1, 2, 4, 1000])
@pytest.mark.parametrize(("content", "byte", "offset"), [
    (b"caf\xe9!", "0xe9", 3), (b"ab\xff\xfe", "0xff", 2), ("aé".encode()[:-1], "0xc3", 1),
    (b"x\xed\xa0\x80y", "0xed", 1),
])
def test_invalid_utf8_is_reported_with_its_offset(
        content, byte, offset, size, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", size)
    path = _written(tmp_path / "text", content)
    with pytest.raises(ValueError, match=f"text': expected UTF-8 .* {byte} at offset {offset}"):
        list(reading.read_file(path))


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_a_byte_order_mark_sets_the_encoding(text, encoding, size, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", size)
    mark = "\ufeff" if encoding == "utf-16-be" else ""  # the others write it
    path = _written(tmp_path / "text", (mark + text).encode(encoding))
    for option in (None, encoding):
        assert "".join(reading.read_file(path, option)) == _as_read(text)


@pytest.mark.parametrize("encoding", ["cp1252", "koi8_r", "gb18030", "utf-16-le"])
def test_the_encoding_of_an_option_is_used(encoding, tmp_path):
    text = {"koi8_r": "семьи похожи", "gb18030": "天地玄黃"}.get(encoding, "“naïve”") * 9
    path = _written(tmp_path / "text", text.encode(encoding))
    assert "".join(reading.read_file(path, encoding)) == text


_RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая по-своему. "
_CHINESE = "天地玄黄,宇宙洪荒。日月盈昃,辰宿列张。\n"
_ACCENTS = "café señor déjà vu. "
_JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n"


@pytest.mark.parametrize(("text", "encoding"), [
    ("“It’s a café”, said the naïve señor. ", "cp1252"), ("caf\xe9 ", "cp1252"),
    (_RUSSIAN, "cp1251"), (_RUSSIAN, "koi8_r"), (_JAPANESE, "shift_jis"), (_JAPANESE, "euc_jp"),
    (_CHINESE, "gb18030"), (_ACCENTS, "cp1252"), ("a plain text ", "utf_16_le"),
    ("a plain text ", "utf_16_be"), (_RUSSIAN, "utf_16_le"), (_RUSSIAN, "utf_16_be"),
    (_CHINESE, "utf_16_le"), (_CHINESE, "utf_16_be"), (_RUSSIAN, "cp866"), (_RUSSIAN, "iso8859_5"),
    ("Όλα τα βιβλία που διάβασα φέτος ήταν καλά, αλλά αυτό ήταν το καλύτερο. ", "cp1253"),
    ("בראשית ברא אלהים את השמים ואת הארץ והארץ היתה תהו ובהו וחשך על פני תהום\n", "cp1255"),
    ("في البدء خلق الله السماوات والأرض وكانت الأرض خربة وخالية ", "cp1256"),
    ("มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ", "cp874"),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy. Byl pozdní večer, první máj. ", "cp1250"),
    ("Árvíztűrő tükörfúrógép. Talpra magyar, hí a haza, itt az idő, most vagy soha. ", "cp1250"),
    ("Litwo! Ojczyzno moja! ty jesteś jak zdrowie; Ile cię trzeba cenić, ten tylko ", "iso8859_2"),
    ("Korkma, sönmez bu şafaklarda yüzen al sancak; sönmeden yurdumun üstünde tüten en son "
     "ocak. Iğdır şehri.\n", "cp1254"),
    ("Longtemps, je me suis couché de bonne heure. Parfois, à peine éteinte. L’été. ", "mac_roman"),
    ("El ingenioso hidalgo don Quijote. ¿Qué será, será? Mañana señor niño. ", "cp1252")])
@pytest.mark.parametrize("repeats", [4, 2000])
def test_another_encoding_is_refused_by_its_name(text, encoding, repeats, tmp_path):
    path = _written(tmp_path / "text", (text * repeats).encode(encoding))
    with pytest.raises(ValueError, match=f"text': expected UTF-8 .* --encoding {encoding}, or"):
        list(reading.read_file(path))


_GERMAN = ("Beim Essen noch, mit vollem Mund sagte sie: „Wolln wir nun gleich ins Bett oder willst "
           "du mir vorher erzählen, wie unsre Geschichte wann wo begann?“ Grüße – 5 €.\n")


@pytest.mark.parametrize(("text", "encoding"), [(_JAPANESE, "shift_jis"), (_GERMAN, "cp1252")])
def test_an_encoding_is_guessed_where_it_is_not_utf_8(text, encoding, tmp_path):
    content = b"All plain.\n" * 4000 + (text * 50).encode(encoding) + b"Plain again.\n" * 9
    with pytest.raises(ValueError, match=rf"at offset 44\d\d\d\. .* --encoding {encoding}, or"):
        list(reading.read_file(_written(tmp_path / "text", content)))


@pytest.mark.parametrize(("content", "encoding", "message"), [
    ("a\n".encode("utf-16-le") * 99, "utf-16", "UTF-16 text .* --encoding utf_16_le, or"),
    (b"a text\n" * 99, "utf-16", r"UTF-16 text .*\. It is UTF-8. Leave out --encoding"),
    (b"a text\n" * 99, "utf-32", r"UTF-32 text, got .*\. It is UTF-8. Leave out --encoding"),
    ("a".encode("utf-16"), "utf-8", "UTF-8 text, got the byte order mark of UTF-16-.E. Leave out"),
    ("a".encode("utf-8-sig"), "cp1252", "CP1252 text, got the byte order mark of UTF-8. Leave")])
def test_a_given_encoding_that_is_not_the_files_is_refused(content, encoding, message, tmp_path):
    with pytest.raises(ValueError, match=f"text': expected {message}"):
        list(reading.read_file(_written(tmp_path / "text", content), encoding))


@pytest.mark.parametrize("size", [1, 5, 1 << 22])
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp1251", "shift_jis"])
def test_utf_8_is_not_read_as_other_letters(encoding, size, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", size)
    path = _written(tmp_path / "text", b"Plain.\n" * 9999 + "für ".encode())
    with pytest.raises(ValueError, match=f"text': expected {encoding.upper()} text, got UTF-8. "
                       "Leave out --encoding, and convert files that need it to UTF-8 with `iconv"):
        list(reading.read_file(path, encoding))
    # ASCII, and what is not UTF-8 to its end, is read.
    for content in (b"Plain.\n", b"\xc3\xbc \xb1"):
        path = _written(tmp_path / "text", content)
        assert "".join(reading.read_file(path, encoding)) == content.decode(encoding)


def _tar(text):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


@pytest.mark.parametrize(("content", "kind"), [
    (b"\x89PNG\r\n\x1a\n\0\0", "got a PNG image"), (b"PK\x03\x04a", "got a ZIP archive"),
    (b"%PDF-1.7\n", "got a PDF document"), (b"{\\rtf1\\ansi A text.}", "got an RTF document"),
    (b"BZh91AY&SY\xff", "got a bzip2 file"),
    (_tar(b"a text"), "got a tar archive"), (gzip.compress(_tar(b"a text")), "got a tar archive"),
    (gzip.compress(gzip.compress(b"a text")), "got a file compressed twice"),
    (gzip.compress(lzma.compress(b"a text")), "got a file compressed twice"),
    (lzma.compress(b"a text", lzma.FORMAT_ALONE), "got an LZMA file"),
    (b"\x1f\x9d\x90a", "got a file of compress"),
    (bytes(range(256)), "It is probably a binary file"),
    (bytes(99), "It is probably a binary file")],
    # gzip writes the time: the contents would name the test differently in each process.
    ids=lambda value: value if isinstance(value, str) else "file")
def test_a_binary_file_is_refused_by_its_kind(content, kind, tmp_path):
    path = _written(tmp_path / "text", content)
    with pytest.raises(ValueError, match=f"text': expected .*{kind}"):
        list(reading.read_file(path))
    if "probably" not in kind:
        with pytest.raises(ValueError, match=kind):
            list(reading.read_file(path, "latin-1"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_text_of_ascii_without_its_mark_is_shown_in_its_encoding(encoding, tmp_path):
    path = _written(tmp_path / "text", "\n \nTo be, or not\nto be".encode(encoding))
    with pytest.raises(ValueError, match="in which it reads 'To be, or not': give"):
        list(reading.read_file(path))


@pytest.mark.parametrize("module", [gzip, lzma], ids=["gzip", "xz"])
def test_a_compressed_file_is_read_and_its_damage_reported(module, tmp_path):
    text = "".join(SCRIPTS.values()) * 99
    compressed = module.compress(text.encode())
    for content in (compressed, module.compress(text.encode("utf-16"))):
        assert "".join(reading.read_file(_written(tmp_path / "text", content))) == _as_read(text)
    path = _written(tmp_path / "text", compressed[:-20])
    with pytest.raises(ValueError, match="text': the compressed file is damaged"):
        list(reading.read_file(path))
    with pytest.raises(ValueError, match="got an empty file"):
        list(reading.read_file(_written(tmp_path / "text", module.compress(b""))))


def _xz_streams(*contents):
    return b"".join(content if set(content) <= {0} else lzma.compress(content)
                    for content in contents)


@pytest.mark.parametrize(("contents", "text"), [
    ((b"one", b"two"), "onetwo"), ((b"one", bytes(8), b"two"), "onetwo"),
    ((b"one", bytes(1 << 20), b"two", bytes(4)), "onetwo"),
    ((b"a" * 99999, bytes(4)), "a" * 99999)])
def test_all_streams_of_an_xz_file_are_read(contents, text, tmp_path):
    path = _written(tmp_path / "text", _xz_streams(*contents))
    assert "".join(reading.read_file(path)) == text


@pytest.mark.parametrize("content", [
    _xz_streams(b"one", bytes(3), b"two"), _xz_streams(b"one") + b"else",
    _xz_streams(b"one", b"two")[:-9]])
def test_damage_after_the_first_stream_of_an_xz_file_is_reported(content, tmp_path):
    with pytest.raises(ValueError, match="the compressed file is damaged"):
        list(reading.read_file(_written(tmp_path / "text", content)))


@pytest.mark.parametrize(("content", "encoding", "advice"), [
    ("für".encode() * 99 + b"\x93" + "für".encode(), None, "iconv -c -f utf-8"),
    ("für".encode() * 99 + b"\xc3", None, "iconv -c -f utf-8"),
    ("für".encode("utf-16") * 9 + b"x", None, "iconv -c -f utf-16le"),
    ("plain text\n".encode("utf-16")[:-1], None, "The rest is utf-16-le: .*iconv -c -f utf-16le"),
    (b"Plain text.\n" * 99 + "café naïve".encode("cp1252"), None, "reads 'caf\xe9 na\xefve': give"),
    # One character that was cut, in English.
    (b"plain text, " * 99 + b"caf\xc3", None, "The rest is utf-8: correct it there"),
    (b"plain text, " * 99 + b"it\xe2\x80\ns. " * 2, None, "The rest is utf-8"),
    (b"\x80\x99s " + b"plain text, " * 2000, None, "The rest is utf-8"),
    (b"plain text, " * 99 + b"it\x92s", None, "give --encoding cp1252"),
    (b"plain text, " * 99 + b"caf\xe9", None, "give --encoding cp1252"),
    (b"caf\xe9", None, "cp1252, or, where other files are UTF-8, convert this one with `iconv"),
    (b"f\xfcr", "utf-8", "give --encoding cp1252"),
    ("für".encode("utf-32-be"), None, "give --encoding utf_32_be"),
    ("fürs".encode(), "utf-16-le", "It is UTF-8. Leave out --encoding")])
def test_the_advice_for_text_that_cannot_be_decoded(content, encoding, advice, tmp_path):
    with pytest.raises(ValueError, match=advice):
        list(reading.read_file(_written(tmp_path / "text", content), encoding))


def test_the_embedded_prose_is_long():
    assert corpus.embedded_prose().size() > 400_000


# Parts.


@pytest.mark.parametrize("chunks", [["abcdefghij"], ["abc", "", "defgh", "ij"], list("abcdefghij")])
def test_a_part_is_a_slice(chunks):
    text = Corpus("a text", lambda advance: iter([iter(chunks)]))
    assert "".join(text.part(2, 7).chunks()) == "cdefg"
    assert "".join(text.part(corpus.split_at(10, 0.3), 10).chunks()) == "hij"
    assert text.part(corpus.split_at(10, 0.0), 10).size() == 0


@pytest.mark.parametrize(("size", "num_rows"), [(10, 3), (3, 10), (12, 4), (1, 1)])
def test_rows_hold_every_symbol_once(size, num_rows):
    rows = corpus.split_rows(np.arange(size), num_rows)
    assert len(rows) <= num_rows
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(size))


# The record of a run.


def _read(path, valid, *words, encoding=None):
    return sources.read_texts(corpus.open_corpus(path, encoding),
                              valid and corpus.open_corpus(valid, encoding), *words)


@pytest.fixture
def run(tmp_path):
    """A text, its vocabulary, and a log directory that describes a run on it."""
    path = _written(tmp_path / "text", "abcdefghij" * 10)
    vocabulary = Vocabulary.of(corpus.open_corpus(path).chunks(), 99, 1)
    log_dir = LogDir(tmp_path / "log")
    log_dir.path.mkdir()
    _read(path, None, 0.25, vocabulary).description.save(log_dir)
    return path, vocabulary, log_dir


def test_the_end_is_held_out_and_read_again(run):
    path, vocabulary, log_dir = run
    read = _read(path, None, 0.25, vocabulary)
    assert (read.train_size, read.valid_size) == (75, 25)
    end = sources.held_out(log_dir, vocabulary)
    assert "(the held-out end)" in end.corpus.name
    np.testing.assert_array_equal(end.corpus.encode(vocabulary).symbols, *read.valid)
    np.testing.assert_array_equal(end.encoded.symbols, *read.valid)
    sources.check_same(log_dir, read.description)


def test_a_separate_validation_text(run, tmp_path):
    path, vocabulary, log_dir = run
    other = _written(tmp_path / "other", "jihg")
    read = _read(path, other, 0.25, vocabulary)
    assert (read.train_size, read.valid_size) == (100, 4)
    with pytest.raises(UsageError, match="validated on the last 0.25 of its text, but .*other"):
        sources.check_same(log_dir, read.description)
    read.description.save(log_dir)
    assert "".join(sources.held_out(log_dir, vocabulary).corpus.chunks()) == "jihg"
    _written(tmp_path / "nothing", "\ufeff")
    with pytest.raises(UsageError, match="nothing': expected text to validate on, got none"):
        _read(path, tmp_path / "nothing", 0.25, vocabulary)


def test_a_moved_text_is_the_same(run, tmp_path):
    path, vocabulary, log_dir = run
    path.rename(tmp_path / "moved")
    moved = _read(tmp_path / "moved", None, 0.25, vocabulary)
    sources.check_same(log_dir, moved.description)
    with pytest.raises(UsageError, match="read any more .*no such file.*with --eval-corpus"):
        sources.held_out(log_dir, vocabulary)


def test_the_held_out_part_is_read_with_the_encoding_of_the_run(tmp_path):
    path = _written(tmp_path / "text", ("naïve señor " * 9).encode("cp1252"))
    vocabulary = Vocabulary.of(corpus.open_corpus(path, "cp1252").chunks(), 99, 1)
    read = _read(path, None, 0.5, vocabulary, encoding="cp1252")
    log_dir = LogDir(tmp_path)
    read.description.save(log_dir)
    np.testing.assert_array_equal(
        sources.held_out(log_dir, vocabulary).encoded.symbols, *read.valid)


def test_a_run_without_a_held_out_part(run):
    path, vocabulary, log_dir = run
    _read(path, None, 0.0, vocabulary).description.save(log_dir)
    with pytest.raises(UsageError, match="held out no text"):
        sources.held_out(log_dir, vocabulary)


def test_the_names_of_many_texts_are_read_again(run):
    log_dir = run[2]
    description = sources.Description(
        [f"/{number:05}" for number in range(99_999)], 1, None, None, 0.25)
    description.save(log_dir)
    assert sources.Description.load(log_dir) == description


@pytest.mark.parametrize("change", [
    None, "", "[]", "{}", "[" * 5000, {"valid_fraction": "x"}, {"valid_fraction": 2},
    {"train_corpus": 3}, {"train_corpus": []}, {"train_corpus": ["a", 3]}, {"encoding": 3},
    {"valid_checksum": "x"}, {"file_boundaries": "?"}, {"train_checksum": True},
    {"train_checksum": None}, {"more": 1}, {"valid_fraction": float("nan")},
])
def test_a_damaged_record_is_reported(run, change):
    _, vocabulary, log_dir = run
    path = log_dir.path / "corpus.json"
    if isinstance(change, dict):
        change = json.dumps({**json.loads(path.read_text()), **change})
    path.unlink()
    if change is not None:
        path.write_text(change)
    with pytest.raises(ValueError, match="corpus.json': expected a JSON object .* damaged"):
        sources.held_out(log_dir, vocabulary)
