# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Two replicas in one process against one: the same weights, and checkpoints that fit both."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from vaeseq.train import distribute
from vaeseq.train.cluster import Cluster, LostWorkerError
from vaeseq.train.distribute import SINGLE_PROCESS, Replicas
from vaeseq.train.optimizers import Adam

ROOT = pathlib.Path(__file__).parents[2]

# Two logical devices must be made before TensorFlow does anything: so, in a process of its own.
# Dropout shows that noise depends on a shard's first row in the whole batch: two shards of one
# process and one shard of each of two replicas draw the same.
REPLICAS = """
import json, shutil, sys
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
    "rnn_hidden_sizes=[8],embed_size=4,batch_size=4,sequence_size=8,dropout=0.2,"
    "learning_rate_schedule=constant")
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
told = [train(alone, "none", 30)]
shutil.copytree(alone, both, ignore=shutil.ignore_patterns("*[23]0"))
told += [train(both, "mirrored", 20), train(both, "none", 30)]
print(json.dumps(told))
"""


def saved(log_dir):
    """What the latest checkpoint holds, by name."""
    path = str(max((log_dir / "checkpoints").glob("step-*")) / "state")
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name}


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """A folder of two runs, and what was told of the three sittings."""
    folder = tmp_path_factory.mktemp("replicas")
    ended = subprocess.run(
        [sys.executable, "-c", REPLICAS, str(folder)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return folder, json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.slow
def test_one_process_and_two_replicas_go_on_from_each_other(replicas):
    folder, (alone, mirrored, both) = replicas
    assert [told["replicas"] for told in (alone, mirrored, both)] == [1, 2, 1]
    expected, ours = saved(folder / "alone"), saved(folder / "both")
    assert ours.keys() == expected.keys()
    for key, value in expected.items():
        # 30 updates of weights near 1, each off by a few units in the last of 24 bits.
        np.testing.assert_allclose(ours[key], value, rtol=1e-5, atol=1e-5, err_msg=key)
    assert both["best"] == pytest.approx(alone["best"], abs=1e-5)


@pytest.mark.slow
def test_two_replicas_write_the_metrics_of_one(replicas):
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


def test_who_is_alone_changes_nothing():
    value = {"x": tf.ones([2])}
    alone = SINGLE_PROCESS
    for method in (alone.rows, alone.gather, alone.sum, alone.first):
        assert method(value) is value
    assert alone.any(True, False) == (True, False)
    assert (alone.is_chief, alone.num_replicas) == (True, 1)


def test_a_batch_is_shared_evenly():
    strategy = Replicas(tf.distribute.OneDeviceStrategy("CPU:0"), Cluster(("here",), 0))
    strategy.num_replicas = 4
    distribute.check_batch_size(8, strategy)
    with pytest.raises(ValueError, match="4 replicas can share evenly, got 6.*batch_size=8, say"):
        distribute.check_batch_size(6, strategy)


def test_an_unknown_strategy_is_told():
    with pytest.raises(ValueError, match="expected a strategy of none, mirrored.*got 'both'"):
        distribute.start("both", {}, seconds=1)


@pytest.fixture
def third():
    """The third of a chief and two workers; on one device, so that it can be here."""
    cluster = Cluster(("c:1", "a:1", "b:1"), 2, has_chief=True)
    return Replicas(tf.distribute.OneDeviceStrategy("CPU:0"), cluster)


@pytest.mark.parametrize("message,who", [
    ("at /job:worker/task:1 and /job:worker/replica:0/task:0: gone", "worker 1 (a:1)"),
    ("/job:chief/replica:0/task:0 does not answer", "the chief (c:1)"),
    ("Socket closed", "another worker"),
])
def test_who_is_gone_is_named(third, message, who):
    with pytest.raises(LostWorkerError) as caught, third.peer_errors():
        raise tf.errors.UnavailableError(None, None, message)
    assert str(caught.value).startswith(f"{who} is gone, so this worker ends too. The same command")


def test_errors_of_this_worker_stay_what_they_are(third):
    with pytest.raises(tf.errors.ResourceExhaustedError), third.peer_errors():
        raise tf.errors.ResourceExhaustedError(None, None, "no memory at /job:worker/task:0")
