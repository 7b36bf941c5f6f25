# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Hyperparameters: strict parsing, JSON, and the messages of errors."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import typing
from typing import Literal

import numpy as np
import pytest

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.hparams import Difference, HParams


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Own(HParams):
    embed_size: int = fields.declare(8, "size of an embedding", Range(1, 64))
    mode: Literal["fast", "exact"] = fields.declare("fast", "how")
    batch_size: int = fields.redeclare(HParams, "batch_size", 3)


VAE_SEQ_NAMES = """
    vae_type latent_size rnn_hidden_sizes obs_encoder_fc_layers obs_decoder_fc_hidden_layers
    latent_decoder_fc_layers activation positive_projection positive_eps
    divergence_strength_start divergence_strength_half use_monte_carlo_kl srnn_use_res_q
    learning_rate l1_regularization l2_regularization batch_size sequence_size
    clip_gradient_norm check_numerics log_prob_samples
"""


def test_the_names_of_vae_seq_are_kept():
    for name in VAE_SEQ_NAMES.split():
        value = getattr(HParams(), name)
        assert HParams(**{name: value}) == HParams()


def test_general_hyperparameters_need_no_tensorflow():
    code = ("import sys; from vaeseq.hparams import HParams; "
            "h = HParams(batch_size=2).parse('latent_size=3'); HParams.from_json('{}'); "
            "sys.exit('tensorflow' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_options_of_a_core_are_hyperparameters():
    plain = HParams(vae_type="SRNN")
    changed = plain.parse("srnn_use_res_q=false")
    assert plain.srnn_use_res_q and not changed.srnn_use_res_q
    assert changed == HParams(vae_type="SRNN", srnn_use_res_q=False) != plain
    assert changed.replace(batch_size=2).srnn_use_res_q is False
    assert dataclasses.replace(changed, batch_size=2) == changed.replace(batch_size=2)
    assert dataclasses.replace(changed, srnn_use_res_q=True) == plain
    assert plain == HParams(vae_type="SRNN", srnn_use_res_q=True)
    assert changed.diff(plain) == [Difference("srnn_use_res_q", False, True)]
    assert HParams.from_json(changed.to_json()) == changed
    assert "srnn_use_res_q" in dict(row[:2] for row in HParams.help_rows())
    with pytest.raises(ValueError, match="srnn_use_res_q: expected true or false; got 3"):
        plain.replace(srnn_use_res_q=3)
    with pytest.raises(ValueError, match="unknown hyperparameter 'no_such_option'.*model-module"):
        HParams(no_such_option=1)
    with pytest.raises(AttributeError, match="HParams has no field 'no_such_option'"):
        _ = plain.no_such_option


def test_a_run_saves_all_options_of_its_core():
    saved = json.loads(HParams(vae_type="SRNN").to_json())
    assert saved["srnn_use_res_q"] is True
    assert "srnn_use_res_q" not in json.loads(HParams(vae_type="RNN").to_json())


def test_a_run_keeps_all_but_evaluation_and_patience():
    fixed = {name: field.is_fixed for name, field in fields.of(HParams).items()}
    assert {name for name, is_fixed in fixed.items() if not is_fixed} == {
        "log_prob_samples", "patience"}
    (difference,) = HParams().diff(HParams(log_prob_samples=3))
    assert not difference.is_fixed


def test_every_default_is_accepted_and_has_its_canonical_type():
    for name, field in fields.of(HParams).items():
        assert field.accept(field.default) == field.default, name
        assert type(getattr(HParams(), name)) is type(field.default), name


def test_parse_gives_a_new_instance():
    before = HParams()
    after = before.parse("vae_type=SRNN,sequence_size=40,rnn_hidden_sizes=[256,128]")
    assert (after.vae_type, after.sequence_size) == ("SRNN", 40)
    assert after.rnn_hidden_sizes == (256, 128)
    assert before == HParams()
    with pytest.raises(dataclasses.FrozenInstanceError):
        after.vae_type = "RNN"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("check_numerics=False", "check_numerics", False),
        ("residual=TRUE", "residual", True),
        (" batch_size = 7 ", "batch_size", 7),
        ("batch_size=+7", "batch_size", 7),
        ("learning_rate=1e-3", "learning_rate", 1e-3),
        ("learning_rate=1", "learning_rate", 1.0),
        ("rnn_hidden_sizes=[]", "rnn_hidden_sizes", ()),
        ("rnn_hidden_sizes=[ 3 , 4 ]", "rnn_hidden_sizes", (3, 4)),
        ("cell=gru", "cell", "gru"),
        ("num_shards=auto", "num_shards", "auto"),
        ("num_shards=2", "num_shards", 2),
    ],
)
def test_values_are_parsed(text, name, value):
    parsed = getattr(HParams().parse(text), name)
    assert (parsed, type(parsed)) == (value, type(value))
    assert HParams().parse(" \n") == HParams()


REFUSED = [
    ("latent_sise=3", r"unknown hyperparameter 'latent_sise'. Did you mean 'latent_size'\?"),
    ("zzz=3", r"unknown hyperparameter 'zzz'\. A program's --help-hparams lists all \d+"),
    ("batch_size=1.5", "batch_size: expected a whole number, at least 1 .* got '1.5'"),
    ("batch_size=1_000", "got '1_000'"),
    ("batch_size=\u0661", "batch_size: expected a whole number"),
    ("batch_size=", "batch_size: expected a whole number.* got ''"),
    ("batch_size=-4", "batch_size: .* got '-4'"),
    ("batch_size=" + "9" * 5000, "batch_size: .* got '999"),
    ("learning_rate=nan", "learning_rate: expected a finite number, above 0 .* got 'nan'"),
    ("learning_rate=1e999", "got '1e999'"),
    ("learning_rate=0", "learning_rate: .*above 0.* got '0'"),
    ("dropout=1", "dropout: .*below 1; got '1'"),
    ("check_numerics=0", "check_numerics: expected true or false; got '0'"),
    ("cell=lsmt", r"cell: expected one of 'lstm', 'gru', 'mingru', 'rglru', 'mamba', "
     r"'transformer'; got 'lsmt'. Did you mean 'lstm'\?"),
    ("vae_type=", "vae_type: expected a word"),
    ("vae_type=a b", "vae_type: expected a word .* got 'a b'"),
    ("rnn_hidden_sizes=256", r"rnn_hidden_sizes: expected up to 64 whole numbers in brackets"),
    ("rnn_hidden_sizes=[1.5]", r"got '\[1.5\]'"),
    ("rnn_hidden_sizes=[0]", r"at least 1 .* got '\[0\]'"),
    ("rnn_hidden_sizes=[1", "'\\[' is never closed"),
    ("rnn_hidden_sizes=[" + "1," * 99 + "1]", "expected up to 64"),
    ("num_shards=many", "num_shards: expected a whole number or 'auto'.* got 'many'"),
    ("batch_size=1,batch_size=1", "batch_size is given twice: 1 and '1'"),
    ("batch_size", "expected key=value.* got 'batch_size'"),
    ("batch_size=1,", "expected key=value.* got ''"),
    ("x" * 100_000, "at most 65536 characters; got 100000"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_an_invalid_text_is_refused_in_one_short_line(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        HParams().parse(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 2.0}, "batch_size: .* got 2.0"),
        ({"batch_size": True}, "got True"),
        ({"batch_size": "2"}, "got '2'"),
        ({"learning_rate": math.nan}, "got nan"),
        ({"learning_rate": 10**400}, "learning_rate: expected a finite number"),
        ({"check_numerics": 1}, "got 1"),
        ({"rnn_hidden_sizes": "256"}, "got '256'"),
        ({"latent_sise": 3}, "Did you mean 'latent_size'"),
    ],
)
def test_python_values_are_checked_as_strictly(changes, message):
    with pytest.raises(ValueError, match=message):
        HParams().replace(**changes)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "nan", "inf"])
def test_a_number_without_a_range_must_be_finite(text):
    with pytest.raises(ValueError, match=f"expected a finite number; got '{text}'"):
        fields.reader(float)(text)


def test_python_values_are_converted_to_their_canonical_type():
    converted = HParams(batch_size=np.int64(4), learning_rate=1, rnn_hidden_sizes=[np.int32(5)])
    canonical = HParams(batch_size=4, learning_rate=1.0, rnn_hidden_sizes=(5,))
    assert converted.to_json() == canonical.to_json()


def test_json_restores_the_values():
    own = _Own(batch_size=9, rnn_hidden_sizes=(1, 2), learning_rate=0.1 + 0.2, num_shards=3)
    assert _Own.from_json(own.to_json()) == own
    assert _Own.from_json(own.to_json().encode()) == own


def test_a_field_missing_in_an_older_file_has_its_default():
    assert _Own.from_json('{"batch_size": 5}') == _Own(batch_size=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a JSON object"),
        ("{", "expected a JSON object; Expecting"),
        ('{"future": 1}', "h.json: 'future' is no hyperparameter.*newer vaeseq"),
        ('{"batch_size": 1, "batch_size": 2}', "'batch_size' is given twice"),
        ('{"batch_size": 1.0}', "h.json: batch_size: expected a whole number.* got 1.0"),
        ('{"batch_size": null}', "got None"),
        ('{"learning_rate": NaN}', "NaN is not a finite number"),
        ('{"learning_rate": 1e999}', "learning_rate: .* got inf"),
        ("[" * 60_000, "h.json: expected a JSON object"),
        ("{" * 100_000, "at most 65536 characters"),
        (b"\xff\xfe\x00", "h.json: expected a JSON object"),
    ],
)
def test_hostile_json_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        _Own.from_json(text, source="h.json")


def test_load_reads_a_regular_file_of_bounded_size(tmp_path):
    path = tmp_path / "hparams.json"
    path.write_text(_Own(embed_size=5).to_json())
    assert _Own.load(path).embed_size == 5
    path.write_bytes(b" " * 10_000_000)
    with pytest.raises(ValueError, match="hparams.json.*at most 65536"):
        _Own.load(path)
    with pytest.raises(ValueError, match="expected a regular file"):
        _Own.load(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="expected a regular file"):
        _Own.load(tmp_path / "fifo")
    with pytest.raises(FileNotFoundError):
        _Own.load(tmp_path / "missing")


def test_diff_lists_the_fields_with_both_values():
    assert _Own(batch_size=5, rnn_hidden_sizes=()).diff(_Own()) == [
        Difference("rnn_hidden_sizes", (), (256,)), Difference("batch_size", 5, 3)]
    assert _Own().diff(_Own()) == []
    with pytest.raises(TypeError, match="expected the same class to compare, _Own; got HParams"):
        _Own().diff(HParams())


def test_a_redeclared_field_keeps_its_help_and_range():
    assert _Own().batch_size == 3
    rows = {row[0]: row for row in _Own.help_rows()}
    base = {row[0]: row for row in HParams.help_rows()}
    assert rows["batch_size"][2:] == base["batch_size"][2:]
    assert rows["embed_size"] == (
        "embed_size", "8", "a whole number, at least 1 and at most 64", "size of an embedding")
    with pytest.raises(ValueError, match="Did you mean 'batch_size'"):
        fields.redeclare(HParams, "batch_sise", 3)


def test_parse_accepts_the_defaults_of_the_help_rows():
    text = ",".join(f"{name}={default}" for name, default, _, _ in HParams.help_rows())
    assert HParams().parse(text) == HParams()


def test_a_declaration_without_help_or_of_an_unknown_type_is_a_type_error():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Bare(HParams):
        extra: int = 3

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Odd(HParams):
        extra: dict = fields.declare({}.copy, "a mapping")

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Numbers(HParams):
        extra: typing.Literal[8, 16] = fields.declare(8, "a choice of numbers")

    with pytest.raises(TypeError, match=r"of words or a union of these, not .*Literal\[8, 16\]"):
        Numbers()
    with pytest.raises(TypeError, match="Bare.extra has no help text"):
        Bare()
    with pytest.raises(TypeError, match="not <class 'dict'>"):
        Odd()


def _choices(name):
    return typing.get_args(typing.get_type_hints(HParams)[name])


def test_every_activation_and_cell_exists():
    from vaeseq.nn import networks

    for name in _choices("activation"):
        networks.MLP((2,), activation=name)
    for name in _choices("cell"):
        networks.RecurrentStack((8,), cell=name)
