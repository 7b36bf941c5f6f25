# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Replicas against one process; parsing of TF_CONFIG; the rendezvous of workers in threads."""

import contextlib
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from tests import small
from tests.in_process import free_addresses, saved
from vaeseq.bounds import ELBO
from vaeseq.data import Streams
from vaeseq.train import data_sharing, distribute
from vaeseq.train.distribute import (
    SINGLE_PROCESS,
    Cluster,
    LostWorkerError,
    Replicas,
    parse_tf_config,
    rendezvous,
)
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import TrainOps
from vaeseq.train.optimizers import Adam

ROOT = pathlib.Path(__file__).parents[2]

# Two logical devices must be made before TensorFlow does anything: so, in a process of its own.
# Dropout shows that noise depends on a shard's first row in the whole batch: two shards of one
# process and one shard of each of two replicas draw the same.
REPLICAS = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from examples.text.data import Vocabulary
from examples.text.hparams import TextHParams
from examples.text.model import TextModel
from tests.tiny_text import TEXT
from vaeseq.nn import parallel
from vaeseq.train import distribute
from vaeseq.train.trainer import Periods

small = TextHParams().parse(
    "cell=mingru,rnn_hidden_sizes=[8],embed_size=4,batch_size=4,sequence_size=8,dropout=0.2,"
    "learning_rate_schedule=constant,divergence_strength_half=0")
vocabulary = Vocabulary.of([TEXT], 100, 1)
symbols = vocabulary.encode(TEXT)

def train(log_dir, strategy, num_steps):
    replicas = distribute.start(strategy, {}, seconds=1)
    run = TextModel(small, vocabulary, log_dir)
    parallel.default_shards = lambda: 2 // replicas.num_replicas
    if strategy == "none":
        run.after_validation = lambda *_: None  # samples are drawn from the replicas' weights only
    trained = run.train([symbols[:-90]], num_steps=num_steps, valid=[symbols[-90:]],
                        periods=Periods(log=5, valid=10), strategy=replicas)
    return {"replicas": replicas.num_replicas, "best": trained.best}

alone, both = sys.argv[1] + "/alone", sys.argv[1] + "/both"
results = [train(alone, "none", 30), train(both, "mirrored", 10), train(both, "none", 20),
           train(both, "mirrored", 30)]
mirrored = distribute.start("mirrored", {}, seconds=1)
empty = mirrored.gather(mirrored.local_rows(tf.zeros([4, 0])))
print(json.dumps([*results, empty.shape.as_list()]))
"""


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """Returns a folder of two runs, the results of the sessions, and the shape of empty rows."""
    folder = tmp_path_factory.mktemp("replicas")
    ended = subprocess.run(
        [sys.executable, "-c", REPLICAS, str(folder)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return folder, json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.slow
def test_one_process_and_two_replicas_resume_each_other(replicas):
    folder, (*sessions, empty) = replicas
    assert [session["replicas"] for session in sessions] == [1, 2, 1, 2] and empty == [4, 0]
    expected, ours = saved(folder / "alone"), saved(folder / "both")
    assert ours.keys() == expected.keys()
    for key, value in expected.items():
        # 30 updates of weights near 1, each off by a few units in the last of 24 bits.
        np.testing.assert_allclose(ours[key], value, rtol=1e-5, atol=1e-5, err_msg=key)
    assert sessions[-1]["best"] == pytest.approx(sessions[0]["best"], abs=1e-5)


@pytest.mark.slow
def test_two_replicas_write_the_metrics_of_one_process(replicas):
    files = [replicas[0] / run / "metrics.jsonl" for run in ("alone", "both")]
    expected, ours = (list(map(json.loads, file.read_text().splitlines())) for file in files)
    assert [line["step"] for line in ours] == [5, 10, 15, 20, 25, 30]
    for line, other in zip(ours, expected, strict=True):
        assert line == pytest.approx(other, rel=1e-4, abs=1e-5)


def test_adam_is_sonnets_bit_for_bit():
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4,))]
    sides = [([tf.Variable(x) for x in starts], kind(0.01, beta2=0.99))
             for kind in (Adam, snt.optimizers.Adam)]
    for _ in range(5):
        gradients = [tf.constant(rng.normal(size=x.shape), tf.float32) for x in starts]
        for weights, optimizer in sides:
            optimizer.apply(gradients, weights)
    for ours, theirs in zip(sides[0][1].variables + tuple(sides[0][0]),
                            sides[1][1].variables + tuple(sides[1][0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_batch_size_must_be_a_multiple_of_the_replicas():
    strategy = Replicas(tf.distribute.OneDeviceStrategy("CPU:0"), Cluster(("here",), 0))
    strategy.num_replicas = 4
    distribute.check_batch_size(8, strategy)
    distribute.check_batch_size(5, SINGLE_PROCESS)
    with pytest.raises(ValueError, match="4 replicas can share evenly, got 6.*try batch_size=8"):
        distribute.check_batch_size(6, strategy)


def test_weights_that_replicas_would_share_are_refused():
    strategy = Replicas(tf.distribute.MirroredStrategy(["CPU:0"]), Cluster(("here",), 0))
    strategy._num_local_replicas = 2
    batch = Streams(small.reals(20).numpy(), 2, 5, seed=0).batch(0)

    def build(gen_core):
        TrainOps(SequenceLoss(gen_core.agent, gen_core.core, ELBO()), learning_rate=0.01,
                 jit_compile=False, seed=0, strategy=strategy).build(batch)

    with strategy.scope():
        copied = small.gen_core("RNN")
    build(copied)
    with pytest.raises(ValueError, match="expected a model without weights.*Make the model again"):
        build(small.gen_core("RNN"))


def test_unknown_strategy_is_an_error():
    with pytest.raises(ValueError, match="expected a strategy of none, mirrored.*got 'both'"):
        distribute.start("both", {}, seconds=1)


@pytest.fixture
def third():
    """Returns the strategy of the third worker of three, on a device of this process."""
    cluster = Cluster(("c:1", "a:1", "b:1"), 2, has_chief=True)
    return Replicas(tf.distribute.OneDeviceStrategy("CPU:0"), cluster)


@pytest.mark.parametrize("message,worker", [
    ("at /job:worker/task:1 and /job:worker/replica:0/task:0: lost", "worker 1 (a:1)"),
    ("/job:chief/replica:0/task:0 does not answer", "the chief (c:1)"),
    ("Socket closed", "another worker"),
])
def test_error_names_the_lost_worker(third, message, worker):
    with pytest.raises(LostWorkerError) as caught, third.peer_errors():
        raise tf.errors.UnavailableError(None, None, message)
    assert str(caught.value).startswith(f"{worker} was lost, so this worker exits too. Run the")


def test_errors_of_this_worker_are_not_translated(third):
    with pytest.raises(tf.errors.ResourceExhaustedError), third.peer_errors():
        raise tf.errors.ResourceExhaustedError(None, None, "no memory at /job:worker/task:0")


TWO = ["a:1000", "b:1000"]


def config(index=0, kind="worker", **jobs):
    return json.dumps({"cluster": jobs or {"worker": TWO}, "task": {"type": kind, "index": index}})


def test_tf_config_names_the_workers():
    cluster = parse_tf_config(config(1))
    assert (cluster.addresses, cluster.task, cluster.is_chief) == (tuple(TWO), 1, False)
    assert cluster.name(1) == "worker 1 (b:1000)"
    assert parse_tf_config(config(0)).is_chief


def test_chief_comes_before_the_workers():
    jobs = {"worker": TWO, "chief": ["c:1"]}
    chief, last = parse_tf_config(config(0, "chief", **jobs)), parse_tf_config(config(1, **jobs))
    assert chief.addresses == last.addresses == ("c:1", "a:1000", "b:1000")
    assert (chief.task, last.task, last.has_chief) == (0, 2, True)


@pytest.mark.parametrize("text,message", [
    (None, "expected the environment variable TF_CONFIG.*found none.*for example"),
    ("{", "TF_CONFIG: expected a JSON object such as .*; got '{'"),
    ("[" * 100_000, "expected a JSON object"),
    ('{"cluster": {"worker": ["a:1"]}}', "expected a JSON object"),
    (config(worker=["a"]), "expected a JSON object"),
    (config(worker=["a:70000"]), "expected a JSON object"),
    (config(worker="a:1"), "expected a JSON object"),
    (config(True), "expected a JSON object"),
    (config(2), "expected a task of its cluster .worker 0 to 1., got 'worker' 2"),
    (config(-1), "got 'worker' -1"),
    (config(0, "chief"), "got 'chief' 0"),
    (config(0, worker=[]), "which is empty"),
    (config(0, worker=TWO, ps=["c:1"]), "expected the jobs chief and worker, got 'ps'"),
    (config(0, "chief", chief=TWO), "expected one chief at most, got 2"),
    (config(0, worker=["a:1", "a:1"]), "expected different addresses for all workers"),
])
def test_wrong_tf_config_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        parse_tf_config(text)


def make_workers(count):
    """Returns the clusters of `count` workers of this machine."""
    addresses = free_addresses(count)
    return [Cluster(addresses, index) for index in range(count)]


def rendezvous_errors(*calls, seconds=20.0, stranger=None):
    """Returns what the rendezvous of each (cluster, settings) raised, or None.

    `stranger` is sent to the chief, the first of the calls, before the others connect.
    """
    errors = [None] * len(calls)

    def run(number, cluster, settings):
        try:
            rendezvous(cluster, settings, seconds)
        except Exception as error:
            errors[number] = error

    threads = [threading.Thread(target=run, args=(number, *call))
               for number, call in enumerate(calls)]
    threads[0].start()
    if stranger is not None:
        host, _, port = calls[0][0].addresses[0].rpartition(":")
        for _ in range(100):
            with contextlib.suppress(OSError), \
                    socket.create_connection((host, int(port)), 5) as caller:
                caller.sendall(stranger)
                break
            time.sleep(0.05)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_workers_with_equal_settings_proceed():
    settings = {"seed": 3, "sizes": (1, 2)}
    assert rendezvous_errors(*[(worker, settings) for worker in make_workers(3)]) == [None] * 3
    rendezvous(Cluster(("nowhere.invalid:1",), 0), {}, 0)


def test_all_workers_name_the_setting_that_differs():
    first, second = make_workers(2)
    for error in rendezvous_errors((first, {"seed": 1}), (second, {"seed": 2})):
        assert isinstance(error, ValueError)
        assert str(error).startswith(
            f"worker 1 ({second.addresses[1]}) has seed=2, but the chief "
            f"({first.addresses[0]}) has seed=1.")
    larger = Cluster((*second.addresses, "c:1"), 1)
    errors = rendezvous_errors((first, {}), (larger, {}))
    assert all("workers=3, but" in str(error) for error in errors)


def test_missing_workers_are_named():
    first, second = make_workers(2)
    (error,) = rendezvous_errors((first, {}), seconds=0.3)
    assert isinstance(error, LostWorkerError)
    assert str(error).startswith(f"worker 1 ({second.addresses[1]}) did not connect in time.")
    (error,) = rendezvous_errors((second, {}), seconds=0.3)
    assert isinstance(error, LostWorkerError)
    assert str(error).startswith(f"the chief ({first.addresses[0]}) did not answer in time.")


@pytest.mark.parametrize("message", [
    b"GET / HTTP/1.1\n", b"", b"[]\n", b'{"task": "x"}\n', b'{"task": 0, "settings": {}}\n',
    b'{"task": 1, "settings": {"workers": 3}}\n'])  # the last one a worker that has hung up
def test_strangers_and_closed_connections_do_not_count(message):
    first, second, third = make_workers(3)
    assert rendezvous_errors(
        (first, {}), (third, {}), (second, {}), stranger=message) == [None] * 3


def test_a_worker_that_waits_for_data_again_is_cut_off_at_the_rendezvous():
    first, second = make_workers(2)
    errors = []

    def start_again():
        try:
            data_sharing.receive(second, lambda header: io.BytesIO(), 1)
        except LostWorkerError as error:
            errors.append(str(error))

    worker = threading.Thread(target=start_again, daemon=True)
    chief = threading.Thread(target=rendezvous_errors, args=((first, {}),), kwargs={"seconds": 8})
    chief.start()
    worker.start()
    worker.join(6)
    assert chief.is_alive()
    assert errors and "did not answer in time" in errors[0]
    chief.join()


def test_a_worker_that_is_cut_off_after_a_long_wait_connects_again(monkeypatch):
    first, second = make_workers(2)
    send_part, cut, content = data_sharing._send_part, [], io.BytesIO()

    def cut_first(peer, part):
        if not cut:
            cut.append(part)
            time.sleep(2)
            raise ConnectionResetError
        send_part(peer, part)

    monkeypatch.setattr(data_sharing, "_send_part", cut_first)
    with data_sharing.sending(first) as send:
        part = data_sharing.Part({}, np.arange(9, dtype=np.uint8))
        chief = threading.Thread(target=send, args=(lambda task: part, 8), daemon=True)
        chief.start()
        data_sharing.receive(second, lambda header: content, 1)
        chief.join(60)
    assert cut and content.getvalue() == bytes(range(9))


def test_a_worker_that_has_its_data_does_not_extend_the_wait_for_another():
    first, second, third = make_workers(3)

    def start_again():
        for seconds in (8, 4):  # the second time, no data arrives
            with contextlib.suppress(LostWorkerError):
                data_sharing.receive(second, lambda header: io.BytesIO(), seconds)

    worker = threading.Thread(target=start_again, daemon=True)
    worker.start()
    part = data_sharing.Part({}, np.zeros([0], np.uint8))
    with data_sharing.sending(first) as send, \
            pytest.raises(LostWorkerError, match=rf"^worker 2 \({third.addresses[2]}\) did not"):
        send(lambda task: part, 1)
    assert worker.is_alive()
    worker.join()


def test_a_worker_that_waits_for_data_probes_whether_the_chief_can_be_reached():
    first, second = make_workers(2)
    with distribute.listen(first), distribute.connect(second, time.monotonic() + 5) as chief:
        data_sharing._wait_while_reachable(chief)
        assert chief.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert chief.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60
