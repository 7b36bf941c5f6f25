# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Any input leads to a value or to an error in one line, and no payload in it runs."""

import contextlib
import importlib
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from examples.midi.data import archives, loading
from examples.midi.data.piano_roll import Grid
from examples.text.data import reading
from examples.text.data.vocabulary import Vocabulary
from vaeseq.cli.program import as_cli_error
from vaeseq.hparams import HParams
from vaeseq.runs.checkpoint import Checkpoints, SavedNest
from vaeseq.runs.log_dir import LogDir
from vaeseq.train import distribute

TOKENS = st.sampled_from([
    "", "0", "-1", "1e999", "nan", "1" * 400, "null", "true", "[", "[" * 3000, "[]", "{}", "=", ",",
    "a=b", "\0", "\n", "\x1b[2J", "\u202e", "\ufeff", "\u0661", "\udcff", "'", '"', "$(mkdir made)",
    "%s%n", "../", "~", "--", "A" * 5000, "!!python/object/apply:os.mkdir [made]",
    "__import__('os').mkdir('made')"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | TOKENS
    | st.sampled_from([10**400, 1 << 62, 1 << 63, -1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8)
CHANGES = st.lists(st.tuples(
    st.sampled_from(["set", "insert", "cut", "repeat"]), st.floats(0, 1), st.integers(1, 64),
    st.binary(max_size=8) | st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x80" * 9])),
    min_size=1, max_size=4)


@pytest.fixture(autouse=True)
def _planted_payloads_do_not_run(tmp_path, monkeypatch):
    """Asserts that no reader made the directory that the payloads would make."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "made").exists()


@contextlib.contextmanager
def _one_line():
    """Passes over the errors that a program reports in a line; any other one fails the test."""
    try:
        yield
    except (ValueError, OSError, SystemExit) as error:
        _, line = as_cli_error(error)
        assert "unexpected" not in line and "Traceback" not in line


def _changed(content, changes):
    """Returns bytes after changes at places relative to their length."""
    for kind, where, size, new in changes:
        at = int(where * len(content))
        if kind == "set":
            content = content[:at] + new + content[at + len(new):]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "cut":
            content = content[:at] + content[at + size:]
        else:
            content = content[:at] + content[at:at + size] * 3 + content[at + size:]
    return content


def _json(keys):
    """Returns texts that are objects with these keys, other JSON, or none."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, JSON)).map(json.dumps) \
        | JSON.map(json.dumps) | st.text() | TOKENS


TEXTS = st.binary(max_size=200) | st.text(max_size=200).map(
    lambda text: text.encode("utf-8", "surrogatepass"))


@given(TEXTS)
def test_any_file_is_a_text_or_an_error(tmp_path, content):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with _one_line():
        text = "".join(reading.read_file(path))
        assert text.encode("utf-8") == content.removeprefix("\ufeff".encode())


@given(_json(["characters", "oov_buckets"]))
def test_any_text_is_a_vocabulary_or_an_error(text):
    with _one_line():
        vocabulary = Vocabulary.from_json(text, "vocabulary.json")
        assert Vocabulary.from_json(vocabulary.to_json(), "").characters == vocabulary.characters


@given(_json(["cluster", "task"]))
@example('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": true}}')
@example("[" * 100_000)
def test_any_tf_config_is_a_cluster_or_an_error(text):
    with _one_line():
        distribute.parse_tf_config(text)


NAMES = [name for name, *_ in HParams.help_rows()]
_ITEMS = st.tuples(
    st.sampled_from(NAMES) | TOKENS, st.integers().map(str) | TOKENS).map("=".join)


@given(st.lists(_ITEMS, max_size=4).map(",".join) | st.text())
def test_any_overrides_are_hyperparameters_or_an_error(text):
    with _one_line():
        hparams = HParams().parse(text)
        assert HParams.from_json(hparams.to_json()) == hparams


@given(CHANGES)
def test_any_damaged_hyperparameters_are_an_error_or_others(changes):
    content = _changed(HParams().to_json().encode(), changes)
    with _one_line():
        assert isinstance(HParams.from_json(content), HParams)


@given(run=_json(["program", "seed", "version"]), hparams=_json(NAMES))
def test_any_files_in_a_log_directory_are_a_run_or_an_error(tmp_path, run, hparams):
    log_dir = LogDir(tmp_path)
    (tmp_path / "run.json").write_text(run, "utf-8", errors="surrogatepass")
    (tmp_path / "hparams.json").write_text(hparams, "utf-8", errors="surrogatepass")
    with _one_line():
        log_dir.seed()
    (tmp_path / "run.json").write_text('{"program": "vaeseq", "seed": 0}')
    with _one_line():
        log_dir.hparams(HParams)


MIDI = st.lists(st.tuples(
    st.integers(0, 127), st.sampled_from([0x80, 0x90, 0xB0, 0xC0, 0xF0, 0xFF, 0x3C]),
    st.binary(max_size=6)).map(lambda event: bytes(event[:2]) + event[2]),
    max_size=30).map(b"".join)


@given(MIDI, st.integers(0, 0xFFFF), st.integers(0, 3), st.integers(-2, 9), CHANGES | st.just([]))
def test_any_file_is_music_or_an_error(tmp_path, events, division, tracks, excess, changes):
    header = b"MThd" + struct.pack(">IHHH", 6, 1, tracks, division)
    body = events + b"\0\xff\x2f\0"
    path = tmp_path / "music.mid"
    path.write_bytes(_changed(
        header + b"MTrk" + struct.pack(">I", max(0, len(body) + excess)) + body, changes))
    with _one_line():
        assert loading.load([str(path)], Grid(), jobs=1).pieces


class _Payload:
    """Makes a directory when its pickle is loaded."""

    def __reduce__(self):
        return os.mkdir, ("made",)


@pytest.mark.parametrize("run", [
    lambda: pickle.loads(pickle.dumps(_Payload())),
    lambda: eval("__import__('os').mkdir('made')"),
    lambda: subprocess.run("echo $(mkdir made)", shell=True, check=True)],
    ids=["pickle", "eval", "shell"])
def test_a_payload_makes_the_directory_where_it_runs(run, tmp_path):
    run()
    (tmp_path / "made").rmdir()  # fails unless the payload made it


DTYPES = st.sampled_from(["u1", "i4", "f8", "b1", "c8", "U3", "S1", "V2", "M8[s]"])
SHAPES = st.sampled_from([(), (1,), (0, 88), (3, 88), (3, 87), (3, 88, 0)])


@given(rolls=st.tuples(DTYPES, SHAPES), lengths=st.tuples(DTYPES, SHAPES),
       packing=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]),
       planted=st.booleans(), changes=CHANGES | st.just([]))
def test_any_archive_is_rolls_or_an_error(tmp_path, rolls, lengths, packing, planted, changes):
    with zipfile.ZipFile(tmp_path / "rolls.npz", "w", packing) as file:
        for name, (dtype, shape) in (("train", rolls), ("train_lengths", lengths)):
            array = np.ones(shape, dtype) if dtype[0] not in "VM" else np.zeros(shape, dtype)
            if planted:
                array = np.array([_Payload()], object)
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array)
            file.writestr(f"{name}.npy", buffer.getvalue())
    content = (tmp_path / "rolls.npz").read_bytes()
    (tmp_path / "rolls.npz").write_bytes(_changed(content, changes))
    with _one_line():
        archives.load(tmp_path / "rolls.npz", ["train"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory with one checkpoint."""
    folder = tmp_path_factory.mktemp("saved")
    Checkpoints(folder).save(1, {"nest": SavedNest((tf.ones([3, 2]), tf.constant(7)))})
    return folder


@given(st.data(), CHANGES)
def test_any_checkpoint_is_restored_or_an_error(tmp_path, saved, data, changes):
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    copy = shutil.copytree(saved, tmp_path / "copy")
    path = data.draw(st.sampled_from(sorted(file for file in copy.rglob("*") if file.is_file())))
    path.write_bytes(_changed(path.read_bytes(), changes))
    with _one_line():
        Checkpoints(copy).restore({"nest": SavedNest((tf.zeros([3, 2]), tf.constant(0)))})


@pytest.mark.parametrize("module", [
    "examples.text.cli", "examples.midi.cli", "examples.play.commands"])
@given(words=st.lists(TOKENS | st.text() | st.sampled_from(
    ["train", "evaluate", "generate", "--log-dir", "--seed", "--hparams", "--num-steps"]),
    max_size=6))
def test_any_command_line_is_parsed_or_an_error(module, words):
    with _one_line(), contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module(module).program.parse(words)
