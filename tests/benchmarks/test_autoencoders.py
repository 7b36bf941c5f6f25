# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The benchmarks of sequence autoencoders: what they score, and the results that they keep."""
import pytest

from benchmarks.quality import autoencoders, collapse, disentanglement
from tests.in_process import runner

TEXT = "".join(f"{'abcdefgh'[:2 + number % 7]}\n" for number in range(200))


@pytest.mark.parametrize(("size", "expected"), [
    (4, [0, 1, 3, 5]), (1, [0]), (7, list(range(7))), (100, list(range(7)))])
def test_what_is_scored_is_spread_over_all(size, expected):
    assert autoencoders.evenly_spread(range(7), size) == expected
    assert autoencoders.evenly_spread([], size) == []


def test_the_test_set_is_spread_over_all_of_it(tmp_path):
    (tmp_path / "lines.txt").write_text(TEXT)
    options = autoencoders.program.parse([
        "run", "--corpus", str(tmp_path / "lines.txt"), "--log-dir", str(tmp_path / "runs"),
        "--test-size", "6"])
    data = autoencoders.data_of(options)
    scored = [data.decode(line) for line in data.splits[2]]
    last = TEXT.splitlines(True)[-10:]
    assert scored == [last[place] for place in (0, 1, 3, 5, 6, 8)]


def run_stubbed(module, words, monkeypatch, capsys):
    """Runs a benchmark in which nothing is measured."""
    def measured(*_):
        raise AssertionError("The result exists.")

    monkeypatch.setattr(module, "_measure", measured)
    return runner(module.program, capsys)("run", *words)


@pytest.mark.parametrize(("module", "name", "options"), [
    *[(autoencoders, name, ("--seeds", "0,1,2"))
      for name in ("tinyshakespeare", "jsb_chorales", "nottingham")],
    (collapse, "tinyshakespeare",
     ("--seeds", "0,1,2", "--rows", "none,dropout,weight,free-bits,lagging,reset")),
    (collapse, "nottingham", ("--rows", "weight,conductor"))])
def test_results_of_the_repository_are_those_of_its_recipes(
        module, name, options, tmp_path, monkeypatch, capsys):
    class Judges:
        def __init__(self, *_):
            pass

        def figures_of_data(self):
            return {}

    monkeypatch.setattr(autoencoders, "_Judges", Judges)
    corpus = tmp_path / name  # the results go by its name alone
    corpus.write_text(TEXT)
    words = ["--corpus", corpus, "--log-dir", tmp_path / "runs", *options]
    ended = run_stubbed(module, words, monkeypatch, capsys)
    assert ended.status == 0, ended.err
    ended = run_stubbed(module, [*words, "--units", "64"], monkeypatch, capsys)
    assert ended.status == 2 and "got one with other settings. Remove it" in ended.err
    if module is autoencoders:
        ended = run_stubbed(module, [*words, "--num-steps", "9"], monkeypatch, capsys)
        assert ended.status == 2 and "got one with other updates. Remove it" in ended.err


def test_results_of_other_updates_or_latents_are_not_those_of_the_waves(
        tmp_path, monkeypatch, capsys):
    words = ["--log-dir", tmp_path, "--betas", "0.1,1,4,16", "--seeds", "0,1"]
    assert run_stubbed(disentanglement, words, monkeypatch, capsys).status == 0
    for option, name in (("--num-steps", "updates"), ("--latent-size", "latent_size")):
        ended = run_stubbed(disentanglement, [*words, option, "9"], monkeypatch, capsys)
        assert ended.status == 2 and f"got one with other {name}. Remove it" in ended.err
