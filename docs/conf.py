# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration; tables of hyperparameters and the API pages are generated here."""

from __future__ import annotations

import importlib
import inspect
import pathlib
import re
import sys
from collections.abc import Iterator

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

# Methods as they were written: Sonnet's wrappers are not recognised as functions.
importlib.import_module("sonnet.src.base").with_name_scope = lambda method: method

from examples.midi.hparams import MidiHParams  # noqa: E402
from examples.play.hparams import PlayHParams  # noqa: E402
from examples.series.hparams import SeriesHParams  # noqa: E402
from examples.text.hparams import TextHParams  # noqa: E402
from vaeseq.hparams import HParams  # noqa: E402
from vaeseq.version import __version__  # noqa: E402

project = "vaeseq"
author = "The vaeseq Authors"
copyright = f"2026, {author}"
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "vaeseq"
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 900  # seconds a cell; some cells train a model
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # TensorFlow's log

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True, "inherited-members": False}
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # Names in signatures that two modules export.

_SECTIONS = {"Args", "Attributes", "Raises", "Returns", "Yields"}


def _rst(lines: list[str]) -> Iterator[str]:
    """Turns the plain text of our docstrings into reStructuredText.

    Indented blocks that belong to no section become literal blocks, single backticks become code,
    and `*`, `|` and trailing underscores stay as they are written.
    """
    section = literal = False
    previous = ""
    for line in lines:
        one_line = re.fullmatch(r"(Args): (\S.*)", line)
        if one_line:
            yield from (f"{one_line[1]}:", f"  {_escape(one_line[2])}")
            section, literal, previous = True, False, line
            continue
        indented = line.startswith(" ")
        if line.strip() and not indented:
            if literal and previous.strip():
                yield ""
            section, literal = line.rstrip(":") in _SECTIONS and line.endswith(":"), False
        elif indented and not section and not literal:
            if previous.strip():
                yield ""
            yield from ("::", "")
            literal = True
        yield line if literal else _escape(line)
        previous = line


def _escape(line: str) -> str:
    words, *rest = re.split(r"`([^`]+)`", line)
    escaped = [re.sub(r"([*|])|(?<=\w)(_)(?!\w)", r"\\\1\2", part) for part in (words, *rest[1::2])]
    # An escaped space lets a letter follow code, as in "`Tensor`s".
    return escaped[0] + "".join(
        f"``{code}``" + ("\\ " if re.match(r"\w", after) else "") + after
        for code, after in zip(rest[::2], escaped[1:]))


def _process_docstring(app, what, name, obj, options, lines):
    lines[:] = list(_rst(lines))


def _skip(app, what, name, obj, skip, options):
    if (getattr(obj, "__module__", None) or "").startswith("tensorflow_probability"):
        return True
    return skip or (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")


def _signature(app, what, name, obj, options, signature, return_annotation):
    """Signatures of classes are those of `__init__`, not of Sonnet's metaclass."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    _, *rest = inspect.signature(obj.__init__).parameters.values()
    plain = [p.replace(annotation=_Plain(p.annotation)) if isinstance(p.annotation, str) else p
             for p in rest]
    return str(inspect.Signature(plain)), None


class _Plain(str):
    """An annotation that a signature shows without quotes."""

    __repr__ = str.__str__


def _hparams_table(kind: type[HParams], base: type[HParams] | None = None) -> str:
    """A table of the fields of `kind`; of those that `base` has too, only other defaults."""
    inherited = {row[0]: row for row in base.help_rows()} if base else {}
    rows = [row for row in kind.help_rows() if inherited.get(row[0]) != row]
    cells = (" | ".join(cell.replace("|", "\\|") for cell in (f"`{name}`", f"`{default}`",
                                                              expected, text))
             for name, default, expected, text in rows)
    head = "| name | default | values | meaning |\n| --- | --- | --- | --- |\n"
    return head + "".join(f"| {row} |\n" for row in cells)


def _write_generated(app) -> None:
    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    tables = {"library": _hparams_table(HParams)}
    for name, kind in (("text", TextHParams), ("midi", MidiHParams), ("play", PlayHParams),
                       ("series", SeriesHParams)):
        tables[name] = _hparams_table(kind, HParams)
    for name, table in tables.items():
        (folder / f"hparams_{name}.txt").write_text(table, encoding="utf-8")


def setup(app):  # noqa: D103
    app.connect("builder-inited", _write_generated)
    app.connect("autodoc-process-docstring", _process_docstring, priority=400)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _signature)
