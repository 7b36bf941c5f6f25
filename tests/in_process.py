# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Runs a program's command in the process of the test; reads what a run has saved."""

import contextlib
import re
import socket
import time
from typing import NamedTuple


class Ended(NamedTuple):
    """The exit status of a command and its output."""

    status: int
    out: str
    err: str


def runner(program, capsys):
    """Returns a function that runs a command of `program`, given its words and expected status."""
    def run(*words, status=None):
        capsys.readouterr()
        ended = Ended(program.run([str(word) for word in words]), *capsys.readouterr())
        assert status in (None, ended.status), ended
        return ended

    return run


def assert_one_line(ended, message):
    """Asserts that a command failed with one line of error, which contains `message`."""
    assert ended.status in (1, 2), ended
    errors = re.findall(r"^vaeseq-\w+: error: .*$", ended.err, re.M)
    assert len(errors) == 1 and message in errors[0], ended
    assert "Traceback" not in ended.err


def assert_refused(ended, message):
    """Asserts that a command was used wrongly, and printed one line of error and nothing else."""
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1), ended
    assert_one_line(ended, message)


def wait_for(path):
    """Waits until a file exists; in a folder, until there is one in it."""
    for _ in range(3000):
        if path.exists() and (path.is_file() or any(path.iterdir())):
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} was not written")


def saved(log_dir, kind="step"):
    """Returns the arrays of the latest checkpoint by the names of their variables."""
    import tensorflow as tf
    reader = tf.train.load_checkpoint(
        str(max((log_dir / "checkpoints").glob(f"{kind}-*")) / "state"))
    return {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


def free_addresses(count):
    """Returns the addresses, "host:port", of free ports of this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple("{}:{}".format(*one.getsockname()) for one in sockets)
