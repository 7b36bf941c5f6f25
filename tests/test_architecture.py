# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The rules of the house that a machine can read: imports, names, what is never used."""

import ast
import functools
import importlib
import pathlib
import subprocess
import sys

import pytest

import vaeseq

ROOT = pathlib.Path(__file__).parents[1]
HEADER = "# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0"

# The wings of the library, from the ground up. A module imports from its own wing and from lines
# above it; modules of one line do not import each other's wings.
WINGS = """
    version types
    trace_context
    dtypes compilation
    nest seeds fields description truncation
    hparams data encoder dist_module
    nn runs
    agent codec
    vae
    bounds
    evaluate testing
    train
    autoencoder
    model cli
    tuning
"""
LEVELS = {wing: level for level, line in enumerate(WINGS.strip().splitlines())
          for wing in line.split()}

# Modules that run what they read, or that hold state for the whole process.
FORBIDDEN_MODULES = {
    "pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "yaml", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
# The command line is the one place that knows of flags.
FLAGS_ALLOWED = "vaeseq/cli/"
# Generators that are made and passed on; everything else there draws from a global one.
RANDOM_ALLOWED = {"Generator", "default_rng", "PCG64", "Philox", "SeedSequence"}
# Initial weights without a seed come from TensorFlow's own generator.
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


@functools.cache
def _tree(name):
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), filename=name)


def _module(name):
    """A file's dotted name: "vaeseq/vae/__init__.py" is "vaeseq.vae"."""
    parts = pathlib.PurePosixPath(name).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(name): name for name in INSTALLED}


def _imports(name):
    """The dotted names that a file imports, each to the module and not to the name in it."""
    for base, names in _imported_names(name):
        inner = [f"{base}.{name}" for name in names]
        yield from [module if module in MODULES else base for module in inner] or [base]


def _package(name):
    """The package of a file; for "vaeseq/vae/__init__.py" and "vaeseq/vae/rnn.py" "vaeseq.vae"."""
    return _module(name) if name.endswith("__init__.py") else _module(name).rpartition(".")[0]


def _imported_names(name):
    """Each imported module with the names taken from it."""
    package = _package(name)
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            yield base, [alias.name for alias in node.names]


def _uses_of_modules(name):
    """Each imported module with every part of its name and every name that is read from it."""
    aliases = {node.name: node.asname or node.name
               for node in ast.walk(_tree(name)) if isinstance(node, ast.alias)}
    modules = {}
    for imported, names in _imported_names(name):
        yield from ((imported, part) for part in (*imported.split("."), *names))
        modules |= {aliases[part]: f"{imported}.{part}" for part in names
                    if f"{imported}.{part}" in MODULES}
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Attribute) and _dotted(node.value) in modules:
            yield modules[_dotted(node.value)], node.attr


def _wing(module):
    """The wing of a module of the library: "nn" for "vaeseq.nn.scan.plan"."""
    return module.split(".")[1]


def _dotted(node):
    """An attribute chain as text: "tf.random.normal", or "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""


def test_every_wing_has_a_level():
    wings = {_wing(_module(name)) for name in LIBRARY if name != "vaeseq/__init__.py"}
    assert wings == set(LEVELS), "add a new wing to WINGS; remove one that is gone"


def test_a_wing_imports_from_wings_below_it():
    for name in LIBRARY:
        module = _module(name)
        for imported in _imports(name) if module != "vaeseq" else ():
            at = f"{name} imports {imported}"
            assert not imported.startswith(("examples", "vaeseq.examples", "tests")), at
            if imported.startswith("vaeseq.") and _wing(imported) != _wing(module):
                assert LEVELS[_wing(imported)] < LEVELS[_wing(module)], at


def test_a_module_uses_no_private_name_of_another_package():
    for name in INSTALLED:
        # A module at the top of the library is a package of its own.
        package = _package(name) if "." in _package(name) else _module(name)
        for imported, part in _uses_of_modules(name):
            private = part.startswith("_") and not part.startswith("__")
            own = imported == package or imported.startswith(f"{package}.")
            assert not private or own, f"{name}: {imported}: {part}"


def test_an_example_imports_the_library_and_itself():
    for name in _files("examples"):
        own = ".".join(_module(name).split(".")[:2])
        for imported in _imports(name):
            at = f"{name} imports {imported}; examples import themselves relatively"
            assert not imported.startswith("vaeseq.examples"), at
            if imported.startswith("examples"):
                assert imported == "examples" or imported.startswith(own), at


def test_there_are_no_import_cycles():
    graph = {module: set(_imports(name)) & set(MODULES) for module, name in MODULES.items()}
    graph.pop("vaeseq", None)  # it imports lazily
    visited: set[str] = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path, module])
        if module in graph and module not in visited:
            for imported in sorted(graph[module] - {module}):
                visit(imported, [*path, module])
            visited.add(module)

    for module in sorted(graph):
        visit(module, [])


def test_a_file_opens_with_the_licence_and_says_what_it_is():
    for name in ALL:
        assert (ROOT / name).read_text(encoding="utf-8").startswith(HEADER + "\n"), name
        assert ast.get_docstring(_tree(name)), f"{name}: no module docstring"


def test_nothing_runs_what_it_reads():
    for name in INSTALLED:
        for imported in _imports(name):
            assert imported.split(".")[0] not in FORBIDDEN_MODULES, f"{name} imports {imported}"
        for node in ast.walk(_tree(name)):
            if isinstance(node, ast.Call):
                at = f"{name}, line {node.lineno}"
                assert _dotted(node.func) not in FORBIDDEN_CALLS, at
                for keyword in node.keywords:
                    if keyword.arg in {"allow_pickle", "shell"}:
                        assert ast.unparse(keyword.value) == "False", at


def test_the_library_knows_no_flags():
    for name in LIBRARY:
        for imported in _imports(name) if not name.startswith(FLAGS_ALLOWED) else ():
            assert imported.split(".")[0] not in {"argparse", "absl"}, f"{name} imports {imported}"


def test_nothing_draws_from_a_global_generator():
    for name in LIBRARY:
        assert "random" not in set(_imports(name)), name
        for node in ast.walk(_tree(name)):
            kind, _, member = _dotted(node).rpartition(".")
            if kind in {"np.random", "numpy.random"}:
                assert member in RANDOM_ALLOWED, f"{name}, line {node.lineno}: {kind}.{member}"
            elif kind == "tf.random" and name not in GLOBAL_RANDOM_ALLOWED:
                assert member.startswith(("stateless", "experimental")), (
                    f"{name}, line {node.lineno}: {kind}.{member}")


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, vaeseq; sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("program", ["text.cli", "midi.cli", "play.commands", "series.cli"])
def test_a_program_starts_without_tensorflow(program):
    code = f"import sys, examples.{program} as p; p.main; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_public_names_exist_once():
    package = importlib.import_module("vaeseq")
    assert len(package.__all__) == len(set(package.__all__))
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_the_citation_has_the_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {vaeseq.__version__}\n" in citation


def test_every_module_can_be_imported():
    for module in MODULES:
        importlib.import_module(module)
