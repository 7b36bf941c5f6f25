# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures tuning towards rewards, and rewards learnt from choices.

    python -m benchmarks.quality.judgement run TASK --out-dir DIR [--seeds 0,1,2] [--corpus FILE]

    counterpoint  rules of counterpoint as a reward, by vaeseq-midi tune (needs --corpus, an archive
                  of chorales in quarter notes)
    shakespeare   well-formed lines of plays as a reward, by vaeseq-text tune (needs --corpus)
    mixer         reversal of a sequence: MIXER with BLEU against training by likelihood
    mixer-narrow  the same with a network too small for the task, and more samples of an update
    mixer-few     the same with 500 sequences to train on, which likelihood overfits
    oracle        sequences of a random LSTM of 32 units: a discriminator against likelihood
                  (arXiv:1609.05473, section 5)
    listener      200 choices of a simulated listener with a hidden reward
    groups        choices of two groups of listeners with opposite tastes

Each seed of a task writes DIR/TASK-SEED.json.
"""
from __future__ import annotations

import argparse
import functools
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.quality import run_program
from benchmarks.report import provenance
from vaeseq import bounds, seeds
from vaeseq.cli import arguments
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import Command, Program
from vaeseq.codec import decoders, encoders
from vaeseq.data import Sequences
from vaeseq.train import schedules
from vaeseq.train.loss import SequenceLoss
from vaeseq.tuning.control import KLControl, mixer_prefix
from vaeseq.tuning.discriminator import Discriminator
from vaeseq.tuning.features import SequenceFeatures
from vaeseq.tuning.listeners import HierarchicalPreferenceModel, Listeners, by_listener
from vaeseq.tuning.monitor import distinct
from vaeseq.tuning.policy import Samples, TuneOps
from vaeseq.tuning.preferences import Pair, Preference, PreferenceModel
from vaeseq.tuning.rewards import Overlap, Reward, RewardSum, Sample
from vaeseq.tuning.scorer import SequenceScorer
from vaeseq.vae import GenCore

_MODULE = "benchmarks.quality.judgement"
# A line of a play: a speaker, or prose that ends with a letter or punctuation and whose quotation
# marks are balanced (an apostrophe may be one).
LINE = r"""([A-Z][A-Za-z ']*:|[^:"\[\]()]*("[^"]*"[^:"\[\]()]*)*[A-Za-z,.;:!?'\-]|)"""
_SPEAKER = re.compile(r"[A-Z][A-Za-z ']*:")
_LINE = re.compile(LINE)
_WRONG = re.compile(r"[:()\[\]]")


class Symbols(vaeseq.Model):
    """A recurrent network of sequences of a few symbols, `[N]`."""

    def __init__(self, num_symbols: int, hparams: vaeseq.HParams, log_dir: Path, *, seed: int,
                 embed_size: int = 32):
        self.observation_spec = tf.TensorSpec([], tf.int32)
        self.num_symbols, self._embed_size = num_symbols, embed_size
        super().__init__(hparams, log_dir, seed=seed)

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.Embed(self.num_symbols, self._embed_size)

    def make_decoder(self) -> vaeseq.DistModule:
        return decoders.Categorical(self.num_symbols, self.observation_spec)


def line_rewards(text: str) -> np.ndarray:
    """Returns -1 in each finished line that is not well-formed, and 0 elsewhere.

    A speaker stands after an empty line and before one that is not; other lines match LINE. The
    first line has no line before it. The -1 stands after the first character that no such line
    has, or at the end of the line: the nearer a reward is to its cause, the faster it is learnt.
    """
    values = np.zeros(len(text))
    lines = text.split("\n")
    end = -1
    for number, line in enumerate(lines[:-1]):
        end += len(line) + 1
        is_speaker = _SPEAKER.fullmatch(line) is not None
        before = lines[number - 1] if number else ""
        good = _LINE.fullmatch(line) is not None
        if is_speaker:
            good = good and not before
        elif line and number and not before:
            good = False  # a speech without a speaker
        if not line and number and _SPEAKER.fullmatch(before):
            good = False  # a speaker without a speech
        if not good:
            wrong = _WRONG.search(line)
            values[end if wrong is None else end - len(line) + wrong.end()] = -1.0
    return values


def _shakespeare(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    corpus = _corpus(options)
    base, tuned = (options.out_dir / f"shakespeare-{seed}-{name}" for name in ("base", "tuned"))
    run_program("text", "train", "--log-dir", base, "--train-corpus", corpus, "--seed", seed,
                "--num-steps", options.base_steps)
    report = json.loads(run_program(
        "text", "tune", "--log-dir", tuned, "--from", base, "--seed", seed, "--json", "--num-steps",
        options.updates or 600, "--reward", f"{_MODULE}:line_rewards", "--strength", 30,
        "--discount", 0.98, "--likelihood", 0.3, "--learning-rate", 2e-3, "--save-every", 50,
        "--batch-size", 64, "--length", 200, "--report-samples", 500))
    result = {"updates": report["step"], "warnings": report["warnings"]}
    for name, folder in (("before", base), ("after", tuned)):
        texts = _texts(folder, seed)
        result[name] = {
            "well_formed_samples": float(np.mean([not line_rewards(text).any() for text in texts])),
            "nats_per_character": report[name]["nats_per_step"],
            "distinct_4": distinct([np.frombuffer(text.encode(), np.uint8) for text in texts])}
    return result


def _texts(log_dir: Path, seed: int) -> list[str]:
    """Returns 500 samples of 200 characters."""
    from examples.text.model import TextModel
    model = TextModel.load(log_dir)
    samples = model.generate(num_samples=500, length=200, seed=1000 + seed)
    return [model.vocabulary.decode(sample) for sample in samples]


def _counterpoint(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The rules of first-species counterpoint, by vaeseq-midi tune."""
    corpus = _corpus(options)
    base, tuned = (options.out_dir / f"counterpoint-{seed}-{name}" for name in ("base", "tuned"))
    run_program(
        "midi", "train", "--log-dir", base, "--seed", seed, "--train-files", f"{corpus}:train",
        "--valid-files", f"{corpus}:valid", "--num-steps", options.base_steps, "--valid-every", 100)
    report = json.loads(run_program(
        "midi", "tune", "--log-dir", tuned, "--from", base, "--seed", seed, "--json", "--bar", 4,
        "--num-steps", options.updates or 400, "--strength", 40))
    before, after = report["before"], report["after"]
    return {
        "updates": report["step"], "warnings": report["warnings"],
        "share_of_missing_gained":
            (after["rules_kept"] - before["rules_kept"]) / (1 - before["rules_kept"]),
        "held_out_change": after["nats_per_step"] / before["nats_per_step"] - 1,
        "before": before, "after": after}


def _corpus(options: argparse.Namespace) -> Path:
    if options.corpus is None:
        raise UsageError(f"{options.task}: expected its data with --corpus, got none.")
    return options.corpus


def _mixer(
    options: argparse.Namespace, seed: int, *, units: int = 96, num_train: int = 20_000,
    num_samples: int = 64, samples_per_prefix: int = 4, default_updates: int = 600,
) -> dict[str, Any]:
    """A source of 8 of 10 symbols, a separator, and the source reversed: 17 steps.

    Both ways are measured before and five times during their updates; the time with the best BLEU
    of validation sources counts, so that training by likelihood may stop early.
    """
    size, symbols = 8, 10
    rng = np.random.default_rng(seed)

    def draw(count: int) -> list[np.ndarray]:
        sources = rng.integers(0, symbols, [count, size])
        separators = np.full([count, 1], symbols)
        return list(np.concatenate([sources, separators, sources[:, ::-1]], 1).astype(np.int32))

    train, held, valid = draw(num_train), draw(500), draw(500)
    total, start = 2 * size + 1, options.base_steps
    updates = options.updates or default_updates
    hparams = vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(units,), batch_size=64,
                             sequence_size=total, learning_rate=3e-3, dropout=0.0)
    folder = options.out_dir / f"{options.task}-{seed}"
    base = Symbols(symbols + 1, hparams, folder, seed=seed)
    base.train(train, num_steps=start)
    models = {name: Symbols(symbols + 1, hparams, folder, seed=seed)
              for name in ("likelihood", "mixer", "prior")}
    for model in models.values():
        model.restore(best=False)
    reward = RewardSum([(1.0, Overlap("bleu", tokenize="none"))])

    def as_samples(observed: np.ndarray) -> list[Sample]:
        return [Sample(row[size + 1:], lambda target: " ".join(map(str, target)))
                for row in observed]

    def bleu(samples: Samples) -> np.ndarray:
        scored = reward.score(as_samples(samples.observed), as_samples(samples.references))
        return np.pad(scored.values, [[0, 0], [size + 1, 0]])

    def prefix(update: int) -> int:
        return mixer_prefix(update, start=total - 2, end=size + 1, every=max(1, updates // 5), by=2)

    def measure(model: Symbols, update: int) -> dict[str, float]:
        of_valid, of_held = (_bleu_of(model, sources, size, reward, as_samples)
                             for sources in (valid, held))
        return {"updates": update, "valid": of_valid["greedy"], **of_held}

    data = Sequences(train, batch_size=64, sequence_size=total, seed=seed + 1)
    before = measure(models["prior"], 0)
    result: dict[str, Any] = {"base_steps": start, "updates": updates}
    for name, prefix_of in (("likelihood", lambda update: total), ("mixer", prefix)):
        ops = TuneOps(
            models[name].gen_core, models["prior"].gen_core,
            models[name].make_loss(bounds.ELBO()), rewards=bleu, num_samples=num_samples,
            length=total, control=KLControl(50.0), likelihood=1.0,
            learning_rate=_decay(1e-3, updates), clip_gradient_norm=1.0, prefix=prefix_of,
            samples_per_prefix=samples_per_prefix, seed=seeds.make(seed))
        measured = [before]
        for update in range(updates):
            ops(data.batch(update))
            if (update + 1) % max(1, updates // 5) == 0:
                measured.append(measure(models[name], update + 1))
        result[name] = max(measured, key=lambda one: one["valid"])
        result[f"{name}_by_updates"] = measured
    return result


def _bleu_of(
    model: Symbols, held: list[np.ndarray], size: int, reward: RewardSum,
    as_samples: Callable[[np.ndarray], list[Sample]],
) -> dict[str, float]:
    """Returns the mean BLEU of outputs for held-out sources: the likeliest symbols, and samples."""
    sources = tf.constant(np.stack(held)[:, :size + 1])
    gen_core = model.gen_core
    state = gen_core.prime(sources, gen_core.initial_state(len(held)), seed=seeds.make(0))
    figures = {}
    for name, temperature in (("greedy", 1e-3), ("sampled", 1.0)):
        generated, _ = gen_core.generate(size, state, temperature=temperature, seed=seeds.make(1))
        whole = np.concatenate([sources.numpy(), generated.observed.numpy()], 1)
        scored = reward.score(as_samples(whole), as_samples(np.stack(held)))
        figures[name] = float(scored.values.sum(1).mean())
    return figures


def _oracle(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """SeqGAN's synthetic task: the negative log-likelihood of samples under the oracle."""
    symbols, length, count = 5000, 20, 10_000
    hparams = vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(32,), batch_size=64,
                             sequence_size=length, learning_rate=1e-2, dropout=0.0)

    def make(name: str, number: int) -> Symbols:
        model = Symbols(symbols, hparams, options.out_dir / f"oracle-{seed}-{name}", seed=number)
        model.build()
        return model

    oracle, model = make("target", seed), make("generator", seed + 1)
    for number, variable in enumerate(oracle.gen_core.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [seed, number]))
    data = list(np.concatenate([
        _drawn(oracle.gen_core, 500, length, number) for number in range(count // 500)]))
    random, itself = (_oracle_nats(oracle, source, length) for source in (model, oracle))
    model.train(data, num_steps=options.base_steps)
    likelihood = _oracle_nats(oracle, model, length)
    prior = Symbols(symbols, hparams, model.log_dir.path, seed=seed + 1)
    prior.restore(best=False)
    reward = RewardSum([(1.0, Discriminator(SequenceScorer(
        encoders.Embed(symbols, 16), oracle.observation_spec, units=64, seed=seed), updates=2))])
    updates = options.updates or 300
    ops = _tune(model.gen_core, prior.gen_core, reward, data, length, updates, strength=3.0,
                likelihood=1.0, seed=seed)
    return {"base_steps": options.base_steps, "updates": updates, "random": random,
            "oracle_itself": itself, "likelihood": likelihood,
            "tuned": _oracle_nats(oracle, model, length), **ops}


def _oracle_nats(oracle: Symbols, model: Symbols, length: int) -> float:
    from vaeseq.tuning.policy import log_density
    observed = np.concatenate([_drawn(model.gen_core, 500, length, 99 + part) for part in range(4)])
    density = log_density(oracle.gen_core, tf.constant(observed), tf.zeros([*observed.shape, 0]))
    return float(-np.mean(density.numpy(), dtype=np.float64))


class _HiddenFeatures:
    """The features that hidden rewards are linear in: shares of symbols, and of repetitions."""

    def __init__(self, num_symbols: int):
        self.sizes = num_symbols, 1

    def __call__(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[*np.bincount(row, minlength=self.sizes[0]) / len(row), _repeats(row)]
                         for row in sequences])


class _WithoutRepetitions:
    """The features of a model without the last group, the share of repetitions."""

    def __init__(self, features: SequenceFeatures):
        self.sizes = features.sizes[:-1]
        self._features = features

    def __call__(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        return self._features(sequences)[:, :-1]


def _repeats(sequence: np.ndarray) -> float:
    return float((sequence[1:] == sequence[:-1]).mean())


def _listener(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """200 choices between samples, by the hidden worth of symbols, with the noise of choices."""
    model, prior, data, samples = _small_model(options, seed, "listener")
    rng = np.random.default_rng(seed)
    hidden = _hidden(rng, model.num_symbols, samples, scale=3.0)
    pairs = _choices(rng, samples, hidden, 200, "ann")
    held = _choices(rng, samples, hidden, 4000, "ann")
    features = SequenceFeatures(prior.gen_core)
    result: dict[str, Any] = {}
    for name, of in (
            ("with_the_hidden_features", _HiddenFeatures(model.num_symbols)),
            ("without_repetitions", _WithoutRepetitions(features)), ("learnt", features)):
        preferences = PreferenceModel(of)
        preferences.fit(pairs)
        result[name] = preferences.accuracy(held)._asdict()
    result["best_accuracy"] = float(np.mean(
        [(hidden(pair.first) > hidden(pair.second)) == (pair.choice > 0.5) for pair in held]))
    return {**result, **_follow(model, prior, Preference(preferences), hidden, data, options, seed)}


def _groups(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Two groups of 20 listeners, 16 choices each; then 20 new listeners, known by 8 choices."""
    model, prior, data, samples = _small_model(options, seed, "groups")
    rng = np.random.default_rng(seed)
    hidden = _hidden(rng, model.num_symbols, samples, scale=10.0)
    tastes = {"likes": hidden, "dislikes": lambda sequence: -hidden(sequence)}

    def draw(listeners: int, count: int, kind: str) -> list[Pair]:
        return [pair for number in range(listeners) for name, taste in tastes.items()
                for pair in _choices(rng, samples, taste, count, f"{kind}-{name}-{number}")]

    training, new, held = draw(20, 16, "known"), draw(10, 8, "new"), draw(10, 100, "new")
    features = SequenceFeatures(prior.gen_core)
    one, of_each = PreferenceModel(features), HierarchicalPreferenceModel(features)
    one.fit(training)
    of_each.fit(training)
    best = np.mean([(tastes[pair.listener.split("-")[1]](pair.first)
                     > tastes[pair.listener.split("-")[1]](pair.second)) == (pair.choice > 0.5)
                    for pair in held])
    result: dict[str, Any] = {
        "one_reward": one.accuracy(held)._asdict(),
        "of_each_listener": of_each.accuracy(new, held)._asdict(), "best_accuracy": float(best)}
    groups = by_listener(new, new)
    for name, taste in tastes.items():
        weights = {listener: of_each.infer(group).mean
                   for listener, group in groups.items() if f"-{name}-" in listener}
        model.restore(best=False)
        reward = Listeners(of_each, weights, samples[:500])
        result[f"tuned_for_{name}"] = _follow(model, prior, reward, taste, data, options, seed)
    return result


def _small_model(
    options: argparse.Namespace, seed: int, task: str
) -> tuple[Symbols, Symbols, list[np.ndarray], list[np.ndarray]]:
    """Returns a model of a random Markov chain of 8 symbols, a copy, its data, and 1000 samples."""
    rng = np.random.default_rng(seed)
    symbols, length = 8, 20
    transitions = rng.dirichlet(np.full([symbols], 0.7), symbols)
    data = np.zeros([2000, length], np.int32)
    data[:, 0] = rng.integers(0, symbols, len(data))
    for step in range(1, length):
        cumulative = transitions[data[:, step - 1]].cumsum(1)
        data[:, step] = np.minimum((rng.random([len(data), 1]) > cumulative).sum(1), symbols - 1)
    hparams = vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(32,), batch_size=64,
                             sequence_size=length, learning_rate=5e-3, dropout=0.0)
    folder = options.out_dir / f"{task}-{seed}-run"
    model = Symbols(symbols, hparams, folder, seed=seed)
    model.train(list(data), num_steps=min(options.base_steps, 400))
    prior = Symbols(symbols, hparams, folder, seed=seed)
    prior.restore(best=False)
    return model, prior, list(data), list(_drawn(model.gen_core, 1000, length, seed))


def _hidden(
    rng: np.random.Generator, symbols: int, samples: Sequence[np.ndarray], *, scale: float
) -> Callable[[np.ndarray], float]:
    """Returns a reward of the shares of symbols and of repetitions; deviation `scale` on samples.
    """
    worth, repeats = rng.normal(size=symbols), 2 * rng.normal()

    def raw(sequence: np.ndarray) -> float:
        return float(worth[sequence].mean() + repeats * _repeats(sequence))

    values = [raw(sample) for sample in samples]
    return lambda sequence: scale * (raw(sequence) - float(np.mean(values))) / float(np.std(values))


def _choices(
    rng: np.random.Generator, samples: Sequence[np.ndarray],
    reward: Callable[[np.ndarray], float], count: int, listener: str,
) -> list[Pair]:
    """Returns choices between random pairs of samples, by the model of Bradley and Terry."""
    pairs = []
    for _ in range(count):
        first, second = (samples[row] for row in rng.choice(len(samples), 2, replace=False))
        difference = reward(first) - reward(second)
        choice = float(rng.random() < 0.5 * (1 + np.tanh(0.5 * difference)))
        pairs.append(Pair(first, second, choice, listener))
    return pairs


def _follow(
    model: Symbols, prior: Symbols, reward: Reward, hidden: Callable[[np.ndarray], float],
    data: list[np.ndarray], options: argparse.Namespace, seed: int,
) -> dict[str, float]:
    """Tunes a model; returns the mean hidden reward of samples before and after."""
    length = len(data[0])

    def mean() -> float:
        return float(np.mean([hidden(row) for row in _drawn(model.gen_core, 1000, length, 77)]))

    before = mean()
    figures = _tune(model.gen_core, prior.gen_core, RewardSum([(1.0, reward)]), data, length,
                    options.updates or 200, strength=3.0, likelihood=0.0, seed=seed)
    return {"hidden_before": before, "hidden_after": mean(), **figures}


def _tune(
    policy: GenCore, prior: GenCore, reward: RewardSum, data: list[np.ndarray], length: int,
    updates: int, *, strength: float, likelihood: float, seed: int,
) -> dict[str, float]:
    """Tunes a policy; returns the learnt reward and the KL divergence of the last update."""
    def rewards(samples: Samples) -> np.ndarray:
        sequences = [Sample(row) for row in samples.observed]
        references = [Sample(row) for row in samples.references]
        values = reward.score(sequences, references).values
        reward.update(sequences, references)
        return values

    ops = TuneOps(
        policy, prior, SequenceLoss(policy.agent, policy.core, bounds.ELBO()), rewards=rewards,
        num_samples=64, length=length, control=KLControl(strength), likelihood=likelihood,
        clip_gradient_norm=1.0, learning_rate=_decay(3e-3, updates), seed=seeds.make(seed))
    batches = Sequences(data, batch_size=64, sequence_size=length, seed=seed)
    metrics = [ops(batches.batch(update)) for update in range(updates)][-1]
    return {"learnt_reward": metrics.reward, "kl_per_step": metrics.kl}


def _drawn(gen_core: GenCore, count: int, length: int, seed: int) -> np.ndarray:
    generated = next(gen_core.stream(
        gen_core.initial_state(count), chunk=length, seed=seeds.make(1000 + seed)))
    return generated.observed.numpy()


def _decay(highest: float, updates: int) -> Callable[[int], float]:
    return lambda step: highest * schedules.cosine(step, num_steps=updates, final=0.1)


TASKS = {"counterpoint": _counterpoint, "shakespeare": _shakespeare, "mixer": _mixer,
         "mixer-narrow": functools.partial(
             _mixer, units=16, num_samples=256, samples_per_prefix=16),
         "mixer-few": functools.partial(
             _mixer, num_train=500, num_samples=128, samples_per_prefix=8, default_updates=1500),
         "oracle": _oracle, "listener": _listener, "groups": _groups}


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("task", choices=TASKS, help="what is measured")
    add("--out-dir", type=Path, required=True, metavar="DIR", help="folder of runs and results")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0", metavar="A,B",
        help="seeds, one run each")
    add("--corpus", type=arguments.readable_file, metavar="FILE",
        help="data of counterpoint, or text of shakespeare")
    add("--base-steps", type=arguments.whole(1, 10**6), default=1500, metavar="N",
        help="updates of training by likelihood before tuning")
    add("--updates", type=arguments.whole(1, 10**6), metavar="N",
        help="updates of tuning (default: of the task)")


def _run(options: argparse.Namespace) -> None:
    options.out_dir.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        start = time.perf_counter()
        figures = TASKS[options.task](options, seed)
        result = {"task": options.task, "seed": seed, "seconds": time.perf_counter() - start,
                  "figures": figures, **provenance(_MODULE)}
        path = options.out_dir / f"{options.task}-{seed}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps({"task": options.task, "seed": seed, **figures}), flush=True)


program = Program(f"python -m {_MODULE}", "Measures tuning and rewards learnt from choices.", (
    Command("run", "run a task and write its figures", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
