# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sends each worker of a run its part of the training data, before training starts.

The chief reads the data and listens at its port meanwhile. The other workers connect, wait, and
receive what they need: a JSON object on one line, and bytes.

    worker -> chief    {"task": 1}
    chief -> worker    {"size": N, ...}, then N bytes
"""
from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vaeseq.train import distribute
from vaeseq.train.distribute import Cluster

_CHUNK_BYTES = 1 << 22
_STALLED_SECONDS = 60.0  # a chunk that takes longer never arrives
_PROBE_SECONDS = 15
_MOST_PROBES = 8  # without an answer
_MAX_HEADER = 1 << 26  # bytes


class Part(NamedTuple):
    """What one worker receives."""

    header: dict[str, Any]  # JSON values by name
    content: np.ndarray  # a contiguous array, sent as its bytes


Send = Callable[[Callable[[int], Part], float], None]


@contextlib.contextmanager
def sending(cluster: Cluster) -> Iterator[Send]:
    """Listens as the chief; yields a function that sends the parts.

    Workers that connect before it is called wait for it, without a time limit. Its arguments are a
    function of the index of a worker, which returns the worker's `Part`, and how many seconds to
    wait for the next worker to connect; it raises LostWorkerError where none does.

    Raises:
      OSError: the port is in use.
    """
    with distribute.listen(cluster) as listening:
        def send(part_of: Callable[[int], Part], seconds: float) -> None:
            waiting = set(range(1, len(cluster.addresses)))
            deadline = time.monotonic() + seconds
            while waiting:
                task, peer = _accept(listening)
                if peer is None:
                    if time.monotonic() > deadline:
                        raise distribute.not_connected(cluster, sorted(waiting))
                    continue
                with peer:
                    if task in waiting:
                        part = part_of(task)
                        with contextlib.suppress(OSError):  # it is cut off, and connects again
                            _send_part(peer, part)
                            waiting.remove(task)
                        deadline = time.monotonic() + seconds

        yield send


def _accept(listening: socket.socket) -> tuple[int, socket.socket | None]:
    """Returns the index of a worker that connects soon and its connection; None for others."""
    listening.settimeout(distribute.RETRY_SECONDS)
    try:
        peer, _ = listening.accept()
    except OSError:
        return 0, None
    try:
        return int(distribute.receive_json(peer, distribute.REPLY_SECONDS)["task"]), peer
    except (OSError, ValueError, TypeError, KeyError):  # another program
        peer.close()
        return 0, None


def _send_part(peer: socket.socket, part: Part) -> None:
    content = part.content.data.cast("B")
    peer.settimeout(_STALLED_SECONDS)
    distribute.send_json(peer, {**part.header, "size": len(content)})
    for start in range(0, len(content), _CHUNK_BYTES):
        peer.sendall(content[start:start + _CHUNK_BYTES])


def receive(
    cluster: Cluster, open_file: Callable[[dict[str, Any]], BinaryIO], seconds: float
) -> None:
    """Receives this worker's part from the chief; connects again where it is cut off.

    The content is written to the file that `open_file` returns for the header. In all, it tries to
    connect for so many seconds; the time while it is connected does not count.

    Raises:
      LostWorkerError: the chief did not listen in time, or was lost.
      OSError: the file cannot be written.
    """
    deadline = time.monotonic() + seconds
    while True:
        chief, start = distribute.connect(cluster, deadline), time.monotonic()
        if _receive(chief, cluster.task, open_file):
            return
        deadline += time.monotonic() - start
        time.sleep(distribute.RETRY_SECONDS)


def _wait_while_reachable(chief: socket.socket) -> None:
    """Lets reads wait as long as the chief takes to read the data, if its machine can be reached.

    A machine that has vanished closes no connection; without probes a read would wait for ever.
    """
    chief.settimeout(None)
    chief.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, number in (("TCP_KEEPIDLE", _PROBE_SECONDS), ("TCP_KEEPINTVL", _PROBE_SECONDS),
                         ("TCP_KEEPCNT", _MOST_PROBES)):
        if hasattr(socket, name):  # not all systems let a program choose
            chief.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), number)


def _receive(
    chief: socket.socket, task: int, open_file: Callable[[dict[str, Any]], BinaryIO]
) -> bool:
    """Returns whether everything was received; if not, the connection was cut."""
    with chief, chief.makefile("rb") as stream:
        try:
            distribute.send_json(chief, {"task": task})
            _wait_while_reachable(chief)
            header = json.loads(stream.readline(_MAX_HEADER))
            missing = int(header["size"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        chief.settimeout(_STALLED_SECONDS)
        file = open_file(header)
        while missing:
            try:
                chunk = stream.read(min(missing, _CHUNK_BYTES))
            except OSError:
                return False
            if not chunk:
                return False
            file.write(chunk)
            missing -= len(chunk)
    return True
