# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Synchronous data-parallel training on several devices or machines, by `tf.distribute`.

Each replica (a device, or the one process of a machine without GPUs) holds all weights, processes
its own rows of every batch and makes the update itself, from all-reduced sums:

    rows r*B/n ... (r+1)*B/n   of the batch and of the recurrent state are those of replica r of n
    sums of gradients          are all-reduced, hence equal on all replicas
    weights                    are updated equally on all replicas

So a run does not depend on the number of replicas, except for the order of additions. Random
numbers depend on the index of a shard's first row in the whole batch: two workers of one shard each
draw the same as one process with two shards.

`TF_CONFIG` names the workers. It is the same on all of them except for the task:

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
                "task": {"type": "worker", "index": 0}}'

Only the chief, the first worker, reads and writes the log directory; it broadcasts what it
restored. If a worker is lost, all of them exit; a new start resumes from the last checkpoint.
"""
from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from vaeseq.fields import short_repr
from vaeseq.types import Nest, Tensor

STRATEGIES = ("none", "mirrored", "multi-worker")

_TF_CONFIG_EXAMPLE = (
    '\'{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}\'')
_JOBS = ("chief", "worker")
_TASK = re.compile(r"/job:(chief|worker)/(?:replica:\d+/)?task:(\d+)")
_MAX_MESSAGE = 1 << 16  # bytes of a run's description
RETRY_SECONDS = 0.2
REPLY_SECONDS = 5.0
_RENDEZVOUS_HINT = (
    "Run the same command on every worker, and check that they can reach each other's ports.")


class LostWorkerError(ConnectionError):
    """Another worker of the run did not connect, or was lost."""


class Cluster(NamedTuple):
    """The workers of one run.

    Attributes:
      addresses: "host:port" of each worker, the chief's first.
      task: index of this process in `addresses`.
      has_chief: whether `TF_CONFIG` has a job "chief"; otherwise worker 0 is the chief.
    """

    addresses: tuple[str, ...]
    task: int
    has_chief: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief."""
        return self.task == 0

    def name(self, index: int) -> str:
        """Returns the name of a worker in messages."""
        return f"{'the chief' if index == 0 else f'worker {index}'} ({self.addresses[index]})"


class Strategy:
    """Runs training steps in a single process; `Replicas` runs them on several replicas.

    Attributes:
      is_chief: whether this process reads and writes the log directory.
      num_replicas: number of parts of a batch.
    """

    is_chief: bool = True
    num_replicas: int = 1

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context in which variables are created with a copy on each local replica."""
        return contextlib.nullcontext()

    def check_variables(self, variables: Sequence[tf.Variable]) -> None:
        """Raises ValueError unless variables were created in `scope`."""

    def function(self, step: Callable[..., Nest]) -> Callable[..., Nest]:
        """Compiles `step`; each replica calls it with its `local_rows` and shared arguments."""
        # A partial, as in `compilation.compiled`.
        return tf.function(functools.partial(step), autograph=False)

    def all_reduce_sum(self, nest: Nest) -> Nest:
        """Inside `function`: returns the sums of tensors over all replicas."""
        return nest

    def row_indices(self, size: int) -> Tensor:
        """Inside `function`: returns the indices of this replica's rows in the batch, `[size]`."""
        return tf.range(size)

    def local_rows(self, nest: Nest) -> Nest:
        """Splits tensors `[B, *]` into the rows of the replicas of this process."""
        return nest

    def gather(self, rows: Nest) -> Nest:
        """Returns the tensors `[B, *]` of all replicas' rows; all workers must call it."""
        return rows

    def local_value(self, value: Nest) -> Nest:
        """Returns the value of the first replica of this process."""
        return value

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        """Assigns the chief's values of variables on all workers; all must call it."""

    def any_worker(self, *flags: bool) -> tuple[bool, ...]:
        """Returns for each flag whether a worker set it; a barrier, as all must call it."""
        return flags

    def peer_errors(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context that raises `LostWorkerError` if another worker is lost."""
        return contextlib.nullcontext()


SINGLE_PROCESS = Strategy()


class Replicas(Strategy):
    """Runs training steps on the replicas of a `tf.distribute` strategy."""

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster):
        """Wraps a mirrored or multi-worker strategy; a mirrored one has a cluster of one."""
        self.is_chief = cluster.is_chief
        self.num_replicas = strategy.num_replicas_in_sync
        self._strategy = strategy
        self._cluster = cluster
        self._is_local = len(cluster.addresses) == 1
        self._num_local_replicas = len(strategy.extended.worker_devices)
        self._sum_flags = self.function(self.all_reduce_sum)
        self._all_gather = self.function(_all_gather)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        if self._num_local_replicas == 1:
            yield
            return
        with self._strategy.scope(), tf.variable_creator_scope(_create_on_each_replica):
            yield

    def check_variables(self, variables: Sequence[tf.Variable]) -> None:
        # All replicas would update a variable that they share.
        if self._num_local_replicas > 1 and not all(
                isinstance(variable, tf.distribute.DistributedValues) for variable in variables):
            raise ValueError(
                f"expected a model without weights yet, to make them on {self.num_replicas} "
                "replicas, got one with weights. Make the model again and train it before it is "
                "loaded, built or scored: it resumes from its log_dir.")

    def function(self, step: Callable[..., Nest]) -> Callable[..., Nest]:
        def run(*arguments: Nest) -> Nest:
            return self._strategy.run(step, arguments)
        return tf.function(functools.partial(run), autograph=False)

    def all_reduce_sum(self, nest: Nest) -> Nest:
        # Arguments of a tf.function are not placed on a device, which an all-reduce requires.
        placed = tf.nest.map_structure(tf.identity, nest)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)

    def row_indices(self, size: int) -> Tensor:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.cast(replica, tf.int32) * size + tf.range(size)

    def local_rows(self, nest: Nest) -> Nest:
        def rows_of(replica: int) -> Nest:
            def cut(x: Tensor) -> Tensor:
                size = x.shape[0] // self.num_replicas
                return x[replica * size:(replica + 1) * size]
            return tf.nest.map_structure(cut, nest)

        if self._num_local_replicas == 1:
            return rows_of(self._cluster.task)
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: rows_of(context.replica_id_in_sync_group))

    def gather(self, rows: Nest) -> Nest:
        return self.local_value(self._all_gather(rows))

    def local_value(self, value: Nest) -> Nest:
        return tf.nest.map_structure(
            lambda x: self._strategy.experimental_local_results(x)[0], value)

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        if self._is_local:
            return  # Restoring a checkpoint sets every copy.

        def assign() -> None:
            is_first = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
            for variable in variables:
                value = _as_sendable(variable)
                value = tf.where(is_first, value, tf.zeros_like(value))
                variable.assign(tf.cast(self.all_reduce_sum(value), variable.dtype))

        self.function(assign)()

    def any_worker(self, *flags: bool) -> tuple[bool, ...]:
        if self._is_local:
            return flags
        counts = self.local_value(self._sum_flags(tf.cast(flags, tf.float32)))
        return tuple((counts.numpy() > 0).tolist())

    @contextlib.contextmanager
    def peer_errors(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            if self._is_local or not _is_peer_error(error):
                raise
            raise LostWorkerError(
                f"{self._lost_worker(error.message)} was lost, so this worker exits too. Run the "
                "same command again on every worker to resume from the last checkpoint."
            ) from None

    def _lost_worker(self, message: str) -> str:
        """Returns the name of the other worker that an error message mentions."""
        for job, task in _TASK.findall(message):
            index = int(task) + (self._cluster.has_chief and job == "worker")
            if index != self._cluster.task and index < len(self._cluster.addresses):
                return self._cluster.name(index)
        return "another worker"


def start(strategy: str, run: Mapping[str, Any], *, seconds: float) -> Strategy:
    """Creates a strategy; it must run before TensorFlow computes anything.

    Args:
      strategy: one of `STRATEGIES`.
      run: settings that all workers must have in common, JSON values by name.
      seconds: how long to wait for the other workers.

    Raises:
      ValueError: an unknown strategy, a wrong `TF_CONFIG`, or workers with different settings.
      LostWorkerError: a worker did not connect in time.
      OSError: this worker's port is in use.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"expected a strategy of {', '.join(STRATEGIES)}; got {strategy!r}.")
    cluster = cluster_of(strategy)
    if strategy == "none":
        return SINGLE_PROCESS
    if strategy == "mirrored":
        return Replicas(tf.distribute.MirroredStrategy(), cluster)
    rendezvous(cluster, run, seconds)
    try:
        return Replicas(tf.distribute.MultiWorkerMirroredStrategy(), cluster)
    except tf.errors.OpError as error:
        raise LostWorkerError(
            f"TensorFlow could not connect the workers: {error.message.splitlines()[0]}"
        ) from None


def check_batch_size(batch_size: int, strategy: Strategy) -> None:
    """Raises ValueError if the replicas cannot share a batch evenly."""
    if batch_size % strategy.num_replicas:
        multiple = -(-batch_size // strategy.num_replicas) * strategy.num_replicas
        raise ValueError(
            f"expected a batch_size that {strategy.num_replicas} replicas can share evenly, got "
            f"{batch_size}. It counts the rows of all replicas together: try "
            f"batch_size={multiple}.")


def cluster_of(strategy: str) -> Cluster:
    """Returns the workers of a strategy; all but "multi-worker" have one, this process.

    Raises:
      ValueError: a wrong `TF_CONFIG`.
    """
    if strategy != "multi-worker":
        return Cluster(("this process",), 0)
    return parse_tf_config(os.environ.get("TF_CONFIG"))


def parse_tf_config(text: str | None) -> Cluster:
    """Parses the value of the environment variable `TF_CONFIG`.

    Raises:
      ValueError: it is missing or does not describe a cluster.
    """
    if not text:
        raise ValueError(
            "--strategy multi-worker: expected the environment variable TF_CONFIG to name the "
            f"workers, found none. Set it on each worker, for example {_TF_CONFIG_EXAMPLE}.")
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        addresses = {job: [_check_address(a) for a in jobs[job]] for job in jobs}
        kind, index = task["type"], task["index"]
        if type(index) is not int or not isinstance(kind, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(
            f"TF_CONFIG: expected a JSON object such as {_TF_CONFIG_EXAMPLE}; got "
            f"{short_repr(text, 200)}.") from None
    _check_jobs(addresses, kind, index)
    chiefs = addresses.get("chief", [])
    return Cluster((*chiefs, *addresses.get("worker", ())),
                   index + (len(chiefs) if kind == "worker" else 0), bool(chiefs))


def _check_address(text: Any) -> str:
    host, colon, port = text.rpartition(":")
    if not host or not colon or not 0 < int(port) < 1 << 16:
        raise ValueError
    return text


def _check_jobs(addresses: dict[str, list[str]], kind: str, index: int) -> None:
    """Raises ValueError for unsupported jobs or a task that is not in the cluster."""
    unknown = sorted(set(addresses) - set(_JOBS))
    if unknown:
        raise ValueError(
            f"TF_CONFIG: expected the jobs chief and worker, got {short_repr(unknown[0])}. Remove "
            "it: "
            "the chief evaluates, and there are no parameter servers.")
    if len(addresses.get("chief", ())) > 1:
        raise ValueError(
            f"TF_CONFIG: expected one chief at most, got {len(addresses['chief'])}.")
    all_addresses = [address for job in addresses.values() for address in job]
    if len(set(all_addresses)) < len(all_addresses):
        raise ValueError(
            f"TF_CONFIG: expected different addresses for all workers, got "
            f"{short_repr(all_addresses)}.")
    if not 0 <= index < len(addresses.get(kind, ())):
        tasks = ", ".join(f"{job} 0 to {len(addresses[job]) - 1}" for job in sorted(addresses)
                          if addresses[job])
        raise ValueError(
            f"TF_CONFIG: expected a task of its cluster ({tasks or 'which is empty'}), got "
            f"{short_repr(kind)} {index}.")


def rendezvous(cluster: Cluster, run: Mapping[str, Any], seconds: float) -> None:
    """Waits until all workers have connected to the chief with equal settings.

    TensorFlow's own wait has no time limit and holds Python's global lock, so neither Ctrl-C nor a
    timeout in another thread can end it; nor does TensorFlow compare settings. So workers meet here
    first: each one sends its settings to the chief's address and receives an error message or "".

    Args:
      cluster: the workers.
      run: settings that all workers must have in common, JSON values by name.
      seconds: how long to wait.

    Raises:
      ValueError: a worker has other settings; raised on all workers.
      LostWorkerError: a worker did not connect in time.
      OSError: this worker's port is in use.
    """
    if len(cluster.addresses) == 1:
        return
    deadline = time.monotonic() + seconds
    settings = json.loads(json.dumps({"workers": len(cluster.addresses), **run}))
    with listen(cluster) as server:
        if cluster.is_chief:
            message = _collect_settings(cluster, server, settings, deadline)
        else:
            message = _send_settings(cluster, settings, deadline)
    if message:
        raise ValueError(message)


@contextlib.contextmanager
def listen(cluster: Cluster) -> Iterator[socket.socket]:
    """Listens at this worker's port, which TensorFlow uses afterwards."""
    port = int(cluster.addresses[cluster.task].rpartition(":")[2])
    dual = socket.has_dualstack_ipv6()
    try:
        server = socket.create_server(
            ("", port), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual,
            backlog=len(cluster.addresses) + 8)
    except OSError as error:
        raise OSError(
            f"TF_CONFIG: this worker cannot listen at port {port} "
            f"({os.strerror(error.errno or 0)}). Stop the program that uses it, or set another "
            "port on every worker.") from None
    with server:
        yield server


def _collect_settings(
    cluster: Cluster, server: socket.socket, settings: dict, deadline: float
) -> str:
    """Collects the settings of all workers, and sends them the error message or ""."""
    peers: dict[int, tuple[socket.socket, dict]] = {}
    with contextlib.ExitStack() as stack:
        while len(peers) < len(cluster.addresses) - 1:
            if time.monotonic() > deadline:
                raise not_connected(
                    cluster, [i for i in range(1, len(cluster.addresses)) if i not in peers])
            task, theirs, peer = _accept_settings(server)
            if peer is not None:
                peers[task] = stack.enter_context(peer), theirs
            # A peer sends nothing more: a readable socket means that it has hung up.
            closed, _, _ = select.select([peer for peer, _ in peers.values()], [], [], 0)
            peers = {task: entry for task, entry in peers.items() if entry[0] not in closed}
        message = _describe_difference(
            cluster, settings, {task: theirs for task, (_, theirs) in peers.items()})
        for peer, _ in peers.values():
            with contextlib.suppress(OSError):
                send_json(peer, {"message": message})
    return message


def _accept_settings(server: socket.socket) -> tuple[int, dict, socket.socket | None]:
    """Returns the index, the settings and the connection of a worker that connects soon.

    Others are cut off, and the connection is None: other programs, such as port scanners, and a
    worker that was started again and waits for data (`data_sharing`), which it would do for ever.
    """
    server.settimeout(RETRY_SECONDS)
    try:
        peer, _ = server.accept()
    except OSError:
        return 0, {}, None
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        received = receive_json(peer, REPLY_SECONDS)
        if int(received["task"]) > 0 and isinstance(received["settings"], dict):
            return int(received["task"]), received["settings"], peer
    peer.close()
    return 0, {}, None


def _send_settings(cluster: Cluster, settings: dict, deadline: float) -> str:
    """Sends the settings to the chief, and returns its error message or ""."""
    while True:
        with connect(cluster, deadline) as chief, \
                contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            send_json(chief, {"task": cluster.task, "settings": settings})
            reply = receive_json(chief, max(REPLY_SECONDS, deadline - time.monotonic()))
            return str(reply["message"])
        time.sleep(RETRY_SECONDS)


def connect(cluster: Cluster, deadline: float) -> socket.socket:
    """Connects to the chief; raises LostWorkerError after `deadline`, of `time.monotonic`."""
    host, _, port = cluster.addresses[0].rpartition(":")
    while time.monotonic() <= deadline:
        with contextlib.suppress(OSError):
            return socket.create_connection((host.strip("[]"), int(port)), REPLY_SECONDS)
        time.sleep(RETRY_SECONDS)
    raise LostWorkerError(f"{cluster.name(0)} did not answer in time. {_RENDEZVOUS_HINT}")


def not_connected(cluster: Cluster, tasks: Sequence[int]) -> LostWorkerError:
    """Returns the error that names workers that did not connect."""
    names = ", ".join(map(cluster.name, tasks[:3]))
    return LostWorkerError(f"{names} did not connect in time. {_RENDEZVOUS_HINT}")


def send_json(peer: socket.socket, message: Mapping[str, Any]) -> None:
    """Sends a JSON object on one line."""
    peer.sendall(json.dumps(message).encode() + b"\n")


def receive_json(peer: socket.socket, seconds: float) -> dict:
    """Receives a JSON object on one line; raises ValueError or OSError."""
    peer.settimeout(seconds)
    with peer.makefile("rb") as stream:
        return json.loads(stream.readline(_MAX_MESSAGE))


def _describe_difference(
    cluster: Cluster, settings: dict, others: Mapping[int, dict]
) -> str:
    """Returns a message about the first setting that differs from the chief's, or ""."""
    for task, theirs in sorted(others.items()):
        for name in [*settings, *theirs]:
            if settings.get(name) != theirs.get(name):
                worker = cluster.name(task) if task < len(cluster.addresses) else f"worker {task}"
                return (f"{worker} has {name}={short_repr(theirs.get(name))}, but "
                        f"{cluster.name(0)} "
                        f"has {name}={short_repr(settings.get(name))}. Give every worker the same "
                        "command and the same data.")
    return ""


def _create_on_each_replica(
    next_creator: Callable[..., tf.Variable], **arguments: Any
) -> tf.Variable:
    """Creates a variable with an independent copy on each replica."""
    if arguments.get("synchronization") in (None, tf.VariableSynchronization.AUTO):
        arguments["synchronization"] = tf.VariableSynchronization.ON_READ
        arguments["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    if arguments.get("trainable") is None:
        arguments["trainable"] = True
    return next_creator(**arguments)


def _all_gather(rows: Nest) -> Nest:
    """Inside a replica: returns the rows of all replicas."""
    context = tf.distribute.get_replica_context()

    def gathered(x: Tensor | tf.Variable) -> Tensor:
        if not x.shape.num_elements():  # TensorFlow's collective crashes, and nothing is sent
            num_rows = x.shape[0] * context.num_replicas_in_sync
            return tf.zeros([num_rows, *x.shape[1:]], x.dtype)
        return tf.cast(context.all_gather(_as_sendable(x), axis=0), x.dtype)

    return tf.nest.map_structure(gathered, rows)


def _as_sendable(x: Tensor | tf.Variable) -> Tensor:
    """Returns the tensor in a dtype of TensorFlow's collectives: not bool or small integers."""
    return tf.identity(x) if x.dtype.is_floating else tf.cast(x, tf.int64)


def _is_peer_error(error: tf.errors.OpError) -> bool:
    """Returns whether an error reports the loss of another worker."""
    return isinstance(error, tf.errors.UnavailableError) or any(
        words in error.message for words in ("Collective ops is aborted", "CoordinationService"))
