# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Typed, frozen hyperparameters, overridden strictly by "vae_type=SRNN,sequence_size=40".

Synopsis:

    hparams = HParams(batch_size=8).parse("vae_type=SRNN,rnn_hidden_sizes=[256,256]")
    hparams == HParams.from_json(hparams.to_json())

A program subclasses `HParams` with fields of its own; the class must be a frozen dataclass too:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class TextHParams(HParams):
        embed_size: int = fields.declare(64, "size of a symbol's embedding", Range(1, 4096))
        batch_size: int = fields.redeclare(HParams, "batch_size", 32)
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar

from vaeseq import fields
from vaeseq.fields import Range, declare, shown

MOST_CHARACTERS = 1 << 16  # of an override string or a hyperparameter file

_Self = TypeVar("_Self", bound="HParams")
_SIZE = Range(1, 1 << 16)
_SHARE = Range(0, 1, open_high=True)
_STEPS = Range(0, 1e12)


class Difference(NamedTuple):
    """One field in which two sets of hyperparameters differ."""

    name: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return f"{self.name} is {_written(self.ours)} here and {_written(self.theirs)} there"


@dataclasses.dataclass(frozen=True, kw_only=True)
class HParams:
    """Hyperparameters of the library. Raises ValueError for a value that cannot be."""

    # The model.
    vae_type: str = declare("RNN", "the sequence model: a name in the registry of vaeseq.vae")
    latent_size: int = declare(32, "size of the latent variable z_t", Range(0, 1 << 16))
    rnn_hidden_sizes: tuple[int, ...] = declare((256,), "units of each recurrent layer", _SIZE)
    cell: Literal["lstm", "gru", "mingru", "rglru"] = declare(
        "lstm", "the recurrent cell; mingru and rglru train in parallel over time"
    )
    residual: bool = declare(False, "add each recurrent layer's input to its output")
    context_skip: bool = declare(
        False, "what reads the recurrence sees its inputs too, as they came"
    )
    obs_encoder_fc_layers: tuple[int, ...] = declare((), "layers that encode an observation", _SIZE)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = declare(
        (), "hidden layers from the state to an observation's distribution", _SIZE
    )
    latent_decoder_fc_layers: tuple[int, ...] = declare(
        (256,), "hidden layers from the state to z_t's distributions", _SIZE
    )
    activation: Literal["elu", "gelu", "relu", "sigmoid", "silu", "softplus", "tanh"] = declare(
        "relu", "activation between fully connected layers"
    )
    positive_projection: Literal["softplus", "exp"] = declare(
        "softplus", "how a scale is made positive"
    )
    positive_eps: float = declare(1e-5, "least value of a scale", Range(0, 1, open_low=True))
    srnn_use_res_q: bool = declare(True, "SRNN: the posterior's mean starts at the prior's")

    # The bound.
    train_bound: Literal["elbo", "iwae", "fivo"] = declare("elbo", "what training maximises")
    train_samples: int = declare(1, "samples of that bound", Range(1, 1 << 10))
    divergence_strength_start: float = declare(
        1e-5, "weight of the divergence at step 0", Range(0, 1)
    )
    divergence_strength_half: float = declare(
        1e3, "steps in which that weight's distance to 1 halves; 0: it is 1 at once", _STEPS
    )
    free_bits: float = declare(
        0.0, "ELBO: bits of divergence a step that cost nothing", Range(0, 1e6)
    )
    use_monte_carlo_kl: bool = declare(False, "estimate the divergence from the sample drawn")
    log_prob_samples: int = declare(16, "samples of a bound in evaluation", Range(1, 1 << 16))

    # The optimizer.
    learning_rate: float = declare(1e-3, "the highest learning rate", Range(0, 10, open_low=True))
    learning_rate_schedule: Literal["constant", "cosine", "exponential"] = declare(
        "cosine", "how the learning rate falls after the warm-up"
    )
    learning_rate_final: float = declare(
        0.05, "cosine: share of the learning rate left at the last step", Range(0, 1)
    )
    learning_rate_half: float = declare(
        1e5, "exponential: steps in which the rate halves", Range(0, 1e12, open_low=True)
    )
    warmup_steps: int = declare(0, "steps in which the learning rate rises from near 0", _STEPS)
    adam_beta2: float = declare(0.99, "decay of Adam's mean of squares", _SHARE)
    clip_gradient_norm: float = declare(
        1.0, "greatest global norm of a gradient; 0: not clipped", Range(0, 1e12)
    )
    dropout: float = declare(0.0, "share of recurrent outputs dropped in training", _SHARE)
    context_dropout: float = declare(
        0.0, "share of what goes in at each step that is dropped in training", _SHARE
    )
    l1_regularization: float = declare(0.0, "weight of the sum of |w| in the loss", Range(0, 1e6))
    l2_regularization: float = declare(0.0, "weight of the sum of w^2/2 in the loss", Range(0, 1e6))
    weight_decay: float = declare(0.0, "decoupled weight decay (AdamW)", Range(0, 1))
    check_numerics: bool = declare(True, "stop at the first NaN or infinity, and name it")

    # The data.
    batch_size: int = declare(16, "sequences trained on at once", _SIZE)
    sequence_size: int = declare(64, "steps of a training sequence", Range(1, 1 << 20))
    num_shards: int | Literal["auto"] = declare(
        "auto", "parts of a batch that are computed side by side", Range(1, 1024)
    )
    precision: Literal["float32", "bfloat16"] = declare(
        "float32", "of training's products; bfloat16 is for GPUs and processors with AMX"
    )

    def __post_init__(self) -> None:
        for name, field in fields.of(type(self)).items():
            object.__setattr__(self, name, field.accept(getattr(self, name)))

    @classmethod
    def parse_overrides(cls, text: str) -> dict[str, Any]:
        """The checked values in "key=value,key=[1,2]"; raises ValueError."""
        overrides: dict[str, Any] = {}
        for item in _items(text):
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise ValueError(
                    f"hyperparameters: expected key=value,key=[1,2]; got {shown(item)}"
                )
            if name in overrides:
                raise ValueError(
                    f"{name} is given twice: {_written(overrides[name])} and {shown(value)}. "
                    "Give it once"
                )
            overrides[name] = cls._field(name).read(value)
        return overrides

    def parse(self: _Self, text: str) -> _Self:
        """A copy with the overrides in "key=value,key=[1,2]"; raises ValueError."""
        return self.replace(**self.parse_overrides(text))

    def replace(self: _Self, **changes: Any) -> _Self:
        """A copy with some values changed; raises ValueError."""
        return dataclasses.replace(self, **{self._field(n).name: v for n, v in changes.items()})

    def as_dict(self) -> dict[str, Any]:
        """The values by name, in the order of declaration."""
        return {name: getattr(self, name) for name in fields.of(type(self))}

    def diff(self, other: HParams) -> list[Difference]:
        """The fields whose values differ from `other`'s, which is of the same class."""
        if type(other) is not type(self):
            raise TypeError(
                f"expected the same class to compare, {type(self).__name__}; "
                f"got {type(other).__name__}"
            )
        pairs = zip(self.as_dict().items(), other.as_dict().values(), strict=True)
        return [Difference(name, mine, its) for (name, mine), its in pairs if mine != its]

    def to_json(self) -> str:
        """One JSON object of every value, a line each."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls: type[_Self], text: str | bytes, source: str = "hyperparameters") -> _Self:
        """Reads what `to_json` wrote; a field that it lacks (an older file) has its default.

        Raises ValueError, naming `source`, for anything but an object of known keys, each once,
        with values of the right type.
        """
        values = _json_object(text, source)
        for name in values:
            if name not in fields.of(cls):
                raise ValueError(
                    f"{source}: {shown(name)} is no hyperparameter of this version; the file was "
                    "perhaps written by a newer vaeseq (upgrade) or another program."
                    + fields.suggestion(name, fields.of(cls))
                )
        try:
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    @classmethod
    def load(cls: type[_Self], path: str | os.PathLike[str]) -> _Self:
        """Reads the file that holds `to_json`; raises OSError, or ValueError as `from_json`."""
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError(f"{os.fspath(path)!r}: expected a regular file of hyperparameters")
        with open(path, "rb") as file:
            return cls.from_json(file.read(MOST_CHARACTERS + 1), source=repr(os.fspath(path)))

    @classmethod
    def help_rows(cls) -> Iterator[tuple[str, str, str, str]]:
        """A row for each field: name, default, what it accepts, what it means."""
        for name, field in fields.of(cls).items():
            yield name, _written(field.default), field.expected, field.help

    @classmethod
    def _field(cls, name: str) -> fields.Field:
        known = fields.of(cls)
        if name not in known:
            raise ValueError(
                f"unknown hyperparameter {shown(name)}.{fields.suggestion(name, known)} "
                f"Known: {', '.join(known)}"
            )
        return known[name]


def _items(text: str) -> Iterator[str]:
    """The parts of `text` between the commas that stand outside brackets."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"hyperparameters: expected at most {MOST_CHARACTERS} characters; got {len(text)}"
        )
    if not text.strip():
        return
    start = depth = 0
    for position, character in enumerate(text + ","):
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            yield text[start:position].strip()
            start, depth = position + 1, 0
    if depth > 0:
        raise ValueError(f"hyperparameters: '[' is never closed in {shown(text[start:])}")


def _written(value: Any) -> str:
    """A value as `parse` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value)


def _json_object(text: str | bytes, source: str) -> Mapping[str, Any]:
    """The JSON object in `text`, each key once."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{source}: expected at most {MOST_CHARACTERS} characters of JSON")
    try:
        values = json.loads(text, object_pairs_hook=_unrepeated, parse_constant=_not_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: expected a JSON object; {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{source}: expected a JSON object; got {shown(values)}")
    return values


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(repeated)} is given twice")
    return values


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")
