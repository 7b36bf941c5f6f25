# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Corpora of several files: which files, their order, their boundaries, and the cache on disk."""

import argparse
import dataclasses
import gzip
import json
import lzma
import multiprocessing
import os
import resource
import signal
import time

import numpy as np
import pytest

from examples.text import files
from examples.text.data import Vocabulary, corpus, encoded, sources
from examples.text.data.streams import TextStreams
from vaeseq.cli.arguments import UsageError
from vaeseq.data import Streams
from vaeseq.runs.log_dir import LogDir

TEXTS = {"b/2.txt": "bbbb", "b/10.txt": "b10", "a.txt": "a first", "Z.txt": "upper", "é.txt": "é"}
ORDER = ["Z.txt", "a.txt", "b/10.txt", "b/2.txt", "é.txt"]  # by bytes, folder by folder


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "books"
    for name, text in TEXTS.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8")
    (path / ".hidden").write_bytes(b"\xff")
    (path / ".git").mkdir()
    (path / ".git" / "x").write_bytes(b"\xff")
    return path


# Which files, in which order.


def _names(paths, folder):
    return [os.path.relpath(path, folder) for path in paths]


def test_the_order_of_files_depends_on_their_paths_only(folder, monkeypatch):
    assert _names(files.corpus_files([str(folder)]), folder) == ORDER
    shuffled = [str(folder / name) for name in TEXTS]
    assert _names(files.corpus_files(shuffled), folder) == ORDER
    assert _names(files.corpus_files([f"{folder}/**", str(folder / "b")]), folder) == ORDER
    assert _names(files.corpus_files([f"{folder}/*.txt"]), folder) == ["Z.txt", "a.txt", "é.txt"]
    monkeypatch.chdir(folder)
    assert _names(files.corpus_files(["b", "./a.txt", str(folder / "a.txt")]), folder) == ORDER[1:4]
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda *words, **options: (
        (parent, folders, names[::-1]) for parent, folders, names in walk(*words, **options)))
    assert _names(files.corpus_files([str(folder)]), folder) == ORDER


def test_a_name_with_magic_characters_is_a_file_where_it_exists(tmp_path):
    (tmp_path / "a[1].txt").write_text("one")
    assert files.matches(str(tmp_path / "a[1].txt")) == [tmp_path / "a[1].txt"]
    link = tmp_path / "loop"
    link.symlink_to(tmp_path)
    assert files.matches(str(tmp_path)) == [tmp_path / "a[1].txt"]


def test_a_file_counts_once_however_many_links_lead_to_it(tmp_path):
    (tmp_path / "b.txt").write_text("one")
    (tmp_path / "a.txt").symlink_to("b.txt")
    (tmp_path / "loop").symlink_to(tmp_path)
    for name in (f"{tmp_path}/**", str(tmp_path)):
        assert files.matches(name) == [tmp_path / "a.txt"]


def test_links_to_folders_are_followed_once(tmp_path):
    folder = tmp_path / "texts"
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    folder.mkdir()
    for link, target in (("c", "one"), ("b", "one"), ("d", "other"), (".hidden", "other")):
        (folder / link).symlink_to(tmp_path / target)
    for name in (str(folder), f"{folder}/**", f"{folder}/*"):
        assert _names(files.matches(name), folder) == ["b/a.txt", "d/a.txt"]
    (tmp_path / "one" / "back").symlink_to(folder)
    assert _names(files.matches(str(folder)), folder) == ["b/a.txt", "d/a.txt"]


@pytest.mark.parametrize(("name", "message"), [
    ("nothing", "no such file"), ("*.nothing", r"no file matches the pattern '.*\*.nothing'"),
    ("b/empty", "expected a folder with files of text; .*empty' has none"), ("pipe", "a pipe")])
def test_a_name_without_files_is_an_error(folder, name, message):
    (folder / "b" / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        files.argument(str(folder / name))
    assert _names(files.corpus_files([str(folder)]), folder) == ORDER


# What stands between files.


def _parts(opened):
    return ["".join(part) for part in opened.parts(lambda *_: None)]


def test_file_boundaries(folder):
    (folder / "empty").write_bytes(b"")
    (folder / "mark").write_bytes(b"\xef\xbb\xbf")
    (folder / "a.txt").write_bytes(gzip.compress(b"a first"))
    (folder / "Z.txt").write_bytes(lzma.compress("upper".encode("utf-16")))
    texts = [TEXTS[name] for name in ORDER[:4]]
    parts = _parts(corpus.open_corpus([folder]))
    assert parts == [*texts, "", "", "é"]
    everything = Vocabulary.of(["".join(parts) + "\x1c"], 99, 1)
    assert corpus.open_corpus([folder]).encode(everything).sizes.tolist() == [5, 7, 3, 4, 1]
    assert _parts(corpus.open_corpus([folder], boundaries="none")) == ["".join(texts) + "é"]
    (joined,) = _parts(corpus.open_corpus([folder], boundaries="symbol"))
    assert joined.split("\x1c") == [*texts, "é"]
    # A single file has no boundaries.
    assert _parts(corpus.open_corpus([folder / "é.txt"], boundaries="symbol")) == ["é"]


def test_parts_are_cut_at_the_held_out_end(folder):
    opened = corpus.open_corpus([folder])
    vocabulary = Vocabulary.of(opened.chunks(), 99, 1)
    read = sources.read_texts(opened, None, 0.3, vocabulary)
    assert [vocabulary.decode(text) for text in read.train] == ["upper", "a first", "b1"]
    assert [vocabulary.decode(text) for text in read.valid] == ["0", "bbbb", "é"]


def test_a_file_that_grows_while_it_is_read_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(corpus, "_CACHED_BYTES", 1)
    opened = corpus.open_corpus([folder])
    vocabulary = Vocabulary.of(opened.chunks(), 99, 1)
    with open(folder / "a.txt", "a", encoding="utf-8") as file:
        file.write(" line")
    with pytest.raises(ValueError, match="a.txt': expected .* it changed while it was read"):
        opened.encode(vocabulary)
    # Nothing was cached under the former content.
    (folder / "a.txt").write_text(TEXTS["a.txt"], encoding="utf-8")
    again = corpus.open_corpus([folder]).encode(vocabulary)
    assert vocabulary.decode(again.symbols) == "".join(map(TEXTS.get, ORDER))


@pytest.fixture
def log_dir(folder, tmp_path):
    log_dir = LogDir(tmp_path / "log")
    log_dir.path.mkdir()
    return log_dir


def test_a_changed_corpus_is_noticed(folder, log_dir):
    vocabulary = Vocabulary.of(corpus.open_corpus([folder]).chunks(), 99, 1)

    def read(**options):
        opened = corpus.open_corpus([folder / "b", folder / "a.txt"], **options)
        return sources.read_texts(opened, None, 0.3, vocabulary).description

    read().save(log_dir)
    record = json.loads((log_dir.path / "corpus.json").read_text())
    assert record["train_corpus"] == [str(folder / "b"), str(folder / "a.txt")]
    sources.check_same(log_dir, read())
    end = sources.held_out(log_dir, vocabulary)
    assert vocabulary.decode(end.encoded.symbols) == "0bbbb"
    assert end.encoded.sizes.tolist() == [1, 4]
    with pytest.raises(UsageError, match="has --file-boundaries start, but one that has .* none"):
        sources.check_same(log_dir, dataclasses.replace(read(), file_boundaries="none"))
    # The same characters in other files.
    (folder / "a.txt").write_text("a firs")
    (folder / "b" / "10.txt").write_text("tb10")
    with pytest.raises(UsageError, match="is trained on .*b' and 1 more .checksum"):
        sources.check_same(log_dir, read())
    with pytest.raises(UsageError, match="has changed since the run began"):
        sources.held_out(log_dir, vocabulary)
    (folder / "a.txt").unlink()
    with pytest.raises(UsageError, match="cannot be read any more"):
        sources.held_out(log_dir, vocabulary)


# Batches.


@pytest.mark.parametrize("sizes", [[5], [1, 1, 1], [3, 20, 1, 7, 8, 9], [40, 2]])
def test_an_epoch_sees_each_text_in_order_from_its_start(sizes):
    ends = np.cumsum(sizes)
    texts = [np.arange(end - size, end) for end, size in zip(ends, sizes)]
    data = TextStreams(texts, 1, 4, seed=3)
    different = set()
    for epoch in range(4):
        rows, symbols = [], []
        for step in range(data.batches_per_epoch):
            batch = data.batch(epoch * data.batches_per_epoch + step)
            size = int(batch.lengths[0])
            rows.append((tuple(batch.observed[0, :size]), bool(batch.is_start[0])))
            symbols += rows[-1][0]
            assert rows[-1][1] == (step == 0 or symbols[-size] in ends - sizes)
        assert sorted(symbols) == list(range(sum(sizes)))
        different.add(tuple(rows))
    assert len(different) > 1 or len(sizes) == 1 == data.batches_per_epoch or max(sizes) <= 4


def test_batches_are_a_function_of_the_step_and_fill_all_rows():
    texts = [np.full(size, size) for size in (9, 3, 30, 1)]
    data, again = (TextStreams(texts, 3, 4, seed=1) for _ in range(2))
    assert data.batches_per_epoch == (3 + 1 + 8 + 1) // 3
    for step in (7, 2, 7):
        one, other = data.batch(step), again.batch(step)
        np.testing.assert_array_equal(one.observed, other.observed)
        assert one.observed.shape == (3, 4) and one.lengths.min() >= 1
    few = TextStreams([np.arange(3), np.arange(2)], 8, 4, seed=0).batch(5)
    assert few.lengths.min() >= 2 and few.is_start.all()
    with pytest.raises(ValueError, match="not empty, got 2 texts, 1 of them empty"):
        TextStreams([np.arange(0), np.arange(2)], 1, 4, seed=0)


# The cache.


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(corpus, "_CACHED_BYTES", 0)
    return tmp_path / "cache" / "vaeseq" / "text"


def _encode(folder, vocabulary=None):
    """Returns symbols, sizes and checksum, and whether the symbols are mapped from a file."""
    opened = corpus.open_corpus([folder])
    result = opened.encode(vocabulary or Vocabulary("abfirst", 1))
    return *result, result.symbols.base is not None and not result.symbols.flags.writeable


def _check(result, folder):
    text = "".join(corpus.open_corpus([folder]).chunks())
    np.testing.assert_array_equal(result[0], Vocabulary("abfirst", 1).encode(text))
    assert result[1].tolist() == [5, 7, 3, 4, 1]


def _entries(cache):
    return sorted(path.suffix for path in cache.iterdir())


def test_a_second_start_reads_no_text(folder, cache, monkeypatch):
    first = _encode(folder)
    _check(first, folder)
    assert first[3] and _entries(cache) == [".json", ".npy"]
    (folder / "a.txt").touch()  # the key is the content
    monkeypatch.setattr(corpus, "read_file", None)
    second = _encode(folder)
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[1].tolist(), first[2]) == (second[1].tolist(), second[2])
    counts = cache / "counts"
    assert not counts.exists()


def test_memory_and_cache_give_the_same_symbols(folder, cache, monkeypatch):
    mapped = _encode(folder)
    monkeypatch.setattr(corpus, "_CACHED_BYTES", 1 << 40)
    in_memory = _encode(folder)
    assert mapped[3] and not in_memory[3]
    np.testing.assert_array_equal(mapped[0], in_memory[0])
    assert mapped[2] == in_memory[2]


def test_another_content_encoding_boundary_or_vocabulary_has_another_entry(folder, cache):
    _encode(folder)
    _encode(folder, Vocabulary("ab", 1))
    for options in ({"boundaries": "none"}, {"encoding": "utf-8"}):
        corpus.open_corpus([folder], **options).encode(Vocabulary("ab", 1))
    (folder / "a.txt").write_text("a third")
    _encode(folder)
    assert _entries(cache) == [".json"] * 5 + [".npy"] * 5


def test_counts_of_characters_are_cached(folder, cache, monkeypatch):
    opened = corpus.open_corpus([folder])
    counts = opened.count_characters()
    monkeypatch.setattr(corpus, "read_file", None)
    np.testing.assert_array_equal(corpus.open_corpus([folder]).count_characters(), counts)
    assert counts.sum() == 20 and counts[ord("b")] == 5


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(path.read_bytes()[:-3]), _flip,
    lambda path: path.write_bytes(b""), lambda path: path.unlink(),
    lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\xff\xff{"),
    lambda path: path.write_bytes(b'{"sizes": [1e99], "checksum": []}'),
    lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR."),
    lambda path: path.write_bytes(b"[" * 100_000)])
def test_a_damaged_entry_is_written_again(folder, cache, damage, suffix, capsys):
    _encode(folder)
    (entry,) = cache.glob(f"*{suffix}")
    damage(entry)
    result = _encode(folder)
    _check(result, folder)
    assert result[3] and not capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named_and_memory_used(folder, cache, capsys):
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    result = _encode(folder)
    _check(result, folder)
    assert not result[3]
    assert "stays in memory" in (message := capsys.readouterr().err)
    assert str(cache) in message and "XDG_CACHE_HOME" in message and message.count("\n") == 1


def test_a_full_disk_is_named_and_memory_used(folder, cache, capsys):
    # A limit on the size of files stands for a full disk: writing raises an OSError likewise.
    (folder / "a.txt").write_text("a first" * 9999)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9999, limits[1]))
    try:
        result = _encode(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not result[3] and len(result[0]) == 7 * 9999 + 13
    assert "File too large" in capsys.readouterr().err and not _entries(cache)


def test_an_error_of_the_text_leaves_no_file(folder, cache):
    (folder / "b" / "2.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="2.txt': expected UTF-8"):
        _encode(folder)
    assert not _entries(cache)


def test_files_of_killed_processes_are_removed_and_those_of_others_left(folder, cache):
    cache.mkdir(parents=True)
    for name in ("writing-abandoned", "writing-new"):
        (cache / name).write_bytes(b"x")
    os.utime(cache / "writing-abandoned", (0, 0))
    with encoded._temporary(cache / "mine.npy") as file:
        file.write(b"x")
        file.flush()
        os.utime(file.fileno(), (0, 0))
        _encode(folder)
        assert len(list(cache.glob("writing-*"))) == 2
    (cache / "writing-new").unlink()
    assert _entries(cache) == [".json", ".npy", ".npy"]


def _write_at_once(folder, barrier, results):
    writes, write = [], encoded._write
    encoded._write = lambda *words: (writes.append(words), time.sleep(0.5), write(*words))
    barrier.wait()
    _, sizes, checksum, is_mapped = _encode(folder)
    results.put(((sizes.tolist(), checksum, is_mapped), len(writes)))


def test_of_processes_that_need_an_entry_one_encodes_and_the_others_wait(folder, cache):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_write_at_once, args=(folder, barrier, results))
                 for _ in range(4)]
    for process in processes:
        process.start()
    outcomes, writes = zip(*[results.get(timeout=60) for _ in processes])
    for process in processes:
        process.join()
    assert all(outcome == outcomes[0] and outcome[2] for outcome in outcomes)
    assert sorted(writes) == [0, 0, 0, 1]
    assert _entries(cache) == [".json", ".npy"]


def test_a_mapped_text_is_read_by_windows(folder, cache):
    (folder / "a.txt").write_text("a first" * 99)
    symbols = _encode(folder)[0]
    batch = Streams(symbols, 4, 16, seed=0).batch(3)
    assert batch.observed.shape == (4, 16) and batch.observed.dtype == np.uint8
