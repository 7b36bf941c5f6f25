# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A trained model as a TensorFlow SavedModel, for programs that do not have this package.

    MODEL/
      saved_model.pb, variables/    what `tf.saved_model.load` and TensorFlow Serving read
      assets.extra/model.json       what the signatures take and give, and what the model is
      assets.extra/...              files of the program, a vocabulary for one

Signatures, each from named tensors to named tensors, all of which must be given; B rows of T steps.
Where an observation is a nest, its parts have names of their own: `observed_count`, say.

    score          observed [B, T, ...], lengths [B], seed
                   -> log_density [B, T]: nats of each step given those before it (a lower bound
                   for models with latents), zeros after a row's length
    generate       num_samples, length, prime [N, ...] (none: []), temperature, seed
                   -> observed [B, length, ...], lengths [B], log_prob [B, length]
    initial_state  num_samples -> state_... [B, ...], of sequences that have not begun
    step           state_..., temperature, seed
                   -> observed [B, ...], drawn; its log_prob [B]; the next state_...
    observe        state_..., observed [B, T, ...], lengths [B], seed
                   -> log_density [B, T] of what was given (of one sample of the latents), and the
                   state_... after it

`generate` gives what `Sampler.generate` gives for the same seed, and `score` what `Evaluator` gives
for batches of `rows` rows in windows of `window` steps (a single row on its own), to the last bit
on the same machine. A seed is of a whole sequence: the same one at every `step` after
`initial_state` draws what `generate` draws in one go.
"""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from vaeseq.bounds import Bound
from vaeseq.evaluate.signatures import Check, Signature, Signatures
from vaeseq.hparams import HParams
from vaeseq.runs.checkpoint import utf8_path
from vaeseq.vae import GenCore
from vaeseq.version import __version__

_EXTRA = "assets.extra"  # SavedModel's directory for what TensorFlow does not read


def save(
    gen_core: GenCore, bound: Bound, directory: str | os.PathLike[str], *, rows: int = 8,
    window: int = 128, jit_compile: bool = True, check: Check = lambda observed: (),
    description: Mapping[str, Any] = {}, files: Mapping[str, str] = {},
) -> None:
    """Writes a SavedModel, whole or not at all.

    Args:
      gen_core: the core, and an agent that takes no inputs from outside; built.
      bound: what `score` gives.
      directory: to be made; an empty one may be there.
      rows: scored side by side.
      window: steps scored in one compiled call.
      jit_compile: compile with XLA, as evaluation and sampling do. Without, any server can run the
        model, and its figures differ from theirs in the last digits.
      check: adds assertions about observations `[B, T, ...]` to a graph, and returns them.
      description: what `model.json` says besides.
      files: names and contents of text files beside it.

    Raises:
      ValueError: there is something at `directory`; less than one row or step.
      OSError: it cannot be written.
    """
    target = Path(directory)
    check_free(target)
    signatures = Signatures(
        gen_core, bound, rows=rows, window=window, jit_compile=jit_compile, check=check)
    functions = {name: _traced(signature) for name, signature in signatures.all().items()}
    has_latents = gen_core.core.latent_size > 0
    model = {
        "format": 1, "vaeseq": __version__, **description,
        "bound": bound.name if has_latents else "exact",
        "bound_samples": bound.num_samples if has_latents else 1,
        "rows": rows, "window": window, "xla": jit_compile,
        "signatures": {name: _described(function) for name, function in functions.items()}}
    module = tf.Module()
    module.weights = list(gen_core.variables)
    _write(target, module, functions, {**files, "model.json": json.dumps(model, indent=2) + "\n"})


def about(program: str, step: int, unit: str, hparams: HParams) -> dict[str, Any]:
    """What `model.json` says of a program's model: what made it, and what a step is."""
    return {"program": program, "step": step, "unit": unit, "hparams": hparams.as_dict()}


def check_free(directory: Path) -> None:
    """Raises ValueError where a model cannot be written without losing what is there."""
    if os.path.lexists(directory) and not (directory.is_dir() and not any(directory.iterdir())):
        raise ValueError(
            f"{str(directory)!r}: expected a directory to make, or an empty one; something is "
            "there. Give another, or remove it first.")


def _write(
    target: Path, module: tf.Module, functions: dict[str, Any], files: dict[str, str]
) -> None:
    aside = target.with_name(f"writing-{os.getpid()}-{target.name}")
    try:
        aside.mkdir(parents=True)
        with utf8_path(aside) as name:
            # Nobody trains what was exported: its gradients stay behind.
            tf.saved_model.save(
                module, name, signatures=functions,
                options=tf.saved_model.SaveOptions(experimental_custom_gradients=False))
        (aside / _EXTRA).mkdir()
        for file, text in files.items():
            (aside / _EXTRA / file).write_text(text, "utf-8")
        aside.rename(target)
    except tf.errors.OpError as error:
        raise OSError(f"{target}: cannot be written: {error.message}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _traced(signature: Signature) -> Any:
    specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name)
             for name, spec in signature.inputs.items()}
    return tf.function(signature.function, autograph=False).get_concrete_function(**specs)


def _described(function: Any) -> dict[str, Any]:
    """Dtypes and shapes of a signature; a size, or a shape, of None stands for any."""
    def of(specs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {"dtype": spec.dtype.name,
                       "shape": spec.shape.as_list() if spec.shape.rank is not None else None}
                for name, spec in specs.items()}
    return {"inputs": of(function.structured_input_signature[1]),
            "outputs": of(function.structured_outputs)}
