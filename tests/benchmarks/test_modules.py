# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Every benchmark can be imported, and its commands show their help."""

import importlib
import pkgutil

import pytest

import benchmarks
from tests.in_process import runner

MODULES = [module.name for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")]


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_shows_the_help_of_each_command(name, capsys):
    if name.startswith("benchmarks.peers.torch_"):
        pytest.importorskip("torch")
    program = getattr(importlib.import_module(name), "program", None)
    for command in program.commands if program else ():
        assert f"python -m {name} " in runner(program, capsys)("--help").out
        ended = runner(program, capsys)(command.name, "--help")
        assert ended.status == 0 and command.help in ended.out


@pytest.mark.parametrize("name", MODULES)
def test_a_wrong_seed_of_a_benchmark_is_a_wrong_use(name, capsys):
    if name.startswith("benchmarks.peers.torch_"):
        pytest.importorskip("torch")
    program = getattr(importlib.import_module(name), "program", None)
    for command in program.commands if program else ():
        run = runner(program, capsys)
        if "--seeds " in run(command.name, "--help").out:
            ended = run(command.name, "--seeds", "0,x")
            assert ended.status == 2 and "--seeds: " in ended.err and "'x'" in ended.err
