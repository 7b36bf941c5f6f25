# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The programs without what only computes, so that thousands of commands run in a minute.

Left out: making and compiling a model whose twin is in memory, updates, scores, samples, sound and
pictures, and all but a few moves of a game. Kept: parsing, reading, checking, every file that is
written, and (where it is asked for) restoring checkpoints.
"""
from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from examples.midi import compose, page
from examples.midi.model import MidiModel
from examples.midi.tuning import Tuning
from examples.play.actor_critic import trained_agent, training
from examples.play.actor_critic.learner import Learner
from examples.play.actor_critic.trained_agent import Dream, TrainedAgent
from examples.play.actor_critic.training import Learned
from examples.play.commands import dream, run
from examples.play.envs import env, rollout
from examples.play.envs.replay import Episode
from examples.play.envs.vector_env import Games
from examples.play.hparams import PlayHParams
from examples.text.model import TextModel
from vaeseq import nest, vae
from vaeseq.data import Batch, as_tensors
from vaeseq.evaluate import export
from vaeseq.evaluate.likelihood import Evaluator, Window
from vaeseq.evaluate.sampler import Sampler
from vaeseq.model import Model
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.trainer import TrainResult

from .fuzz_kinds import Space

_MODELS: dict[str, type[Model]] = {"text": TextModel, "midi": MidiModel}
_Load = Callable[[Any], Model]
_LearnerOf = Callable[[LogDir], Learner]


class Warm:
    """Holds a model of each program, and puts it where the programs would make one."""

    def __init__(self, space: Space):
        """Args: space: where the runs are that they are loaded from."""
        self._space = space
        self._loads: dict[str, _Load] = {name: kind.load for name, kind in _MODELS.items()}
        self._ready = {name: self._loads[name](space.log(name)) for name in _MODELS}
        self._learner_of: _LearnerOf = trained_agent._learner
        self._learner_log = LogDir(space.log("play"), training.PROGRAM)
        self._learner = self._learner_of(self._learner_log)

    @contextlib.contextmanager
    def warm(self, is_warm: bool) -> Iterator[None]:
        """Inside, the programs only read, check and write; with False, they do all."""
        with contextlib.ExitStack() as stack:
            if is_warm:
                for patch in self._patches():
                    stack.enter_context(patch)
            yield

    def _patches(self) -> Iterator[Any]:
        for name, kind in _MODELS.items():
            yield mock.patch.object(kind, "load", self._loader(name, kind))
        yield mock.patch.object(Model, "train", _train)
        yield mock.patch.object(Evaluator, "windows", _windows)
        yield mock.patch.object(Sampler, "stream", _stream)
        yield mock.patch.object(page, "write", _write(page.write))
        yield mock.patch.object(compose, "_inferred", lambda model, roll, seed: np.zeros(
            [len(roll), model.gen_core.core.latent_size], np.float32))
        yield mock.patch.object(compose, "_decoded", lambda *_: iter(()))
        yield mock.patch.object(export, "save", lambda *_, **__: None)
        yield mock.patch.object(Tuning, "run", mock.Mock(side_effect=SystemExit(0)))
        yield mock.patch.object(trained_agent, "_learner", self._learner_in)
        yield mock.patch.object(training, "run", _learn)
        yield mock.patch.object(run, "play", _play)
        yield mock.patch.object(dream, "play", _play)
        yield mock.patch.object(TrainedAgent, "dream", _dream)

    def _loader(self, name: str, kind: type[Model]) -> _Load:
        def load(log_dir: Any) -> Model:
            model = self._ready[name]
            directory = LogDir(log_dir, kind.program)
            same = directory.hparams(type(model.hparams)) == model.hparams
            if not same or not _same_files(model, directory):
                return self._loads[name](log_dir)
            model.log_dir = directory
            model._checkpoints = Checkpoints(directory.checkpoints)
            if directory.path != self._space.log(name):
                model.restore()
            return model

        return load

    def _learner_in(self, log_dir: LogDir) -> Learner:
        """`trained_agent._learner`; its weights are restored by who asks."""
        same = (log_dir.hparams(PlayHParams) == self._learner.hparams
                and log_dir.seed() == self._learner_log.seed())
        return self._learner if same else self._learner_of(log_dir)


def _same_files(model: Model, directory: LogDir) -> bool:
    """Whether the files that a model is loaded from say the same as those of `model`."""
    names = ("vocabulary.json",) if isinstance(model, TextModel) else ("notes.json",)
    return all(directory.read(name, 1 << 24) == model.log_dir.read(name, 1 << 24)
               for name in names) and directory.seed() == model.log_dir.seed()


def _train(self: Model, sequences: Sequence[Any], *, num_steps: int, valid: Sequence[Any] = (),
           **_: Any) -> TrainResult:
    """`Model.train` without an update: reads a batch, checks, locks and writes the directory."""
    data = self.data_set(sequences)
    with self._opened():
        if data.batch_size <= 1 << 10:
            data.batch(0)
        for _batch in itertools.islice(self.validation_batches(valid) if len(valid) else (), 3):
            pass
        with self.make_writer(0) as writer:
            writer.scalars(1, {"loss": 1.0})
    return TrainResult(num_steps, "done", math.inf, 0.1)


def _windows(self: Evaluator, batches: Iterable[Batch], *, seed: Any) -> Iterator[Window]:
    """`Evaluator.windows`, with zeros for scores."""
    for batch in batches:
        observed = as_tensors(batch, self._core.decoder.event_spec).observed
        none = np.zeros(tf.nest.flatten(observed)[0].shape[:2], np.float32)
        latents = np.zeros([*none.shape, self._core.latent_size], np.float32)
        yield Window(none, none, latents, none, none[:, 0], batch.lengths)


def _stream(self: Sampler, *, num_samples: int = 1, length: int, prime: Any = None,
            temperature: float = 1.0, seed: int = 0, chunk: int = 128) -> Iterator[vae.Generated]:
    """`Sampler.stream`, one step of zeros."""
    observed = tf.nest.map_structure(
        lambda leaf: leaf.numpy(), nest.zeros(self._spec, min(num_samples, 64), 1))
    none = np.zeros([len(tf.nest.flatten(observed)[0])], np.float32)
    fields = dict.fromkeys(vae.Generated._fields, ())
    yield vae.Generated(**{**fields, "observed": observed,
                           "lengths": np.ones(len(none), np.int32)})


def _write(write: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """`page.write` of the first sample."""
    def first(folder: Any, samples: Any, grid: Any, **options: Any) -> list[str]:
        return write(folder, itertools.islice(samples, 1), grid, **options)

    return first


def _learn(hparams: PlayHParams, log_dir: LogDir, *, num_steps: int, seed: int,
           **_: Any) -> Learned:
    """`training.run` without an update: begins a game, locks and writes the directory."""
    with Games(env.game(hparams.game, hparams.observed_indices), 1) as games, log_dir.locked():
        games.reset(0, 0)
        if not log_dir.exists:
            log_dir.create(hparams, seed)
        with training._writer(log_dir, 0) as writer:
            writer.scalars(1, {"eval_mean": 1.0})
    return Learned(num_steps, "done", math.nan, math.nan, False)


def _play(games: Games, player: rollout.Player, **options: Any) -> Iterator[Episode]:
    """`rollout.play`, of one short game that is played at random."""
    del player
    return rollout.play(games, rollout.RandomPlayer(games.game.actions),
                        **{**options, "num_games": 1, "most_moves": 3})


def _dream(self: TrainedAgent, episode: Episode, *, length: int, **_: Any) -> Dream:
    """`TrainedAgent.dream`, in which nothing happens."""
    length = min(length, 3)
    return Dream(np.repeat(episode.observations[:1], length, axis=0), np.zeros([length]),
                 np.ones([length]), np.repeat(episode.actions[:1], length, axis=0))
