# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Several devices or machines that take the steps of one run together, by `tf.distribute`.

Each replica (a device, or the one process of a machine without GPUs) holds all the weights, takes
its own rows of every batch, and makes the update itself, from sums that the replicas have added up
by an all-reduce:

    rows r*B/n ... (r+1)*B/n   of the batch, and of what is carried from batch to batch
    sums of gradients          all-reduced, so the same everywhere
    weights                    updated alike everywhere

So a run does not depend on how many take part, but for the order in which numbers are added. What
is random depends on the number of a shard's first row in the whole batch: where rows are cut at the
same places (two workers of one shard each, or one process of two), it is the same too.

Only the chief, the first worker, reads and writes the log directory; the others get from it what
it restored. When a worker is gone, all end; started again, they go on from the last checkpoint.
"""
from __future__ import annotations

import abc
import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from vaeseq.train import cluster as cluster_lib
from vaeseq.train.cluster import Cluster, LostWorkerError
from vaeseq.types import Nest, Tensor

STRATEGIES = ("none", "mirrored", "multi-worker")

_TASK = re.compile(r"/job:(chief|worker)/(?:replica:\d+/)?task:(\d+)")


class Strategy(abc.ABC):
    """Those who take the steps of one run.

    Attributes:
      is_chief: whether this process writes and reports.
      num_replicas: how many shares a batch has.
    """

    is_chief: bool = True
    num_replicas: int = 1

    @abc.abstractmethod
    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Inside, variables are made that every replica of this process has a copy of."""

    @abc.abstractmethod
    def function(self, step: Callable[..., Nest]) -> Callable[..., Nest]:
        """Compiles what each replica runs on what `rows` gave it; shared arguments come after."""

    @abc.abstractmethod
    def sum(self, nest: Nest) -> Nest:
        """Inside `function`: tensors added up over all replicas."""

    @abc.abstractmethod
    def row_numbers(self, size: int) -> Tensor:
        """Inside `function`: where in the whole batch a replica's `size` rows are, `[size]`."""

    @abc.abstractmethod
    def rows(self, nest: Nest) -> Nest:
        """What the replicas of this process take of tensors `[B, *]`."""

    @abc.abstractmethod
    def gather(self, rows: Nest) -> Nest:
        """The whole `[B, *]` of what `rows` or `function` gave; all workers must ask for it."""

    @abc.abstractmethod
    def first(self, value: Nest) -> Nest:
        """What the first replica of this process computed."""

    @abc.abstractmethod
    def share(self, variables: Sequence[tf.Variable]) -> None:
        """Gives every worker the chief's values."""

    @abc.abstractmethod
    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag: whether it is set at some worker; all workers must ask."""

    @abc.abstractmethod
    def peer_errors(self) -> contextlib.AbstractContextManager[None]:
        """Inside, a worker that is gone is told by a `LostWorkerError`."""


class SingleProcess(Strategy):
    """One process on one device."""

    def scope(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def function(self, step: Callable[..., Nest]) -> Callable[..., Nest]:
        return tf.function(step, autograph=False)

    def sum(self, nest: Nest) -> Nest:
        return nest

    def row_numbers(self, size: int) -> Tensor:
        return tf.range(size)

    def rows(self, nest: Nest) -> Nest:
        return nest

    def gather(self, rows: Nest) -> Nest:
        return rows

    def first(self, value: Nest) -> Nest:
        return value

    def share(self, variables: Sequence[tf.Variable]) -> None:
        pass

    def any(self, *flags: bool) -> tuple[bool, ...]:
        return flags

    def peer_errors(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


SINGLE_PROCESS = SingleProcess()


class Replicas(Strategy):
    """The replicas of a strategy of `tf.distribute`."""

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster):
        """Args: strategy: mirrored or multi-worker. cluster: the processes, one if mirrored."""
        self.is_chief = cluster.is_chief
        self.num_replicas = strategy.num_replicas_in_sync
        self._strategy = strategy
        self._cluster = cluster
        self._is_local = len(cluster.addresses) == 1
        self._copies = len(strategy.extended.worker_devices)
        self._sum_flags = self.function(self.sum)
        self._gather = self.function(_gathered)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        if self._copies == 1:
            yield
            return
        with self._strategy.scope(), tf.variable_creator_scope(_one_a_replica):
            yield

    def function(self, step: Callable[..., Nest]) -> Callable[..., Nest]:
        return tf.function(
            lambda *arguments: self._strategy.run(step, arguments), autograph=False)

    def sum(self, nest: Nest) -> Nest:
        # What came in as an argument is on no device yet, and then cannot be sent.
        placed = tf.nest.map_structure(tf.identity, nest)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)

    def row_numbers(self, size: int) -> Tensor:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.cast(replica, tf.int32) * size + tf.range(size)

    def rows(self, nest: Nest) -> Nest:
        def share(number: int) -> Nest:
            def cut(x: Tensor) -> Tensor:
                size = x.shape[0] // self.num_replicas
                return x[number * size:(number + 1) * size]
            return tf.nest.map_structure(cut, nest)

        if self._copies == 1:
            return share(self._cluster.task)
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: share(context.replica_id_in_sync_group))

    def gather(self, rows: Nest) -> Nest:
        return self.first(self._gather(rows))

    def first(self, value: Nest) -> Nest:
        return tf.nest.map_structure(
            lambda x: self._strategy.experimental_local_results(x)[0], value)

    def share(self, variables: Sequence[tf.Variable]) -> None:
        if self._is_local:
            return  # a restored checkpoint sets every copy

        def assign() -> None:
            is_first = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
            for variable in variables:
                value = _sendable(variable)
                kept = tf.where(is_first, value, tf.zeros_like(value))
                variable.assign(tf.cast(self.sum(kept), variable.dtype))

        self.function(assign)()

    def any(self, *flags: bool) -> tuple[bool, ...]:
        if self._is_local:
            return flags
        counts = self.first(self._sum_flags(tf.cast(flags, tf.float32)))
        return tuple((counts.numpy() > 0).tolist())

    @contextlib.contextmanager
    def peer_errors(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            if self._is_local or not _is_of_peers(error):
                raise
            raise LostWorkerError(
                f"{self._lost(error.message)} is gone, so this worker ends too. The same command "
                "again on every worker goes on from the last checkpoint.") from None

    def _lost(self, message: str) -> str:
        """The worker that an error names, besides this one."""
        for job, task in _TASK.findall(message):
            index = int(task) + (self._cluster.has_chief and job == "worker")
            if index != self._cluster.task and index < len(self._cluster.addresses):
                return self._cluster.name(index)
        return "another worker"


def start(
    strategy: str, run: Mapping[str, Any], *, seconds: float
) -> Strategy:
    """Begins to work together; before TensorFlow does anything else.

    Args:
      strategy: one of `STRATEGIES`.
      run: what all workers must have alike, JSON values by name.
      seconds: how long to wait for the other workers, whom `TF_CONFIG` names.

    Raises:
      ValueError: an unknown strategy, a wrong `TF_CONFIG`, or workers that were told different
        things.
      LostWorkerError: a worker did not come in time.
      OSError: this worker's port is in use.
    """
    if strategy == "none":
        return SINGLE_PROCESS
    if strategy == "mirrored":
        return Replicas(tf.distribute.MirroredStrategy(), Cluster(("this process",), 0))
    if strategy != "multi-worker":
        raise ValueError(f"expected a strategy of {', '.join(STRATEGIES)}; got {strategy!r}.")
    cluster = cluster_lib.from_tf_config(os.environ.get("TF_CONFIG"))
    cluster_lib.meet(cluster, run, seconds)
    try:
        return Replicas(tf.distribute.MultiWorkerMirroredStrategy(), cluster)
    except tf.errors.OpError as error:
        raise LostWorkerError(
            f"TensorFlow could not bring the workers together: {error.message.splitlines()[0]}"
        ) from None


def check_batch_size(batch_size: int, strategy: Strategy) -> None:
    """Raises ValueError where a batch cannot be shared out evenly."""
    if batch_size % strategy.num_replicas:
        raise ValueError(
            f"expected a batch_size that {strategy.num_replicas} replicas can share evenly, got "
            f"{batch_size}. It counts the rows of all of them together: give "
            f"batch_size={-(-batch_size // strategy.num_replicas) * strategy.num_replicas}, say.")


def _one_a_replica(next_creator: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
    """Makes a variable of which each replica has a copy, and changes it by itself."""
    if arguments.get("synchronization") in (None, tf.VariableSynchronization.AUTO):
        arguments["synchronization"] = tf.VariableSynchronization.ON_READ
        arguments["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    if arguments.get("trainable") is None:
        arguments["trainable"] = True
    return next_creator(**arguments)


def _gathered(rows: Nest) -> Nest:
    """Inside a replica: the rows of all."""
    context = tf.distribute.get_replica_context()

    return tf.nest.map_structure(
        lambda x: tf.cast(context.all_gather(_sendable(x), axis=0), x.dtype), rows)


def _sendable(x: Tensor | tf.Variable) -> Tensor:
    """In a dtype that can be sent: TensorFlow sends no bools and no small integers."""
    return tf.identity(x) if x.dtype.is_floating else tf.cast(x, tf.int64)


def _is_of_peers(error: tf.errors.OpError) -> bool:
    """Whether an error came from the others, and not from what was computed here."""
    return isinstance(error, tf.errors.UnavailableError) or any(
        words in error.message for words in ("Collective ops is aborted", "CoordinationService"))
