# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards: their values on examples, their names, their sums, and warnings of hacking."""

import sys

import numpy as np
import pytest

from vaeseq.cli.arguments import UsageError
from vaeseq.tuning import monitor, rewards, terms
from vaeseq.tuning.rewards import Function, RewardSum, Sample


def _text(text):
    return Sample(np.frombuffer(text.encode(), np.uint8), lambda observed: bytes(observed).decode())


def _score(reward, *texts, references=()):
    return RewardSum([(1.0, reward)]).score(
        [_text(text) for text in texts], [_text(text) for text in references]).values


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Returns a function that writes a module `my_rules` into the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_rules", raising=False)
    return lambda text: (tmp_path / "my_rules.py").write_text(text)


def test_a_reward_of_a_sample_is_credited_to_its_last_step(module):
    module("def size(text): return len(text)\n"
           "def vowels(text): return [character in 'aeiou' for character in text]\n")
    both = terms.make(["2*my_rules:size", ".5*my_rules:vowels"], {})
    assert both.labels == ("my_rules:size", "my_rules:vowels")
    scored = both.score([_text("yes"), _text("a")], [], num_steps=4)
    np.testing.assert_array_equal(scored.values, [[0, 0.5, 6, 0], [2.5, 0, 0, 0]])
    assert scored.parts == {"my_rules:size": 2.0, "my_rules:vowels": 1.0}


@pytest.mark.parametrize("name, message", [
    ("json", "expected 'lines' or MODULE:FUNCTION; got 'json'"),
    (":f", "MODULE:FUNCTION; got ':f'"),
    ("lines:(", r"--reward 'lines:\(': expected a regular expression, got '\('"),
    ("my_rules:no", "expected a function 'no' in the module 'my_rules'; found none"),
    ("my_rules:number", "found 3"),
    ("no_such_module:f", "cannot be imported .* ModuleNotFoundError: No module named"),
])
def test_a_name_without_a_reward_is_refused(name, message, module):
    module("number = 3\n")
    kinds = {"lines": lambda pattern, label: Function(rewards.lines_match(pattern), label)}
    with pytest.raises(UsageError, match=message):
        terms.make([name], kinds)


def test_a_module_that_cannot_be_imported_is_refused(module):
    module("1 / 0\n")
    with pytest.raises(UsageError, match="ZeroDivisionError: division by zero"):
        terms.make(["my_rules:f"], {})


def test_equal_rewards_are_refused(module):
    module("def f(text): return 0\n")
    with pytest.raises(UsageError, match="expected different rewards; got my_rules:f, my_rules:f"):
        terms.make(["my_rules:f", "2*my_rules:f"], {})


@pytest.mark.parametrize("function, message", [
    (lambda text: 1 / 0, "the reward 'r' failed with ZeroDivisionError: division by zero"),
    (lambda text: [1.0], r"or one for each of the 3 steps; 'r' gave \[1\]"),
    (lambda text: float("nan"), "a finite number, or one for each of the 3 steps; 'r' gave nan"),
    (lambda text: "high", "the reward 'r' failed with ValueError"),
    (lambda text: None, "gave nan"),
])
def test_a_reward_that_is_no_number_is_refused(function, message):
    with pytest.raises(ValueError, match=message):
        _score(Function(function, "r"), "abc")


def test_checks_of_validity_on_examples():
    assert [rewards.json_parses(text) for text in (
        '{"a": [1]}', "{", "[" * 10**5, "NaN", "[-Infinity]")] == [1, 0, 0, 0, 0]
    assert [rewards.brackets_close(text) for text in ("", "([{}])", "(]", "())")] == pytest.approx(
        [1, 1, 0, 2 / 3])
    assert [rewards.matches("a+")(text) for text in ("aa", "aab")] == [1, 0]
    lines = rewards.lines_match("[A-Z]+:")
    np.testing.assert_array_equal(lines("AB:\nx\nC:"), [0, 0, 0, 0.5, 0, 0, 0, 0])
    assert lines("AB").sum() == 0


@pytest.mark.oracle
def test_overlap_is_that_of_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    samples, references = ["the cat sat down", "a dog"], ["the cat sat", "the dog ran"]
    for metric in ("bleu", "chrf"):
        own = _score(rewards.Overlap(metric), *samples, references=references).sum(axis=1)
        score = {"bleu": lambda *texts: sacrebleu.sentence_bleu(*texts, use_effective_order=True),
                 "chrf": sacrebleu.sentence_chrf}[metric]
        expected = [score(text, [reference]).score / 100
                    for text, reference in zip(samples, references)]
        np.testing.assert_allclose(own, expected)
        many = _score(rewards.Overlap(metric, references), *samples).sum(axis=1)
        np.testing.assert_allclose(
            many, [score(text, references).score / 100 for text in samples])
    with pytest.raises(ValueError, match="samples have no prefix. Give it references"):
        _score(rewards.Overlap("bleu"), *samples)


def test_distinct_counts_different_grams():
    assert monitor.distinct([np.array([1, 1, 1, 1])], 2) == pytest.approx(1 / 3)
    assert monitor.distinct([np.array([1, 2, 3]), np.array([1, 2, 4])], 2) == pytest.approx(3 / 4)
    pairs = {"a": np.array([0, 0, 0]), "b": np.array([[0], [1], [1]])}
    assert monitor.distinct([pairs], 1) == pytest.approx(2 / 3)
    assert np.isnan(monitor.distinct([np.zeros(2)], 3))


def test_hacking_is_reported_only_where_the_reward_rose():
    def warnings(**changes):
        figures = {"reward": (0.0, 1.0), "nats_per_step": (2.0, 2.0), "distinct": (0.5, 0.5)}
        return monitor.hacking_warnings(**{**figures, **changes})

    assert warnings() == [] == warnings(nats_per_step=(None, None), distinct=(0.5, 0.46))
    (forgets,) = warnings(nats_per_step=(2.0, 2.2))
    assert "10% more nats" in forgets
    (alike,) = warnings(distinct=(0.5, 0.4))
    assert "20% fewer distinct 4-grams" in alike
    assert warnings(reward=(1.0, 1.0), nats_per_step=(2.0, 4.0)) == []
    # A reward that learns cannot be compared, so it silences nothing.
    (forgets,) = warnings(reward=(None, None), nats_per_step=(2.0, 4.0))
    assert forgets.startswith("the model was tuned, and held-out data cost 100% more")


def test_rewards_that_learn_are_not_compared():
    fixed = rewards.Function(lambda content: 1.0, "fixed")

    class Learns(rewards.Function):
        def update(self, samples, references):
            pass

    learns = Learns(lambda content: 5.0, "learns")
    both = rewards.RewardSum([(2.0, fixed), (1.0, learns)])
    assert both.fixed_total({"fixed": 3.0, "learns": 5.0}) == 6.0
    assert rewards.RewardSum([(1.0, learns)]).fixed_total({"learns": 5.0}) is None
