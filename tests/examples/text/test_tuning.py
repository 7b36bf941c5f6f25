# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text tune and prefer: rewards, choices, resumed runs, refused options."""

import json
import math
import types

import numpy as np
import pytest

from examples.midi.cli import program as midi_program
from examples.text.cli import program as text_program
from examples.text.model import TextModel
from tests.in_process import assert_one_line
from vaeseq.cli import tuning_options
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.train.trainer import TrainResult
from vaeseq.tuning.choices import ChoicesFile

TUNE = ["--length", 12, "--batch-size", 8, "--report-samples", 8, "--save-every", 2,
        "--learning-rate", 0.01]


@pytest.fixture(scope="module")
def choices(tmp_path_factory):
    """A file of two listeners, of whom one likes the letter e and the other does not."""
    path = tmp_path_factory.mktemp("choices") / "choices.jsonl"
    rng = np.random.default_rng(0)
    with ChoicesFile(path) as file:
        for number in range(40):
            first, second = ("".join(rng.choice(list("ehtq "), 8)) for _ in range(2))
            more = first.count("e") > second.count("e")
            name = ("likes", "dislikes")[number % 2]
            file.append(name, first, second, "first" if more == (name == "likes") else "second")
    return path


def _weights(log_dir):
    return [variable.numpy() for variable in TextModel.load(log_dir).gen_core.trainable_variables]


@pytest.mark.slow
def test_text_is_tuned_towards_a_sum_of_rewards_and_resumed(trained, run, choices, tmp_path):
    """A discriminator and a preference model are part of the checkpoints; MIXER's border moves."""
    begin = ["tune", "--from", trained.log_dir, *TUNE, "--num-steps", 3, "--reward",
             "discriminator", "--reward", f"2*listener:likes:{choices}", "--reward", "lines:.*e.*",
             "--mixer-every", 2, "--mixer-by", 5, "--mixer-end", 3]
    whole = run(*begin, "--log-dir", tmp_path / "whole", "--json", status=0)
    report = json.loads(whole.out)
    parts = report["after"]["parts"]
    assert set(parts) == {"discriminator", f"listener:likes:{choices}", "lines:.*e.*"}
    weighted = (parts["discriminator"] + 2 * parts[f"listener:likes:{choices}"]
                + parts["lines:.*e.*"])
    assert report["after"]["reward"] == pytest.approx(weighted)
    assert 0 < report["after"]["distinct"] <= 1 and 0 < report["after"]["nats_per_step"] < 10
    stopped = run(*begin, "--log-dir", tmp_path / "parts", "--max-minutes", 1e-9)
    assert stopped.status == 0 and "Step 1: time is up" in stopped.out
    again = run(*begin, "--log-dir", tmp_path / "parts")
    assert again.status == 0 and "step 1: resuming" in again.err
    assert "held-out nats per character" in again.out and "discriminator" in again.out
    for one, other in zip(_weights(tmp_path / "parts"), _weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, other)
    line = json.loads((tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"reward", "kl", "strength", "reward/discriminator", "valid_nats_per_step"} <= set(line)


@pytest.mark.slow
def test_tuning_begins_with_the_averaged_weights(trained, run, tmp_path):
    run("train", "--log-dir", tmp_path / "log", "--train-corpus", trained.corpus, "--hparams",
        "rnn_hidden_sizes=[12],weight_average=0.9,precision=float64", "--num-steps", 40, status=0)
    averaged = _weights(tmp_path / "log")
    begin = ["tune", "--from", tmp_path / "log", *TUNE, "--reward", "lines:.*e.*"]
    for steps in (1, 2):  # begun, and resumed
        run(*begin, "--log-dir", tmp_path / "tuned", "--num-steps", steps, status=0)
    model = TextModel.load(tmp_path / "tuned")
    assert model.hparams.weight_average == 0
    assert Checkpoints(tmp_path / "tuned" / "checkpoints").restore({"prior": model.gen_core}) == 2
    for one, other in zip(model.gen_core.trainable_variables, averaged, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_end_of_tuning_names_commands_that_find_the_model(tmp_path, capsys):
    class Tuned:
        model = types.SimpleNamespace(unit="character")

        def run(self, **_):
            return TrainResult(3, "stopped", math.inf, 1.0), None

    options = ["tune", "--log-dir", str(tmp_path / "log"), "--model-module", "my_models"]
    for program in (text_program, midi_program):
        tuning_options.run(program.parse(options), Tuned(), program.name, "12 characters")
        assert (f"{program.name} generate --log-dir {tmp_path}/log --model-module my_models\n"
                in capsys.readouterr().out)


def test_every_session_appends_to_the_choices_of_a_run(tmp_path):
    (tmp_path / "run.json").touch()
    choices = tmp_path / "choices.jsonl"
    for program, command in ((text_program, "read"), (midi_program, "listen")) * 2:
        words = [command, "--log-dir", str(tmp_path), "--choices", str(choices)]
        assert program.parse(words).choices == choices
        choices.touch()


def test_prefer_measures_rewards_on_held_out_choices(trained, run, choices):
    ended = run("prefer", "--log-dir", trained.log_dir, "--choices", choices, "--json", status=0)
    learnt = json.loads(ended.out)
    assert (learnt["choices"], learnt["listeners"]) == (40, 2)
    for name in ("one_reward", "reward_of_each_listener"):
        accuracy = learnt[name]["accuracy"]
        assert learnt[name]["pairs"] == 8
        assert learnt[name]["standard_error"] == pytest.approx(
            np.sqrt(accuracy * (1 - accuracy) / 8))
    assert "Learning a reward for each of 2 listeners" in ended.err


def test_choices_of_neither_measure_nothing(trained, run, choices, tmp_path):
    neither = tmp_path / "neither.jsonl"
    neither.write_text("".join(
        json.dumps({**json.loads(line), "choice": "neither"}) + "\n"
        for line in choices.read_text().splitlines()))
    prefer = ["prefer", "--log-dir", trained.log_dir, "--choices", neither]
    learnt = json.loads(run(*prefer, "--json", status=0).out, parse_constant=pytest.fail)
    assert (learnt["one_reward"]["accuracy"], learnt["one_reward"]["pairs"]) == (None, 0)
    assert "No held-out choice is of one of both" in run(*prefer, status=0).out


def test_tune_and_prefer_refuse_what_they_cannot_follow(trained, run, choices, tmp_path):
    few, bad, strange = (tmp_path / name for name in ("few", "bad", "strange"))
    few.write_text("".join(choices.read_text().splitlines(keepends=True)[:3]))
    bad.write_text("[]\n")
    strange.write_text(json.dumps({
        "id": "1", "listener": "a", "first": [1], "second": "b", "choice": "first"}) + "\n")
    new = ["tune", "--log-dir", tmp_path / "new", "--from", trained.log_dir]
    prefer = ["prefer", "--log-dir", trained.log_dir, "--choices"]
    cases = [
        (new, "--reward: expected what to tune towards; got none"),
        ([*new, "--reward", "json", "--length", 9, "--mixer-every", 1, "--mixer-end", 9],
         "--mixer-end: expected less than the length of a sample, 9; got 9"),
        ([*new, "--reward", "jsn"], "'json', 'lines', 'listener'"),
        ([*new, "--reward", "json:2"], "--reward 'json:2': this reward takes no argument"),
        ([*new, "--reward", "regex:("], "expected a regular expression, got '('"),
        ([*new, "--reward", "regex"], "expected a regular expression after the colon"),
        ([*new, "--reward", f"bleu:{tmp_path}/no"], "no such file"),
        ([*new, "--reward", f"choices:{tmp_path}/no"], "expected a file of choices; there is no"),
        ([*new, "--reward", f"choices:{bad}"], "line 1: expected a JSON object of a choice"),
        ([*new, "--reward", f"listener:ann:{choices}"],
         "expected a listener among 'likes', 'dislikes'; got 'ann'"),
        ([*new, "--reward", f"listener:dr:who:{choices}"], "got 'dr:who'"),
        ([*new, "--reward", "json", "--mixer-every", 1, "--batch-size", 6],
         "--batch-size: expected a multiple of 4 with --mixer-every"),
        ([*new, "--reward", "json", "--mixer-every", 1, "--batch-size", 4000],
         "as the model's batches have"),
        ([*new, "--reward", "json", "--mixer-every", 1, "--batch-size", 8, "--length", 9000],
         "--length: expected at most"),
        ([*prefer, few], "expected at least 10 choices to learn from, found 3"),
        ([*prefer, bad], "line 1: expected a JSON object of a choice"),
        ([*prefer, strange], "choice 1: expected a text, got [1]"),
        ([*prefer, tmp_path / "no"], "no such file"),
        (["read", "--log-dir", trained.log_dir, "--choices", bad], "line 1: expected"),
        (["read", "--log-dir", trained.log_dir, "--listener", "", "--choices", few],
         "--listener: expected a name"),
    ]
    for words, message in cases:
        assert_one_line(run(*words), message)
