# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A process may take the memory there is, and no more; a limit of somebody else's stays."""

from __future__ import annotations

import resource

import pytest

from vaeseq.cli import memory_limit

_FILES = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   8000000 kB\n",
          "/proc/self/status": "VmPeak: 1 kB\nVmData:\t 500000 kB\n"}


@pytest.fixture
def files(monkeypatch):
    """What the system says of its memory; here to be changed."""
    said = dict(_FILES)
    monkeypatch.setattr(memory_limit, "_read", lambda path: said.get(path, ""))
    monkeypatch.setattr(memory_limit, "_GPUS", ())
    return said


def _limit():
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def test_inside_it_is_what_is_taken_and_what_is_free(files):
    before = _limit()
    with memory_limit.bounded_memory():
        assert _limit() == 8_500_000 * 1024
    assert _limit() == before


def test_it_goes_back_after_an_error(files):
    before = _limit()
    with pytest.raises(KeyError), memory_limit.bounded_memory():
        raise KeyError
    assert _limit() == before


def test_a_container_may_have_less_than_the_machine(files):
    files["/sys/fs/cgroup/memory.max"] = "3000000000\n"
    files["/sys/fs/cgroup/memory.current"] = "1000000000\n"
    with memory_limit.bounded_memory():
        assert _limit() == 2_000_000_000 + 500_000 * 1024
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    with memory_limit.bounded_memory():
        assert _limit() == 8_500_000 * 1024


@pytest.mark.parametrize("gone", list(_FILES))
def test_where_nothing_is_known_nothing_changes(files, gone):
    before = _limit()
    del files[gone]
    with memory_limit.bounded_memory():
        assert _limit() == before


def test_where_there_is_a_gpu_nothing_changes(files, monkeypatch):
    before = _limit()
    monkeypatch.setattr(memory_limit, "_GPUS", ("/dev/null",))
    with memory_limit.bounded_memory():
        assert _limit() == before


def test_a_limit_that_is_lower_stays(files):
    _, hard = before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, hard))
    try:
        with memory_limit.bounded_memory():
            assert _limit() == 6 << 30
        assert _limit() == 6 << 30
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def test_this_machine_is_known(monkeypatch):
    assert 1 << 20 < memory_limit._available() < 1 << 50
    monkeypatch.setattr(memory_limit, "_available", lambda: 64 << 20)
    monkeypatch.setattr(memory_limit, "_GPUS", ())
    with memory_limit.bounded_memory():
        assert len(bytearray(16 << 20)) == 16 << 20
        with pytest.raises(MemoryError):
            bytearray(256 << 20)
    assert len(bytearray(256 << 20)) == 256 << 20
