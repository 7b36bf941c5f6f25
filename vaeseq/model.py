# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The base class of whole models: training, scores and samples for one kind of observation.

    class Waves(Model):
        observation_spec = tf.TensorSpec([1], tf.float32)

        def make_encoder(self):
            return encoders.MLPEncoder(self.observation_spec, (32,))

        def make_decoder(self):
            return decoders.Normal(self.observation_spec)

    model = Waves(HParams(vae_type="SRNN"), "waves-log")
    model.train(sequences, num_steps=1000, valid=held_out)
    model.evaluate(held_out).nats_per_step
    model.generate(num_samples=3, length=200)

Axes: B batch, T time (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
import contextlib
import functools
import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
import tensorflow as tf

from vaeseq import agent as agent_lib
from vaeseq import bounds, dtypes, nest, seeds, vae
from vaeseq import data as data_lib
from vaeseq.agent import Agent
from vaeseq.codec.missing import MaskedDecoder, MaskedEncoder, masked_spec
from vaeseq.compilation import compiled
from vaeseq.data import Batch, DataSet
from vaeseq.description import describe
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.evaluate import imputation, validation
from vaeseq.evaluate.beam_search import Beam, BeamSearch
from vaeseq.evaluate.likelihood import Evaluator, Score
from vaeseq.evaluate.sampler import Sampler
from vaeseq.hparams import HParams
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.train.distribute import SINGLE_PROCESS, Strategy, check_batch_size
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.metrics import JsonLines, MultiWriter, TensorBoard, Writer
from vaeseq.train.ops import TrainOps
from vaeseq.train.trainer import Callback, Periods, Trainer, TrainResult
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed
from vaeseq.vae.base import SequenceCore

_Self = TypeVar("_Self", bound="Model")


class Model(abc.ABC):
    """A sequence model with its log directory.

    Subclasses define `observation_spec`, `make_encoder` and `make_decoder`; they override
    `make_agent`, `make_core` and `data_set` if the defaults do not fit.

    Attributes:
      observation_spec: specs of one observation, a nest of `tf.TensorSpec`; a class attribute, or
        set before this class's constructor is called.
      input_spec: likewise of the agent's external inputs of one step (`Batch.inputs`); usually
        empty.
      program: the name of the program that trains such models; a run belongs to one program.
      unit: the singular name of a step, for messages.
      hparams_class: the class of its hyperparameters, which `load` reads from a run.
      hparams: the hyperparameters.
      log_dir: the run's directory; the first score or sample restores the weights saved there.
      step: the training step of the restored weights, 0 for none.
      gen_core: the agent and the core; they have the saved weights after `train`, `load`, `restore`
        or the first score or sample.
    """

    observation_spec: Nest
    input_spec: Nest = ()
    program = "vaeseq"
    unit = "step"
    hparams_class: type[HParams] = HParams

    @property
    def alignment(self) -> int:
        """The number of steps at whose multiples windows of sequences begin; by default 1."""
        return 1

    def __init__(
        self, hparams: HParams, log_dir: str | os.PathLike[str], *, seed: int | Seed = 0
    ):
        """Creates the model; if `log_dir` holds a run, it must be a run of this model.

        Args:
          hparams: the hyperparameters.
          log_dir: the run's directory, created when training starts.
          seed: for weights, batches and everything random in training.

        Raises:
          ValueError: the run in `log_dir` has other hyperparameters, another seed or other parts
            (a decoder with another activation, say), is damaged or belongs to another program.
        """
        self.hparams = hparams
        self.log_dir = LogDir(log_dir, self.program)
        self._seed = seeds.as_number(seed)
        if self.log_dir.exists:
            self.log_dir.check_same(hparams, self._seed)
        with dtypes.float_dtype(tf.float64 if hparams.precision == "float64" else tf.float32):
            self.gen_core = self._make_gen_core()
        if self.log_dir.exists:
            self.log_dir.check_parts(self._parts())
        self._sampler = Sampler(self.gen_core)
        self._impute = compiled(functools.partial(imputation.samples, self.gen_core))
        self._checkpoints = Checkpoints(self.log_dir.checkpoints)
        self._evaluators: dict[tuple[str, int], Evaluator] = {}
        self._ready = self._has_trained = False
        self.step = 0

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"a {name} has compiled functions and a log directory, and cannot be copied or "
            f"pickled. Make another one: {name}.load(log_dir), if it is trained.")

    def _make_gen_core(self) -> vae.GenCore:
        encoder, decoder = self.make_encoder(), self.make_decoder()
        shapes, event_shapes = ([leaf.shape for leaf in tf.nest.flatten(specs)] for specs in (
            self.observation_spec, decoder.event_spec))
        if shapes != event_shapes:
            raise ValueError(
                f"{type(self).__name__}.make_decoder: expected a decoder of observations like "
                f"observation_spec, {self.observation_spec}, got one with the event_spec "
                f"{decoder.event_spec}.")
        if self.hparams.missing_values != "none":
            decoder = MaskedDecoder(
                decoder, per_dimension=self.hparams.missing_values == "values")
            encoder = MaskedEncoder(encoder, decoder.event_spec)
        return vae.GenCore(self.make_agent(encoder), self.make_core(encoder, decoder))

    @abc.abstractmethod
    def make_encoder(self) -> Encoder:
        """Creates the encoder of observations, which contexts and inference share."""

    @abc.abstractmethod
    def make_decoder(self) -> DistModule:
        """Creates the decoder: the distribution of one observation."""

    def make_agent(self, encoder: Encoder) -> Agent:
        """Creates the agent; by default each context encodes the previous observation."""
        return agent_lib.EncodeObserved(encoder, self.sequence_spec)

    @property
    def sequence_spec(self) -> Nest:
        """The specification of one observation as agents and cores see it.

        It is `observation_spec`, or `Masked` specs where values may be missing.
        """
        kind = self.hparams.missing_values
        if kind == "none":
            return self.observation_spec
        return masked_spec(self.observation_spec, per_dimension=kind == "values")

    def make_core(self, encoder: Encoder, decoder: DistModule) -> SequenceCore:
        """Creates the core; by default the one that `hparams.vae_type` names."""
        return vae.make(self.hparams, decoder, encoder)

    def make_evaluator(self, bound: bounds.Bound) -> Evaluator:
        """Creates the evaluator of validation and scores; by default every step counts.

        Call `evaluator` to score: it restores the saved weights first.
        """
        return Evaluator(self.gen_core.agent, self.gen_core.core, bound)

    def make_loss(self, bound: bounds.Bound) -> SequenceLoss:
        """Creates the loss of training; by default the bound alone."""
        return SequenceLoss(self.gen_core.agent, self.gen_core.core, bound,
                            context_dropout=self.hparams.context_dropout)

    @classmethod
    def load(cls: type[_Self], log_dir: str | os.PathLike[str], **changes: Any) -> _Self:
        """Returns the model trained in `log_dir`: everything that it needs is there.

        It has the hyperparameters and the seed of the run, and the weights with the best
        validation score, or the latest ones.

        Args:
          log_dir: the run's directory.
          **changes: other values of hyperparameters that only evaluation reads, such as
            `log_prob_samples`.

        Raises:
          ValueError: there is no run or no checkpoint, it is damaged, or it belongs to another
            program or to a model of other parts.
        """
        run = LogDir(log_dir, cls.program)
        model = cls(hparams=run.hparams(cls.hparams_class).replace(**changes), log_dir=log_dir,
                    seed=run.seed(), **cls.arguments_of(run))
        model.restore()
        return model

    @classmethod
    def arguments_of(cls, run: LogDir) -> dict[str, Any]:
        """Returns further arguments of the constructor, read from a run; by default none."""
        del run
        return {}

    def data_set(self, sequences: Sequence[Nest]) -> DataSet:
        """Returns the training batches; by default whole sequences, or windows of long ones."""
        return data_lib.Sequences(
            sequences, self.hparams.batch_size, self.hparams.sequence_size, seed=self._seed)

    def validation_batches(self, sequences: Sequence[Nest]) -> Iterable[Batch]:
        """Returns the validation batches; by default every step of every sequence once."""
        return data_lib.windows(sequences, self.hparams.batch_size, self.hparams.sequence_size)

    def after_validation(self, step: int, writer: Writer, log: Callable[[str], None]) -> None:
        """Runs after each validation, for example to log a sample; by default does nothing."""

    def train(
        self, sequences: Sequence[Nest] | tf.data.Dataset, *, num_steps: int,
        valid: Sequence[Nest] = (),
        valid_steps: int = validation.DEFAULT_STEPS, max_minutes: float = math.inf,
        periods: Periods = Periods(), should_stop: Callable[[], bool] = lambda: False,
        strategy: Strategy = SINGLE_PROCESS, patience: int | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> TrainResult:
        """Trains the model, resuming from the latest checkpoint in `log_dir`.

        Args:
          sequences: each a nest of arrays `[N, ...]`; or a `tf.data.Dataset` of batches (see
            `data.TFDataSet`).
          num_steps: number of updates, including those of earlier sessions.
          valid: held-out sequences; the checkpoint with their best score is kept, as for early
            stopping, and used for scores and samples, also of this object. A run that goes on with
            others looks for its best score anew.
          valid_steps: largest number of steps to validate on. Of more, every validation takes the
            same sample, evenly spread (`evaluate.validation.spread_sample`); 0 takes all.
          max_minutes: time limit of this session, which does not cut off the repetition of a
            validation during which an earlier session ended.
          periods: how often metrics are written and validation runs.
          should_stop: called after every update and every batch of validation; training stops if
            it returns True. A validation that was cut short is repeated when the run is resumed.
          strategy: distributes the rows of a batch; its chief reads and writes `log_dir`.
          patience: validations without improvement after which training stops (early stopping), 0
            for no limit; by default the hyperparameter `patience`. It needs `valid`.
          callbacks: called after updates and validations; their state is part of the run.

        Returns:
          The number of updates, why training stopped, and the best validation score.

        Raises:
          ValueError: there is too little data, `valid` has no step, `log_dir` is locked by another
            session or is damaged, the replicas cannot share a batch evenly or the weights were made
            for one, a period is below 1, `patience` has no validation, or a run is to begin with
            weights of an earlier one.
          NumericsError: a loss or gradient is not finite.
          LostWorkerError: another worker was lost.
        """
        data = (data_lib.TFDataSet(sequences) if isinstance(sequences, tf.data.Dataset)
                else self.data_set(sequences))
        check_batch_size(data.batch_size, strategy)
        periods.check()
        if patience and not len(valid):
            raise ValueError(
                f"expected held-out sequences, valid, to stop early by patience={patience}; got "
                "none.")
        num_data_steps = 0
        if self.hparams.weight_posterior != "none" and not isinstance(sequences, tf.data.Dataset):
            num_data_steps = validation.num_steps(sequences)
        sample = (validation.spread_sample(valid, valid_steps, self.alignment)
                  if valid_steps else valid)
        # Before the directory is made: wrong data and hyperparameters leave none behind.
        first = data.batch(0)
        num_valid = validation.num_steps(sample)
        first_valid = self._checked_batches(first, sample, num_valid)
        ops = self._train_ops(num_steps, strategy, num_data_steps)
        with (self._lock_log_dir() if strategy.is_chief else contextlib.nullcontext(),
              strategy.peer_errors(), self._changed_weights(ops)):
            ops.build(first)
            # Validates with the training bound: other bounds may move in the other direction.
            evaluator = self.make_evaluator(bounds.make(
                self.hparams.train_bound, self.hparams.train_samples, chunked=True))
            trainer = Trainer(
                ops, data, self._checkpoints, objects=self._objects(), unit=self.unit,
                validate=(lambda should_stop: validation.interruptible_score(
                    evaluator, self.validation_batches(sample), num_valid,
                    should_stop=should_stop, unit=self.unit)) if len(valid) else None,
                after_validation=self.after_validation, periods=periods, strategy=strategy,
                patience=self.hparams.patience if patience is None else patience,
                callbacks=callbacks, valid_checksum=validation.checksum(sample, first_valid))
            num_done = trainer.restore()
            if not num_done and self._has_trained:
                raise ValueError(
                    "expected the first weights of the model, as there is no checkpoint to resume; "
                    "it has others, of earlier training. Make the model again, with equal seeds.")
            # The line of a step is written after its validation.
            num_written = num_done - trainer.is_validation_pending(num_steps)
            writer = self.make_writer(num_written) if strategy.is_chief else MultiWriter([])
            unit = "time step" if self.unit == "step" else self.unit  # beside training steps
            with writer, Progress("train", total=num_steps, initial=num_done, unit=unit,
                                  hidden=not strategy.is_chief) as progress:
                for line in self._first_lines(num_done, valid, sample, patience):
                    progress.write(line)
                result = trainer.run(num_steps, writer, progress, max_minutes=max_minutes,
                                     should_stop=should_stop)
            self.step = result.step
            if strategy.is_chief and self._checkpoints.steps("best"):
                self.restore()
            elif ops.average is not None:
                ops.average.assign_to_weights()
            return result

    def _checked_batches(
        self, first: Batch, valid: Sequence[Nest], num_valid: int
    ) -> list[Batch]:
        """Checks the first batch of training and that of validation, if any; returns the latter."""
        if len(valid) and not num_valid:
            raise ValueError("valid: expected sequences of at least one step in all, got none.")
        first_valid = list(
            itertools.islice(self.validation_batches(valid), 1)) if len(valid) else []
        for batch in (first, *first_valid):
            data_lib.as_tensors(batch, self.gen_core.core.observation_spec)
            if tf.nest.flatten(first.inputs) and not tf.nest.flatten(batch.inputs):
                raise ValueError(
                    "valid: expected batches with inputs, as those of training have, got none. "
                    "Override validation_batches, which makes them of valid.")
        return first_valid

    def _first_lines(
        self, num_done: int, valid: Sequence[Nest], sample: Sequence[Nest], patience: int | None
    ) -> Iterator[str]:
        """Yields what a session of training prints before its first update."""
        if num_done:
            yield f"step {num_done}: going on from here"
        best = self._checkpoints.steps("best")
        if best and not len(valid):
            yield (f"Scores and samples use step {best[-1]}, the best of earlier validations; "
                   "restore(best=False) takes the last step.")
        if self.hparams.patience and patience is None and not len(valid):
            yield "patience has no effect: there are no held-out sequences."
        if sample is not valid:
            yield (f"Each validation scores the same {validation.num_steps(sample):,} of "
                   f"{validation.num_steps(valid):,} {self.unit}s, evenly spread; valid_steps "
                   "(--valid-steps) sets how many.")

    @contextlib.contextmanager
    def _changed_weights(self, ops: TrainOps) -> Iterator[None]:
        """Lets samples use the weights as they change; after an exception, a checkpoint's."""
        self._ready = True
        try:
            yield
        except BaseException:
            self._ready = False
            raise
        finally:
            self._has_trained |= int(ops.step.numpy()) > 0

    def restore(self, *, best: bool = True) -> int:
        """Restores the weights saved in `log_dir`; returns the step of their checkpoint.

        Args:
          best: restore the checkpoint with the best validation score, if there is one, instead of
            the latest.

        Raises:
          ValueError: there is no checkpoint, or it does not fit the model.
        """
        ops = self._build()
        step = self._checkpoints.restore(
            {**self._objects(), **({} if ops.average is None else {"ops": ops})}, best=best)
        if step is None:
            raise ValueError(
                f"{str(self.log_dir.path)!r}: expected a checkpoint, found none. Train first.")
        if ops.average is not None:
            ops.average.assign_to_weights()
        self._ready = self._has_trained = True
        self.step = step
        return step

    def evaluate(
        self, sequences: Sequence[Nest], *, bound: str | None = None,
        num_samples: int | None = None, seed: int = 0, batch_size: int | None = None,
        window: int | None = None,
    ) -> Score:
        """Scores sequences: the log-likelihood of all their steps, or a bound on it.

        Args:
          sequences: each a nest of arrays `[N, ...]`.
          bound: "elbo", "iwae" or "fivo"; models without latents give the exact value for each.
            By default "elbo", or "reconstruction" where a posterior that is a point has no bound.
          num_samples: number of samples of the latents of each sequence; by default the
            hyperparameter `log_prob_samples`.
          seed: for the samples.
          batch_size: number of sequences scored at once; by default that of training.
          window: number of steps in one compiled call, with carried state; by default up to 1024.

        Returns:
          The pooled score, in nats.

        Raises:
          ValueError: there are no sequences, or the bound is unknown or not defined for the model.
        """
        if not len(sequences):
            raise ValueError("expected at least one sequence to score, got none.")
        rows = min(batch_size or self.hparams.batch_size, data_lib.bucket(len(sequences)))
        longest = int(data_lib.sizes(sequences).max())
        batches = data_lib.windows(
            sequences, rows, window or min(1024, data_lib.bucket(longest)))
        return self.evaluator(bound, num_samples).score(batches, seed=seeds.make(seed))

    def evaluator(self, bound: str | None = None, num_samples: int | None = None) -> Evaluator:
        """Returns the `Evaluator` of a bound; arguments as for `evaluate`."""
        self._ensure_weights()
        bound = bound or ("elbo" if self.gen_core.core.has_density else "reconstruction")
        samples = self.hparams.log_prob_samples if num_samples is None else num_samples
        if not self.gen_core.core.latent_size:
            samples = 1  # All samples would be equal.
        if (bound, samples) not in self._evaluators:  # Each one compiles again.
            self._evaluators[bound, samples] = self.make_evaluator(bounds.make(
                bound, samples, chunked=True, monte_carlo=self.hparams.use_monte_carlo_kl))
        return self._evaluators[bound, samples]

    def generate(
        self, *, num_samples: int = 1, length: int, prime: Nest | None = None,
        temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0,
        seed: int = 0,
    ) -> list[Nest]:
        """Samples sequences.

        Args:
          num_samples: number of sequences.
          length: largest number of steps of each, after the prime.
          prime: the beginning of all sequences, a nest of `[N, ...]`; not part of the result.
          temperature: above 1 flattens the distribution of observations, below 1 sharpens it.
          top_k: decoders of classes draw from the `top_k` most likely ones; 0 for all.
          top_p: they draw from the smallest set of probability `top_p` or more; 1 for all.
          min_p: they draw from classes at least `min_p` times as likely as the likeliest one.
          seed: equal seeds give equal sequences.

        Returns:
          A list of nests of arrays `[N, ...]`; N is less than `length` if the agent finished.

        Raises:
          ValueError: a number is out of its range.
          NotImplementedError: the decoder has no classes to leave out.
        """
        return self.sampler.generate(
            num_samples=num_samples, length=length, prime=prime, temperature=temperature,
            truncation=Truncation(top_k, top_p, min_p), seed=seed)

    def most_likely(
        self, *, length: int, beam_size: int = 16, prime: Nest | None = None
    ) -> list[Beam]:
        """Searches for the most likely sequences of symbols of a model without latents.

        Args:
          length: largest number of steps of each, after the prime.
          beam_size: number of sequences kept at each length; more find more likely ones.
          prime: what comes before, integers `[N]`; not part of the result.

        Returns:
          At most `beam_size` sequences with their log-probabilities, the most likely one first.

        Raises:
          ValueError: the model has latents or gives no single symbols, or a number is below 1.
        """
        state = None if prime is None else self.sampler.primed(prime, 1, seed=seeds.make(0))
        return self._beam_search.search(length, beam_size, state)

    @functools.cached_property
    def _beam_search(self) -> BeamSearch:
        return BeamSearch(self.gen_core)  # each one compiles again

    def impute(
        self, sequences: Sequence[Nest], *, num_samples: int = 1, num_particles: int = 256,
        lag: int | None = None, seed: int = 0,
    ) -> list[Nest]:
        """Samples the missing values of sequences, given what was seen before and after them.

        A diffusion model (MASKDIFF, GAUSSDIFF) draws every step that misses a value as a whole.

        Args:
          sequences: each a nest of masked arrays `[N, ...]`.
          num_samples: number of completions of each.
          num_particles: particles of the filter; more approximate the conditional distribution
            under the model better. Diffusion models have no filter.
          lag: number of later steps that condition each step; fewer keep more distinct values in
            long sequences; by default all.
          seed: for the samples.

        Returns:
          For each sequence a nest of arrays `[num_samples, N, ...]`, equally likely completions
          whose seen values are as given.

        Raises:
          ValueError: the model takes no missing values (`missing_values`), a number is below 1, or
            the seen values of a sequence have no probability.
        """
        if num_samples < 1:
            raise ValueError(f"expected at least one sample, got num_samples={num_samples}.")
        self._ensure_weights()
        if isinstance(self.gen_core.core, vae.Diffusion):
            data_lib.check_finite(sequences)
            return [self._fill(sequence, num_samples, seeds.fold_in(seeds.make(seed), number))
                    for number, sequence in enumerate(sequences)]
        sizes = data_lib.sizes(sequences)
        longest = int(sizes.max(initial=1))
        results = []
        for number, sequence in enumerate(sequences):
            data_lib.check_finite([sequence], number)
            padded = data_lib.pad(
                [sequence], data_lib.quartered_bucket(int(sizes[number]), longest))
            batch = data_lib.as_tensors(padded, self.gen_core.core.observation_spec)
            completions, log_prob = self._impute(
                batch.observed, batch.lengths, num_samples, num_particles, lag,
                seeds.fold_in(seeds.make(seed), number))
            if not np.isfinite(log_prob):
                score = str(log_prob.numpy()).replace("nan", "NaN")
                raise ValueError(
                    f"sequence {number}: expected seen values that have a probability under the "
                    f"model, got a log-density of {score}. Classes, for example, are below the "
                    "decoder's number of classes.")
            steps = int(batch.lengths[0])
            results.append(tf.nest.map_structure(lambda leaf: leaf[:, :steps].numpy(), completions))  # noqa: B023
        return results

    def _fill(self, sequence: Nest, num_samples: int, seed: Seed) -> Nest:
        """Draws the steps of a sequence that miss a value, a nest of `[num_samples, N, ...]`."""
        leaves = tf.nest.flatten(sequence)
        missing = [np.ma.getmaskarray(leaf).any(tuple(range(1, leaf.ndim))) for leaf in leaves]
        num_steps = len(leaves[0])
        size = data_lib.bucket(num_steps)
        is_known = np.zeros([num_samples, size], bool)
        is_known[:, :num_steps] = ~np.any(missing, 0)
        batch = data_lib.pad(
            [tf.nest.map_structure(lambda leaf: np.ma.filled(leaf, 0), sequence)], size)
        values = tf.nest.map_structure(
            lambda leaf: np.repeat(leaf, num_samples, 0),
            data_lib.as_tensors(batch, self.gen_core.core.observation_spec).observed)
        filled = self.sampler.fill(
            values, is_known, np.repeat(batch.lengths, num_samples), seed=seed)
        return tf.nest.map_structure(lambda leaf: leaf[:, :num_steps], filled)

    def summary(self) -> str:
        """Describes the model: its parts, their weights, and what a training step costs.

        The cost is an estimate for the hyperparameters' batch: operations of the matrix products
        forwards and backwards, over this machine's rate for one large product; memory of weights,
        gradients and Adam's two moments, and of the results of the products.
        """
        self._ensure_weights()
        core = self.gen_core.core
        decoder = {id(v) for v in core.decoder.trainable_variables}
        agent = {id(v) for v in self.gen_core.agent.trainable_variables}
        parts: dict[str, list[tf.Variable]] = {"agent": [], "core": [], "decoder": []}
        for v in self.gen_core.trainable_variables:
            part = "decoder" if id(v) in decoder else "agent" if id(v) in agent else "core"
            parts[part].append(v)
        kinds = {"agent": self.gen_core.agent, "core": core, "decoder": core.decoder}
        lines = [f"{type(self).__name__}: {type(core).__name__} with {core.latent_size} latents"]
        for name, variables in parts.items():
            count = sum(v.shape.num_elements() for v in variables)
            lines.append(f"  {name}, {type(kinds[name]).__name__}: {count:,} weights")
            lines += [f"    {v.name.removesuffix(':0')} {v.shape}" for v in variables]
        return "\n".join([*lines, *_cost_lines(self.hparams, sum(parts.values(), []))])

    @property
    def sampler(self) -> Sampler:
        """Draws sequences from the model, whole or in chunks."""
        self._ensure_weights()
        return self._sampler

    def build(self) -> None:
        """Creates all variables, with initial weights from the seed."""
        self._build()

    def _build(self) -> TrainOps:
        ops = self._train_ops(1)
        single_step = nest.zeros(self.observation_spec, 1, 1)
        ops.build(Batch(single_step, np.ones([1], np.int32), np.ones([1], bool),
                        nest.zeros(self.input_spec, 1, 1)))
        return ops

    def _ensure_weights(self) -> None:
        """Restores the saved weights, or builds initial ones, if none are in memory."""
        if self._ready:
            return
        if self._checkpoints.steps():
            self.restore()
        else:
            self.build()
            self._ready = True

    @contextlib.contextmanager
    def _lock_log_dir(self) -> Iterator[None]:
        """Locks the log directory, creating it or checking that its run is this one."""
        with self.log_dir.locked():
            if self.log_dir.exists:
                self.log_dir.check_same(self.hparams, self._seed)
            else:
                self.save_files()
                self.log_dir.write_parts(self._parts())
                self.log_dir.create(self.hparams, self._seed)
            yield

    def make_writer(self, last_step: int) -> Writer:
        """Returns the writer of metrics; lines after `last_step` are removed."""
        return MultiWriter([JsonLines(self.log_dir.metrics, last_step=last_step),
                            TensorBoard(self.log_dir.events)])

    def save_files(self) -> None:
        """Writes further files that describe the model into `log_dir`; by default none."""

    def _parts(self) -> dict[str, Any]:
        core = self.gen_core.core
        return {"agent": describe(self.gen_core.agent), "core": describe(core),
                "decoder": describe(core.decoder)}

    def _objects(self) -> dict[str, tf.Module]:
        return {"gen_core": self.gen_core}

    def _train_ops(
        self, num_steps: int, strategy: Strategy = SINGLE_PROCESS, num_data_steps: int = 0
    ) -> TrainOps:
        return TrainOps.from_hparams(
            self.gen_core, self.hparams, num_steps=num_steps, make_loss=self.make_loss,
            seed=seeds.make(self._seed), strategy=strategy, num_data_steps=num_data_steps)


def _cost_lines(hparams: HParams, variables: Sequence[tf.Variable]) -> list[str]:
    """Says what a training step costs, in two lines."""
    steps = hparams.batch_size * hparams.sequence_size
    matrices = [v.shape.as_list() for v in variables if v.shape.rank == 2]
    operations = 6 * steps * sum(rows * columns for rows, columns in matrices)
    square = tf.ones([1024, 1024])
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        tf.matmul(square, square).numpy()
        seconds.append(time.perf_counter() - start)
    rate = 2 * 1024**3 / min(seconds)
    weights = sum(v.shape.num_elements() * v.dtype.size for v in variables)
    results = 4 * steps * sum(columns for _, columns in matrices)
    return [
        f"  a step of {hparams.batch_size} x {hparams.sequence_size}: about "
        f"{operations:.2g} operations, {1000 * operations / rate:.2g} ms at "
        f"{rate / 1e9:.0f} GFLOP/s; compilation of the first one not counted",
        f"  memory: about {(4 * weights + 2 * results) / 1e6:.3g} MB, with weights of "
        f"{weights / 1e6:.3g} MB"]
