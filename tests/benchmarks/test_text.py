# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The benchmark of models of text: its rows, its table, its plot."""
import json
import textwrap

import pytest

from benchmarks.quality import text
from examples.text.hparams import TextHParams
from tests.in_process import runner

SCORE = {"nats_per_character": 1.5, "bound": "exact", "num_samples": 1, "standard_error": 0.0}
COSTS = {"update_seconds": 0.02, "update_processor_seconds": 0.03, "sample_seconds": 0.25,
         "memory_mib": 1536, "weights": 350_000}
RESULT = {"row": "lstm", "label": "LSTM", "updates": 1000, "steps": [500, 1000],
          "curve": [[10.0, 2.0], [20.0, 1.5]], "score": SCORE}


def test_rows_are_hyperparameters_of_text():
    for row in text.ROWS.values():
        TextHParams().parse(row.hparams)
        assert row.num_steps % row.valid_every == 0
    diffusion, autoregressive = (
        TextHParams().parse(text.ROWS[name].hparams) for name in ("maskdiff", "autoregressive"))
    assert {d.name for d in diffusion.diff(autoregressive)} == {
        "vae_type", "cell", "log_prob_samples"}
    assert text.ROWS["maskdiff"].num_steps == text.ROWS["autoregressive"].num_steps


def test_costs_are_those_of_all_updates_and_bounds_are_marked():
    bound = {**RESULT, "score": {**SCORE, "bound": "elbo", "standard_error": 0.01}}
    first, second = text.table([{**RESULT, "costs": COSTS}, bound]).splitlines()[2:]
    assert first == "| LSTM | 0.35 M | 1.500 | 1,000 | 20, 30 | 0.25 | 1.50 GiB |"
    assert second == "| LSTM |  | ≤ 1.500 ± 0.010 | 1,000 |  |  |  |"


@pytest.mark.parametrize("costs", [{}, {"costs": COSTS}])
def test_the_table_command_draws_what_is_there(tmp_path, capsys, costs):
    (tmp_path / "lstm.json").write_text(json.dumps({**RESULT, **costs}))
    assert text.program.run(["table", "--out-dir", str(tmp_path)]) == 0
    assert "| LSTM |" in capsys.readouterr().out
    assert (tmp_path / "quality.png").stat().st_size > 1000


def test_a_program_that_fails_after_many_warnings_does_not_block(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(text, "_PROGRAM", textwrap.dedent("""
        import signal, sys
        signal.alarm(20)  # ends a program that waits
        sys.exit("a warning\\n" * 20_000 + "the reason")
        """))
    (tmp_path / "corpus").write_text("text")
    ended = runner(text.program, capsys)(
        "run", "--corpus", tmp_path / "corpus", "--out-dir", tmp_path / "out", "--log-dir",
        tmp_path / "runs", "--rows", "lstm")
    assert ended.status == 2 and ended.err.rstrip().endswith("the reason")
