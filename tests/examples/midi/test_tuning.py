# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi tune: resumed runs, refused options. The laws of tuning are in tests/tuning."""

import json
import shutil

import numpy as np
import pytest

from examples.midi.data import archives, sources
from examples.midi.data.piano_roll import Grid
from examples.midi.hparams import MidiHParams
from examples.midi.model import MidiModel
from examples.midi.tuning import rewards
from tests.in_process import assert_one_line
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.tuning.choices import ChoicesFile

TINY = MidiHParams().parse(
    "lowest_note=60,highest_note=61,rnn_hidden_sizes=[8],masked_hidden_size=8,transpose=0,"
    "relative_channels=0,recall=0,context_skip=false,context_dropout=0,decoder_dropout=0,"
    "batch_size=2,sequence_size=8,num_shards=1,latent_size=2,latent_decoder_fc_layers=[4],"
    "log_prob_samples=2,dropout=0,grid=4")
MEAN = np.array([0.3, 0.4])


TUNE = ["--bars", 2, "--batch-size", 4, "--report-samples", 6, "--save-every", 2,
        "--learning-rate", 0.1]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A run with initial weights and a checkpoint."""
    folder = tmp_path_factory.mktemp("start")
    rng = np.random.default_rng(0)
    pieces = [(rng.random([12, 88]) < 0.04).astype(np.uint8) for _ in range(4)]
    for piece in pieces:
        piece[:, 39] = 1  # middle C
    archives.save(folder / "music.npz", {"train": pieces})
    hparams = TINY.parse("vae_type=ISEQ,decoder=bernoulli")
    music = sources.read(
        [f"{folder / 'music.npz'}:train"], [], 0.25, hparams.frames, lambda line: None)
    model = MidiModel(hparams, folder / "log", mean=MEAN, trained_on=music.description)
    model.build()
    (folder / "log").mkdir()
    model.save_files()
    model.log_dir.create(model.hparams, 0)
    Checkpoints(model.log_dir.checkpoints).save(7, {"gen_core": model.gen_core})
    return folder / "log"


def _weights(log_dir):
    return [variable.numpy() for variable in MidiModel.load(log_dir).gen_core.trainable_variables]


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(start, midi, tmp_path):
    begin = ["tune", "--from", start, *TUNE, "--json"]
    whole = midi(*begin, "--log-dir", tmp_path / "whole", "--num-steps", 3)
    assert whole.status == 0
    report = json.loads(whole.out)
    assert report["step"] == 3 and report["samples"] == 6
    for measured in (report["before"], report["after"]):
        shares = list(measured["rules"].values())
        assert len(shares) == 7 and measured["rules_kept"] == pytest.approx(np.mean(shares))
        # In samples of 2 bars each rule applies somewhere: the reward is the sum of the shares.
        assert measured["reward"] == pytest.approx(7 * measured["rules_kept"])
        assert 0 < measured["nats_per_step"] < 10
    assert json.loads((tmp_path / "whole" / "report.json").read_text()) == report

    parts = tmp_path / "parts"
    stopped = midi(*begin, "--log-dir", parts, "--num-steps", 3, "--max-minutes", 1e-9)
    assert stopped.status == 0 and json.loads(stopped.out)["step"] == 1
    again = midi("tune", "--log-dir", parts, "--num-steps", 3, "--save-every", 2)
    assert again.status == 0 and "step 1: resuming" in again.err
    assert "6 samples of 2 bars" in again.out and "held-out nats per frame" in again.out
    for one, other in zip(_weights(parts), _weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, other)
    moved = [np.abs(one - other).max() for one, other in zip(_weights(parts), _weights(start))]
    assert max(moved) > 1e-4
    assert json.loads((parts / "report.json").read_text()) == report
    lines = [json.loads(line) for line in (parts / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]
    assert {"reward", "kl", "valid_nats_per_step"} <= set(lines[0])

    score = json.loads(midi("evaluate", "--log-dir", parts, "--json").out)
    assert score["nats_per_step"] == pytest.approx(report["after"]["nats_per_step"], rel=1e-5)


def test_tune_refuses_contradictory_options(start, midi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_reward.py").write_text("def f(roll): raise OSError('no')\n")
    tuned, empty = tmp_path / "tuned", tmp_path / "empty"
    # The files of a run with a user's reward, before its first checkpoint.
    shutil.copytree(start, tuned, ignore=shutil.ignore_patterns("checkpoints"))
    (tuned / "tuning.json").write_text(json.dumps({"start": str(start), "reward": "my_reward:f"}))
    shutil.copytree(start, empty, ignore=shutil.ignore_patterns("checkpoints"))
    new = ["tune", "--log-dir", tmp_path / "new"]
    cases = [
        (new, "--from: expected the log directory of the model to tune; got none"),
        ([*new, "--from", tmp_path], "expected the log directory of a vaeseq-midi run"),
        ([*new, "--from", tmp_path / "no"], "no such directory"),
        ([*new, "--from", empty], "--from: expected a checkpoint in"),
        ([*new, "--from", start, "--reward", "rules"],
         "expected 'choices', 'counterpoint', "),
        ([*new, "--from", start, *2 * ["--reward", "counterpoint"]], "expected different rewards"),
        ([*new, "--from", start, "--reward", "counterpoint:2"], "takes no argument"),
        ([*new, "--from", start, "--strength", 0, "--kl-target", 0.1],
         "expected a strength above 0"),
        ([*new, "--from", start, "--reward", "my_reward:f", *TUNE],
         "the reward 'my_reward:f' failed with OSError: no (--debug shows where)"),
        ([*new, "--from", start, "--batch-size", 1], "at least 2"),
        ([*new, "--from", start, "--strength", "nan"], "expected a finite number"),
        (["tune", "--log-dir", start], "holds a run that was not begun by tune"),
        (["tune", "--log-dir", tuned], "tuned with the reward 'my_reward:f'. Give it again"),
        (["tune", "--log-dir", tuned, "--strength", 3], "--strength: "),
        (["tune", "--log-dir", tuned, "--from", empty], "--from: "),
        (["train", "--log-dir", tuned], "holds a tuned model. Resume with `vaeseq-midi tune`"),
    ]
    for words, message in cases:
        assert_one_line(midi(*words), message)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"start": 1, "reward": ""}',
                                  '{"start": "a", "reward": "b", "strength": "high"}',
                                  '{"start": "a", "reward": "b", "more": 1}'])
def test_a_damaged_tuning_file_is_refused(text, start, midi, tmp_path):
    shutil.copytree(start, tmp_path / "log")
    (tmp_path / "log" / "tuning.json").write_text(text)
    ended = midi("tune", "--log-dir", tmp_path / "log")
    assert ended.status == 2 and "tuning.json" in ended.err and "damaged" in ended.err


def test_a_record_of_choices_is_the_roll():
    grid = Grid(lowest=60, highest=64, onsets=True)
    roll = (np.random.default_rng(0).random([6, grid.columns]) < 0.3).astype(np.uint8)
    np.testing.assert_array_equal(rewards.to_roll(rewards.from_roll(roll), grid), roll)
    for content in (None, [], "ab", [[10]], [[-1]], [[True]], [["1"]], [0], [[0], None]):
        with pytest.raises(ValueError, match="expected a list of frames"):
            rewards.to_roll(content, grid)


def test_prefer_measures_a_reward_of_rolls(start, midi, tmp_path):
    rng = np.random.default_rng(0)
    with ChoicesFile(tmp_path / "choices.jsonl") as file:
        for _ in range(20):
            counts = rng.integers(0, 3, [2, 5])
            first, second = ([list(range(count)) for count in row] for row in counts)
            file.append("ann", first, second,
                        "first" if counts[0].sum() > counts[1].sum() else "second")
    ended = midi("prefer", "--log-dir", start, "--choices", tmp_path / "choices.jsonl")
    assert ended.status == 0 and "4 held-out choices" in ended.out, ended.err
    assert "one reward for all" in ended.out and "each listener" not in ended.out
