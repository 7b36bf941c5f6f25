# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The rules of the house that a machine can read: imports, sizes, names, what is never used."""

from __future__ import annotations

import ast
import importlib
import io
import pathlib
import subprocess
import sys
import tokenize

import pytest

ROOT = pathlib.Path(__file__).parents[1]
HEADER = "# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0"

# A module imports from floors above its own line only. A package is one floor.
FLOORS = """
    version
    types
    nest
    seeds
    initializers
    schedules
    fields
    hparams
    dist_module
    encoder
    rows
    products
    loop_arrays
    loop_plan
    loop
    loop_gradient
    loop_apart
    unroll
    linear_scan
    agent
    shards
    cells
    parallel_cells
    networks
    codec
    latent
    vae
    bounds
    data
    adam
    cluster
    distribute
    train
    train_hparams
    evaluate
    sampler
    bundle
    checkpoint
    log_dir
    init_from
    named_tensors
    windows
    signatures
    export
    metrics
    progress
    trainer
    model
    arguments
    limits
    cli
    runs
    testing
""".split()  # noqa: SIM905

MOST_LINES = 300
MOST_CODE_LINES = 40
# What is longer, and why it is better so: "file" or "file:function" -> reason.
LONGER: dict[str, str] = {}

# Modules that run what they read, or that hold state for the whole process.
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "yaml",
    "joblib",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
# The command line is the one place that knows of flags.
FLAGS_ALLOWED = {"vaeseq/cli/program.py", "vaeseq/cli/arguments.py", "vaeseq/cli/options.py"}
# Generators that are made and passed on; everything else there draws from a global one.
RANDOM_ALLOWED = {"Generator", "default_rng", "PCG64", "Philox", "SeedSequence"}
# First weights, where nobody gave a seed for them, come from TensorFlow's own generator.
GLOBAL_RANDOM_ALLOWED = {"vaeseq/nn/initializers.py"}


def _files(*folders):
    return sorted(
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
    )


LIBRARY = _files("vaeseq")
INSTALLED = LIBRARY + _files("examples")
ALL = ["setup.py", *INSTALLED, *_files("benchmarks", "tests")]


def _tree(name):
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), filename=name)


def _module(name):
    """A file's dotted name: "vaeseq/vae/__init__.py" is "vaeseq.vae"."""
    parts = pathlib.PurePosixPath(name).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(name): name for name in INSTALLED}


def _imports(name):
    """The dotted names that a file imports, each to the module and not to the name in it."""
    package = _module(name) if name.endswith("__init__.py") else _module(name).rpartition(".")[0]
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in MODULES else base


def _floor(module):
    """The line of `FLOORS` that a module of the library stands on."""
    return FLOORS.index(module.split(".")[1])


def _functions(name):
    for node in ast.walk(_tree(name)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _code_lines(name, node):
    """The lines of a function that hold code: no blank ones, comments or docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body:
        return 0
    source = (ROOT / name).read_text(encoding="utf-8")
    empty = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in empty and token.start[0] >= body[0].lineno:
            if token.start[0] > node.end_lineno:
                break
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def _dotted(node):
    """An attribute chain as text: "tf.random.normal", or "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""


def test_there_is_something_to_check():
    assert {"vaeseq/hparams.py", "vaeseq/vae/base.py"} <= set(LIBRARY)


def test_every_module_has_a_floor():
    tops = {_module(name).split(".")[1] for name in LIBRARY if name != "vaeseq/__init__.py"}
    assert tops - set(FLOORS) == set(), "put the new module on its line of FLOORS"


@pytest.mark.parametrize("name", [name for name in LIBRARY if name != "vaeseq/__init__.py"])
def test_imports_go_upwards_in_the_list(name):
    module = _module(name)
    for imported in _imports(name):
        assert not imported.startswith(("examples", "vaeseq.examples", "tests")), imported
        if imported.startswith("vaeseq."):
            same = imported.split(".")[1] == module.split(".")[1]
            assert same or _floor(imported) < _floor(module), f"{module} imports {imported}"


@pytest.mark.parametrize("name", _files("examples"))
def test_an_example_imports_the_library_and_itself(name):
    own = ".".join(_module(name).split(".")[:2])
    for imported in _imports(name):
        assert not imported.startswith("vaeseq.examples"), "examples import themselves relatively"
        if imported.startswith("examples"):
            assert imported == "examples" or imported.startswith(own), f"{name}: {imported}"


def test_there_are_no_import_cycles():
    graph = {module: set(_imports(name)) & set(MODULES) for module, name in MODULES.items()}
    graph.pop("vaeseq", None)  # it imports lazily
    done: set[str] = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path, module])
        if module in graph and module not in done:
            for imported in sorted(graph[module] - {module}):
                visit(imported, [*path, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])


@pytest.mark.parametrize("name", ALL)
def test_a_file_opens_with_the_licence_and_says_what_it_is(name):
    assert (ROOT / name).read_text(encoding="utf-8").startswith(HEADER + "\n")
    assert ast.get_docstring(_tree(name)), "no module docstring"


def test_what_is_long_has_a_reason():
    longer = {
        name
        for name in INSTALLED + _files("benchmarks")
        if len((ROOT / name).read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }
    longer |= {
        f"{name}:{node.name}"
        for name in ALL
        for node in _functions(name)
        if _code_lines(name, node) > MOST_CODE_LINES
    }
    assert longer == set(LONGER), "shorten it or give the reason; drop a reason that is not needed"


def test_long_functions_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    lines = [
        "def f():",
        '    """One.',
        "",
        '    Two."""',
        "    # three",
        "",
        "    x = (",
        "  1)",
        "    y = 2",
    ]
    (tmp_path / "f.py").write_text("\n".join([*lines, "z = 3"]))
    (node,) = _functions("f.py")
    assert _code_lines("f.py", node) == 3


@pytest.mark.parametrize("name", INSTALLED)
def test_nothing_runs_what_it_reads(name):
    for imported in _imports(name):
        assert imported.split(".")[0] not in FORBIDDEN_MODULES, imported
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Call):
            assert _dotted(node.func) not in FORBIDDEN_CALLS, f"line {node.lineno}"
            assert _dotted(node.func) not in {"os.system", "os.popen"}, f"line {node.lineno}"
            for keyword in node.keywords:
                if keyword.arg in {"allow_pickle", "shell"}:
                    assert ast.unparse(keyword.value) == "False", f"line {node.lineno}"


@pytest.mark.parametrize("name", sorted(set(LIBRARY) - FLAGS_ALLOWED))
def test_the_library_knows_no_flags(name):
    for imported in _imports(name):
        assert imported.split(".")[0] not in {"argparse", "absl"}, imported


@pytest.mark.parametrize("name", LIBRARY)
def test_nothing_draws_from_a_global_generator(name):
    assert "random" not in set(_imports(name))
    for node in ast.walk(_tree(name)):
        kind, _, used = _dotted(node).rpartition(".")
        if kind in {"np.random", "numpy.random"}:
            assert used in RANDOM_ALLOWED, f"line {node.lineno}: {kind}.{used}"
        elif kind == "tf.random" and name not in GLOBAL_RANDOM_ALLOWED:
            assert used.startswith(("stateless", "experimental")), f"line {node.lineno}: {used}"


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_left_open(name):
    if name != "tests/test_architecture.py":
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not [word for word in ("TODO", "FIXME", "XXX") if word in text]


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, vaeseq; sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_public_names_exist_once():
    package = importlib.import_module("vaeseq")
    assert len(package.__all__) == len(set(package.__all__))
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_every_module_can_be_imported():
    for module in MODULES:
        importlib.import_module(module)
