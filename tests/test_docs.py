"""Every code block of README.md and docs/ is run.

A `yaml` block is a file: its first line is a comment with its path. So is a `python` block that
begins with such a comment; the others of a page are run as one program. A `sh` block is run line by
line. A `text` block that begins with `$ ember-bench` is a command and the beginning of its output,
in 80 columns; `...` stands for lines that are left out. Any other `text` is not run. The blocks of
a page share an empty folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ember_bench.datasets import load_dataset, read_card
from ember_bench.datasets.suites import load_suite
from ember_bench.evaluators import load_evaluator
from ember_bench.graph.architecture import load_architecture
from ember_bench.models import ModelRegistry
from ember_bench.operators.signature import signature_from_card
from ember_bench.registry import Cards, default_roots

# A page may have twenty commands, and each of them is a program.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent
# Their programs need extras that CI has in an environment of its own.
NEEDS = {"bridges.md": ("dspy", "langgraph"), "optimise.md": ("dspy", "gepa", "optuna")}
PAGES = [
    pytest.param(page, marks=pytest.mark.extra if page.name in NEEDS else ())
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
]

# What `.ci/run` does on a fresh clone, and what does not end by itself.
# Sources that are not on this machine, and those of packages that may not be.
REMOTE = {"hub", "url", "sql", "lm_eval", "reasoning_gym", "inspect"}
ELSEWHERE = (
    "pip install ",
    "pytest",
    "git clone ",
    "cd ",
    "mlflow ui",
    "ember-bench ui",
    "export ",
)

SHOWN = "$ ember-bench "


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    found = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        line = page.read_text()[: match.start()].count("\n") + 1
        found.append(Block(match[1], match[2], line))
    return found


@pytest.fixture(scope="session")
def quick_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the quick start's trials left behind: pages that use it begin from there.

    `tests/cli/test_quickstart.py` begins from nothing.
    """
    folder = tmp_path_factory.mktemp("quick_start")
    run("ember-bench run quickstart --no-mlflow --quiet", folder, shell=True)
    return folder / "results"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_code_block_of_the_page_runs(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for package in NEEDS.get(page.name, ()):
        pytest.importorskip(package)
    found = blocks(page)
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    if any("quickstart" in b.text for b in found):
        shutil.copytree(request.getfixturevalue("quick_start"), tmp_path / "results")
    unknown = [b for b in found if b.language not in ("python", "yaml", "sh", "text", "json")]
    assert not unknown, f"blocks of no known language: {unknown}"
    for block in found:
        if path := path_of(block):
            write_file(block, tmp_path / path)
            if block.language == "yaml" and not is_run(path, found):
                check_file(tmp_path / path, tmp_path)
        elif block.text.startswith(SHOWN):
            command, _, output = block.text.removeprefix("$ ").partition("\n")
            check_output(output, run(command, tmp_path, shell=True))
        elif block.language == "sh":
            for line in commands(block.text):
                run(line, tmp_path, shell=True)
    program = "\n".join(b.text for b in found if b.language == "python" and not path_of(b))
    if program:
        (tmp_path / "page.py").write_text(program)
        run([sys.executable, "page.py"], tmp_path)


def commands(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [p for p in parts if p and not p.startswith(("#", *ELSEWHERE))]


def path_of(block: Block) -> str | None:
    """Return the path of the file that a block is; None if it is none."""
    match = re.match(r"# ([\w./-]+\.(?:yaml|py))\b", block.text)
    if block.language == "yaml":
        assert match, f"line {block.line}: a yaml block begins with a comment, its path"
    return match[1] if match and block.language in ("yaml", "python") else None


def write_file(block: Block, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)


def check_output(shown: str, output: str) -> None:
    """See that the parts of `shown` between lines of `...` stand in the output, in their order."""
    first, *others = shown.split("...\n")
    assert output.startswith(first), f"not the beginning of the output:\n{first}\nbut:\n{output}"
    start = len(first)
    for part in others:
        at = output.find(part, start)
        assert at >= 0, f"not in the output of the command:\n{part}\nbut:\n{output}"
        start = at + len(part)


def is_run(path: str, found: list[Block]) -> bool:
    """Tell whether a command of the page reads the file, and so checks it.

    A grid that is run is checked by its run. Cards beside code of the page's own are loaded by the
    runs of the page: here that code would stay in the process of the tests.
    """
    lines = [line for block in found if block.language == "sh" for line in commands(block.text)]
    lines += [b.text.removeprefix("$ ") for b in found if b.text.startswith(SHOWN)]
    if path.startswith("registry/"):
        return any(path_of(b) and b.language == "python" for b in found) and bool(lines)
    name = Path(path).stem if path.startswith("experiments/") else path
    return any(re.match(rf"ember-bench run ({re.escape(path)}|{name})(\s|$)", x) for x in lines)


def check_file(path: Path, folder: Path) -> None:
    """See that the file is a valid card or grid."""
    cards = Cards([*default_roots(), folder / "registry"])
    load = {
        "models": lambda _: ModelRegistry.from_cards(cards),
        "datasets": lambda name: check_dataset_card(name, cards),
        "suites": lambda name: load_suite(name, cards),
        "evaluators": lambda name: load_evaluator(name, cards),
        "architectures": lambda name: load_architecture(name, cards),
        "signatures": lambda name: signature_from_card(name, cards),
    }
    kind = path.parent.name
    if kind in load:
        (card,) = [c for c in cards.all(kind).values() if c.document.path == path.resolve()]
        load[kind](card.name)
    else:
        run(f"ember-bench plan {path.relative_to(folder)}", folder, shell=True)


def check_dataset_card(name: str, cards: Cards) -> None:
    card = cards.get("datasets", name)
    if REMOTE.isdisjoint(read_card(card).source.model_fields_set):
        load_dataset(card, cards)


def run(command: str | list[str], folder: Path, *, shell: bool = False) -> str:
    """Run a command, and return its output."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    environment["COLUMNS"] = "80"
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        shell=shell,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
