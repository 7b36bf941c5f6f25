# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Programs with subcommands, and their error reporting.

Synopsis, a whole program:

    def _arguments(parser):
        parser.add_argument("--log-dir", type=arguments.new_directory, required=True)

    main = cli.Program("vaeseq-text", "Models text.", (
        cli.Command("train", "train a model", _arguments, deferred("examples.text.commands.train")),
    )).main

The module examples.text.commands.train has a function `run(args)`. Options take hyphens or
underscores and cannot be abbreviated. The exit status is 0 for success, 2 for wrong use
(`UsageError`, and each ValueError that this package raises) and 1 for a failure (input and output,
memory, Ctrl-C and SIGTERM, a bug). An error prints one line on stderr; `--debug` adds a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import importlib
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from absl import app, flags, logging

from vaeseq.cli import memory_limit
from vaeseq.cli.arguments import (
    MODEL_MODULE,
    ArgumentParser,
    UsageError,
    import_module,
    module_in,
)
from vaeseq.fields import short_repr
from vaeseq.version import __version__

_FAILURE = 1
_WRONG_USE = 2
_LONGEST_ERROR = 3000  # characters
_PATIENCE = 0.5  # seconds that native code may keep an interrupt waiting
_stop_requested = threading.Event()  # by a signal, to a command that saves first
_NO_SPACE = "no space left on the device: free some and run the same command again"
_TOO_LARGE = "a file is larger than the system allows here: `ulimit -f` and quotas set limits"
_NO_MEMORY = "out of memory: a smaller batch_size, sequence_size or network needs less"


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of a program.

    Attributes:
      name: the word on the command line.
      help: one line, lower case, without a full stop.
      arguments: adds the command's options to its parser; imports nothing heavy.
      run: runs the command with its parsed options; see `deferred_commands`.
      saves_at_end: nothing is worth saving before the end, so Ctrl-C may end the process at any
        moment (`prompt_interrupts`).
    """

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]
    saves_at_end: bool = False


def deferred_commands(
    package: str, *commands: tuple[str, str, Callable[[argparse.ArgumentParser], None]],
    module: str | None = None, saves_at_end: bool = False,
) -> tuple[Command, ...]:
    """Returns commands whose modules are imported only when they run.

    Heavy imports thus delay neither `--help` nor errors in the options.

    Args:
      package: of the modules.
      *commands: name, help and arguments of each, as of `Command`.
      module: has a function for each command, of its name; by default each command has a module
        of its own name with a function `run`.
      saves_at_end: of each, as of `Command`.
    """
    def deferred(name: str) -> Callable[[argparse.Namespace], None]:
        where, function = (module, name) if module else (name, "run")
        return lambda args: getattr(
            importlib.import_module(f"{package}.{where}"), function)(args)

    return tuple(Command(name, help_, arguments, deferred(name), saves_at_end)
                 for name, help_, arguments in commands)


@dataclasses.dataclass(frozen=True)
class Program:
    """A program: its name, its description and its commands."""

    name: str
    description: str
    commands: tuple[Command, ...]

    def main(self, argv: Sequence[str] | None = None) -> NoReturn:
        """Runs the command in `argv` (default: `sys.argv`) and exits; the console script."""
        _open_closed_streams()
        if hasattr(sys.stdout, "reconfigure"):
            # The terminal's encoding may lack a character of the text.
            sys.stdout.reconfigure(errors="backslashreplace")
        # `run` parses the options: abseil's parser would take `--log_dir` for its own.
        flags.FLAGS.mark_as_parsed()
        # Hides notes that TensorFlow logs by default; `--verbosity=0` shows them.
        flags.FLAGS.verbosity = logging.WARNING

        def run(arguments: Sequence[str]) -> int:
            status = self.run(arguments[1:])
            # At once: after Ctrl-C, the seconds in which TensorFlow unloads are long.
            if status or _stop_requested.is_set():
                sys.stderr.flush()
                os._exit(status)
            return status

        app.run(
            run,
            argv=None if argv is None else [self.name, *argv],
            flags_parser=lambda arguments: arguments,
        )
        raise AssertionError("absl.app.run does not return")

    def run(self, arguments: Sequence[str]) -> int:
        """Runs the command in `arguments` in this process; returns the exit status."""
        debug = "--debug" in arguments
        try:
            with _sigterm_as_ctrl_c(), memory_limit.limited_memory():
                # Before the options: it may register hyperparameters.
                model_module = module_in(arguments, MODEL_MODULE)
                if model_module:
                    with _without_log_lines(debug):
                        _import_tensorflow()
                    import_module(MODEL_MODULE, model_module)
                with _without_log_lines(debug):
                    options = self.parse(arguments)  # a core's options are known to its module
                    _import_tensorflow()
                (command,) = (c for c in self.commands if c.name == options.command)
                with prompt_interrupts(self.name) if command.saves_at_end else (
                        contextlib.nullcontext()):
                    command.run(options)
                sys.stdout.flush()
            return 0
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            if debug:
                traceback.print_exc()
            status, line = as_cli_error(error)
            flush_error = _flush_stdout()
            if flush_error is not None and not line:
                status, line = as_cli_error(flush_error)
            if line:
                print(f"{self.name}: {_shortened(one_line(line))}", file=sys.stderr, flush=True)
            return status

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parses the options in `arguments`; raises UsageError."""
        parser, commands = self._parsers()
        try:
            options, unknown = parser.parse_known_args(list(arguments))
        except flags.Error as error:
            raise UsageError(str(error)) from None
        if unknown:
            commands[options.command].refuse(unknown[0])
        return options

    def _parsers(self) -> tuple[ArgumentParser, dict[str, ArgumentParser]]:
        """Returns the program's parser, and the parser of each command by name."""
        parser = ArgumentParser(prog=self.name, description=self.description)
        parser.add_argument(
            "--version", action="version", version=f"%(prog)s {__version__}", help="show it"
        )
        group = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
        for command in self.commands:
            sub = group.add_parser(command.name, help=command.help, description=command.help)
            command.arguments(sub)
            sub.add_argument("--debug", action="store_true", help="show where an error came from")
        return parser, dict(group.choices)


def prompt_interrupts(name: str) -> contextlib.AbstractContextManager[None]:
    """Lets Ctrl-C and SIGTERM end the program of a name within a second, even in native code."""
    words = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
    return _late_signals(lambda number: _exit_at_once(f"{name}: {words[number]}"))


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a request to stop; the second one interrupts.

    Where the first does not end the context within a second, a line says that it will, and the
    second ends the process even within native code.

    Yields:
      A function that returns whether a stop was requested; training loops call it at each step.
    """
    requested, announced = threading.Event(), threading.Event()

    def stop() -> None:
        if requested.is_set():
            raise KeyboardInterrupt("stopped at once, without saving")
        requested.set()
        _stop_requested.set()

    def late(number: signal.Signals) -> None:
        del number
        if announced.is_set():
            _exit_at_once("Stopped at once, without saving.")
        announced.set()
        _write_stderr("Stopping soon, and saving first. Ctrl-C again stops at once, without "
                      "saving.")

    with _signal_handlers({signal.SIGINT: stop, signal.SIGTERM: stop}), _late_signals(late):
        yield requested.is_set


@contextlib.contextmanager
def _late_signals(late: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Calls `late` in a second thread for each SIGINT and SIGTERM that ends the context too late.

    Python handles signals between two instructions of the main thread, and XLA compiles for many
    seconds in one of them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    is_over = threading.Event()

    def watch() -> None:
        while number := reader.recv(1):
            if number[0] in (signal.SIGINT, signal.SIGTERM) and not is_over.wait(_PATIENCE):
                late(signal.Signals(number[0]))
        reader.close()

    previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        signal.set_wakeup_fd(previous)
        writer.close()


def _exit_at_once(line: str) -> None:
    _write_stderr(line)
    os._exit(_FAILURE)


def _write_stderr(line: str) -> None:
    """Prints a line while another thread may be printing."""
    beginning = "\n" if os.isatty(2) else ""  # ends that of a progress bar
    os.write(2, f"{beginning}{line}\n".encode())


def one_line(text: str) -> str:
    """Escapes line breaks, control characters and undecodable bytes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def counted(number: int, noun: str) -> str:
    """Returns a number with a noun whose plural ends in s: "1 piece", "2,000 pieces"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def log(text: str) -> None:
    """Prints lines on stderr, where commands report; stdout is for results."""
    print("\n".join(map(one_line, text.split("\n"))), file=sys.stderr, flush=True)


def _shortened(line: str) -> str:
    """Replaces the middle of a very long line by dots."""
    half = _LONGEST_ERROR // 2
    return line if len(line) <= _LONGEST_ERROR else f"{line[:half]} ... {line[-half:]}"


def as_cli_error(error: BaseException) -> tuple[int, str]:
    """Returns the exit status for an error and the line to print ("" for none)."""
    text = _message(error)
    if isinstance(error, SystemExit):
        return (error.code, "") if isinstance(error.code, int) else (_FAILURE, text)
    if isinstance(error, KeyboardInterrupt):
        return _FAILURE, text or "interrupted"
    if isinstance(error, BrokenPipeError):
        return _FAILURE, ""  # the reader closed the pipe, as `| head` does
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or (
            "No space left on device" in text):
        return _FAILURE, f"error: {_NO_SPACE}"
    if getattr(error, "errno", None) == errno.EFBIG or "File too large" in text:
        return _FAILURE, f"error: {_TOO_LARGE}"
    if any(isinstance(cause, MemoryError) or type(cause).__name__ == "ResourceExhaustedError"
           for cause in _causes(error)):
        return _FAILURE, f"error: {_NO_MEMORY}"
    if isinstance(error, OSError):
        return _FAILURE, f"error: {_os_error(error)}"
    if isinstance(error, UsageError) or (isinstance(error, ValueError) and _is_ours(error)):
        return _WRONG_USE, f"error: {text}"
    if isinstance(error, ArithmeticError) and _is_ours(error):
        return _FAILURE, f"error: {text}"
    return _FAILURE, f"error: unexpected {type(error).__name__}: {text} (--debug shows where)"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and those from which it was raised, as TensorFlow raises ValueError."""
    while error is not None:
        yield error
        error = error.__cause__


def _message(error: BaseException) -> str:
    """Returns the message of an error; of TensorFlow's "in user code" reports the last line."""
    text = str(getattr(error, "message", None) or error).strip()
    return text.splitlines()[-1].strip() if text.startswith("in user code") else text


def _os_error(error: OSError) -> str:
    if error.strerror is None:
        return str(error) or type(error).__name__
    names = [os.fsdecode(n) for n in (error.filename, error.filename2) if n is not None]
    return ": ".join([error.strerror, *map(short_repr, names)])


def _is_ours(error: BaseException) -> bool:
    """Returns whether this package raised the error, with a message for users."""
    frames = list(traceback.walk_tb(error.__traceback__))
    module = frames[-1][0].f_globals.get("__name__", "") if frames else ""
    return module.split(".")[0] in ("vaeseq", "examples")


def _flush_stdout() -> Exception | None:
    """Flushes stdout; on an error discards its buffer, so that Python can exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _open_closed_streams() -> None:
    """Replaces standard streams that the caller closed, as `>&-` does, by the null device.

    The next file that is opened would have their numbers, and native code would print into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "w" if number else "r",  # noqa: SIM115 - for good
                          encoding="utf-8")
            if stream.fileno() != number:
                os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)


def _sigterm_as_ctrl_c() -> contextlib.AbstractContextManager[None]:
    def interrupt() -> None:
        raise KeyboardInterrupt("terminated")

    return _signal_handlers({signal.SIGTERM: interrupt})


@contextlib.contextmanager
def _signal_handlers(handlers: dict[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Installs signal handlers; outside the main thread, where Python cannot, does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {
        number: signal.signal(number, lambda *_, call=call: call())
        for number, call in handlers.items()
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _import_tensorflow() -> None:
    if sys.flags.optimize > 1:  # tf_keras edits its docstrings
        raise UsageError("PYTHONOPTIMIZE=2 (python -OO) takes docstrings away, without which "
                         "TensorFlow cannot be imported; set it to 1, or not at all.")
    # TensorFlow looks for a Keras, whose import brings pandas and pyplot along, half a second. No
    # program uses it, and TensorFlow Probability has this one loaded anyway.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    importlib.import_module("tensorflow")


@contextlib.contextmanager
def _without_log_lines(debug: bool) -> Iterator[None]:
    """Hides the lines about the machine that TensorFlow's import prints at any log level."""
    if debug or "tensorflow" in sys.modules:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryFile() as sink, _stderr_to(sink.fileno()):
        yield


@contextlib.contextmanager
def _stderr_to(descriptor: int) -> Iterator[None]:
    """Redirects file descriptor 2, and thus the output of C++, too."""
    sys.stderr.flush()
    stderr = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
