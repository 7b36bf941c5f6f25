# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The kinds of hostile input of `fuzz`: each makes one case, a command line and its files.

A case is a pure function of its random generator and the space it is made in; the case's folder,
`space.case`, is empty before and is thrown away after.
"""
from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import fuzz_files
from .driven import DRIVEN
from .fuzz_mutations import TOKENS, Rng, pick, planted, spoil, spoil_json, spoil_text


class Space(NamedTuple):
    """Where cases are made.

    Attributes:
      case: the folder of one case, the current directory of its command.
      made: what was made before all cases and is only read: for each program, by its name, a
        folder with `log`, a trained run, and the data it was trained on.
      mark: a directory that is there only if a planted payload ran.
      home: the home directory, with the cache folder.
    """

    case: Path
    made: Path
    mark: Path
    home: Path

    def said(self, stream: str) -> Path:
        """Where a command's "out" or "err" goes."""
        return self.home / stream

    def log(self, program: str) -> Path:
        """The run of a program, only to be read."""
        return self.made / program / "log"

    def copied_log(self, program: str) -> Path:
        """A copy of it, to be spoilt or trained on."""
        return Path(shutil.copytree(self.log(program), self.case / "log"))

    def data(self, program: str) -> str:
        """How what the run was trained on is named."""
        return (self.made / program / "data").read_text("utf-8")


class Case(NamedTuple):
    """One command with hostile input.

    Attributes:
      program: its name in `DRIVEN`.
      words: of the command line.
      anywhere: whether it names its outputs itself, so that it may write anywhere in the case's
        folder; otherwise only in its log directory.
    """

    program: str
    words: list[str]
    anywhere: bool = False


PROGRAMS = tuple(DRIVEN)
_NAMES = ("plain", "with spaces", "it's \"quoted\"", "new\nline", "no\udcff\udc80utf8", "-dash",
          "--log-dir", "weird*[a-z]?", "é\u0301", "🎵", "a=b,c", "%s$(id)`id`", "~", "x" * 200,
          "file.npz:train", "\x1b[31mred")
_TEXTS = tuple(text.encode() for text in (
    "the quick brown fox jumps over the lazy dog.\n" * 20, "天地玄黃。" * 90,
    "\ufeffcrème brûlée\r\n" * 80, "🙂🙃\u200d\u0301e\u0301 السلام" * 60, "ab" * 400,
    "\0\1\2 " * 300))


def _path(rng: Rng, space: Space, content: bytes, suffix: str = "") -> str:
    """A file with this content under a strange name; now and then something that is no file."""
    name = pick(_NAMES, rng) + suffix
    path = space.case / name
    odd = int(rng.integers(60))
    if odd == 0:
        path.mkdir()
    elif odd == 1:
        os.mkfifo(path)
    elif odd == 2:
        path.symlink_to(name)  # to itself
    elif odd == 3:
        path.symlink_to("/dev/zero")
    elif odd == 4:
        return pick(("", "/dev/null", "/proc/self/mem", "/nothing/here", "a" * 5000), rng)
    elif odd != 5:
        path.write_bytes(content)
    return name if rng.random() < 0.5 else str(path)


def corpora(rng: Rng, space: Space) -> Case:
    """A text that is none, or hardly one."""
    path = _path(rng, space, spoil(pick(_TEXTS, rng), rng, _TEXTS))
    log, new = str(space.log("text")), str(space.case / "log")
    small = DRIVEN["text"].small
    return Case("text", pick((
        ["evaluate", "--log-dir", log, "--eval-corpus", path],
        ["evaluate", "--log-dir", log, "--eval-corpus", path, path, "--json"],
        ["generate", "--log-dir", log, "--vocab-corpus", path],
        ["train", "--log-dir", new, "--num-steps", "1", "--hparams", small, "--train-corpus", path],
        ["train", "--log-dir", new, "--num-steps", "1", "--hparams", small, "--valid-corpus", path],
        ["train", "--log-dir", new, "--num-steps", "1", "--hparams", small, "--vocab-corpus", path,
         "--train-corpus", space.data("text")]), rng))


def _music(rng: Rng, space: Space, name: str) -> Case:
    log, new = str(space.log("midi")), str(space.case / "log")
    train = ["train", "--log-dir", new, "--num-steps", "1", "--hparams", DRIVEN["midi"].small]
    return Case("midi", pick((
        ["evaluate", "--log-dir", log, "--eval-files", name],
        ["evaluate", "--log-dir", log, "--eval-files", name, space.data("midi"), "--json"],
        ["generate", "--log-dir", log, "--out-dir", str(space.case / "log"), "--length", "1",
         "--prime", name],
        [*train, "--train-files", name],
        [*train, "--train-files", space.data("midi"), "--valid-files", name]), rng))


def midi_files(rng: Rng, space: Space) -> Case:
    """A MIDI file that lies or is damaged."""
    content = fuzz_files.midi(rng)
    if rng.random() < 0.6:
        content = spoil(content, rng, [fuzz_files.midi(rng)], [b"MThd", b"MTrk", b"\xff\x51\x03"])
    return _music(rng, space, _path(rng, space, content, ".mid"))


def archives(rng: Rng, space: Space) -> Case:
    """An archive of piano rolls that lies or is damaged."""
    content = fuzz_files.archive(rng, space.mark)
    if rng.random() < 0.4:
        content = spoil(content, rng, [fuzz_files.archive(rng, space.mark)], [b"PK\x03\x04"])
    path = _path(rng, space, content, ".npz")
    return _music(rng, space, path + pick((":train", ":train", ":valid", ":test", "", ":"), rng))


def hparam_strings(rng: Rng, space: Space) -> Case:
    """Hyperparameters as they are typed, or not."""
    name = pick(PROGRAMS, rng)
    known = list(DRIVEN[name].hparams.help_rows())
    items = []
    for _ in range(int(rng.integers(1, 6))):
        key, default, _, _ = pick(known, rng)
        value = pick((default, default, pick(_VALUES, rng), pick(TOKENS, rng)), rng)
        items.append(f"{key}={value}")
    text = ",".join(items)
    if rng.random() < 0.6:
        text = spoil_text(text, rng, [*planted(space.mark), *(row[0] for row in known)])
    log = space.case / "log" if rng.random() < 0.5 else space.copied_log(name)
    return Case(name, pick((
        DRIVEN[name].train(log, space.data(name), text, "--num-steps", "1"),
        [*_sample(name, space.case / "log"), "--log-dir", str(space.log(name)),
         "--hparams=" + text.replace("\0", "")]), rng))


_VALUES = ("0", "1", "2", "7", "1000000", "65536", "[8]", "[8,8]", "[65536]", "[]", "[0]", "0.5",
           "1e-9", "1e9", "RNN", "SRNN", "VRNN", "ISEQ", "fivo", "iwae", "gru", "exp", "true",
           "False", "auto", "masked", "scores", "[" + "1," * 80 + "1]")


def command_lines(rng: Rng, space: Space) -> Case:
    """Options that are unknown, missing, repeated, in disorder, or of a wrong value."""
    name = pick(PROGRAMS, rng)
    command, options = pick(DRIVEN[name].options(), rng)
    log = space.case / "log" if rng.random() < 0.2 else space.copied_log(name)
    words = ["--log-dir", str(log)]
    if command == "train":
        words += [*DRIVEN[name].train(log, space.data(name), DRIVEN[name].small)[3:],
                  "--num-steps", "1"]
    for _ in range(int(rng.integers(1, 4))):
        value = pick((*_VALUES, *TOKENS, *planted(space.mark), "log", "out", space.data(name)), rng)
        option = pick(options, rng)
        words += pick(([option, value], [f"{option}={value}"], [option], [value],
                       [option.replace("-", "_"), value]), rng)
    words = [command, *words]
    for _ in range(int(rng.integers(3))):
        at = int(rng.integers(len(words)))
        words[at:at + 1] = pick((
            [], [words[at]] * 2, [spoil_text(words[at], rng)], [words[at][:-1]],
            [pick(words, rng), words[at]], ["--", words[at]]), rng)
    return Case(name, [word.replace("\0", "")[:100_000] for word in words], anywhere=True)


def run_files(rng: Rng, space: Space) -> Case:
    """A log directory whose vocabulary, hyperparameters or other small files are spoilt."""
    name = pick(PROGRAMS, rng)
    log, spoilt = space.copied_log(name), set()
    for _ in range(pick((1, 1, 1, 2), rng)):
        files = [path for path in log.iterdir() if stat.S_ISREG(path.lstat().st_mode)]
        path = pick(sorted(files), rng)
        odd = int(rng.integers(40))
        if odd < 5:
            _replace(path, odd, space)
        elif path.suffix == ".json" and path not in spoilt:
            path.write_bytes(spoil_json(path.read_text("utf-8"), rng, space.mark))
        else:
            path.write_bytes(spoil(path.read_bytes(), rng, [], [b'{"step": 1}\n']))
        spoilt.add(path)
    return _used(rng, space, name, log)


def checkpoints(rng: Rng, space: Space) -> Case:
    """A log directory whose checkpoints are damaged, or of something else."""
    name = pick(PROGRAMS, rng)
    log = space.copied_log(name)
    folders = sorted(path for path in (log / "checkpoints").iterdir())
    for folder in folders if rng.random() < 0.7 else [pick(folders, rng)]:
        path = pick(sorted(folder.iterdir()), rng)
        odd = int(rng.integers(40))
        if odd < 5:
            _replace(path, odd, space)
        elif odd == 5:
            other = folder.with_name(pick(("step-" + "9" * 30, "step-000000000", "best-1",
                                           "writing-step-000000001", "step"), rng))
            if not other.exists():
                folder.rename(other)
        elif odd < 15:
            _rewrite(folder, rng)
        elif path.suffix == ".index" and odd < 30:
            path.write_bytes(fuzz_files.index(path.read_bytes(), rng))
        else:
            path.write_bytes(spoil(path.read_bytes(), rng))
    return _used(rng, space, name, log)


def _used(rng: Rng, space: Space, name: str, log: Path) -> Case:
    evaluate = ["run", "--num-games", "1"] if name == "play" else ["evaluate"]
    return Case(name, pick((
        [*evaluate, "--log-dir", str(log), "--json"],
        [*_sample(name, log), "--log-dir", str(log)],
        DRIVEN[name].train(log, space.data(name), "", "--num-steps", "6")), rng))


def _sample(name: str, log: Path) -> list[str]:
    """The command that draws a sample, but for --log-dir; it may write only in `log`."""
    if name == "play":
        return ["dream", "--film", str(log / "dream.gif"), "--given", "1", "--length", "1"]
    return ["generate", "--length", "1", *([] if name == "text" else ["--out-dir", str(log)])]


def _replace(path: Path, how: int, space: Space) -> None:
    """Puts something else where a file was."""
    path.unlink()
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    elif how == 2:
        path.symlink_to(space.case / "victim")
    elif how == 3:
        path.symlink_to("/dev/zero")


def _rewrite(folder: Path, rng: Rng) -> None:
    """Writes the tensors of a checkpoint anew, one of them of another shape, type or value."""
    import tensorflow as tf
    prefix = str(folder / "state")
    reader = tf.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_shape_map())
    tensors = {name: reader.get_tensor(name) for name in names}
    name = pick(names, rng)
    value = np.asarray(tensors[name])
    change = int(rng.integers(6))
    if change == 0:
        del tensors[name]
    elif value.dtype.kind in "fiu":
        tensors[name] = (value * np.nan if value.dtype.kind == "f" else value - 10**9,
                         value.astype(np.float16), value[..., None], np.zeros([0], value.dtype),
                         np.array(["x"] * 3, object))[change - 1]
    else:
        tensors[name] = pick((b"", b"\x0a\xff" * 9, spoil(bytes(tensors[name]), rng)), rng)
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=list(tensors), shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(tensor) for tensor in tensors.values()])


KINDS: dict[str, Callable[[Rng, Space], Case]] = {
    kind.__name__: kind for kind in (
        corpora, midi_files, archives, hparam_strings, command_lines, run_files, checkpoints)}

