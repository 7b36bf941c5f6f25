# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The parser of command-line options, and converters for their values.

The parser raises `UsageError`. The converters are for `add_argument(type=...)`; each raises
`argparse.ArgumentTypeError` with the expected and the actual value. Paths may contain everything
that the file system allows (spaces, newlines, bytes that are not UTF-8, a leading dash).
"""

from __future__ import annotations

import argparse
import glob
import importlib
import os
import pathlib
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NoReturn

from absl import flags
from absl.flags import argparse_flags

from vaeseq import fields
from vaeseq.fields import Range, short_repr, suggestion
from vaeseq.hparams import HParams

_YEAR_IN_MINUTES = 366 * 24 * 60


class UsageError(ValueError):
    """A command was used wrongly; the message states what it expected."""


class OutputFile(pathlib.PosixPath):
    """The path of a file that a command writes."""


class _Formatter(argparse.HelpFormatter):
    """Shows defaults, except of switches, empty ones and those that the help states itself."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if action.nargs == 0 or action.default in (None, argparse.SUPPRESS, {}, "", (), []):
            return text
        if "(default: " in text:
            return text
        return f"{text} (default: %(default)s)"


class ArgumentParser(argparse_flags.ArgumentParser):
    """Accepts hyphens or underscores in names, and values with a leading dash.

    Accepts no abbreviations; raises `UsageError` where argparse would print and exit.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            add_help=False,
            allow_abbrev=False,
            formatter_class=_Formatter,
            inherited_absl_flags=_absl_flags(),
            **arguments,
        )
        self.add_argument("-h", "--help", action="help", help="show this help and exit")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses as argparse does, after `_normalised`; no output may replace an input."""
        arguments = sys.argv[1:] if args is None else list(args)
        parsed, rest = super().parse_known_args(self._normalised(arguments), namespace)
        self._check_outputs(parsed)
        return parsed, rest

    def error(self, message: str) -> NoReturn:
        """Raises the UsageError for an error of argparse."""
        raise UsageError(f"{message} (see {self.prog} --help)")

    def refuse(self, argument: str) -> NoReturn:
        """Raises the UsageError for an unknown argument."""
        hint = suggestion(argument.partition("=")[0], self._option_string_actions)
        self.error(f"unknown argument {short_repr(argument)}.{hint}")

    def _check_outputs(self, parsed: argparse.Namespace) -> None:
        """Raises UsageError where an output is a file that another option names or a run needs."""
        paths = []
        for action in self._actions:
            value = getattr(parsed, action.dest, None)
            paths += [(action, item) for item in (value if isinstance(value, list) else [value])
                      if isinstance(item, (str, os.PathLike))]
        for action, output in paths:
            if isinstance(output, OutputFile):
                others = [path for other, path in paths if other is not action]
                option = action.option_strings[0]
                check_output(option, output, others)
                for other in others:
                    if isinstance(other, OutputFile) and (
                            os.path.realpath(other) == os.path.realpath(output) != os.devnull):
                        raise UsageError(f"{option}: {short_repr(os.fspath(output))} is another "
                                         "output, too. Give another name.")
                    _check_run(option, output, other)

    def _normalised(self, arguments: list[str]) -> list[str]:
        """Turns `--an_option -value` into `--an-option=-value`, unless the value is an option."""
        result: list[str] = []
        rest = iter(range(len(arguments)))
        for i in rest:
            if arguments[i] == "--":
                return result + arguments[i:]
            name, equals, value = self._split(arguments[i])
            action = self._option_string_actions.get(name)
            if action is not None and action.nargs is None:
                following = [] if equals else arguments[i + 1 : i + 2]
                if following and self._split(following[0])[0] not in self._option_string_actions:
                    equals, value = "=", arguments[next(rest)]
                if value == "--":  # argparse would drop it
                    self.error(f"argument {name}: expected a value, got '--'. Write ./-- "
                               "for a file of that name")
            result.append(name + equals + value)
        return result

    def _split(self, argument: str) -> tuple[str, str, str]:
        """Splits an argument into its name (as declared, for an option), "=" and value."""
        name, equals, value = argument.partition("=")
        if name.startswith("--"):
            declared = "--" + name[2:].replace("_", "-")
            if declared in self._option_string_actions:
                return declared, equals, value
        return name, equals, value


def _absl_flags() -> flags.FlagValues:
    """Returns abseil's `--verbosity` only: its `--log_dir` would take the programs' option."""
    values = flags.FlagValues()
    values["verbosity"] = flags.FLAGS["verbosity"]
    return values


def converter(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Returns a converter for argparse from a function that raises ValueError, as `Field.read`."""

    def convert(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def whole(low: int, high: int) -> Callable[[str], int]:
    """Returns a converter to a whole number from `low` to `high`."""
    return converter(fields.reader(int, Range(low, high)))


def real(allowed: Range) -> Callable[[str], float]:
    """Returns a converter to a finite number in a range."""
    return converter(fields.reader(float, allowed))


seed = whole(0, (1 << 31) - 1)
temperature = real(Range(0, 100, open_low=True))
fraction = real(Range(0, 1, open_high=True))
minutes = real(Range(0, _YEAR_IN_MINUTES, open_low=True))


def some_of(allowed: Collection[str], separator: str = ",") -> Callable[[str], list[str]]:
    """Returns a converter to a list of names, each of them in `allowed`."""
    def read(text: str) -> list[str]:
        names = text.split(separator)
        for name in names:
            if name not in allowed:
                raise ValueError(
                    f"expected some of {separator.join(allowed)}; got {short_repr(name)}.")
        return names

    return converter(read)


def list_of(read: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Returns a converter to a list, such as 0,1,2, whose parts `read` converts."""
    return lambda text: [read(part) for part in text.split(",")]


def readable_file(text: str) -> pathlib.Path:
    """Returns the path of a readable regular file."""
    path, mode = _status(text)
    if mode is None:
        raise argparse.ArgumentTypeError(f"no such file: {short_repr(text)}")
    if stat.S_ISDIR(mode):
        raise argparse.ArgumentTypeError(f"expected a file; {short_repr(text)} is a directory")
    if not stat.S_ISREG(mode):
        raise argparse.ArgumentTypeError(
            f"expected a regular file; {short_repr(text)} is a pipe or a device: save it in a "
            "file first"
        )
    if not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"no permission to read {short_repr(text)}")
    return path


def output_file(text: str) -> OutputFile:
    """Returns the path of a writable file, which need not exist, in an existing directory."""
    path, mode = _status(text)
    if mode is not None and stat.S_ISDIR(mode):
        raise argparse.ArgumentTypeError(f"expected a file to write; {short_repr(text)} is a "
                                         "directory")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"cannot write {short_repr(text)}: there is no directory {short_repr(str(parent))}"
        )
    if not os.access(path if mode is not None else parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"no permission to write {short_repr(text)}")
    return OutputFile(path)


def appended_file(text: str) -> pathlib.Path:
    """Returns the path of a file to append to, which need not exist; see `output_file`."""
    return pathlib.Path(output_file(text))


def check_output(
    option: str, output: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]
) -> None:
    """Raises UsageError where `option` would write a file over one that the command uses.

    An input may be an array of an archive, `FILE.npz:NAME`.
    """
    if not os.path.isfile(output):  # a pipe, or nothing that could be lost
        return
    for name in inputs:
        archive, is_array, _ = os.fspath(name).partition(".npz:")
        file = f"{archive}.npz" if is_array else name
        if os.path.isfile(file) and os.path.samefile(output, file):
            raise UsageError(f"{option}: {short_repr(os.fspath(output))} would replace "
                             f"{short_repr(os.fspath(name))}, which the command reads or writes, "
                             "too. Give another name.")


def check_outputs(
    args: argparse.Namespace, find_inputs: Callable[[], Sequence[str | os.PathLike[str]]]
) -> None:
    """Raises UsageError where an output of a command would replace an input.

    The inputs are found if there is a file that could be replaced.
    """
    outputs = {name: value for name, value in vars(args).items()
               if isinstance(value, OutputFile) and os.path.isfile(value)}
    inputs = find_inputs() if outputs else ()
    for name, value in outputs.items():
        check_output(f"--{name.replace('_', '-')}", value, inputs)


def _check_run(option: str, output: OutputFile, folder: str | os.PathLike[str]) -> None:
    """Raises UsageError where an output would replace a file of the run in a folder."""
    root = os.path.realpath(folder)
    if not (os.path.isfile(output) and os.path.isfile(os.path.join(root, "run.json"))):
        return
    first, *rest = os.path.relpath(os.path.realpath(output), root).split(os.sep)
    if first in ("checkpoints", "events") if rest else (
            first == "lock" or first.endswith((".json", ".jsonl"))):
        raise UsageError(f"{option}: {short_repr(os.fspath(output))} would replace a file of the "
                         f"run in {short_repr(os.fspath(folder))}. Give another name.")


def directory(text: str) -> pathlib.Path:
    """Returns the path of an existing directory."""
    path, mode = _status(text)
    if mode is None:
        raise argparse.ArgumentTypeError(f"no such directory: {short_repr(text)}")
    if not stat.S_ISDIR(mode):
        raise argparse.ArgumentTypeError(f"expected a directory; {short_repr(text)} is a file")
    return path


def absolute(name: str) -> str:
    """Returns a name or pattern of files that means the same in every directory."""
    if glob.has_magic(name) and not os.path.isabs(name) and not os.path.lexists(name):
        return os.path.join(glob.escape(os.getcwd()), name)
    return os.path.abspath(name)


def any_path(text: str) -> pathlib.Path:
    """Returns a path, which need not exist."""
    return _status(text)[0]


def new_directory(text: str) -> pathlib.Path:
    """Returns the path of a directory that is writable or can be made."""
    path, _ = _status(text)
    ancestor = path.absolute()
    while not os.path.lexists(ancestor):
        ancestor = ancestor.parent
    if not ancestor.is_dir():
        raise argparse.ArgumentTypeError(f"expected a directory; {short_repr(str(ancestor))} is "
                                         "not one")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"no permission to write in {short_repr(str(ancestor))}")
    return path


def _status(text: str) -> tuple[pathlib.Path, int | None]:
    """Returns the path, and the mode of the file there, or None."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path; got ''")
    try:
        return pathlib.Path(text), os.stat(text).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return pathlib.Path(text), None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise argparse.ArgumentTypeError(f"{reason}: {short_repr(text)}") from None


MODEL_MODULE = "--model-module"


def module_in(arguments: Sequence[str], option: str) -> str | None:
    """Returns the value of `option`, the name of a module, before the options are parsed."""
    for number, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") == option:
            return value if equals else next(iter(arguments[number + 1:]), None)
    return None


def import_module(option: str, name: str) -> None:
    """Imports a user's module; a file in the working directory is found too.

    Raises:
      UsageError: it cannot be imported; `option` named it.
    """
    sys.path.append(os.getcwd())  # at the end, so that installed packages come first
    try:
        importlib.import_module(name)
    except Exception as error:
        raise UsageError(
            f"{option}: expected a Python module that can be imported; {name!r} raised "
            f"{type(error).__name__}: {error}.") from error


def add_hparams(parser: argparse.ArgumentParser, hparams_class: type[HParams]) -> None:
    """Adds `--hparams`, whose value is a dict of checked overrides, and `--help-hparams`."""

    class _Help(argparse.Action):
        def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
            for name, default, expected, meaning in hparams_class.help_rows():
                print(f"{name}={default}\n    {meaning}\n    {expected}")
            parser.exit()

    parser.add_argument(
        "--hparams", type=converter(hparams_class.parse_overrides), default={},
        metavar="KEY=VALUE,...",
        help='hyperparameters, such as "vae_type=SRNN,rnn_hidden_sizes=[256,256]"')
    add_model_module(parser)
    parser.add_argument(
        "--help-hparams", action=_Help, nargs=0, help="list the hyperparameters and exit")


def add_model_module(parser: argparse.ArgumentParser) -> None:
    """Adds `--model-module`, which `Program.run` reads before the options are parsed."""
    parser.add_argument(
        MODEL_MODULE, metavar="MODULE",
        help="a Python module that registers models for vae_type (vaeseq.vae.register): of another "
             "package, or a file here")
