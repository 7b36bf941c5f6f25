# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Code blocks and commands of README and docs, at sizes that suit a test."""

import pathlib
import re
import shlex
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if not {"_build", "_generated"} & set(page.parts)]

TEXT = ("rnn_hidden_sizes=[8],embed_size=4,batch_size=2,sequence_size=8,num_shards=1,"
        "latent_size=2,latent_decoder_fc_layers=[4],log_prob_samples=2")
MIDI = ("rnn_hidden_sizes=[6],latent_size=4,latent_decoder_fc_layers=[4],lowest_note=55,"
        "highest_note=79,decoder=bernoulli,sequence_size=16,batch_size=4,relative_channels=0,"
        "recall=0,context_skip=false,num_shards=1,grid=8,log_prob_samples=2")
PLAY = ("jit_compile=false,first_steps=30,first_updates=2,eval_every=1000,eval_games=1,"
        "model_ratio=0.05,policy_ratio=0.05,batch_size=4,sequence_size=4,horizon=2,"
        "rnn_hidden_sizes=[4],obs_encoder_fc_layers=[4],obs_decoder_fc_hidden_layers=[4],"
        "policy_layers=[4]")

SERIES = ("rnn_hidden_sizes=[4],output=normal,batch_size=2,num_shards=1,context=8,lags=[1,7],"
          "embed_size=2,latent_size=2,latent_decoder_fc_layers=[4],log_prob_samples=2")

# What a command's options become: a value that replaces or adds, or None to leave the option out.
SMALL: dict[tuple[str, str], dict[str, str | None]] = {
    ("vaeseq-text", "train"): {
        "--hparams": TEXT, "--num-steps": "2", "--strategy": None},
    ("vaeseq-text", "generate"): {"--length": "30"},
    ("vaeseq-text", "evaluate"): {},
    ("vaeseq-text", "encode"): {},
    ("vaeseq-text", "reconstruct"): {},
    ("vaeseq-text", "interpolate"): {"--length": "20"},
    ("vaeseq-text", "tune"): {
        "--num-steps": "1", "--length": "12", "--batch-size": "4", "--report-samples": "4"},
    ("vaeseq-text", "read"): {},
    ("vaeseq-text", "prefer"): {},
    ("vaeseq-text", "export"): {"--rows": "2", "--window": "16"},
    ("vaeseq-midi", "train"): {"--hparams": MIDI, "--num-steps": "2"},
    ("vaeseq-midi", "generate"): {"--length": "2", "--num-samples": "2"},
    ("vaeseq-midi", "evaluate"): {},
    ("vaeseq-midi", "harmonise"): {"--num-samples": "1", "--num-particles": "8"},
    ("vaeseq-midi", "encode"): {},
    ("vaeseq-midi", "reconstruct"): {"--num-samples": "2"},
    ("vaeseq-midi", "interpolate"): {"--length": "2", "--num-samples": "2"},
    ("vaeseq-midi", "vary"): {"--length": "2", "--num-samples": "2"},
    ("vaeseq-midi", "latent"): {"--length": "2", "--num-samples": "2"},
    ("vaeseq-midi", "tune"): {
        "--num-steps": "1", "--bars": "1", "--bar": "4", "--batch-size": "4",
        "--report-samples": "4"},
    ("vaeseq-midi", "listen"): {},
    ("vaeseq-midi", "prefer"): {},
    ("vaeseq-midi", "export"): {"--rows": "2", "--window": "16"},
    ("vaeseq-play", "train"): {"--hparams": PLAY, "--num-steps": "40"},
    ("vaeseq-play", "run"): {"--num-games": "1", "--max-moves": "15"},
    ("vaeseq-play", "dream"): {"--length": "5"},
    ("vaeseq-series", "train"): {
        "--hparams": SERIES, "--num-steps": "2", "--horizon": "4", "--strategy": None},
    ("vaeseq-series", "evaluate"): {"--num-paths": "10"},
    ("vaeseq-series", "forecast"): {"--num-paths": "10", "--horizon": "4"},
    ("vaeseq-series", "impute"): {
        "--num-samples": "4", "--num-particles": "4", "--lookahead": "2"},
    ("vaeseq-series", "anomalies"): {},
    ("vaeseq-series", "generate"): {"--length": "3", "--num-samples": "2"},
    ("vaeseq-series", "export"): {"--rows": "1", "--horizon": "4"},
}
# The same for Python: (pattern, replacement).
SMALL_PYTHON = [(r"(\.train\([^\n]*num_steps=)\d+", r"\g<1>3"), (r"range\(300\)", "range(3)"),
                (r"num_particles=\d+", "num_particles=8")]


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


def name(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: pathlib.Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    matches = re.findall(r"^```(\S+)[^\n]*\n(.*?)^```$", text, re.M | re.S)
    return [Block("python" if language == "{code-cell}" else language, body)
            for language, body in matches]


def python(block: Block) -> str:
    """The code of a Python block at a small size."""
    code = block.text
    for pattern, small in SMALL_PYTHON:
        code = re.sub(pattern, small, code)
    return code


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block, as words."""
    text = block.text.replace("\\\n", " ")
    if "$ " not in text:  # a script; its one loop runs a command until it succeeds
        matches = re.findall(r"until (.*?); do", text) or text.splitlines()
        return [shlex.split(line, comments=True) for line in matches]
    return [words for part in re.split(r"^\$ ", text, flags=re.M)
            if (words := shlex.split(part, comments=True))]


def small(words: list[str]) -> list[str]:
    """A program's command with the options of `SMALL`."""
    words = list(words)
    for option, value in SMALL[words[0], words[1]].items():
        if option == "--length" and "--fill" in words:
            continue  # a text with gaps has its length
        hparams = ""
        if option in words:
            at = words.index(option)
            hparams = words[at + 1]
            del words[at:at + 2]
        if option == "--hparams" and value:
            value = _merged(hparams, value)
        if value is not None:
            words += [option, value]
    return words


def _merged(hparams: str, small_hparams: str) -> str:
    """Hyperparameters: the small ones, and those of `given` that say nothing of size."""
    items = re.findall(r"[^,\[]+=(?:\[[^\]]*\]|[^,\[]*)", hparams)
    sizes = {item.split("=")[0] for item in re.findall(r"\w+=", small_hparams)}
    return ",".join([small_hparams, *(item for item in items
                                      if item.strip().split("=")[0] not in sizes)])
