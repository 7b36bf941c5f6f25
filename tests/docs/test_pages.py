# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What README and docs show is run: every code block and every command, at small sizes."""

import contextlib
import importlib
import importlib.util
import io
import json
import re
import shutil
import string
import sys
import types
import unittest

import numpy as np
import pytest

from tests import rest_form
from tests.docs import pages
from tests.examples.midi import midi_files
from tests.examples.series import series_data
from vaeseq import vae

PROGRAMS = {
    name: importlib.import_module(f"examples.{module}").program
    for name, module in re.findall(
        r'"(vaeseq-\w+)=vaeseq\.examples\.([\w.]+):main"', (pages.ROOT / "setup.py").read_text())}
# Trained runs that pages use: program and what trains it.
RUNS = {
    "shakespeare": "vaeseq-text train --train-corpus input.txt",
    "chorales": "vaeseq-midi train --train-files my-music/",
    "latent-chorales": "vaeseq-midi train --train-files my-music/ --hparams vae_type=ISEQ",
    "cartpole": "vaeseq-play train",
    "sales": "vaeseq-series train --train-data sales.csv --known promo",
}
# A page that compiles many programs is slow.
SLOW = {"README.md", "docs/evaluation.md", "docs/export.md", "docs/extending.md",
        "docs/fine_tuning.md", "docs/training.md", "docs/tuning.md",
        "docs/missing_values.md", "docs/models.md", "docs/models/seqae.md",
        "docs/models/gaussdiff.md",
        "docs/notebooks/missing_values.md",
        "docs/notebooks/dynamics.md", "docs/notebooks/choosing.md",
        *(f"docs/{kind}/{name}.md" for kind in ("programs", "notebooks")
          for name in ("text", "midi", "play")), "docs/programs/series.md",
        "docs/benchmarks/series.md"}
GAMES = """
import gymnasium
gymnasium.register("MyGame-v0", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=20)
"""


def _runnable(languages):
    matches = [page for page in pages.PAGES
             if any(block.language in languages for block in pages.blocks(page))]
    return [pytest.param(page, id=pages.name(page),
                         marks=[pytest.mark.slow] if pages.name(page) in SLOW else [])
            for page in matches]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that pages name."""
    folder = tmp_path_factory.mktemp("docs")
    prose = "The quick brown fox jumps over the lazy dog.\nROMEO:\n" * 20 + string.printable[:95]
    for name in ("input.txt", "foo.txt", "bar.txt"):
        (folder / name).write_text(prose, encoding="utf-8")
    (folder / "books").mkdir()
    (folder / "books" / "one.txt").write_text(prose, encoding="utf-8")
    midi_files.write_scales(folder / "my-music")
    for number, name in enumerate(("a.mid", "b.mid")):
        shutil.copy(folder / "my-music" / f"{number}.mid", folder / name)
    lengths = np.full([4], 24, np.int32)
    rolls = np.random.default_rng(0).random([96, 88]) < 0.03
    splits = ("train", "valid", "test")
    np.savez(folder / "jsb_chorales.npz", **{split: rolls.astype(np.uint8) for split in splits},
             **{f"{split}_lengths": lengths for split in splits})
    rows = series_data.rows(days=104)
    (folder / "sales.csv").write_text(series_data.csv(
        row for row in rows if row[0].isoformat() < "2024-04-10"), encoding="utf-8")
    (folder / "gaps.csv").write_text(series_data.csv(
        (day, shop, "" if number == 50 else sales, promo)
        for number, (day, shop, sales, promo) in enumerate(rows)), encoding="utf-8")
    (folder / "births.csv").write_text(series_data.csv(
        ((day, sales) for day, shop, sales, _ in rows if shop == "a"), "date,births"),
        encoding="utf-8")
    (folder / "coming.csv").write_text(series_data.csv(
        ((day, shop, promo) for day, shop, _, promo in rows if day.isoformat() >= "2024-04-10"),
        "date,shop,promo"), encoding="utf-8")
    (folder / "my_games.py").write_text(GAMES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("MPLBACKEND", "Agg")
        yield folder


@pytest.fixture(scope="module")
def trained(folder):
    """Trains a run of `RUNS` on first use; gives its directory."""
    def trained(name):
        target = folder / "runs" / name
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            words = pages.small([*RUNS[name].split(), "--log-dir", str(target)])
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                assert PROGRAMS[words[0]].run(words[1:]) == 0, words
        return target

    return trained


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    """A page's own copy of the files, as the current folder."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vae, "VAE_TYPES", dict(vae.VAE_TYPES))  # a page registers a core
    return tmp_path


@pytest.mark.parametrize("page", _runnable({"shell", "python"}))
def test_every_block_of_a_page_runs(page, here, trained, capsys, monkeypatch):
    if "notebooks" in page.parts:
        pytest.importorskip("IPython")
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # where a dataclass looks for its names
    namespace = vars(module)
    shown = [block for block in pages.blocks(page) if block.language in ("shell", "python")]
    for block in shown:
        if block.language == "python" and page.parent.name == "programs":
            (here / "my_rules.py").write_text(block.text, encoding="utf-8")  # named there so
    for block in shown:
        if block.language == "python":
            exec(compile(pages.python(block), pages.name(page), "exec"), namespace)
        else:
            for words in pages.commands(block):
                _run(words, here, trained, capsys)


def _run(words, here, trained, capsys):
    """Runs a program's command; of other commands, checks what they name."""
    if words[0] in PROGRAMS:
        words = pages.small(words)
        for option in ("--log-dir", "--init-from", "--from"):
            run = words[words.index(option) + 1] if option in words else ""
            if run in RUNS and not (here / run).exists() and (option, words[1]) != (
                    "--log-dir", "train"):
                shutil.copytree(trained(run), here / run)
        capsys.readouterr()
        status = PROGRAMS[words[0]].run(words[1:])
        assert status == 0, (words, capsys.readouterr().err)
    elif words[0] == "curl":
        tf = pytest.importorskip("tensorflow")
        request = words[words.index("-d") + 1]
        answer = json.loads(rest_form.answer(tf.saved_model.load(str(here / "served/1")), request))
        assert "error" not in answer, (request, answer)
    elif words[:2] == ["pip", "install"]:
        match = re.fullmatch(r"\.(?:\[([\w,]+)\])?", words[2])
        assert match, words
        for extra in (match[1] or "plot").split(","):
            assert f'"{extra}": ' in (pages.ROOT / "setup.py").read_text(), words
    elif words[0] == "make":
        assert f"\n{words[1]}:" in (pages.ROOT / "Makefile").read_text(), words
    else:
        assert words[0] == "tensorflow_model_server", words


def _contracts(monkeypatch):
    (page,) = (page for page in pages.PAGES if page.name == "extending.md")
    module = types.ModuleType("extending")
    monkeypatch.setitem(sys.modules, "extending", module)  # where a dataclass looks for its names
    namespace = vars(module)
    for block in pages.blocks(page):
        if block.language == "python" and "observed_agent" not in block.text:
            exec(block.text, namespace)
    return {name: value for name, value in namespace.items() if name.startswith("Test")}


@pytest.mark.slow
def test_the_parts_that_a_page_extends_with_keep_their_contracts(here, monkeypatch):
    contracts = _contracts(monkeypatch)
    assert len(contracts) == 4
    for contract in contracts.values():
        for name in (name for name in dir(contract) if name.startswith("test_")):
            with contextlib.suppress(unittest.SkipTest):  # a part without a temperature, say
                getattr(contract(), name)()


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_every_name_and_file_that_a_page_names_exists(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for name in re.findall(r"`(vaeseq(?:\.\w+)+)`", prose):
        _resolve(name)
    for command in re.findall(r"`python -m ([^`]+)`", prose):
        _check_benchmark(*command.split())
    for path in re.findall(r"`((?:vaeseq|examples|benchmarks|tests|docs)/[\w./-]*)`", prose):
        assert (pages.ROOT / path).exists() or "_build" in path, f"{page.name}: {path}"
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]+)?\)", prose):
        assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_every_link_of_a_page_has_a_text(page):
    empty = re.findall(r"(?<!!)\[\]\([^)]*\)", page.read_text(encoding="utf-8"))
    assert not empty, "GitHub shows nothing for these"


def _check_benchmark(module, command, *options):
    """Checks that a benchmark has a command, and the command the options."""
    text = _help(importlib.import_module(module).program, command)
    for option in options:
        assert not option.startswith("--") or option in text, (module, command, option)


def _help(program, command):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert program.run([command, "--help"]) == 0, command
    return output.getvalue()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_page_of_a_program_names_every_option(name):
    page = (pages.ROOT / "docs" / "programs" / f"{name[len('vaeseq-'):]}.md").read_text("utf-8")
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    for command in {command for program, command in pages.SMALL if program == name}:
        matches = re.findall(r"^  .*?(--[\w-]+)", _help(PROGRAMS[name], command), re.M)
        missing = {option for option in matches if f"`{option}" not in prose}
        assert missing <= {"--help-hparams", "--debug", "--help"}, (command, missing)


@pytest.mark.parametrize("name", sorted(vae.VAE_TYPES))
def test_every_model_has_a_page_that_the_overview_links(name):
    page = f"models/{name.lower()}.md"
    assert (pages.ROOT / "docs" / page).is_file()
    assert f"[`{name}`]({page})" in (pages.ROOT / "docs" / "models.md").read_text()


def _resolve(name):
    """The object of a dotted name; an AttributeError says which part is missing."""
    matches, *rest = importlib.import_module("vaeseq"), *name.split(".")[1:]
    for depth, part in enumerate(rest, 2):
        module = ".".join(name.split(".")[:depth])
        if not hasattr(matches, part) and importlib.util.find_spec(module):
            matches = importlib.import_module(module)
        else:
            matches = getattr(matches, part)
    return matches
