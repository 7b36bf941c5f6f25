# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Who the workers of a run are, and how they meet, in threads of this process."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from vaeseq.train import cluster
from vaeseq.train.cluster import Cluster, LostWorkerError, from_tf_config, meet

TWO = ["a:1000", "b:1000"]


def config(index=0, kind="worker", **jobs):
    return json.dumps({"cluster": jobs or {"worker": TWO}, "task": {"type": kind, "index": index}})


def free_ports(count):
    """Ports of this machine that nobody has."""
    with_ports = [socket.socket() for _ in range(count)]
    for held in with_ports:
        held.bind(("127.0.0.1", 0))
    ports = [held.getsockname()[1] for held in with_ports]
    for held in with_ports:
        held.close()
    return ports


def workers(count):
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    return [Cluster(addresses, index) for index in range(count)]


def met(calls, seconds=20.0):
    """Lets workers meet, each (cluster, run); what each raised, or None."""
    ended = [None] * len(calls)

    def one(number, who, run):
        try:
            meet(who, run, seconds)
        except Exception as error:
            ended[number] = error

    threads = [threading.Thread(target=one, args=(number, *call))
               for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ended


def test_a_config_names_the_workers():
    who = from_tf_config(config(1))
    assert (who.addresses, who.task, who.is_chief) == (tuple(TWO), 1, False)
    assert who.name(1) == "worker 1 (b:1000)"
    assert from_tf_config(config(0)).is_chief


def test_a_chief_comes_before_the_workers():
    jobs = {"worker": TWO, "chief": ["c:1"]}
    chief, last = from_tf_config(config(0, "chief", **jobs)), from_tf_config(config(1, **jobs))
    assert chief.addresses == last.addresses == ("c:1", "a:1000", "b:1000")
    assert (chief.task, last.task, last.has_chief) == (0, 2, True)


@pytest.mark.parametrize("text,message", [
    (None, "expected the environment variable TF_CONFIG.*found none.*for example"),
    ("", "found none"),
    ("{", "TF_CONFIG: expected a JSON object such as .*; got '{'"),
    ("[]", "expected a JSON object"),
    ("[" * 100_000, "expected a JSON object"),
    ('{"cluster": {"worker": ["a:1"]}}', "expected a JSON object"),
    (config(worker=["a"]), "expected a JSON object"),
    (config(worker=["a:70000"]), "expected a JSON object"),
    (config(worker="a:1"), "expected a JSON object"),
    (config("0"), "expected a JSON object"),
    (config(True), "expected a JSON object"),
    (config(2), "expected a task of its cluster .worker 0 to 1., got 'worker' 2"),
    (config(-1), "got 'worker' -1"),
    (config(0, "chief"), "got 'chief' 0"),
    (config(0, worker=[]), "which is empty"),
    (config(0, worker=TWO, ps=["c:1"]), "expected the jobs chief and worker, got 'ps'"),
    (config(0, "chief", chief=TWO), "expected one chief at most, got 2"),
    (config(0, worker=["a:1", "a:1"]), "expected an address of its own for each worker"),
])
def test_a_wrong_config_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        from_tf_config(text)


def test_workers_that_agree_meet():
    run = {"seed": 3, "sizes": (1, 2)}
    assert met([(who, run) for who in workers(3)]) == [None] * 3


def test_who_is_alone_waits_for_nobody():
    meet(Cluster(("nowhere.invalid:1",), 0), {}, 0)


def test_a_worker_with_another_run_is_told_to_all():
    first, second = workers(2)
    for error in met([(first, {"seed": 1}), (second, {"seed": 2})]):
        assert isinstance(error, ValueError)
        assert str(error).startswith(
            f"worker 1 ({second.addresses[1]}) has seed=2, but the chief "
            f"({first.addresses[0]}) has seed=1.")


def test_a_worker_of_a_larger_cluster_is_told():
    first, second = workers(2)
    larger = Cluster((*second.addresses, "c:1"), 1)
    assert all("workers=3, but" in str(error) for error in met([(first, {}), (larger, {})]))


def test_who_does_not_come_is_named():
    first, second = workers(2)
    (error,) = met([(first, {})], seconds=0.3)
    assert isinstance(error, LostWorkerError)
    assert str(error).startswith(f"worker 1 ({second.addresses[1]}) did not come in time.")
    (error,) = met([(second, {})], seconds=0.3)
    assert isinstance(error, LostWorkerError)
    assert str(error).startswith(f"the chief ({first.addresses[0]}) did not answer in time.")


def test_a_port_in_use_is_told():
    first, _ = workers(2)
    port = int(first.addresses[0].rpartition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(OSError, match=f"port {port} of this worker cannot be had .Address"):
            meet(first, {}, 1.0)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\n", b"", b"[]\n", b'{"index": "x"}\n',
                                  b'{"index": 0}\n'])
def test_strangers_are_not_counted(said):
    first, second = workers(2)
    host, _, port = first.addresses[0].rpartition(":")
    ended = []
    chief = threading.Thread(target=lambda: ended.extend(met([(first, {})])))
    chief.start()
    _say((host, int(port)), said)
    assert met([(second, {})]) == [None]
    chief.join(60)
    assert ended == [None]


def test_a_worker_that_called_and_went_is_waited_for_again():
    first, second, third = workers(3)
    host, _, port = first.addresses[0].rpartition(":")
    ended = []
    chief = threading.Thread(target=lambda: ended.extend(met([(first, {})])))
    chief.start()
    _say((host, int(port)), json.dumps({"index": 1, "workers": 3}).encode() + b"\n")
    assert met([(third, {}), (second, {})]) == [None] * 2
    chief.join(60)
    assert ended == [None]


def test_a_line_without_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(cluster, "_MOST_LINE", 100)
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x" * 5000)
        with pytest.raises(ValueError):
            cluster._heard(other)


def _say(address, said):
    """Calls, as soon as somebody listens, says something and hangs up."""
    for _ in range(100):
        try:
            with socket.create_connection(address, 5) as caller:
                caller.sendall(said)
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nobody listened")
