"""Nothing that runs code, or makes objects, out of what was read stands anywhere in the package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ember_bench
from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError
from ember_bench.operators.references import resolve

PACKAGE = Path(ember_bench.__file__).parent

# What is run in the sandbox, where code of models is run: that is what it is for.
SANDBOXED = PACKAGE / "evaluators" / "_guest"

MODULES = {
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "code",
    "codeop", "imp", "pty", "jinja2", "mako",
}  # fmt: skip
BUILT_IN = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "os": {"system", "popen", "execv", "execve", "execvp", "spawnl", "spawnv", "posix_spawn"},
    "yaml": {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"},
    "yaml.": {"Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader", "CUnsafeLoader"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "builtins": BUILT_IN,
    "torch": {"load"},
    "string": {"Template"},
}

# Not out of what was read: errors of workers of the same run, which Ray pickles like all that it
# brings; and the user's own function, whose loaded definition is rewritten for `jit`.
KNOWN = {
    "engines/messages.py": {"import pickle"},
    "graph/jitting/sources.py": {"compile()"},
}


def dangers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = {n.name for n in names if n.name.partition(".")[0] in MODULES}
                yield from ((node.lineno, f"import {name}") for name in found)
            case ast.ImportFrom(module=str(module), names=names):
                if module.partition(".")[0] in MODULES:
                    yield node.lineno, f"from {module} import"
                bad = CALLS.get(module, set()) & {n.name for n in names}
                yield from ((node.lineno, f"from {module} import {name}") for name in bad)
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                if name in CALLS.get(owner, set()) | CALLS.get(f"{owner}.", set()):
                    yield node.lineno, f"{owner}.{name}"
            case ast.Call():
                yield from ((node.lineno, what) for what in call_dangers(node))


def call_dangers(call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Name) and call.func.id in BUILT_IN:
        yield f"{call.func.id}()"
    for keyword in call.keywords:
        value = keyword.value
        is_false = isinstance(value, ast.Constant) and not value.value
        if keyword.arg in ("shell", "allow_pickle", "trust_remote_code") and not is_false:
            yield f"{keyword.arg}="
    # A template from elsewhere can reach any attribute: `{x.__init__.__globals__}`.
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("format", "format_map"):
        told = call.func.value
        is_text = isinstance(told, ast.Constant) and isinstance(told.value, str)
        if not is_text and ast.unparse(told) not in ("msgspec.json", "super()"):
            yield ".format() of what is no literal"


def sources() -> list[Path]:
    found = [p for p in PACKAGE.rglob("*.py") if not p.is_relative_to(SANDBOXED)]
    assert len(found) > 100
    return sorted(found)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_runs_nothing_that_it_reads(path: Path) -> None:
    found = {what for _, what in dangers(ast.parse(path.read_text(encoding="utf-8")))}
    assert found == KNOWN.get(path.relative_to(PACKAGE).as_posix(), set())


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import dill as p",
        "from pickle import loads",
        "from yaml import unsafe_load",
        "from subprocess import getoutput",
        "eval(text)",
        "exec(text, {})",
        "compile(text, '', 'eval')",
        "__import__(name)",
        "builtins.eval(text)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "yaml.compose(text, Loader=yaml.FullLoader)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "subprocess.run(text, shell=flag)",
        "np.load(path, allow_pickle=True)",
        "datasets.load_dataset(name, trust_remote_code=True)",
        "template.format(query=text)",
        "card.prompt.format_map(inputs)",
    ],
)
def test_what_is_looked_for_is_found(line: str) -> None:
    assert list(dangers(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "yaml.compose(text, Loader=yaml.SafeLoader)",
        "subprocess.run(words, shell=False)",
        "re.compile(text)",
        "'{} of {}'.format(a, b)",
        "connection.execute(statement)",
        "spec.loader.exec_module(module)",
    ],
)
def test_what_is_harmless_is_not(line: str) -> None:
    assert not list(dangers(ast.parse(line)))


class TestACard:
    @pytest.mark.parametrize(
        "name",
        [
            "os:system",
            "posix:system",
            "builtins:eval",
            "subprocess:getoutput",
            "pickle:loads",
            "importlib:import_module",
            "os.path:os.system",
            "ember_bench.tracking.tracker:subprocess.run",
            "ember_bench.registry:importlib.import_module",
            "ember_bench.registry:sys.modules",
            "ember_bench.registry:builtin_root.__globals__",
            "ember_bench.registry:__builtins__",
            "ember_bench.documents:yaml.unsafe_load",
            "yaml:os.system",
        ],
    )
    def test_cannot_name_what_runs_commands_or_code(self, name: str) -> None:
        with pytest.raises(
            ConfigError, match=r"write a function|cannot be imported|expected a function"
        ):
            resolve(name)

    @pytest.mark.parametrize(
        "value",
        [
            "!!python/object/apply:os.system ['true']",
            "!!python/object/new:os.system ['true']",
            "!!python/name:os.system",
            "!!python/module:os",
            "!!python/object:ember_bench.errors.Problem {message: x}",
            "!!python/tuple [1, 2]",
            "!!java.lang.ProcessBuilder ['true']",
        ],
    )
    def test_makes_no_objects(self, value: str) -> None:
        text = f"name: x\npurpose: {value}\n"
        if value.endswith(("]", "}")):  # a tag on a list or a mapping is not looked at
            purpose = parse_document(text, Path("card.yaml")).data["purpose"]
            assert type(purpose) in (list, dict)
            return
        with pytest.raises(ConfigError, match=r"card\.yaml:2:10"):
            parse_document(text, Path("card.yaml"))
