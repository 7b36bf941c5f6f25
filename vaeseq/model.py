# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The base class of whole models: say what an observation is, get training, scores and samples.

    class Waves(Model):
        observation_spec = tf.TensorSpec([1], tf.float32)

        def make_encoder(self):
            return encoders.MLPEncoder(self.observation_spec, (32,))

        def make_decoder(self):
            return decoders.Normal(self.observation_spec)

    model = Waves(HParams(vae_type="SRNN"), "/tmp/waves")
    model.train(sequences, num_steps=1000, valid=held_out)
    model.evaluate(held_out).nats_per_step
    model.generate(num_samples=3, length=200)

Axes: B batch, T time (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from vaeseq import agent as agent_lib
from vaeseq import bounds, nest, seeds, vae
from vaeseq import data as data_lib
from vaeseq.agent import Agent
from vaeseq.data import Batch, DataSet
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.evaluate.likelihood import Evaluator, Score
from vaeseq.evaluate.sampler import Sampler
from vaeseq.hparams import HParams
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.train.distribute import SINGLE_PROCESS, Strategy, check_batch_size
from vaeseq.train.metrics import JsonLines, MultiWriter, TensorBoard, Writer
from vaeseq.train.ops import TrainOps
from vaeseq.train.trainer import Periods, Trainer, TrainResult
from vaeseq.types import Nest


class Model(abc.ABC):
    """A sequence model with its log directory.

    A subclass defines `observation_spec`, `make_encoder` and `make_decoder`, and where the defaults
    do not fit, `make_agent` and `data_set`.

    Attributes:
      hparams: the hyperparameters.
      log_dir: where the run is kept; what was trained there is restored when it is first asked
        for a score or a sample.
      gen_core: the agent and the core.
      sampler: draws from them.
    """

    program = "vaeseq"
    unit = "step"

    def __init__(
        self, hparams: HParams, log_dir: str | os.PathLike[str], *, seed: int = 0
    ):
        """Creates the model; if `log_dir` holds a run, it must be one of this model.

        Args:
          hparams: sizes and kinds.
          log_dir: of the run; made when training begins.
          seed: of weights, batches and everything random in training.

        Raises:
          ValueError: the run there has other hyperparameters or another seed, is damaged or of
            another program.
        """
        self.hparams = hparams
        self.log_dir = LogDir(log_dir, self.program)
        self._seed = seed
        if self.log_dir.exists:
            self.log_dir.check_same(hparams, seed)
        encoder, decoder = self.make_encoder(), self.make_decoder()
        core = vae.make(hparams, decoder, encoder)
        self.gen_core = vae.GenCore(self.make_agent(encoder), core)
        self.sampler = Sampler(self.gen_core)
        self._checkpoints = Checkpoints(self.log_dir.checkpoints)
        self._evaluators: dict[tuple[str, int], Evaluator] = {}
        self._ready = False

    @property
    @abc.abstractmethod
    def observation_spec(self) -> Nest:
        """A nest of `tf.TensorSpec` of one observation."""

    @abc.abstractmethod
    def make_encoder(self) -> Encoder:
        """From an observation to features, for contexts and for inference."""

    @abc.abstractmethod
    def make_decoder(self) -> DistModule:
        """The distribution of one observation."""

    def make_agent(self, encoder: Encoder) -> Agent:
        """Where contexts come from; by default the encoding of the observation before."""
        return agent_lib.EncodeObserved(encoder, self.observation_spec)

    def data_set(self, sequences: Sequence[Nest]) -> DataSet:
        """Batches to train on; by default whole sequences, or random windows of long ones."""
        return data_lib.Sequences(
            sequences, self.hparams.batch_size, self.hparams.sequence_size, seed=self._seed)

    def validation_batches(self, sequences: Sequence[Nest]) -> Iterable[Batch]:
        """Batches to validate on; by default every step of every sequence once."""
        return data_lib.windows(sequences, self.hparams.batch_size, self.hparams.sequence_size)

    def after_validation(self, step: int, writer: Writer, log: Callable[[str], None]) -> None:
        """Called after each validation while training, to show a sample; by default nothing."""

    def train(
        self, sequences: Sequence[Nest], *, num_steps: int, valid: Sequence[Nest] = (),
        max_minutes: float = math.inf, periods: Periods = Periods(),
        should_stop: Callable[[], bool] = lambda: False, strategy: Strategy = SINGLE_PROCESS,
    ) -> TrainResult:
        """Trains, going on where the run in `log_dir` stopped.

        Args:
          sequences: each a nest of arrays `[N, ...]`.
          num_steps: updates in all, those of earlier sittings counted.
          valid: held-out sequences; the best state by their score is kept beside the latest.
          max_minutes: of this sitting.
          periods: how often metrics are written, and scores and checkpoints made.
          should_stop: asked after every step.
          strategy: who trains together; the chief of them reads and writes `log_dir`.

        Raises:
          ValueError: too little data; `log_dir` is in use by another run, or is no run's; the
            workers cannot share a batch evenly.
          NumericsError: a gradient is not finite.
          LostWorkerError: another worker is gone.
        """
        data = self.data_set(sequences)
        check_batch_size(data.batch_size, strategy)
        with (self._opened() if strategy.is_chief else contextlib.nullcontext(),
              strategy.peer_errors()):
            ops = self._train_ops(num_steps, strategy)
            ops.build(data.batch(0))
            # By the bound that is trained: another may fall while that one rises.
            evaluator = self._evaluator(bounds.make(
                self.hparams.train_bound, self.hparams.train_samples, samples_at_once=None))
            trainer = Trainer(
                ops, data, self._checkpoints, objects=self._objects(), unit=self.unit,
                validate=(lambda: evaluator.score(
                    self.validation_batches(valid), seed=seeds.make(0))) if len(valid) else None,
                after_validation=self.after_validation, periods=periods, strategy=strategy)
            done = trainer.restore()
            self._ready = True
            writer = self.make_writer(done) if strategy.is_chief else MultiWriter([])
            with writer, Progress("train", total=num_steps, initial=done, unit=self.unit,
                                  hidden=not strategy.is_chief) as progress:
                if done:
                    progress.write(f"step {done}: going on from here")
                return trainer.run(num_steps, writer, progress, max_minutes=max_minutes,
                                   should_stop=should_stop)

    def restore(self, *, best: bool = True) -> int:
        """Loads the weights saved in `log_dir`; returns the step they are of.

        Args:
          best: the best by validation, where there was any; else the latest.

        Raises:
          ValueError: nothing was saved there, or it does not fit.
        """
        self.build()
        step = self._checkpoints.restore(self._objects(), best=best)
        if step is None:
            raise ValueError(
                f"{str(self.log_dir.path)!r}: expected a checkpoint, found none. Train first.")
        self._ready = True
        return step

    def evaluate(
        self, sequences: Sequence[Nest], *, bound: str = "elbo", num_samples: int | None = None,
        seed: int = 0, batch_size: int | None = None, window: int | None = None,
    ) -> Score:
        """How probable sequences are: every step of each, from its beginning, state carried.

        Args:
          sequences: each a nest of arrays `[N, ...]`.
          bound: "elbo", "iwae" or "fivo"; for a model without latents all are the exact figure.
          num_samples: of the latents; by default the hyperparameter `log_prob_samples`.
          seed: of those.
          batch_size: sequences scored at once; by default that of training.
          window: steps in one compiled call; by default up to 1024.

        Raises:
          ValueError: there is no sequence, or no bound of that name.
        """
        if not len(sequences):
            raise ValueError("expected at least one sequence to score, got none.")
        rows = min(batch_size or self.hparams.batch_size, data_lib.bucket(len(sequences)))
        batches = data_lib.windows(sequences, rows, window or _window(sequences))
        return self.evaluator(bound, num_samples).score(batches, seed=seeds.make(seed))

    def evaluator(self, bound: str = "elbo", num_samples: int | None = None) -> Evaluator:
        """What scores sequences; arguments as for `evaluate`."""
        self._get_ready()
        samples = self.hparams.log_prob_samples if num_samples is None else num_samples
        if not self.gen_core.core.latent_size:
            samples = 1  # all would be the same
        if (bound, samples) not in self._evaluators:  # each compiles anew
            self._evaluators[bound, samples] = self._evaluator(bounds.make(
                bound, samples, samples_at_once=None, monte_carlo=self.hparams.use_monte_carlo_kl))
        return self._evaluators[bound, samples]

    def generate(
        self, *, num_samples: int = 1, length: int, prime: Nest | None = None,
        temperature: float = 1.0, seed: int = 0,
    ) -> list[Nest]:
        """Samples sequences, a list of nests of arrays `[N, ...]`: see `Sampler.generate`."""
        self._get_ready()
        return self.sampler.generate(num_samples=num_samples, length=length, prime=prime,
                                     temperature=temperature, seed=seed)

    def stream(
        self, *, num_samples: int = 1, length: int, prime: Nest | None = None,
        temperature: float = 1.0, seed: int = 0,
    ) -> Iterator[vae.Generated]:
        """Samples sequences chunk after chunk, as NumPy arrays: see `Sampler.stream`."""
        self._get_ready()
        return self.sampler.stream(num_samples=num_samples, length=length, prime=prime,
                                   temperature=temperature, seed=seed)

    def build(self) -> None:
        """Makes all variables, with initial weights from the seed."""
        spec = self.observation_spec
        one = nest.zeros(spec, 1, 1)
        ops = self._train_ops(1)
        ops.build(Batch(one, np.ones([1], np.int32), np.ones([1], bool)))

    def _get_ready(self) -> None:
        """Has weights: those in memory, else the saved ones, else initial ones."""
        if self._ready:
            return
        if self._checkpoints.steps():
            self.restore()
        else:
            self.build()
            self._ready = True

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        """Inside, the log directory is this run's and no other may write there."""
        with self.log_dir.locked():
            if self.log_dir.exists:
                self.log_dir.check_same(self.hparams, self._seed)
            else:
                self.save_files()
                self.log_dir.create(self.hparams, self._seed)
            yield

    def make_writer(self, last_step: int) -> Writer:
        """Where metrics go while training; lines after `last_step` are of a lost sitting."""
        return MultiWriter([JsonLines(self.log_dir.metrics, last_step=last_step),
                            TensorBoard(self.log_dir.events)])

    def save_files(self) -> None:
        """Writes what else a run's directory needs to say what the model is; by default nothing."""

    def _objects(self) -> dict[str, tf.Module]:
        return {"gen_core": self.gen_core}

    def _evaluator(self, bound: bounds.Bound) -> Evaluator:
        return Evaluator(self.gen_core.agent, self.gen_core.core, bound)

    def _train_ops(self, num_steps: int, strategy: Strategy = SINGLE_PROCESS) -> TrainOps:
        return TrainOps.from_hparams(self.gen_core, self.hparams, num_steps=num_steps,
                         seed=seeds.make(self._seed), strategy=strategy)


def _window(sequences: Sequence[Nest]) -> int:
    return min(1024, data_lib.bucket(max(len(tf.nest.flatten(s)[0]) for s in sequences)))
