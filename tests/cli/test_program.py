# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Command-line programs: options, and the exit status and one line of an error."""

import argparse
import errno
import glob
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from vaeseq.cli import arguments, options, program
from vaeseq.hparams import HParams
from vaeseq.train import distribute

ROOT = pathlib.Path(__file__).parents[2]


def _train_arguments(parser):
    parser.add_argument("--log-dir", required=True, help="directory of the run")
    parser.add_argument("--num-steps", "--iters", type=arguments.whole(1, 10**9), default=7)
    parser.add_argument("--eval-corpus", nargs="+", type=arguments.readable_file)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--output", type=arguments.output_file)
    parser.add_argument("--plot", type=arguments.output_file)
    parser.add_argument("--seed", type=arguments.seed, default=0, help="seed of all randomness")
    parser.add_argument("--temperature", type=arguments.temperature, help="100 %% is 1")
    parser.add_argument("--prime", default="", help="the beginning")
    parser.add_argument("--known", default=(), help="columns")
    parser.add_argument("--port", default=0, help="a port (default: a free one)")
    arguments.add_hparams(parser, HParams)


def _program(run=lambda args: None):
    return program.Program("vaeseq-test", "Tests.", (
        program.Command("train", "train a model", _train_arguments, run),
        program.Command("evaluate", "score a text", lambda parser: None, run)))


def _parse(*words):
    return _program().parse(["train", "--log-dir", "x", *words])


def _failing(error):
    def run(_):
        raise error

    return _program(run).run(["evaluate"])


# Options.


@pytest.mark.parametrize("words", [["--log-dir", "a"], ["--log_dir", "a"], ["--log_dir=a"]])
def test_a_name_takes_hyphens_or_underscores(words):
    assert _program().parse(["train", *words]).log_dir == "a"


@pytest.mark.parametrize("option", ["--num-steps", "--num_steps", "--iters"])
def test_an_alias_sets_the_same_value(option):
    assert _parse(option, "12").num_steps == 12
    assert _parse(f"{option}=12").num_steps == 12


def test_values_keep_their_underscores():
    args = _parse("--log-dir=--a_b=c_d", "--hparams", "batch_size=3")
    assert args.log_dir == "--a_b=c_d" and args.hparams == {"batch_size": 3}


@pytest.mark.parametrize("path", ["-dash", "--two", "a b", "a\nb", "-", "\udcff", "'\"", "-1"])
def test_any_path_is_a_value(path):
    assert _program().parse(["train", "--log-dir", path]).log_dir == path
    assert _program().parse(["train", f"--log_dir={path}"]).log_dir == path


def test_an_option_takes_several_values(tmp_path):
    files = [tmp_path / name for name in ("a b", "c\nd", "e\udcff")]
    for file in files:
        file.touch()
    assert _parse("--eval_corpus", *map(str, files), "--json").eval_corpus == files


def test_two_outputs_have_two_names(tmp_path):
    with pytest.raises(arguments.UsageError, match="--(output|plot): .*/new' is another output"):
        _parse("--output", str(tmp_path / "new"), "--plot", str(tmp_path / "new"))


def test_an_output_is_no_file_of_the_run(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("run.json", "hparams.json", "metrics.jsonl", "lock", "checkpoints/state",
                 "forecast.csv"):
        (tmp_path / name).touch()
    for name in ("hparams.json", "metrics.jsonl", "lock", "checkpoints/state"):
        with pytest.raises(arguments.UsageError, match=f"--output: .*{name}' would replace a file"):
            _parse("--log-dir", str(tmp_path), "--output", str(tmp_path / name))
    _parse("--log-dir", str(tmp_path), "--output", str(tmp_path / "forecast.csv"))


def test_an_output_is_no_file_that_another_option_names(tmp_path):
    for name in ("text", "other"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "text")
    corpora = ["--eval-corpus", str(tmp_path / "other"), str(tmp_path / "text")]
    for option, name in itertools.product(("--output", "--plot"), ("text", "link", "other")):
        with pytest.raises(arguments.UsageError, match=f"{option}: .* would replace .*/{name}"
                           if name == "other" else f"{option}: .* would replace .*/text"):
            _parse(*corpora, option, str(tmp_path / name))
    with pytest.raises(arguments.UsageError, match="reads or writes"):
        _parse("--output", str(tmp_path / "text"), "--plot", str(tmp_path / "text"))
    archive = tmp_path / "music.npz"
    archive.touch()
    with pytest.raises(arguments.UsageError, match="--output: .* would replace .*music.npz:test'"):
        arguments.check_output("--output", archive, [f"{archive}:test"])
    (tmp_path / "older").write_text("a result of before")
    parsed = _parse(*corpora, "--output", str(tmp_path / "older"), "--plot", str(tmp_path / "new"))
    assert parsed.output.with_suffix(".csv") == tmp_path / "older.csv"
    assert _parse("--output", "/dev/null", "--plot", "/dev/null").output


def test_a_pattern_means_the_same_in_every_directory(tmp_path, monkeypatch):
    folder = tmp_path / "x [demo]"
    folder.mkdir()
    (folder / "a.txt").touch()
    (folder / "[b].txt").touch()
    monkeypatch.chdir(folder)
    names = [arguments.absolute(name) for name in ("*.txt", "[b].txt", "./new.txt", f"{folder}/*")]
    monkeypatch.chdir(tmp_path)
    assert sorted(glob.glob(names[0])) == [str(folder / "[b].txt"), str(folder / "a.txt")]
    assert names[1:] == [str(folder / "[b].txt"), str(folder / "new.txt"), f"{folder}/*"]


def test_some_of_splits_a_list_of_known_names():
    assert arguments.some_of(("one", "two"))("two,one") == ["two", "one"]
    assert arguments.some_of(("one, more", "two"), ";")("one, more;two") == ["one, more", "two"]
    for text in ("three", "one,", "", "one;two"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected some of one,two; got "):
            arguments.some_of(("one", "two"))(text)


def test_a_wrong_part_of_a_list_is_a_wrong_use():
    parser = arguments.ArgumentParser()
    parser.add_argument("--seeds", type=arguments.list_of(arguments.seed), default="0,1")
    assert parser.parse_args([]).seeds == [0, 1] and parser.parse_args(["--seeds=5"]).seeds == [5]
    with pytest.raises(arguments.UsageError, match="--seeds: .*'x'"):
        parser.parse_args(["--seeds", "0,x"])


def test_absl_verbosity_is_accepted_on_either_side():
    assert _program().parse(["--verbosity=0", "train", "--log-dir", "a"]).log_dir == "a"
    assert _program().parse(["train", "--verbosity", "0", "--log-dir", "a"]).log_dir == "a"


WRONG = [
    ([], "the following arguments are required: COMMAND"),
    (["trian"], "invalid choice: 'trian'"),
    (["train"], "the following arguments are required: --log-dir (see vaeseq-test train --help)"),
    (["train", "--log-dir"], "argument --log-dir: expected one argument"),
    (["train", "--log-dir", "--json"], "argument --log-dir: expected one argument"),
    (["train", "--log-dir", "--"], "argument --log-dir: expected a value, got '--'"),
    (["train", "--log-dir", "--num_steps=3"], "argument --log-dir: expected one argument"),
    (["train", "--log-dir", "a", "--num-step", "3"], "'--num-step'. Did you mean '--num-steps'?"),
    (["train", "--log-dir", "a", "--lo\ng"], r"unknown argument '--lo\ng'"),
    (["train", "--log-dir", "a", "stray"], "unknown argument 'stray'"),
    (["train", "--log-dir", "a", "--iters", "0"], "expected a whole number, at least 1 and at"),
    (["train", "--log-dir", "a", "--temperature", "nan"], "argument --temperature: expected a fi"),
    (["train", "--log-dir", "a", "--temperature", "0"], "above 0 and at most 100; got '0'"),
    (["train", "--log-dir", "a", "--hparams", "batch_sise=3"], "Did you mean 'batch_size'?"),
    (["train", "--log-dir", "a", "--eval-corpus", "no\nfile"], r"no such file: 'no\nfile'"),
    (["train", "--verbosity", "loud"], "verbosity"),
    (["train", "--flagfile", "/nonexistent"], "nonexistent"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_use_is_one_line_and_status_2(words, message, capsys):
    assert _program().run(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("vaeseq-test: error: ") and message in err
    assert err.count("\n") == 1 and err.endswith("\n") and len(err) < 1500


def test_help_shows_commands_defaults_and_aliases(capsys):
    assert _program().run(["--help"]) == 0
    assert "train a model" in capsys.readouterr().out
    assert _program().run(["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--iters" in out and "seed of all randomness (default: 0)" in out
    assert "None" not in out and "verbosity" not in out and "100 % is 1" in out
    assert "(default: )" not in out and "()" not in out
    assert "a port (default: a free one)\n" in out


def test_help_hparams_lists_every_hyperparameter(capsys):
    assert _program().run(["train", "--help-hparams"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}=" in out for name in HParams().as_dict())


# Paths.


@pytest.mark.parametrize("name", ["plain", "a b", "a\nb", "-dash", "\udcff\udcfe", "'\""])
def test_a_path_may_hold_any_character(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert arguments.output_file(name) == arguments.new_directory(name) == pathlib.Path(name)
    pathlib.Path(name).write_text("x")
    assert arguments.readable_file(name).read_text() == "x"
    with pytest.raises(argparse.ArgumentTypeError, match="expected a directory"):
        arguments.directory(name)
    with pytest.raises(argparse.ArgumentTypeError, match="expected a directory"):
        arguments.new_directory(os.path.join(name, "below"))
    os.remove(name)
    os.mkdir(name)
    assert arguments.directory(name) == arguments.new_directory(name)
    for converter in (arguments.readable_file, arguments.output_file):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a file.* is a directory"):
            converter(name)


def test_an_invalid_path_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for converter in (arguments.readable_file, arguments.output_file, arguments.directory):
        for text in ("", "a\0b", "x" * 5000, str(tmp_path / "loop")):
            with pytest.raises(argparse.ArgumentTypeError) as caught:
                converter(text)
            assert len(str(caught.value)) < 300
    with pytest.raises(argparse.ArgumentTypeError, match="is a pipe or a device"):
        arguments.readable_file(str(tmp_path / "pipe"))
    with pytest.raises(argparse.ArgumentTypeError, match="there is no directory"):
        arguments.output_file(str(tmp_path / "none" / "file"))
    with pytest.raises(argparse.ArgumentTypeError, match="no such directory"):
        arguments.directory(str(tmp_path / "none"))


def test_a_path_without_permission_is_refused(tmp_path, monkeypatch):
    (tmp_path / "locked").touch()
    # The superuser has all permissions.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for converter in (arguments.readable_file, arguments.output_file):
        with pytest.raises(argparse.ArgumentTypeError, match="no permission to .* '.*locked'"):
            converter(str(tmp_path / "locked"))
    with pytest.raises(argparse.ArgumentTypeError, match="no permission to write in"):
        arguments.new_directory(str(tmp_path / "new"))


# Failures.


def _named(name, message):
    return type(name, (Exception,), {})(message)


def _caused(error, cause):
    error.__cause__ = cause
    return error


FAILURES = [
    (program.UsageError("give a corpus"), 2, "error: give a corpus"),
    (FileNotFoundError(errno.ENOENT, "No such file", "a\nb"), 1, r"No such file: 'a\nb'"),
    (PermissionError(errno.EACCES, "Permission denied", b"\xff"), 1, r"denied: '\udcff'"),
    (OSError("odd"), 1, "error: odd"),
    (OSError(errno.ENOSPC, "No space left on device", "f"), 1, "error: no space left on the"),
    (_named("ResourceExhaustedError", "x; No space left on device"), 1, "no space left on the"),
    (_named("ResourceExhaustedError", "OOM when allocating"), 1, "error: out of memory: a smaller"),
    (MemoryError(), 1, "error: out of memory: a smaller batch_size"),
    (_caused(ValueError("Error processing property"), MemoryError()), 1, "error: out of memory"),
    (KeyboardInterrupt(), 1, "vaeseq-test: interrupted"),
    (KeyboardInterrupt("saved step 3"), 1, "vaeseq-test: saved step 3"),
    (ZeroDivisionError("a\nb"), 1, r"unexpected ZeroDivisionError: a\nb (--debug shows where)"),
    (_named("E", "in user code:\n  File x\n\n  ValueError: odd\n"), 1, "E: ValueError: odd (--d"),
    (SystemExit("done for"), 1, "vaeseq-test: done for"),
]


@pytest.mark.parametrize(("error", "status", "line"), FAILURES)
def test_a_failure_is_one_line(error, status, line, capsys):
    assert _failing(error) == status
    err = capsys.readouterr().err
    assert err.startswith("vaeseq-test: ") and line in err
    assert err.count("\n") == 1 and "Traceback" not in err


def test_only_a_value_error_of_this_package_is_wrong_use(capsys):
    assert _program(lambda _: HParams(batch_size=0)).run(["evaluate"]) == 2
    assert "error: batch_size: expected" in capsys.readouterr().err
    assert _program(lambda _: int("x")).run(["evaluate"]) == 1
    assert "unexpected ValueError" in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys):
    program = _program(lambda _: 1 // 0)
    assert program.run(["evaluate", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_prints_nothing(capsys):
    assert _failing(BrokenPipeError(errno.EPIPE, "Broken pipe")) == 1
    assert capsys.readouterr().err == ""


# Signals.


def test_the_first_signal_requests_a_stop_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with program.stop_on_signal() as should_stop:
        assert not should_stop()
        signal.raise_signal(signal.SIGTERM)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt, match="stopped at once"):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_sigterm_is_reported_like_ctrl_c(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert _program(lambda _: signal.raise_signal(signal.SIGTERM)).run(["evaluate"]) == 1
    assert capsys.readouterr().err == "vaeseq-test: terminated\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_program_runs_outside_the_main_thread():
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(_program().run(["evaluate"])))
    thread.start()
    thread.join()
    assert statuses == [0]


# As a process.

PROGRAM = """
    import os, sys, time, types
    from vaeseq import cli
    from vaeseq.cli import arguments
    from vaeseq.hparams import HParams
    if not {tensorflow}:  # an import of seconds
        sys.modules["tensorflow"] = types.ModuleType("tensorflow")
    def work(args):
        import tensorflow
        {work}
    def options(parser):
        arguments.add_hparams(parser, HParams)
    cli.Program("prog", "Works.", (cli.Command("go", "do it", options, work),)).main()
"""


READY = 'print("\\udcff ready", flush=True); '


def _process(work, *words, flags=(), tensorflow=False, **keywords):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    code = textwrap.dedent(PROGRAM).format(work=work, tensorflow=tensorflow)
    return subprocess.Popen(
        [sys.executable, *flags, "-c", code, *words],
        cwd=ROOT,
        # A shell that runs the tests in the background makes them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**environment, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        **{"stdout": subprocess.PIPE, **keywords},
    )


def test_help_needs_neither_tensorflow_nor_numpy():
    process = _process("pass", "--help", flags=["-X", "importtime"], tensorflow=True)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and b"do it" in out
    assert b"argparse" in err and b"tensorflow" not in err and b"numpy" not in err


def test_a_failed_program_ends_at_once():
    work = "import atexit; atexit.register(time.sleep, 50); print('some'); raise ValueError('bad')"
    out, err = _process(work, "go").communicate(timeout=40)
    assert (out, b"bad" in err, err.count(b"\n")) == (b"some\n", True, 1)


def test_python_without_docstrings_is_refused():
    process = _process("pass", "go", flags=["-OO"], tensorflow=True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith(b"prog: error: PYTHONOPTIMIZE=2 (python -OO) takes docstrings away")


def test_tensorflow_prints_nothing_about_the_machine():
    # The option of a core is known when TensorFlow is imported, which is while options are read.
    process = _process(READY, "go", "--hparams", "dmm_inference=ST-LR", tensorflow=True)
    assert process.communicate(timeout=60) == (b"\\udcff ready\n", b"")
    assert process.returncode == 0


@pytest.mark.parametrize(("words", "shown"), [([], False), (["--verbosity=0"], True)])
def test_verbosity_shows_the_notes_of_libraries(words, shown):
    process = _process("from absl import logging; logging.info('a note')", "go", *words)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and (b"a note" in err) == shown


@pytest.mark.parametrize(("number", "line"), [
    (signal.SIGTERM, b"prog: terminated\n"), (signal.SIGINT, b"prog: interr")])
def test_a_signal_ends_a_process_with_one_line(number, line):
    process = _process(READY + "time.sleep(60)", "go")
    process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and err.startswith(line) and err.count(b"\n") == 1


def _busy_process(context):
    """Returns a process in native code, inside a context of `vaeseq.cli.program`."""
    process = _process(
        f"import hashlib; from vaeseq.cli import program; watched = program.{context}; "
        f"watched.__enter__(); {READY}hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", "go")
    process.stdout.readline()
    return process


def test_ctrl_c_ends_native_code_within_a_second():
    process = _busy_process("prompt_interrupts('prog')")
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"prog: interrupted\n")
    assert time.monotonic() - start < 5  # on a busy machine


def test_ctrl_c_within_native_code_of_training_is_answered_and_a_second_one_ends_it():
    process = _busy_process("stop_on_signal()")
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline().startswith(b"Stopping soon, and saving first. Ctrl-C again")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"Stopped at once, without saving.\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize(("work", "line"), [
    ("print('buffered')", b"no space left"),
    ("print('buffered'); 1 // 0", b"unexpected ZeroDivisionError")])
def test_a_full_device_is_reported_in_one_line(work, line):
    with open("/dev/full", "wb") as full:
        process = _process(work, "go", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith(b"prog: error: " + line) and err.count(b"\n") == 1


def test_a_reader_that_closes_the_pipe_ends_the_process():
    process = _process(READY + "[print('x' * 1000) for _ in range(10_000)]", "go")
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(timeout=60) == 1


def test_the_number_of_replicas_stands_on_a_line_of_its_own(capsys):
    strategy = distribute.Strategy()
    strategy.num_replicas = 2
    options.print_start(strategy, "Training on 5 steps\n  scaled by the history")
    assert capsys.readouterr().out.splitlines() == [
        "Training on 5 steps", "  scaled by the history", "2 replicas share each batch."]
