# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The machines of one run: who they are, and how they meet before they train.

TensorFlow's `TF_CONFIG` names them, the same in each but for the task:

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
                "task": {"type": "worker", "index": 0}}'

The first is the chief. TensorFlow itself waits for the others inside one call that can neither be
interrupted nor told a time limit, and does not see that they were started with other options. So
they meet here first: each says to the chief, at the chief's address, who it is and what it is about
to train; when all are there and agree, all go on to TensorFlow. Nothing here imports TensorFlow.
"""
from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vaeseq.fields import shown

EXAMPLE = ('\'{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
           '"task": {"type": "worker", "index": 0}}\'')
_JOBS = ("chief", "worker")
_MOST_LINE = 1 << 16  # bytes of what is said in a meeting
_PAUSE = 0.2  # seconds between two attempts
_PATIENCE = 5.0  # seconds for one that called to say its line


class LostWorkerError(ConnectionError):
    """Another worker of the run did not come, or is gone."""


class Cluster(NamedTuple):
    """The workers of one run.

    Attributes:
      addresses: "host:port" of each, the chief's first.
      task: which of them this process is, from 0.
      has_chief: whether the first is called so in `TF_CONFIG`, and not worker 0.
    """

    addresses: tuple[str, ...]
    task: int
    has_chief: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this process writes and reports."""
        return self.task == 0

    def name(self, index: int) -> str:
        """A worker as it is told to a person."""
        return f"{'the chief' if index == 0 else f'worker {index}'} ({self.addresses[index]})"


def from_tf_config(text: str | None) -> Cluster:
    """Reads the value of `TF_CONFIG`.

    Raises:
      ValueError: it is missing, or does not say who the workers are.
    """
    if not text:
        raise ValueError(
            "--strategy multi-worker: expected the environment variable TF_CONFIG to name the "
            f"workers, found none. Set it on each, for example {EXAMPLE}.")
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        addresses = {job: [_address(a) for a in jobs[job]] for job in jobs}
        kind, index = task["type"], task["index"]
        if type(index) is not int or not isinstance(kind, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(
            f"TF_CONFIG: expected a JSON object such as {EXAMPLE}; got {shown(text, 200)}."
        ) from None
    _check(addresses, kind, index)
    chiefs = addresses.get("chief", [])
    return Cluster((*chiefs, *addresses.get("worker", ())),
                   index + (len(chiefs) if kind == "worker" else 0), bool(chiefs))


def _address(text: Any) -> str:
    host, colon, port = text.rpartition(":")
    if not host or not colon or not 0 < int(port) < 1 << 16:
        raise ValueError
    return text


def _check(addresses: dict[str, list[str]], kind: str, index: int) -> None:
    """Raises ValueError for jobs or a task that are none of ours."""
    unknown = sorted(set(addresses) - set(_JOBS))
    if unknown:
        raise ValueError(
            f"TF_CONFIG: expected the jobs chief and worker, got {shown(unknown[0])}. Leave it "
            "out: the chief evaluates, and there are no parameter servers.")
    if len(addresses.get("chief", ())) > 1:
        raise ValueError(
            f"TF_CONFIG: expected one chief at most, got {len(addresses['chief'])}.")
    everyone = [address for job in addresses.values() for address in job]
    if len(set(everyone)) < len(everyone):
        raise ValueError(
            f"TF_CONFIG: expected an address of its own for each worker, got {shown(everyone)}.")
    if not 0 <= index < len(addresses.get(kind, ())):
        tasks = ", ".join(f"{job} 0 to {len(addresses[job]) - 1}" for job in sorted(addresses)
                          if addresses[job])
        raise ValueError(
            f"TF_CONFIG: expected a task of its cluster ({tasks or 'which is empty'}), got "
            f"{shown(kind)} {index}.")


def meet(cluster: Cluster, run: Mapping[str, Any], seconds: float) -> None:
    """Waits until every worker is there and is about to train the same.

    Args:
      cluster: the workers.
      run: what all must have alike, JSON values by name.
      seconds: how long to wait at most.

    Raises:
      ValueError: a worker has another run; every one of them is told so.
      LostWorkerError: not all came in time.
      OSError: this worker's port is in use, or its address cannot be had.
    """
    if len(cluster.addresses) == 1:
        return
    deadline = time.monotonic() + seconds
    hello = json.loads(json.dumps({"index": cluster.task, "workers": len(cluster.addresses),
                                   **run}))
    with _listening(cluster) as listener:
        if cluster.is_chief:
            refusal = _receive(cluster, listener, hello, deadline)
        else:
            refusal = _report(cluster, hello, deadline)
    if refusal:
        raise ValueError(refusal)


@contextlib.contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    """A socket at this worker's port, which TensorFlow takes afterwards."""
    port = int(cluster.addresses[cluster.task].rpartition(":")[2])
    with socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if door.family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            door.bind(("", port))
            door.listen(len(cluster.addresses) + 8)
        except OSError as error:
            raise OSError(
                f"TF_CONFIG: port {port} of this worker cannot be had "
                f"({error.strerror or error}). End what uses it, or give another port on every "
                "worker.") from None
        yield door


def _receive(
    cluster: Cluster, listener: socket.socket, ours: dict, deadline: float
) -> str:
    """The chief's side: hears every worker, then tells all what is wrong ("" for nothing)."""
    callers: dict[int, tuple[socket.socket, dict]] = {}
    with contextlib.ExitStack() as stack:
        while len(callers) < len(cluster.addresses) - 1:
            if time.monotonic() > deadline:
                missing = [cluster.name(i) for i in range(1, len(cluster.addresses))
                           if i not in callers]
                raise LostWorkerError(
                    f"{', '.join(missing[:3])} did not come in time. Start the same command on "
                    "every worker, and let them reach each other's ports.")
            listener.settimeout(_PAUSE)
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                caller = stack.enter_context(listener.accept()[0])
                said = _heard(caller)
                if int(said["index"]) > 0:
                    callers[int(said["index"])] = caller, said
            for index in [i for i, (caller, _) in callers.items() if _is_gone(caller)]:
                del callers[index]
        refusal = _difference(cluster, ours, {i: said for i, (_, said) in callers.items()})
        for caller, _ in callers.values():
            with contextlib.suppress(OSError):
                caller.settimeout(_PATIENCE)
                caller.sendall(json.dumps({"refusal": refusal}).encode() + b"\n")
    return refusal


def _report(cluster: Cluster, ours: dict, deadline: float) -> str:
    """A worker's side: tells the chief, and hears what is wrong ("" for nothing)."""
    host, _, port = cluster.addresses[0].rpartition(":")
    while time.monotonic() <= deadline:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), \
                socket.create_connection((host.strip("[]"), int(port)), _PATIENCE) as chief:
            chief.sendall(json.dumps(ours).encode() + b"\n")
            return str(_heard(chief, max(_PATIENCE, deadline - time.monotonic()))["refusal"])
        time.sleep(_PAUSE)
    raise LostWorkerError(
        f"{cluster.name(0)} did not answer in time. Start the same command on every worker, and "
        "let them reach each other's ports.")


def _heard(caller: socket.socket, seconds: float = _PATIENCE) -> dict:
    """The JSON object that the other side says; raises ValueError or OSError."""
    caller.settimeout(seconds)
    said = b""
    while not said.endswith(b"\n"):
        piece = caller.recv(4096)
        if not piece or len(said) > _MOST_LINE:
            raise ValueError
        said += piece
    return json.loads(said)


def _is_gone(caller: socket.socket) -> bool:
    """Whether one that waits for its answer has hung up."""
    caller.setblocking(False)
    try:
        return not caller.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _difference(cluster: Cluster, ours: dict, theirs: Mapping[int, dict]) -> str:
    """In what a worker's run differs from the chief's, as a sentence; "" where all agree."""
    for index, said in sorted(theirs.items()):
        for name in [*ours, *said]:
            if name != "index" and ours.get(name) != said.get(name):
                who = cluster.name(index) if index < len(cluster.addresses) else f"worker {index}"
                return (f"{who} has {name}={shown(said.get(name))}, but {cluster.name(0)} has "
                        f"{name}={shown(ours.get(name))}. Give every worker the same command and "
                        "the same data.")
    return ""
