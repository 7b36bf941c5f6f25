# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Export of a trained model as a TensorFlow SavedModel, which runs without this package.

    MODEL/
      saved_model.pb, variables/    for `tf.saved_model.load` and TensorFlow Serving
      assets.extra/model.json       inputs and outputs of the signatures, description of the model
      assets.extra/...              files of the program, such as a vocabulary

A signature maps named tensors to named tensors; all inputs are required. B rows have T steps. The
parts of a nested observation have their own names, such as `observed_count`.

    score          observed [B, T, ...], lengths [B], seed
                   -> log_density [B, T]: log-density of each step given the previous ones in
                   nats (a lower bound for models with latents), zeros after a row's length
    generate       num_samples, length, prime [N, ...] (none: []), temperature, seed
                   -> observed [B, length, ...], lengths [B], log_prob [B, length]
    initial_state  num_samples -> state_... [B, ...] at the start of a sequence
    step           state_..., temperature, seed
                   -> observed [B, ...], sampled; its log_prob [B]; the next state_...
    observe        state_..., observed [B, T, ...], lengths [B], seed
                   -> log_density [B, T] (with one sample of the latents); the next state_...

With equal seeds, `generate` equals `Sampler.generate` of up to 63 samples, and `score` equals
`Evaluator` for batches of `rows` rows in windows of `window` steps (a single row is a batch of its
own), bit for bit on one machine. A decoder that defines no `temper` is sampled at temperature 1
only. A seed belongs to a whole sequence: calls of `step` from `initial_state` on with one seed
sample the same sequence as one call of `generate`.
"""
from __future__ import annotations

import dataclasses
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
from vaeseq.truncation import Truncation
from vaeseq.vae import GenCore, require_steps
from vaeseq.version import __version__

_EXTRA = "assets.extra"  # SavedModel's directory for files that TensorFlow ignores


def save(
    gen_core: GenCore, bound: Bound, directory: str | os.PathLike[str], *, rows: int = 8,
    window: int = 128, jit_compile: bool = True, truncation: Truncation = Truncation(),
    check: Check = lambda observed: (),
    description: Mapping[str, Any] = {}, files: Mapping[str, str] = {},
) -> None:
    """Writes a SavedModel atomically.

    Args:
      gen_core: the core, and an agent without external inputs; built.
      bound: the bound that `score` computes.
      directory: where to write; it must not exist, or be empty and no mount point.
      rows: number of sequences scored at once.
      window: number of steps scored in one compiled call.
      jit_compile: compile with XLA, as evaluation and sampling do. Without XLA, any server can run
        the model; exact scores differ in the last digits, and the same seed gives other samples.
      truncation: which classes `generate` and `step` may draw (top-k, top-p, min-p).
      check: adds assertions about observations `[B, T, ...]` to a graph and returns them.
      description: further entries of `model.json`.
      files: contents of further text files by name.

    Raises:
      ValueError: `directory` is not free, `rows` or `window` is less than 1, or the core generates
        a sequence as a whole.
      OSError: the model cannot be written.
    """
    require_steps(gen_core.core, "an export")
    target = Path(directory)
    check_free(target)
    signatures = Signatures(
        gen_core, bound, rows=rows, window=window, jit_compile=jit_compile, check=check,
        truncation=truncation.check())
    save_signatures(
        gen_core, bound, target, signatures.all(), files=files, description={
            **description, "rows": rows, "window": window, "xla": jit_compile,
            "truncation": dataclasses.asdict(truncation)})


def save_signatures(
    gen_core: GenCore, bound: Bound, directory: str | os.PathLike[str],
    signatures: Mapping[str, Signature], *, description: Mapping[str, Any] = {},
    files: Mapping[str, str] = {},
) -> None:
    """Writes a SavedModel with other signatures, such as those of a model that reads inputs.

    Args:
      gen_core: the agent and the core, whose weights are saved.
      bound: the bound of scores, for `model.json`.
      directory: where to write; it must not exist, or be empty and no mount point.
      signatures: by name.
      description: further entries of `model.json`.
      files: contents of further text files by name.

    Raises:
      ValueError: `directory` is not free.
      OSError: the model cannot be written.
    """
    check_free(Path(directory))
    target = Path(os.path.realpath(directory))  # a link cannot be replaced by a directory
    functions = {name: _trace(signature) for name, signature in signatures.items()}
    has_latents = gen_core.core.latent_size > 0
    model = {
        "format": 1, "vaeseq": __version__, **description,
        "bound": bound.name if has_latents else "exact",
        "bound_samples": bound.num_samples if has_latents else 1,
        "signatures": {name: _describe(function) for name, function in functions.items()}}
    module = tf.Module()
    module.weights = list(gen_core.variables)
    _write(target, module, functions, {**files, "model.json": json.dumps(model, indent=2) + "\n"})


def about(program: str, step: int, unit: str, hparams: HParams) -> dict[str, Any]:
    """Returns the entries of `model.json` about the model of a program."""
    return {"program": program, "step": step, "unit": unit, "hparams": hparams.as_dict()}


def check_free(directory: Path) -> None:
    """Raises ValueError unless a directory does not exist, or is empty and can be replaced."""
    if os.path.lexists(directory) and (
            not directory.is_dir() or any(directory.iterdir()) or directory.samefile(os.curdir)):
        raise ValueError(
            f"{str(directory)!r}: expected a directory to make, or an empty one that is not "
            "the working directory. Give another directory, or remove this one first.")
    path = os.path.realpath(directory)
    if not os.path.lexists(path):
        return
    # The model is written beside the directory and renamed to it, as a whole.
    is_mount = os.path.ismount(path)
    if is_mount or not os.access(os.path.dirname(path), os.W_OK | os.X_OK):
        raise ValueError(
            f"{str(directory)!r}: expected a directory that can be replaced, got "
            f"{'a mount point' if is_mount else 'one in a directory that is not writable'}. Give "
            f"one to make in it: --output {directory / '1'}")


def _write(
    target: Path, module: tf.Module, functions: dict[str, Any], files: dict[str, str]
) -> None:
    temporary = target.with_name(f"writing-{os.getpid()}-{target.name}")
    try:
        temporary.mkdir(parents=True)
        with utf8_path(temporary) as name:
            # Gradients are left out: an exported model is not trained.
            tf.saved_model.save(
                module, name, signatures=functions,
                options=tf.saved_model.SaveOptions(experimental_custom_gradients=False))
        (temporary / _EXTRA).mkdir()
        for file, text in files.items():
            (temporary / _EXTRA / file).write_text(text, "utf-8")
        temporary.rename(target)
    except tf.errors.OpError as error:
        raise OSError(f"{target}: cannot be written: {error.message}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _trace(signature: Signature) -> Any:
    specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name)
             for name, spec in signature.inputs.items()}
    return tf.function(signature.function, autograph=False).get_concrete_function(**specs)


def _describe(function: Any) -> dict[str, Any]:
    """Returns the dtypes and shapes of a signature; None stands for any size or shape."""
    def of(specs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {"dtype": spec.dtype.name,
                       "shape": spec.shape.as_list() if spec.shape.rank is not None else None}
                for name, spec in specs.items()}
    return {"inputs": of(function.structured_input_signature[1]),
            "outputs": of(function.structured_outputs)}
