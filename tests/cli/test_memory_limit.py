# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The cap on memory: the available memory and no more, and never above an existing cap."""

import resource

import pytest

from vaeseq.cli import memory_limit

_FILES = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   8000000 kB\n",
          "/proc/self/status": "VmPeak: 1 kB\nVmData:\t 500000 kB\n"}
_USED = 500_000 * 1024


@pytest.fixture
def files(monkeypatch):
    """The system's files on memory, to be changed."""
    contents = dict(_FILES)
    monkeypatch.setattr(memory_limit, "_read", lambda path: contents.get(path, ""))
    monkeypatch.setattr(memory_limit, "_GPUS", ())
    return contents


def _cap():
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def _cap_inside():
    """Returns the cap inside `limited_memory`; checks that it is restored after an error."""
    before = _cap()
    with pytest.raises(KeyError), memory_limit.limited_memory():
        inside = _cap()
        raise KeyError
    assert _cap() == before
    return inside


@pytest.mark.parametrize(("limit", "available"), [
    (None, 8_000_000 * 1024), ("max\n", 8_000_000 * 1024), ("3000000000\n", 2_000_000_000)])
def test_the_cap_is_the_used_plus_the_available_memory(files, limit, available):
    if limit is not None:  # of a container
        files["/sys/fs/cgroup/memory.max"] = limit
        files["/sys/fs/cgroup/memory.current"] = "1000000000\n"
    assert _cap_inside() == available + _USED


def test_pages_of_files_are_available(files):
    files["/sys/fs/cgroup/memory.max"] = "4000000000\n"
    files["/sys/fs/cgroup/memory.current"] = "3980000000\n"
    files["/sys/fs/cgroup/memory.stat"] = (
        "anon 300000000\nfile 3600000000\ninactive_anon 7\nactive_file 500000000\n"
        "inactive_file 3000000000\nworkingset_activate_file 9\n")
    assert _cap_inside() == 3_520_000_000 + _USED


def test_a_cap_too_low_to_start_is_not_set(files):
    files["/sys/fs/cgroup/memory.max"] = "4000000000\n"
    files["/sys/fs/cgroup/memory.current"] = "3980000000\n"
    assert _cap_inside() == _cap()


@pytest.mark.parametrize("missing", list(_FILES))
def test_unknown_memory_is_not_capped(files, missing):
    del files[missing]
    assert _cap_inside() == _cap()


def test_a_machine_with_a_gpu_is_not_capped(files, monkeypatch):
    monkeypatch.setattr(memory_limit, "_GPUS", ("/dev/null",))
    assert _cap_inside() == _cap()


def test_a_lower_cap_stays(files):
    _, hard = before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, hard))
    try:
        assert _cap_inside() == 6 << 30
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def test_an_allocation_above_the_cap_raises_memory_error(monkeypatch):
    assert 1 << 20 < memory_limit._available() < 1 << 50
    monkeypatch.setattr(memory_limit, "_available", lambda: 64 << 20)
    monkeypatch.setattr(memory_limit, "_LEAST", 0)
    monkeypatch.setattr(memory_limit, "_GPUS", ())
    with memory_limit.limited_memory():
        assert len(bytearray(16 << 20)) == 16 << 20
        with pytest.raises(MemoryError):
            bytearray(256 << 20)
    assert len(bytearray(256 << 20)) == 256 << 20
