# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of a game: what an action changes, what it earns, and whether the game goes on.

Notation: x_t an observation, a_t the action that answers it, r_t the reward for it, g_t whether
the game goes on after it.

    l_t        = W (x_t, a_t, 1)                        the change that a line expects
    context_t  = features of (x_t, a_t), and l_t        from the agent
    observed_t = (x_t+1 - x_t - l_t, r_t, g_t)          from the decoder, a group of three

The sequence that is modelled is one of transitions. It observes changes, as they vary less than
what changes, and of those what a line leaves over, which was fitted by least squares to all that
was seen: most of what moves does so along a line, and no network finds one as exactly. What is left
over and rewards are standardised by statistics of all that was seen. A player who has seen
everything up to x_t holds a `Belief`: x_t itself and the state of the core, which knows the
transitions before it.

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
from vaeseq.train.ops import TrainOps
from vaeseq.types import Nest, Seed, Tensor

from ..envs.env import Game
from ..envs.replay import Transitions, Windows
from ..hparams import PlayHParams
from .controls import Controls, ControlsEncoder, encode
from .statistics import Line, Standard

_LEAST_LEFT = 0.05  # of a change's deviation: what a line leaves over is not told more exactly


class Transition(NamedTuple):
    """What is observed of a step, or the encoders or decoders of it.

    Attributes:
      change: x_t+1 - x_t - l_t, standardised, `[..., D]`.
      reward: r_t, standardised, `[...]`.
      going: g_t, 1 where the game goes on, `[...]`.
    """

    change: Nest
    reward: Nest
    going: Nest


class Belief(NamedTuple):
    """What a player knows before it acts.

    Attributes:
      observation: x_t in the game's units, `[B, D]`.
      core: the core's state, after the transitions up to x_t.
      steps: how many transitions those are, int32 `[B]`.
    """

    observation: Tensor
    core: vae.CoreState
    steps: Tensor


class Imagined(NamedTuple):
    """What the model says of a step.

    Attributes:
      reward: the mean of r_t, in the game's units, `[B]`.
      going: the probability that the game goes on, `[B]`.
      belief: after the step.
    """

    reward: Tensor
    going: Tensor
    belief: Belief


class World(snt.Module):
    """The model of a game.

    Attributes:
      game: what is modelled.
      size: D.
      gen_core: the core, and an agent that gives recorded controls.
    """

    def __init__(self, hparams: PlayHParams, game: Game, name: str | None = None):
        """Creates the model; the variables come when `train_ops` are built on `empty_batch`."""
        super().__init__(name=name)
        self.game = game
        self.size = int(np.prod(game.observation_shape))
        self._hparams = hparams
        self._observations = Standard((self.size,), "observations")
        self._changes = Standard((self.size,), "changes")
        self._line = Line(self.size + game.actions.size, self.size, "line")
        self._left_over = Standard((self.size,), "left_over", least=_LEAST_LEFT)
        self._rewards = Standard((), "rewards")
        self._reward_size = tf.Variable(1.0, trainable=False, name="reward_size")
        self._reward_bounds = tf.Variable(
            [-math.inf, math.inf], trainable=False, name="reward_bounds")
        controls = Controls(self._spec(self.size), self._spec(game.actions.size))
        numbers = self._group(controls)
        self._controls = ControlsEncoder(numbers, self._layers(numbers), self._line, self.size)
        core = vae.make(hparams, self._make_decoder(), self._make_encoder(self._transition_spec))
        self.gen_core = vae.GenCore(agent_lib.ExternalInputs(self._controls), core)
        # The same core, after contexts that are known.
        contexts = agent_lib.ExternalInputs(encoders.Flatten(self._spec(self.context_size)))
        self._filter = vae.GenCore(contexts, core)

    @property
    def context_size(self) -> int:
        """F, of a context."""
        return self._controls.output_size

    @property
    def reward_size(self) -> Tensor:
        """The root of the mean square of the rewards seen, `[]`: a unit for values."""
        return tf.convert_to_tensor(self._reward_size)

    @property
    def reward_bounds(self) -> Tensor:
        """The least and the greatest reward seen, `[2]`, or 0 where that is beyond them.

        So is every average of rewards and of the nothing that follows a game's end.
        """
        return tf.convert_to_tensor(self._reward_bounds)

    def fit_statistics(self, seen: Transitions) -> None:
        """Takes the statistics of all steps seen."""
        x, x_next = self._flat(seen.before), self._flat(seen.after)
        self._observations.fit(x)
        self._changes.fit(x_next - x)
        self._rewards.fit(seen.rewards)
        changes = self._changes.of_array(x_next - x)
        if self._line.is_used:
            controls = np.concatenate([
                self._observations.of_array(x), encode(self.game.actions, seen.actions)], -1)
            self._line.fit(controls, changes)
            changes -= self._line.of_array(controls)
        self._left_over.fit(changes)
        size = np.sqrt(np.mean(np.square(seen.rewards, dtype=np.float64)))
        self._reward_size.assign(size if size > 0 else 1.0)
        self._reward_bounds.assign([min(0.0, seen.rewards.min()), max(0.0, seen.rewards.max())])

    def train_ops(self, seed: Seed) -> TrainOps:
        """What trains the model."""
        return TrainOps.from_hparams(
            self.gen_core, self._hparams, jit_compile=self._hparams.jit_compile, seed=seed)

    def empty_batch(self) -> Batch:
        """A batch of one step of zeros, to make variables from."""
        observed, inputs = nest.zeros((self._transition_spec, self._controls.input_spec), 1, 1)
        return Batch(observed, np.ones([1], np.int32), np.ones([1], bool), inputs)

    def batch(self, windows: Windows) -> Batch:
        """Windows of recorded games as a batch for `train_ops`."""
        x, x_next = self._flat(windows.before), self._flat(windows.after)
        controls = Controls(
            self._observations.of_array(x), encode(self.game.actions, windows.actions))
        left_over = (self._changes.of_array(x_next - x)
                     - self._line.of_array(np.concatenate(controls, -1)))
        observed = Transition(
            self._left_over.of_array(left_over), self._rewards.of_array(windows.rewards),
            np.float32(~windows.terminated))
        batch = Batch(observed, windows.lengths, np.ones([len(windows.lengths)], bool), controls)
        return as_tensors(batch, self._transition_spec)

    def transition(
        self, before: Tensor, context: Tensor, after: Tensor, reward: Tensor, going: Tensor
    ) -> Transition:
        """What is observed of a real step.

        Args:
          before: x_t, `[..., D]`.
          context: of the step, `[..., F]`.
          after: x_t+1, `[..., D]`.
          reward: r_t, `[...]`.
          going: g_t, `[...]`.
        """
        left_over = self._changes(after - before) - self._expected(context)
        return Transition(self._left_over(left_over), self._rewards(reward), going)

    def in_units(self, standardised: Tensor) -> Tensor:
        """Observations in the game's units again, `[..., D]`."""
        return self._observations.inverse(standardised)

    def features(self, belief: Belief, memory: bool = True) -> Tensor:
        """What a policy reads, `[B, F]`: x_t, and the core's state if it may."""
        known = tf.nest.flatten(belief.core) if memory else []
        return tf.concat([self._observations(belief.observation), *known], -1)

    def first_belief(self, observation: Tensor) -> Belief:
        """Of a player who sees the first observation of a game, `[B, D]`."""
        batch_size = nest.leading_dim(observation)
        return Belief(observation, self.gen_core.core.initial_state(batch_size),
                      tf.zeros([batch_size], tf.int32))

    def context(self, belief: Belief, action: Tensor) -> Tensor:
        """The context of the step that an action `[B, A]` makes, `[B, F]`."""
        return self._controls(Controls(self._observations(belief.observation), action))

    def update(self, belief: Belief, context: Tensor, transition: Transition) -> Belief:
        """The belief after a real step: latents are drawn from the posterior.

        Args:
          belief: before the step.
          context: of the step, `[B, F]`.
          transition: what was observed, `[B, *]`.
        """
        observed, contexts = tf.nest.map_structure(lambda x: x[:, None], (transition, context))
        state = self._filter.initial_state(nest.leading_dim(context))._replace(core=belief.core)
        seed = seeds.fold_in(seeds.make(0), tf.reduce_sum(belief.steps))
        state = self._filter.prime(observed, state, contexts, seed=seed)
        after = self._after(belief, context, transition.change)
        return Belief(after, state.core, belief.steps + 1)

    def imagine(
        self, belief: Belief, context: Tensor, *, temperature: float = 1.0, seed: Seed
    ) -> Imagined:
        """A step that the model draws, `[B, *]`; differentiable by the belief and the context."""
        latent_seed, observed_seed = seeds.split(seed, 2)
        drawn, core = vae.draw(
            self.gen_core.core, context, belief.core, temperature=temperature,
            latent_seed=latent_seed, observed_seed=observed_seed)
        after = self._after(belief, context, drawn.observed.change)
        return Imagined(
            self._rewards.inverse(drawn.params.reward.loc), tf.sigmoid(drawn.params.going),
            Belief(after, core, belief.steps + 1))

    def _after(self, belief: Belief, context: Tensor, change: Tensor) -> Tensor:
        """x_t+1, `[B, D]`, from what is observed of the change."""
        moved = self._expected(context) + self._left_over.inverse(change)
        return belief.observation + self._changes.inverse(moved)

    def _expected(self, context: Tensor) -> Tensor:
        """l_t of a context, standardised as changes are, `[..., D]`."""
        return context[..., -self.size:]

    def _flat(self, observations: np.ndarray) -> np.ndarray:
        """float64 `[..., D]` of observations in a game's shape."""
        leading = observations.ndim - len(self.game.observation_shape)
        return np.reshape(
            observations, [*observations.shape[:leading], self.size]).astype(np.float64)

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
        """Layers over the numbers of a group."""
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
        going = decoders.Bernoulli(
            specs.going, hidden_sizes=h.obs_decoder_fc_hidden_layers, activation=h.activation)
        return decoders.Group(Transition(normal(specs.change), normal(specs.reward), going))
