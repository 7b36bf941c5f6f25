# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A core of one's own in a program: `--model-module` names the file that registers it."""

import json
import sys

import pytest

from tests.in_process import assert_one_line
from tests.tiny_text import SMALL, TEXT
from vaeseq import hparams as hparams_lib
from vaeseq import vae

MODULE = '''
import dataclasses
from vaeseq import fields, vae


class Mine(vae.RNN):
    @dataclasses.dataclass(frozen=True)
    class Options:
        mine_depth: int = fields.declare(2, "how deep")


vae.register("MINE", Mine)
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module in the working directory."""
    (tmp_path / "my_models.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(vae, "VAE_TYPES", dict(vae.VAE_TYPES))
    for name in ("_CORE_OPTIONS", "_OPTIONS_OF"):
        monkeypatch.setattr(hparams_lib, name, dict(getattr(hparams_lib, name)))
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    return "my_models"


def test_a_registered_core_trains_and_is_scored(run, module, tmp_path):
    (tmp_path / "corpus.txt").write_text(TEXT, encoding="utf-8")
    ended = run("train", "--log-dir", "log", "--train-corpus", "corpus.txt", "--num-steps", "2",
                "--hparams", f"vae_type=MINE,mine_depth=3,{SMALL}", "--model-module", module)
    assert ended.status == 0, ended.err
    assert f"generate --log-dir log --model-module {module}\n" in ended.out
    assert json.loads((tmp_path / "log" / "hparams.json").read_text())["mine_depth"] == 3
    for option in (f"--model-module={module}", f"--model_module={module}"):
        assert run("evaluate", "--log-dir", "log", option).status == 0
    listed = run("train", "--log-dir", "x", "--model-module", module, "--help-hparams").out
    assert "mine_depth=2" in listed
    del hparams_lib._CORE_OPTIONS["mine_depth"]  # as in a new process
    assert_one_line(run("evaluate", "--log-dir", "log"),
                    "'mine_depth' is no hyperparameter of this version; perhaps it is of a core of "
                    "your own (import its module first; a program does by --model-module)")


def test_a_module_that_cannot_be_imported_is_one_line(run):
    assert_one_line(run("evaluate", "--log-dir", "log", "--model-module", "no_such_module"),
                    "--model-module: expected a Python module that can be imported; "
                    "'no_such_module' raised ModuleNotFoundError")
