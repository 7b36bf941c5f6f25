# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Metadata, dependencies and console scripts of vaeseq."""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent
_README = _HERE / "README.md"
_VERSION = re.search(r'__version__ = "(.+)"', (_HERE / "vaeseq" / "version.py").read_text())
assert _VERSION, 'vaeseq/version.py: expected a line __version__ = "..."'

# examples/ stands at the root of the repository and is installed as vaeseq.examples.
_EXAMPLES = ["", *(f".{name}" for name in setuptools.find_packages(str(_HERE / "examples")))]

_PLOT = ["matplotlib>=3.7"]
_MIDI = ["pretty_midi>=0.2.11", *_PLOT]
_SERIES = ["pyarrow>=15", "soundfile>=0.12", *_PLOT]
_TOKENS = ["sentencepiece>=0.2"]  # trains byte pair encodings for vaeseq-text
_BLEU = ["sacrebleu>=2.4"]  # for `vaeseq-text evaluate --samples`, and as rewards of `tune`
_PLAY = ["gymnasium[classic-control]>=1,<2", "Pillow>=10.1"]
# scipy: an oracle of tests, and reads the MATLAB files of `benchmarks.quality.polyphonic convert`.
# scoringrules: an oracle of the scores of forecasts. basedpyright: pyright with its own Node.js.
# box2d: the physics of LunarLander, which films of dreams draw.
_DEV = ["pytest>=8", "pytest-xdist>=3.5", "ruff>=0.6", "mypy>=1.11", "scipy>=1.11",
        "hypothesis>=6.100", "mido>=1.3", "scoringrules>=0.9",
        "basedpyright>=1.20", "box2d>=2.3.10"]
# statsmodels: the record of a notebook.
_DOCS = ["sphinx>=7.4", "furo>=2024.8.6", "myst-nb>=1.1", "statsmodels>=0.14"]

setuptools.setup(
    name="vaeseq",
    version=_VERSION.group(1),
    description="Models of sequences with and without latent variables: text, music, games, series",
    long_description=_README.read_text(encoding="utf-8") if _README.exists() else "",
    long_description_content_type="text/markdown",
    author="The vaeseq Authors",
    license="Apache-2.0",
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.14",
    packages=[
        *setuptools.find_packages(str(_HERE), include=["vaeseq", "vaeseq.*"]),
        *(f"vaeseq.examples{name}" for name in _EXAMPLES),
    ],
    package_dir={"vaeseq": "vaeseq", "vaeseq.examples": "examples"},
    package_data={"vaeseq": ["py.typed"]},
    install_requires=[
        "absl-py>=2",
        "charset-normalizer>=3",  # names the encoding of a text that is not UTF-8
        "dm-sonnet>=2.0.2,<3",
        "numpy>=1.26",
        # TensorFlow Probability 0.25 does not declare what it needs of TensorFlow: tf_keras (of
        # the same version) and a version that it was tried with.
        "tensorflow>=2.21,<2.22",
        "tensorflow-probability>=0.25,<0.26",
        "tf_keras>=2.21,<2.22",
        # tf.summary needs it; TensorFlow itself does not depend on it any more.
        "tensorboard>=2.19",
        "tqdm>=4.66",
    ],
    extras_require={
        "plot": _PLOT,  # the plots of the documentation; the library draws nothing itself
        "midi": _MIDI,
        "chorales": [*_MIDI, "music21>=9"],
        "play": _PLAY,
        "series": _SERIES,
        "tokens": _TOKENS,
        "bleu": _BLEU,
        "dev": [*_DEV, *_TOKENS, *_BLEU, *_MIDI, *_PLAY, *_SERIES],
        "docs": [*_DOCS, *_MIDI, *_PLAY, *_SERIES],
    },
    entry_points={
        "console_scripts": [
            "vaeseq-text=vaeseq.examples.text.cli:main",
            "vaeseq-midi=vaeseq.examples.midi.cli:main",
            "vaeseq-play=vaeseq.examples.play.commands:main",
            "vaeseq-series=vaeseq.examples.series.cli:main",
        ],
    },
)
