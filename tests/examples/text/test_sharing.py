# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Each worker of a run receives its part of the text from the chief, and no worker more."""

import dataclasses
import threading

import numpy as np
import pytest

from examples.text.data import Vocabulary, corpus, encoded, sharing, sources
from examples.text.hparams import TextHParams
from tests.in_process import free_addresses
from vaeseq.data import Streams
from vaeseq.train import data_sharing, distribute
from vaeseq.train.distribute import Cluster, LostWorkerError

HPARAMS = TextHParams().replace(batch_size=6, sequence_size=5)
NUM_WORKERS = 3


@pytest.fixture
def clusters(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    addresses = free_addresses(NUM_WORKERS)
    return [Cluster(addresses, task) for task in range(NUM_WORKERS)]


@pytest.fixture
def text(tmp_path):
    """Returns a vocabulary and the texts of a file of 1,000 characters, one part of two bytes."""
    characters = "".join(map(chr, np.random.default_rng(0).integers(0x100, 0x300, 1000)))
    (tmp_path / "text").write_text(characters, encoding="utf-8")
    opened = corpus.open_corpus(tmp_path / "text")
    vocabulary = Vocabulary.of(opened.chunks(), 400, 1)
    return vocabulary, sources.read_texts(opened, None, 0.1, vocabulary)


def _shared(clusters, texts, vocabulary, hparams=HPARAMS):
    """Returns what each worker but the chief receives."""
    received = [None] * NUM_WORKERS

    def work(cluster):
        with sharing.session(cluster, 20.0) as (mine, send):
            received[cluster.task] = mine
            send(texts, vocabulary, hparams)

    threads = [threading.Thread(target=work, args=(cluster,)) for cluster in reversed(clusters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert received[0] == sharing.Received()
    return received[1:]


def test_workers_have_disjoint_parts_that_make_up_the_batches_of_one_process(clusters, text):
    vocabulary, texts = text
    workers = _shared(clusters, texts, vocabulary)
    batches = Streams(texts.train[0], 6, 5, seed=1)
    counts = np.zeros([900], int)
    for task, received in enumerate(workers, 1):
        assert received.vocabulary == vocabulary
        assert received.texts.description == texts.description
        (symbols,) = received.texts.train
        assert len(symbols) == 900 and received.texts.valid_size == 100
        own = symbols != 0  # symbol 0 of the text is a zero, too
        assert 290 < np.count_nonzero(own) <= 300
        counts += own
        rows = slice(2 * task, 2 * task + 2)
        mine = Streams(symbols, 6, 5, seed=1)
        for step in range(3 * batches.batches_per_epoch):
            np.testing.assert_array_equal(
                mine.batch(step).observed[rows], batches.batch(step).observed[rows])
    start, stop = Streams.part(900, 6, 0, 2)
    assert (start, stop) == (0, 300) and not counts[start:stop].any()  # the chief's
    assert counts.max() == 1


@pytest.mark.parametrize("change", ["several texts", "lines"])
def test_where_every_epoch_goes_through_all_texts_workers_receive_the_vocabulary(
        clusters, text, change):
    vocabulary, texts = text
    hparams = HPARAMS.replace(unit="line") if change == "lines" else HPARAMS
    if change == "several texts":
        texts = texts._replace(train=[texts.train[0][:9], texts.train[0][9:]])
    for received in _shared(clusters, texts, vocabulary, hparams):
        assert received == (vocabulary, None)


def test_a_text_validated_on_another_and_one_that_is_not(clusters, text):
    vocabulary, texts = text
    texts = texts._replace(valid=[], description=dataclasses.replace(
        texts.description, valid_fraction=0.0))
    for received in _shared(clusters, texts, vocabulary):
        assert received.texts.valid == [] and received.texts.train_size == 900


def test_without_a_cache_folder_parts_are_in_the_folder_of_temporary_files(
        clusters, text, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(encoded, "folder", lambda: tmp_path / "file" / "cache")
    assert _shared(clusters, text[1], text[0])[1].texts.train_size == 900


def test_a_worker_that_is_cut_off_connects_again(clusters, text, monkeypatch):
    send_part, cut = data_sharing._send_part, []

    def cut_first(peer, part):
        if not cut:
            cut.append(part)
            distribute.send_json(peer, {**part.header, "size": part.content.nbytes})
            peer.sendall(b"half")
            raise ConnectionResetError
        send_part(peer, part)

    monkeypatch.setattr(data_sharing, "_send_part", cut_first)
    vocabulary, texts = text
    for task, received in enumerate(_shared(clusters, texts, vocabulary), 1):
        part = slice(300 * task, 300 * task + 300)
        np.testing.assert_array_equal(received.texts.train[0][part], texts.train[0][part])
    assert cut


def test_workers_that_do_not_connect_are_named(clusters, text):
    chief, worker, _ = clusters
    with pytest.raises(LostWorkerError, match=r"worker 1 \(.*, worker 2 \(.* did not connect in"), \
            sharing.session(chief, 0.3) as (_, send):
        send(text[1], text[0], HPARAMS)
    with pytest.raises(LostWorkerError, match=r"the chief \(.* did not answer in time"), \
            sharing.session(worker, 0.3):
        pass
