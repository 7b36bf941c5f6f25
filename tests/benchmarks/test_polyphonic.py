# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The benchmark of polyphonic music: its rows, its table, and what it says of samples."""

import json
import re

import numpy as np
import pytest

from benchmarks.quality import free_running, polyphonic, polyphonic_models
from examples.midi.data import archives
from examples.midi.output.roll_statistics import statistics_of

RNG = np.random.default_rng(0)


def pieces(count=12, frames=20, pitch=40):
    """Four notes a frame, each held for two frames."""
    calls = []
    for _ in range(count):
        notes = pitch + RNG.integers(0, 20, size=[frames // 2, 4])
        roll = np.zeros([frames // 2, 88], np.uint8)
        np.put_along_axis(roll, notes, 1, axis=1)
        calls.append(np.repeat(roll, 2, axis=0))
    return calls


def test_every_recipe_can_be_read():
    for name, recipe in polyphonic.RECIPES.items():
        hparams = recipe.hparams(0.5)
        assert hparams.transpose_steps == round(
            recipe.num_steps(0.5) * (1 - recipe.no_transpose_fraction)), name
        assert (hparams.decoder == "masked") == ("masked" in name)
        assert hparams.vae_type.lower() == name.split("-")[0]
    fivo, iwae, elbo = (polyphonic.RECIPES[f"vrnn-{bound}"] for bound in ("fivo", "iwae", "elbo"))
    for other in (iwae, elbo):  # differ in the bound of training alone
        assert {d.name for d in fivo.hparams().diff(other.hparams())} <= {
            "train_bound", "train_samples"}
        assert (fivo.steps, fivo.bound, fivo.samples) == (other.steps, other.bound, other.samples)


def test_an_average_over_seeds_is_of_probabilities_at_each_frame():
    nats = np.log([[0.5, 0.25, 0.1], [0.25, 0.5, 0.1]])
    expected = -np.log([0.375, 0.375, 0.1]).mean()
    assert polyphonic_models.averaged(list(nats)) == pytest.approx(expected)
    # No worse than the average of the figures, and better where they differ.
    assert expected < -nats.mean()


def test_only_samples_like_the_music_are_within_its_spread():
    music = pieces(200)
    alike = free_running.compare(pieces(20), music)
    within = [result["distance"] <= result["spread"] for result in alike.values()]
    assert sum(within) >= len(within) - 1  # 5 % each are beyond it by chance
    # Two octaves lower, and a note at a time rather than four.
    other = [roll * (np.cumsum(roll, 1) == 1) for roll in pieces(20, pitch=17)]
    strange = free_running.compare(other, music)
    for name in ("notes_per_frame", "density", "pitch_classes", "intervals", "held"):
        assert strange[name]["distance"] > 2 * strange[name]["spread"], name
    assert strange["notes_per_frame"]["samples"] == statistics_of(other)["notes_per_frame"]
    text = free_running.table([("one", alike), ("other", strange)])
    columns = text.splitlines()[0].split(" | ")
    assert len(set(columns)) == len(columns)
    assert text.splitlines()[-1].count("(!)") >= 5 and text.splitlines()[2].count("within") == 6


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "music.npz"
    archives.save(path, {split: pieces(3, 8) for split in archives.SPLITS})
    return path


def tiny(monkeypatch, *, steps=1):
    overrides = ("vae_type=RNN,rnn_hidden_sizes=[4],batch_size=2,num_shards=1,sequence_size=8,"
                 "recall=0,beats=0,relative_channels=0")
    monkeypatch.setattr(polyphonic, "RECIPES", {
        "rnn": polyphonic_models.Recipe(overrides, steps, 0.5, "elbo", 1, "8.71 RNN")})
    monkeypatch.setattr(polyphonic_models, "_SAMPLES", 3)
    monkeypatch.setattr(polyphonic_models, "_SAMPLE_FRAMES", 4)


def test_results_are_measured_once_and_averaged(archive, tmp_path, monkeypatch, capsys):
    runs, results = tmp_path / "runs", tmp_path / "results"

    def run(seeds):
        return polyphonic.program.run(["run", str(archive), "--log-dir", str(runs), "--results",
                                       str(results), "--seeds", seeds])

    tiny(monkeypatch)
    assert run("0") == 0
    row = json.loads((results / "rnn-0.json").read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == row
    assert row["bound"] == "exact" and row["train_seconds"] >= 0
    assert row["updates"] == 1 and row["steps"] == 24
    assert row["command"] == (
        "python -m benchmarks.quality.polyphonic run music.npz --models rnn --seeds 0")
    assert {"machine", "date", "best_step", "valid_nats_per_step"} <= set(row)
    assert set(row["free_running"]) == set(free_running.STATISTICS)
    frames = np.load(runs / "rnn-0" / "test.npy")
    assert len(frames) == 24
    assert -frames.mean() == pytest.approx(row["nats_per_step"], rel=1e-5)

    # Existing results are kept; another seed is added.
    monkeypatch.delattr(polyphonic_models, "run")
    (results / "rnn-1.json").write_text(json.dumps({**row, "seed": 1, "nats_per_step": 50.0}))
    (runs / "rnn-1").mkdir()
    np.save(runs / "rnn-1" / "test.npy", np.full(24, -50.0))
    assert run("0,1") == 0
    average = json.loads((results / "rnn-average.json").read_text())
    expected = polyphonic_models.averaged([frames, np.full(24, -50.0)])
    assert average["nats_per_step"] == pytest.approx(expected)
    printed = capsys.readouterr().out
    median = (row["nats_per_step"] + 50) / 2
    assert f"| rnn | {median:.3f} ({row['nats_per_step']:.3f}, 50.000) | exact | 1 |" in printed
    assert f"| rnn, 2 averaged | {expected:.3f} | exact |" in printed
    assert "8.71 RNN" in printed and "| rnn, seed 1 |" in printed
    assert polyphonic.program.run(["table", "--results", str(results)]) == 0
    assert printed.endswith(capsys.readouterr().out)
    tiny(monkeypatch, steps=3)
    assert run("0") == 2
    assert "got one with other hparams, updates. Remove it" in capsys.readouterr().err


def test_a_result_of_other_music_is_refused(archive, tmp_path, monkeypatch, capsys):
    tiny(monkeypatch)
    words = ["run", str(archive), "--log-dir", str(tmp_path / "runs"), "--results",
             str(tmp_path / "results"), "--seeds", "0"]
    assert polyphonic.program.run(words) == 0
    archives.save(archive, {split: pieces(3, 8, pitch=30) for split in archives.SPLITS})
    assert polyphonic.program.run(words) == 2
    assert "got one with other music. Remove it" in capsys.readouterr().err


def test_published_figures_are_of_a_set_of_music(tmp_path, capsys):
    folder = polyphonic._RESULTS / "musedata"
    assert polyphonic.program.run(["table", "--results", str(folder)]) == 0
    header, _, *lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert header.endswith("| published |")
    assert any(line.endswith("| 5.60 RNN-NADE, MuseData |") for line in lines)
    for recipe in polyphonic.RECIPES.values():
        assert recipe.published.split(", ")[-1] in ("JSB", "Nottingham", "MuseData")


def test_commands_of_the_repository_allow_the_time_of_their_runs():
    for path in polyphonic._RESULTS.rglob("*.json"):
        row = json.loads(path.read_text())
        if "command" in row:  # not an average
            match = re.search(r"--max-minutes ([\d.]+)", row["command"])
            limit = float(match[1]) if match else polyphonic._MAX_MINUTES
            assert row["step"] == row["updates"] and row["train_seconds"] <= 60 * limit, path


def test_a_table_without_results_is_refused(tmp_path, capsys):
    assert polyphonic.program.run(["table", "--results", str(tmp_path)]) == 2
    assert "expected results in" in capsys.readouterr().err
