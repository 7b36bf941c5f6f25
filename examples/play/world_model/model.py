# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The model of a game: what an action changes, its reward, and whether the episode continues.

Notation: x_t an observation, a_t the action that answers it, r_t its reward, c_t whether the
episode continues after it.

    l_t        = W (x_t, a_t, 1)                        the change expected by a linear baseline
    context_t  = features of (x_t, a_t), and l_t        from the agent
    observed_t = (x_t+1 - x_t - l_t, r_t, c_t)          from the decoder, a group of three

The sequence model is one of transitions. It observes changes, which vary less than observations,
and only their residuals over a linear baseline, fitted by least squares to the replay buffer: most
motion is close to linear, and a network approximates a linear function less exactly. Residuals and
rewards are standardised by statistics of the replay buffer. A `Belief` at x_t holds x_t and the
core's state after all transitions before it.

Axes: B batch, T time, D numbers of an observation, A numbers of an action, F features.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import agent as agent_lib
from vaeseq import nest, seeds, vae
from vaeseq.codec import decoders, encoders
from vaeseq.data import Batch, as_tensors
from vaeseq.encoder import Encoder
from vaeseq.train.ops import TrainOps
from vaeseq.types import Nest, Seed, Tensor

from ..envs.env import Game
from ..envs.replay import Transitions
from ..hparams import PlayHParams
from .statistics import LinearBaseline, Standardizer

_PART = 1 << 23  # numbers of pictures whose statistics are computed at once
_MIN_RESIDUAL = 0.05  # of a change's deviation: residuals are not modelled more exactly


class Controls(NamedTuple):
    """The inputs of a transition, or the specs of them."""

    observation: Nest  # x_t, standardised, `[..., D]`
    action: Nest  # a_t, encoded (see `Actions.encode`), `[..., A]`


class ControlsEncoder(Encoder):
    """Encodes controls by an MLP, followed by the change expected by the linear baseline."""

    def __init__(self, group: Encoder, layers: Encoder, baseline: LinearBaseline, size: int):
        """Args: group: flattens controls. layers, baseline: read its output. size: D."""
        super().__init__()
        self._group = group
        self._layers = layers
        self._baseline = baseline
        self._size = size

    @property
    def input_spec(self) -> Nest:
        return self._group.input_spec

    @property
    def output_size(self) -> int:
        return self._layers.output_size + self._size

    def __call__(self, observation: Controls) -> Tensor:
        numbers = self._group(observation)
        return tf.concat([self._layers(numbers), self._baseline(numbers)], -1)


class Transition(NamedTuple):
    """The observation of a step, or the specs or decoders of it."""

    change: Nest  # x_t+1 - x_t - l_t, standardised, `[..., D]`
    reward: Nest  # r_t, standardised, `[...]`
    continues: Nest  # c_t, 1 where the episode continues, `[...]`


class Belief(NamedTuple):
    """What a player knows before it acts: the model's state."""

    observation: Tensor  # x_t in the environment's units, `[B, D]`
    core: vae.CoreState  # the core's state, after the transitions up to x_t
    steps: Tensor  # the number of transitions so far, int32 `[B]`


class ImaginedStep(NamedTuple):
    """An imagined step."""

    reward: Tensor  # the mean of r_t, in the environment's units, `[B]`
    continues: Tensor  # the probability that the episode continues, `[B]`
    belief: Belief  # after the step


class World(snt.Module):
    """The model of a game.

    Attributes:
      game: the description of the environment.
      size: D.
      gen_core: the core, with an agent that takes recorded controls.
    """

    def __init__(self, hparams: PlayHParams, game: Game, name: str | None = None):
        """Creates the model; building `train_ops` on `empty_batch` creates its variables."""
        super().__init__(name=name)
        self.game = game
        self.size = int(np.prod(game.observation_shape))
        self._hparams = hparams
        self._observations = Standardizer((self.size,), "observations")
        self._changes = Standardizer((self.size,), "changes")
        self._baseline = LinearBaseline(self.size + game.actions.size, self.size, "line")
        self._residuals = Standardizer((self.size,), "residuals", min_deviation=_MIN_RESIDUAL)
        self._rewards = Standardizer((), "rewards")
        self._reward_size = tf.Variable(1.0, trainable=False, name="reward_size")
        self._reward_bounds = tf.Variable(
            [-math.inf, math.inf], trainable=False, name="reward_bounds")
        controls = Controls(self._spec(self.size), self._spec(game.actions.size))
        numbers = self._group(controls)
        self._controls = ControlsEncoder(numbers, self._layers(numbers), self._baseline, self.size)
        core = vae.make(hparams, self._make_decoder(), self._make_encoder(self._transition_spec))
        self.gen_core = vae.GenCore(agent_lib.ExternalInputs(self._controls), core)
        # The same core, with contexts as inputs.
        contexts = agent_lib.ExternalInputs(encoders.Flatten(self._spec(self.context_size)))
        self._filter = vae.GenCore(contexts, core)

    @property
    def context_size(self) -> int:
        """The size F of a context."""
        return self._controls.output_size

    @property
    def reward_size(self) -> Tensor:
        """The root mean square of recorded rewards, `[]`: the unit of values."""
        return tf.convert_to_tensor(self._reward_size)

    @property
    def reward_bounds(self) -> Tensor:
        """The bounds of recorded rewards, `[2]`, widened to include 0.

        Every average of rewards, with 0 after the end of an episode, lies between them.
        """
        return tf.convert_to_tensor(self._reward_bounds)

    def fit_statistics(self, data: Transitions) -> None:
        """Fits the linear baseline and the standardisation to recorded steps."""
        # Without a baseline the numbers are independent, and those of pictures fit in memory as
        # float64 in parts only.
        width = self.size if self._baseline.is_used else max(2, _PART // len(data.rewards))
        for start in range(0, self.size, width):
            self._fit_part(data, slice(start, start + width))
        self._rewards.fit(
            data.rewards, by_quantiles=self._hparams.reward_unit == "quantiles")
        size = np.sqrt(np.mean(np.square(data.rewards, dtype=np.float64)))
        self._reward_size.assign(size if size > 0 else 1.0)
        self._reward_bounds.assign([min(0.0, data.rewards.min()), max(0.0, data.rewards.max())])

    def _fit_part(self, data: Transitions, part: slice) -> None:
        """Fits the statistics of a part of an observation's numbers, and their baseline."""
        x, x_next = self._flat(data.before, part), self._flat(data.after, part)
        self._observations.fit(x, part)
        self._changes.fit(x_next - x, part)
        changes = self._changes.of_array(x_next - x, part)
        if self._baseline.is_used:
            controls = np.concatenate([
                self._observations.of_array(x), self.game.actions.encode(data.actions)], -1)
            self._baseline.fit(controls, changes)
            changes -= self._baseline.of_array(controls)
        self._residuals.fit(changes, part)

    def train_ops(self, seed: Seed) -> TrainOps:
        """Creates the operations that train the model."""
        return TrainOps.from_hparams(
            self.gen_core, self._hparams, jit_compile=self._hparams.jit_compile, seed=seed)

    def empty_batch(self) -> Batch:
        """Returns a batch of one step of zeros, to create variables with."""
        observed, inputs = nest.zeros((self._transition_spec, self._controls.input_spec), 1, 1)
        return Batch(observed, np.ones([1], np.int32), np.ones([1], bool), inputs)

    def batch(self, steps: Transitions, lengths: np.ndarray) -> Batch:
        """Converts windows of recorded episodes, `Replay.sample`, to a batch for `train_ops`."""
        x, x_next = self._flat(steps.before), self._flat(steps.after)
        controls = Controls(
            self._observations.of_array(x), self.game.actions.encode(steps.actions))
        residuals = (self._changes.of_array(x_next - x)
                     - self._baseline.of_array(np.concatenate(controls, -1)))
        observed = Transition(
            self._residuals.of_array(residuals), self._rewards.of_array(steps.rewards),
            np.float32(~steps.terminated))
        batch = Batch(observed, lengths, np.ones([len(lengths)], bool), controls)
        return as_tensors(batch, self._transition_spec)

    def transition(
        self, before: Tensor, context: Tensor, after: Tensor, reward: Tensor, continues: Tensor
    ) -> Transition:
        """Computes the observation of a real step.

        Args:
          before: x_t, `[..., D]`.
          context: of the step, `[..., F]`.
          after: x_t+1, `[..., D]`.
          reward: r_t, `[...]`.
          continues: c_t, `[...]`.
        """
        residuals = self._changes(after - before) - self._expected(context)
        return Transition(self._residuals(residuals), self._rewards(reward), continues)

    def in_units(self, standardised: Tensor) -> Tensor:
        """Converts standardised observations to the environment's units, `[..., D]`."""
        return self._observations.inverse(standardised)

    def features(self, belief: Belief, memory: bool = True) -> Tensor:
        """Returns the input of a policy, `[..., F]`: x_t, and with `memory` the core's state."""
        recurrent = [tf.reshape(leaf, [nest.leading_dim(leaf), -1])
                     for leaf in tf.nest.flatten(belief.core)] if memory else []
        return tf.concat([self._observations(belief.observation), *recurrent], -1)

    def first_belief(self, observation: Tensor) -> Belief:
        """Returns the belief at the first observation of an episode, `[B, D]`."""
        batch_size = nest.leading_dim(observation)
        return Belief(observation, self.gen_core.core.initial_state(batch_size),
                      tf.zeros([batch_size], tf.int32))

    def context(self, belief: Belief, action: Tensor) -> Tensor:
        """Encodes the belief's observation and an action `[B, A]` as a context, `[B, F]`."""
        return self._controls(Controls(self._observations(belief.observation), action))

    def update(self, belief: Belief, context: Tensor, transition: Transition) -> Belief:
        """Updates the belief after a real step of context `[B, F]`; latents are the posterior's."""
        observed, contexts = tf.nest.map_structure(lambda x: x[:, None], (transition, context))
        state = self._filter.initial_state(nest.leading_dim(context))._replace(core=belief.core)
        seed = seeds.fold_in(seeds.make(0), tf.reduce_sum(belief.steps))
        state = self._filter.prime(observed, state, contexts, seed=seed)
        after = self._next_observation(belief, context, transition.change)
        return Belief(after, state.core, belief.steps + 1)

    def imagine_step(
        self, belief: Belief, context: Tensor, *, temperature: float = 1.0, seed: Seed
    ) -> ImaginedStep:
        """Samples a step from the model; differentiable by the belief and the context."""
        latent_seed, observed_seed = seeds.split(seed, 2)
        sample, core = vae.draw(
            self.gen_core.core, context, belief.core, temperature=temperature,
            latent_seed=latent_seed, observed_seed=observed_seed)
        after = self._next_observation(belief, context, sample.observed.change)
        return ImaginedStep(
            self._rewards.inverse(sample.params.reward.loc), tf.sigmoid(sample.params.continues),
            Belief(after, core, belief.steps + 1))

    def _next_observation(self, belief: Belief, context: Tensor, change: Tensor) -> Tensor:
        """Returns x_t+1, `[B, D]`, given the observed change."""
        standardised_change = self._expected(context) + self._residuals.inverse(change)
        return belief.observation + self._changes.inverse(standardised_change)

    def _expected(self, context: Tensor) -> Tensor:
        """Returns l_t of a context, standardised like changes, `[..., D]`."""
        return context[..., -self.size:]

    def _flat(self, observations: np.ndarray, part: slice = slice(None)) -> np.ndarray:
        """Flattens observations to float64 `[..., D]`, or to a part of their numbers."""
        leading = observations.ndim - len(self.game.observation_shape)
        return np.reshape(
            observations, [*observations.shape[:leading], self.size])[..., part].astype(np.float64)

    @property
    def _transition_spec(self) -> Transition:
        return Transition(self._spec(self.size), self._spec(), self._spec())

    @staticmethod
    def _spec(*shape: int) -> tf.TensorSpec:
        return tf.TensorSpec(shape, tf.float32)

    @staticmethod
    def _group(specs: Nest) -> encoders.Group:
        return encoders.Group(tf.nest.map_structure(encoders.Flatten, specs))

    def _layers(self, group: encoders.Group) -> encoders.MLPEncoder:
        """Returns an MLP over the numbers of a group."""
        return encoders.MLPEncoder(
            self._spec(group.output_size), self._hparams.obs_encoder_fc_layers,
            activation=self._hparams.activation)

    def _make_encoder(self, specs: Nest) -> encoders.EncoderSequence:
        group = self._group(specs)
        return encoders.EncoderSequence([group, self._layers(group)])

    def _make_decoder(self) -> decoders.Group:
        h = self._hparams

        def normal(spec: tf.TensorSpec) -> decoders.Normal:
            return decoders.Normal(
                spec, hidden_sizes=h.obs_decoder_fc_hidden_layers, activation=h.activation,
                positive_projection=h.positive_projection, positive_eps=h.positive_eps)

        specs = self._transition_spec
        continues = decoders.Bernoulli(
            specs.continues, hidden_sizes=h.obs_decoder_fc_hidden_layers, activation=h.activation)
        return decoders.Group(Transition(normal(specs.change), normal(specs.reward), continues))
