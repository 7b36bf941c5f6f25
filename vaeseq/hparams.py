# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Typed, frozen hyperparameters with strict overrides such as "vae_type=SRNN,sequence_size=40".

Synopsis:

    hparams = HParams(batch_size=8).parse("vae_type=SRNN,rnn_hidden_sizes=[256,256]")
    hparams == HParams.from_json(hparams.to_json())

A program adds fields in a subclass, which must be a frozen dataclass, too:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class TextHParams(HParams):
        embed_size: int = fields.declare(64, "size of a symbol's embedding", Range(1, 4096))
        batch_size: int = fields.redeclare(HParams, "batch_size", 32)

`HParams` declares the fields that all models share. A core declares options of its own beside it
(`vaeseq.vae.register`); they are read, checked and saved like the fields:

    HParams(vae_type="SRNN", srnn_use_res_q=False).srnn_use_res_q
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeVar

from vaeseq import fields
from vaeseq.fields import Range, declare, short_repr

MOST_CHARACTERS = 1 << 16  # of an override string or a hyperparameter file

CellName = Literal["lstm", "gru", "mingru", "rglru", "mamba", "transformer"]

_Self = TypeVar("_Self", bound="HParams")
_Instance = TypeVar("_Instance")
_SIZE = Range(1, 1 << 16)
_SHARE = Range(0, 1, open_high=True)
_STEPS = Range(0, 1e12)


class Difference(NamedTuple):
    """A field with different values in two sets of hyperparameters.

    Attributes:
      name: of the field.
      ours: its value in the first set.
      theirs: in the second.
      is_fixed: whether a training run keeps the value.
    """

    name: str
    ours: Any
    theirs: Any
    is_fixed: bool = True


# The options of registered cores by name, and their names by `vae_type`.
_CORE_OPTIONS: dict[str, fields.Field] = {}
_OPTIONS_OF: dict[str, tuple[str, ...]] = {}


def declare_core_options(vae_type: str, options: type) -> None:
    """Adds a core's options to those that every `HParams` accepts.

    Args:
      vae_type: the name of the core.
      options: a dataclass of declared fields (`fields.declare`).

    Raises:
      ValueError: a name is that of a field of `HParams`, or of another core's option that is
        declared differently.
    """
    for name, field in fields.of(options).items():
        if name in fields.of(HParams):
            raise ValueError(
                f"{options.__qualname__}.{name}: expected another name than those of HParams. "
                f"Prefix it with the core's name, or read hparams.{name}.")
        others = [core for core, names in _OPTIONS_OF.items() if core != vae_type and name in names]
        # A subclass may inherit options: they are the same if they are declared alike.
        if others and not field.is_like(_CORE_OPTIONS[name]):
            raise ValueError(
                f"{options.__qualname__}.{name}: expected another name than the options of "
                f"{', '.join(others)}, or the same default and values. Prefix it with the core's "
                "name.")
    _CORE_OPTIONS.update(fields.of(options))
    _OPTIONS_OF[vae_type] = tuple(fields.of(options))


def core_options() -> Mapping[str, fields.Field]:
    """Returns the options of all registered cores, by name; imports TensorFlow."""
    importlib.import_module("vaeseq.vae")  # registers the cores of the library
    return _CORE_OPTIONS


class _AcceptsCoreOptions(type):
    """Lets the constructor of `HParams` take the options of cores beside the fields."""

    def __call__(cls: type[_Instance], **values: Any) -> _Instance:
        values = {**dict(values.pop("options", ())), **values}  # as dataclasses.replace gives them
        declared = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        names = [name for name in values if name not in declared]
        declared_options = core_options() if names else {}
        # Raises ValueError for a name that is none, by `_field`.
        options = {name: cls._field(name).accept(values.pop(name))  # type: ignore[attr-defined]
                   for name in names}
        # Without those that have their default, so that it is the same to give it or not.
        values["options"] = tuple(sorted(
            (name, value) for name, value in options.items()
            if value != declared_options[name].default))
        return type.__call__(cls, **values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HParams(metaclass=_AcceptsCoreOptions):
    """Hyperparameters of the library. Raises ValueError for an invalid value."""

    # The model.
    vae_type: str = declare("RNN", "sequence model: a name in the registry of vaeseq.vae")
    latent_size: int = declare(32, "size of the latent variable z_t", Range(0, 1 << 16))
    rnn_hidden_sizes: tuple[int, ...] = declare((256,), "units of each recurrent layer", _SIZE)
    cell: CellName = declare(
        "lstm", "recurrent cell; all but lstm and gru train in parallel over time"
    )
    attention_heads: int = declare(4, "transformer: heads of each layer", Range(1, 1 << 10))
    attention_window: int = declare(
        128, "transformer: past steps that each layer attends to", _SIZE)
    residual: bool = declare(False, "add each recurrent layer's input to its output")
    context_skip: bool = declare(
        False, "skip connection: feed the inputs of the recurrence to its readers, too; without "
        "effect on DMM, DSAE, KVAE, TDVAE, MASKDIFF and GAUSSDIFF"
    )
    obs_encoder_fc_layers: tuple[int, ...] = declare((), "layers of the observation encoder", _SIZE)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = declare(
        (), "hidden layers of the observation decoder", _SIZE
    )
    latent_decoder_fc_layers: tuple[int, ...] = declare(
        (256,), "hidden layers of the prior and the posterior of z_t", _SIZE
    )
    posterior_flows: int = declare(
        0, "inverse autoregressive flows applied to the Gaussian posterior of z_t", Range(0, 64)
    )
    activation: Literal["elu", "gelu", "relu", "sigmoid", "silu", "softplus", "tanh"] = declare(
        "relu", "activation between fully connected layers"
    )
    positive_projection: Literal["softplus", "exp"] = declare(
        "softplus", "function that makes a scale positive"
    )
    positive_eps: float = declare(1e-5, "smallest scale", Range(0, 1, open_low=True))
    missing_values: Literal["none", "values", "observations"] = declare(
        "none", "whether single values, or whole parts of an observation, may be missing"
    )

    # The bound.
    train_bound: Literal[
        "elbo", "iwae", "fivo", "jumpy", "reconstruction", "mmd", "adversarial"] = declare(
        "elbo", "bound that training maximises; jumpy is for vae_type=TDVAE, reconstruction, mmd "
        "and adversarial for SEQAE"
    )
    train_samples: int = declare(1, "samples of the training bound", Range(1, 1 << 10))
    divergence_strength_start: float = declare(
        1e-5, "KL annealing: weight of the KL at step 0", Range(0, 1)
    )
    divergence_strength_half: float | Literal["auto"] = declare(
        "auto", "KL annealing: updates that halve the weight's distance to 1; 0: no annealing; "
        "auto: a tenth of the run, at most 1000", _STEPS
    )
    kl_weight: float = declare(
        1.0, "weight of the KL, or of the penalty of mmd and adversarial, after the annealing "
        "(beta)", Range(0, 1e6)
    )
    free_bits: float = declare(
        0.0, "bits of KL per step without cost; only for train_bound=elbo", Range(0, 1e6)
    )
    free_bits_per: Literal["total", "dimension"] = declare(
        "total", "whether free_bits are of all dimensions of z_t together or of each"
    )
    use_monte_carlo_kl: bool = declare(
        False, "estimate the KL from the samples, not in closed form; without effect on "
        "free_bits_per=dimension"
    )
    log_prob_samples: int = declare(
        16, "samples of the bound in evaluation", Range(1, 1 << 16), is_fixed=False
    )

    # The optimizer.
    learning_rate: float = declare(1e-3, "peak learning rate", Range(0, 10, open_low=True))
    learning_rate_schedule: Literal["constant", "cosine", "exponential"] = declare(
        "cosine", "decay of the learning rate after the warm-up"
    )
    learning_rate_final: float = declare(
        0.05, "cosine: final fraction of the learning rate", Range(0, 1)
    )
    learning_rate_half: float | Literal["auto"] = declare(
        "auto", "exponential: half-life of the learning rate in updates; auto: a quarter of the "
        "run", Range(0, 1e12, open_low=True)
    )
    warmup_steps: int = declare(0, "steps in which the learning rate rises", _STEPS)
    adam_beta2: float = declare(0.99, "Adam's beta2, the decay of the second moment", _SHARE)
    clip_gradient_norm: float = declare(
        1.0, "gradient clipping: largest global norm; 0: no clipping", Range(0, 1e12)
    )
    dropout: float = declare(0.0, "dropout rate of recurrent outputs", _SHARE)
    context_dropout: float = declare(
        0.0, "dropout rate of the inputs of each step", _SHARE
    )
    weight_dropout: float = declare(
        0.0, "dropout rate of the recurrent weights of lstm and gru, anew in each update", _SHARE
    )
    l1_regularization: float = declare(0.0, "weight of the sum of |w| in the loss", Range(0, 1e6))
    l2_regularization: float = declare(0.0, "weight of the sum of w^2/2 in the loss", Range(0, 1e6))
    weight_decay: float = declare(0.0, "decoupled weight decay (AdamW)", Range(0, 1))
    weight_posterior: Literal["none", "gaussian"] = declare(
        "none", "weight uncertainty: train a normal posterior of each weight (minimum description "
        "length)"
    )
    weight_stddev: float = declare(
        0.01, "weight_posterior: first standard deviation of the weights",
        Range(0, 1, open_low=True)
    )
    weight_cost: float = declare(
        1.0, "weight_posterior: weight of the cost of the weights; 1: minimum description length",
        Range(0, 1e6)
    )
    accumulate: int = declare(1, "batches whose gradients are added up for one update", _SIZE)
    weight_average: float = declare(
        0.0, "decay of the average of the weights that is used after training; 0: none", _SHARE
    )
    patience: int = declare(
        0, "early stopping: validations without improvement before training stops; 0: never",
        Range(0, 1 << 20), is_fixed=False
    )
    check_numerics: bool = declare(True, "stop at the first NaN or infinity and name its source")

    # The data.
    batch_size: int = declare(16, "sequences in a training batch", _SIZE)
    sequence_size: int = declare(64, "BPTT window: steps of a training sequence", Range(1, 1 << 20))
    num_shards: int | Literal["auto"] = declare(
        "auto", "parts of a batch computed in parallel", Range(1, 1024)
    )
    precision: Literal["float32", "float64", "bfloat16"] = declare(
        "float32", "of all numbers; bfloat16: of matrix products in training, for GPUs and AMX"
    )

    # The options of cores with other values than their defaults, by name.
    options: tuple[tuple[str, Any], ...] = fields.undeclared(())

    if TYPE_CHECKING:  # a type checker does not know the options of registered cores
        def __init__(self, **values: Any) -> None: ...

    def __post_init__(self) -> None:
        for name, field in fields.of(type(self)).items():
            object.__setattr__(self, name, field.accept(getattr(self, name)))

    def __getattr__(self, name: str) -> Any:
        options = dict(self.options) if name[:1] != "_" and name != "options" else {}
        if name in options:
            return options[name]
        if name[:1] != "_" and name in core_options():
            return core_options()[name].default
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")

    @classmethod
    def parse_overrides(cls, text: str) -> dict[str, Any]:
        """Parses "key=value,key=[1,2]" to checked values by name; raises ValueError."""
        overrides: dict[str, Any] = {}
        for item in _items(text):
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise ValueError(
                    f"hyperparameters: expected key=value,key=[1,2]; got {short_repr(item)}"
                )
            if name in overrides:
                raise ValueError(
                    f"{name} is given twice: {written(overrides[name])} and {short_repr(value)}. "
                    "Give it once"
                )
            overrides[name] = cls._field(name).read(value)
        return overrides

    def parse(self: _Self, text: str) -> _Self:
        """Returns a copy with the overrides "key=value,key=[1,2]"; raises ValueError."""
        return self.replace(**self.parse_overrides(text))

    def replace(self: _Self, **changes: Any) -> _Self:
        """Returns a copy with some values replaced; raises ValueError."""
        changes = {self._field(name).name: value for name, value in changes.items()}
        return type(self)(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Returns the values by name: the fields in order of declaration, then core options."""
        values = {name: getattr(self, name) for name in fields.of(type(self))}
        return {**values, **dict(self.options)}

    def diff(self, other: HParams) -> list[Difference]:
        """Returns the fields with other values than in `other`, of the same class."""
        if type(other) is not type(self):
            raise TypeError(
                f"expected the same class to compare, {type(self).__name__}; "
                f"got {type(other).__name__}"
            )
        names = dict.fromkeys([*self.as_dict(), *other.as_dict()])
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in names)
        return [Difference(name, mine, its, self._field(name).is_fixed)
                for name, mine, its in pairs if mine != its]

    def to_json(self) -> str:
        """Returns a JSON object with one line per value.

        It has all options of the core `vae_type`: a later default does not change a saved run.
        """
        core_options()
        own = {name: getattr(self, name) for name in _OPTIONS_OF.get(self.vae_type, ())}
        return json.dumps({**self.as_dict(), **own}, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls: type[_Self], text: str | bytes, source: str = "hyperparameters") -> _Self:
        """Parses the output of `to_json`; missing fields (of an older file) get their defaults.

        Raises ValueError, naming `source`, unless `text` is a JSON object of known, distinct keys
        with valid values.
        """
        values = _json_object(text, source)
        for name in values:
            if name not in fields.of(cls) and name not in core_options():
                raise ValueError(
                    f"{source}: {short_repr(name)} is no hyperparameter of this version; perhaps "
                    "it is of a core of your own (import its module first; a program does by "
                    "--model-module), or a newer vaeseq (upgrade) or another program wrote the "
                    "file."
                    + fields.suggestion(name, fields.of(cls))
                )
        try:
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    @classmethod
    def load(cls: type[_Self], path: str | os.PathLike[str]) -> _Self:
        """Reads a file of `to_json`; raises OSError, or ValueError as `from_json`."""
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError(f"{os.fspath(path)!r}: expected a regular file of hyperparameters")
        with open(path, "rb") as file:
            return cls.from_json(file.read(MOST_CHARACTERS + 1), source=repr(os.fspath(path)))

    @classmethod
    def help_rows(cls) -> Iterator[tuple[str, str, str, str]]:
        """Yields the name, default, accepted values and help text of each field and option."""
        for name, field in {**fields.of(cls), **core_options()}.items():
            yield name, written(field.default), field.expected, field.help

    @classmethod
    def _field(cls, name: str) -> fields.Field:
        declared = fields.of(cls)
        if name in declared:
            return declared[name]
        all_fields = {**declared, **core_options()}
        if name not in all_fields:
            raise ValueError(
                f"unknown hyperparameter {short_repr(name)}.{fields.suggestion(name, all_fields)} "
                f"A program's --help-hparams lists all {len(all_fields)}, as does "
                "HParams.help_rows(). Those of a core of one's own exist once its module is "
                "imported (--model-module)."
            )
        return all_fields[name]


def _items(text: str) -> Iterator[str]:
    """Splits `text` at the commas outside brackets."""
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
        raise ValueError(f"hyperparameters: '[' is never closed in {short_repr(text[start:])}")


def written(value: Any) -> str:
    """Formats a value as `HParams.parse` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value)


def _json_object(text: str | bytes, source: str) -> Mapping[str, Any]:
    """Parses a JSON object with distinct keys."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{source}: expected at most {MOST_CHARACTERS} characters of JSON")
    try:
        values = json.loads(text, object_pairs_hook=_unrepeated, parse_constant=_not_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: expected a JSON object; {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{source}: expected a JSON object; got {short_repr(values)}")
    return values


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {short_repr(repeated)} is given twice")
    return values


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")
