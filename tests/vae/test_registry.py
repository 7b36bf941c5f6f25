# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Cores from outside of the library, by name."""

import dataclasses

import pytest

from tests import small
from vaeseq import fields, vae
from vaeseq import hparams as hparams_lib
from vaeseq.hparams import HParams


class Mine(vae.RNN):
    """A core with an option of its own."""

    @dataclasses.dataclass(frozen=True)
    class Options:
        """Hyperparameters of `Mine` alone."""

        mine_depth: int = fields.declare(2, "how deep", fields.Range(1, 9))

    @classmethod
    def from_hparams(cls, hparams, decoder, encoder):
        core = super().from_hparams(hparams, decoder, encoder)
        core.depth = hparams.mine_depth
        return core


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """Forgets what a test registers."""
    monkeypatch.setattr(vae, "VAE_TYPES", dict(vae.VAE_TYPES))
    for name in ("_CORE_OPTIONS", "_OPTIONS_OF"):
        monkeypatch.setattr(hparams_lib, name, dict(getattr(hparams_lib, name)))


def test_a_registered_core_is_built_with_its_options():
    vae.register("MINE", Mine)
    hparams = HParams().parse("vae_type=MINE,mine_depth=3")
    core = vae.make(hparams, *reversed(small.real_codec()))
    assert isinstance(core, Mine)
    assert core.depth == 3
    assert HParams.from_json(hparams.to_json()) == hparams
    with pytest.raises(ValueError, match="mine_depth: expected a whole number, at least 1"):
        hparams.replace(mine_depth=0)


def test_a_function_builds_a_core_too():
    vae.register("PLAIN", lambda hparams, decoder, encoder: vae.RNN.from_hparams(
        hparams, decoder, encoder))
    core = vae.make(HParams(vae_type="PLAIN"), *reversed(small.real_codec()))
    assert isinstance(core, vae.RNN)


def test_names_are_given_once():
    with pytest.raises(ValueError, match="another name than RNN, .*; got 'SRNN'"):
        vae.register("SRNN", Mine)

    @dataclasses.dataclass(frozen=True)
    class Taken:
        batch_size: int = fields.declare(2, "rows")

    with pytest.raises(ValueError, match="Taken.batch_size: expected another name"):
        vae.register("OTHER", Mine, Taken)
    assert "OTHER" not in vae.VAE_TYPES


def test_an_option_of_another_core_is_not_changed():
    @dataclasses.dataclass(frozen=True)
    class Deeper:
        mine_depth: int = fields.declare(5, "how deep", fields.Range(1, 9))

    @dataclasses.dataclass(frozen=True)
    class Wider(Mine.Options):
        mine_width: int = fields.declare(4, "how wide", fields.Range(1, 9))

    vae.register("MINE", Mine)
    with pytest.raises(ValueError, match="Deeper.mine_depth: .* than the options of MINE"):
        vae.register("DEEPER", Mine, Deeper)
    assert HParams(vae_type="MINE").mine_depth == 2
    vae.register("WIDER", Mine, Wider)
    assert HParams(vae_type="WIDER").mine_width == 4


def test_an_unknown_core_is_refused():
    with pytest.raises(ValueError, match="vae_type: expected one of RNN, .*got 'MINE'.*register"):
        vae.make(HParams(vae_type="MINE"), *reversed(small.real_codec()))
