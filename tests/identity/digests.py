"""What is pinned: identities by section and name, as today's code gives them."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from ember_bench.datasets import Item, load_dataset
from ember_bench.evaluators import (
    Evaluator,
    ExactMatch,
    MultipleChoice,
    NumericMatch,
    ProgramOutput,
    PythonTests,
    load_evaluator,
)
from ember_bench.graph import load_operator
from ember_bench.models import (
    Image,
    Message,
    ModelInfo,
    ModelRegistry,
    ModelService,
    ProviderInfo,
    Request,
    ResponseFormat,
    SamplingParameters,
    ToolCall,
    ToolDefinition,
)
from ember_bench.operators import Operator
from ember_bench.registry import Cards, builtin_root, default_roots
from tests.identity.internals import (
    Architecture,
    Call,
    Experiment,
    ImpliedParameter,
    Strand,
    TrialContext,
    answer_format_names,
    fingerprint,
    get_answer_format,
    load_architecture,
    prepare,
)

Pins = dict[str, dict[str, str]]

HERE: Final = Path(__file__).parent
PINS: Final = HERE / "pins.json"
RESUMED: Final = HERE / "resumed"
_EXPERIMENTS: Final = HERE.parent.parent / "experiments"

MODELS: Final = ("simulated:small", "simulated:medium")
_PACKAGE: Final = re.compile(r" ([\w-]+)@\d+\.[\w.]+")
# One that is no default, for parameters that have several values.
_OTHER: Final[Mapping[str, Any]] = {
    "agreement": 0.5, "default": "easy", "documents": 2, "each": 2, "fusions": 3, "k": 4,
    "perspectives": 2, "refinements": 2, "rounds": 3, "samples": 2, "ties": "share", "top_k": 3,
    "beam": 2, "steps": 2, "tests": 3,
}  # fmt: skip


def read_pins() -> Pins:
    """Return the pins as they are kept."""
    pins: Pins = json.loads(PINS.read_text(encoding="utf-8"))
    return pins


def digest(content: Any) -> str:
    """Return a digest of JSON-like data."""
    encoded = json.dumps(content, sort_keys=True).encode()
    return hashlib.sha256(encoded).hexdigest()[:16]


@cache
def cards() -> Cards:
    """Return the built-in cards alone."""
    return Cards([builtin_root()])


@cache
def service() -> ModelService:
    """Return a service for the built-in models."""
    return ModelService(ModelRegistry.from_cards(cards()))


# --- operators and graphs


def operators() -> Iterator[tuple[str, Operator]]:
    """Yield an operator for each card of `operators.yaml`, and the name of its pin."""
    written = yaml.safe_load((HERE / "operators.yaml").read_text(encoding="utf-8"))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "operator.yaml"
        for name, card in written.items():
            file.write_text(yaml.safe_dump(card), encoding="utf-8")
            yield name, load_operator(file, service(), cards())


def operator_pins() -> dict[str, str]:
    """Return digests of what operators say of themselves."""
    return {name: digest(operator.describe()) for name, operator in operators()}


def class_pins() -> dict[str, str]:
    """Return, for each operator class, the name that stands in the identity of its operators."""
    named = {type(o).__name__: o for _, root in operators() for _, o in root.named_operators()}
    return {name: named[name].describe()["operator"] for name in sorted(named)}


def _parameters(architecture: Architecture, *, other: bool) -> dict[str, Any]:
    """Return small simulated models for its models, and the defaults or other values."""
    given: dict[str, Any] = {}
    for name, parameter in architecture.card.parameters.items():
        if isinstance(parameter, ImpliedParameter):
            continue
        if parameter.type == "models":
            given[name] = list(MODELS)
        elif parameter.type == "model":
            given[name] = MODELS[len(given) % 2]
        elif other and name.endswith("temperature"):
            given[name] = 0.25
        elif other and name != "corpus":
            given[name] = _OTHER[name]
    return architecture.check(given)


def architecture_pins() -> dict[str, str]:
    """Return digests of every built-in architecture's graph, in two settings each."""
    pins = {}
    for name in cards().all("architectures"):
        architecture = load_architecture(name, cards())
        for other in (False, True):
            parameters = _parameters(architecture, other=other)
            graph = architecture.build(parameters, service())
            key = f"{name}, other values" if other else name
            pins[key] = digest([parameters, graph.edges, graph.describe()])
    return pins


# --- answers, scores and questions


def format_pins() -> dict[str, str]:
    """Return the identities of the built-in answer formats."""
    names = (name for name in answer_format_names() if _is_built_in(name))
    return {name: get_answer_format(name).identity for name in names}


def _is_built_in(name: str) -> bool:
    return get_answer_format(name).parse.__module__.startswith("ember_bench.")


# Their identities have the version of a package that is in an environment of its own.
OTHERS = {"inspect", "lm_eval", "reasoning_gym"}


def evaluator_pins() -> dict[str, str]:
    """Return the identities of every built-in card, and of every kind with its defaults."""
    kinds = (ExactMatch, MultipleChoice, NumericMatch, PythonTests)
    found = {f"kind {kind.__name__}": _identity(kind(name="any")) for kind in kinds}
    for name in {*cards().all("evaluators")} - OTHERS:
        found[f"card {name}"] = _identity(load_evaluator(name, cards()))
    return found


def _identity(evaluator: Evaluator) -> str:
    """Return its identity, without what this machine adds to it: its Python and its sandbox.

    Nor with the versions of packages.
    """
    if not isinstance(evaluator, PythonTests | ProgramOutput):
        return _PACKAGE.sub(r" \1@any", evaluator.identity)
    confined = evaluator.confined(unsafe=True)
    python = f"python@{sys.version_info.major}.{sys.version_info.minor}"
    here = f" {python} {confined.sandbox.identity}"
    assert confined.identity.endswith(here)
    return confined.identity.removesuffix(here)


def dataset_pins() -> dict[str, str]:
    """Return digests of the items of every built-in dataset that is generated or comes along."""
    pins = {"an item": _item().digest}
    for name, card in cards().all("datasets").items():
        if {"generated", "file"} & card.document.data["source"].keys():
            loaded = load_dataset(name, cards())
            pins[name] = loaded.digest
            pins[f"{name}, a sample"] = load_dataset(name, cards(), limit=5).digest
    return pins


def _item() -> Item:
    return Item(
        id="item-1",
        question="How many?",
        target="7",
        alternatives=("seven",),
        choices=("6", "7"),
        answer_format="number",
        category="sums",
        cluster="first",
        difficulty=0.25,
        metadata={"tests": ["assert True"], "level": 3},
    )


# --- models and calls


def model_pins() -> dict[str, str]:
    """Return the identities of every built-in model."""
    known = service().registry
    return {name: known.get(name).fingerprint for name in sorted(cards().all("models"))}


def requests() -> dict[str, Request]:
    """Return a request of every kind."""
    model = ModelInfo(model_id="openai:any", options={"store": False})
    asked = (Message("user", "How many?"),)
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    tool = ToolDefinition("add", "Adds.", schema)
    used = (
        *asked,
        Message("assistant", "", tool_calls=(ToolCall("call-1", "add", '{"answer": "1"}'),)),
        Message("tool", "2", tool_call_id="call-1"),
    )
    pictured = (Message("user", "How many?", images=(Image("image/png", "iVBORw0KGgo="),)),)
    sampling = SamplingParameters(
        temperature=1, top_p=0.9, max_tokens=9, stop=("#",), seed=5, reasoning_effort="low",
        thinking_tokens=8, top_logprobs=2,
    )  # fmt: skip
    elsewhere = ModelInfo(
        model_id="openai:any", provider=ProviderInfo(name="openai", base_url="http://elsewhere/v1")
    )
    return {
        "plain": Request(model, asked),
        "of another server": Request(elsewhere, asked),
        "in another role": Request(model, asked, role="judge"),
        "about candidates": Request(model, asked, about=("6", "7")),
        "with a system message": Request(model, (Message("system", "Be brief."), *asked)),
        "sampled": Request(model, asked, sampling),
        "with a response format": Request(
            model, asked, response_format=ResponseFormat("a", schema)
        ),
        "with a tool": Request(model, asked, tools=(tool,)),
        "with a tool's answer": Request(model, used, tools=(tool,)),
        "with a picture": Request(model, pictured),
    }


def call_pins() -> dict[str, str]:
    """Return the call keys of every kind of request, and of one request in several places."""
    keys = {name: _place(request).key.hex() for name, request in requests().items()}
    plain, sampled = requests()["plain"], requests()["sampled"]
    strand = Strand(TrialContext())
    drawn = [Call.place(plain, strand, "0", "") for _ in range(3)]
    inner = strand.fork([0, 1])[1]
    keys |= {
        "the third draw": drawn[2].key.hex(),
        "in a branch": Call.place(plain, inner, "0", "").key.hex(),
        "the second replica": _place(plain, replica="1").key.hex(),
        "the second epoch": _place(plain, epoch=1).key.hex(),
        "in a context": _place(plain, context=_item().digest).key.hex(),
        "seed of the second replica": str(_place(sampled, replica="1").seed),
        "seed of the second epoch": str(_place(sampled, epoch=1).seed),
    }
    return keys


def _place(request: Request, *, epoch: int = 0, replica: str = "0", context: str = "") -> Call:
    return Call.place(request, Strand(TrialContext(epoch=epoch)), replica, context)


# --- grids


def experiment(grid: Path, data_dir: Path | None = None) -> Experiment:
    """Return the experiment of a grid, with the built-in cards and those beside it."""
    with TemporaryDirectory() as empty, chdir(empty):  # whose `registry/` would be in force
        known = Cards(default_roots(grid))
    return prepare(grid, known, ModelService(ModelRegistry.from_cards(known)), data_dir=data_dir)


def grid_pins(grid: Path, data_dir: Path | None = None) -> dict[str, str]:
    """Return what identifies a grid, its questions, its cells, and a trial of each cell."""
    of = experiment(grid, data_dir)
    pins = {"grid": of.digest}
    pins |= {f"questions {name}": q.identity for name, q in of.questions.items()}
    for cell in of.cells:
        questions = of.questions[cell.dataset]
        trial = fingerprint(cell, questions.items[0], questions.evaluator, 0)
        pins[f"cell {cell.name}"] = cell.digest
        pins[f"trial {cell.name}"] = trial.hex()
    return pins


PAPERS: Final = {
    f"grid of {grid.parent.name}": grid for grid in sorted(_EXPERIMENTS.glob("papers/*/grid.yaml"))
}


# --- all together

_SCORED = "stored trials are scored anew, and no longer comparable with earlier numbers"
_ASKED = "stored answers are not found, so users pay for the same calls again"
_RUN = "stored trials count as out of date, so a resumed grid runs them again"


@dataclass(frozen=True)
class Section:
    """Pins of one kind.

    Attributes:
        compute: Returns them as today's code has them.
        meaning: The consequence for users of a change.
    """

    compute: Callable[[], dict[str, str]]
    meaning: str


SECTIONS: Final[Mapping[str, Section]] = {
    "answer formats": Section(format_pins, _SCORED),
    "architectures": Section(architecture_pins, _RUN),
    "calls": Section(call_pins, _ASKED),
    "datasets": Section(dataset_pins, f"{_RUN}; recorded and simulated answers are not found"),
    "evaluators": Section(evaluator_pins, f"{_SCORED}; simulated answers are not found"),
    "grid of quickstart": Section(lambda: grid_pins(_EXPERIMENTS / "quickstart.yaml"), _RUN),
    "grid of the resumed results": Section(lambda: grid_pins(RESUMED / "grid.yaml"), _RUN),
    "models": Section(model_pins, _ASKED),
    "operator classes": Section(class_pins, _RUN),
    "operators": Section(operator_pins, _RUN),
}


def paper_section(name: str, data_dir: Path) -> Section:
    """Return the section of a paper's grid, whose recordings are in `data_dir`."""
    return Section(lambda: grid_pins(PAPERS[name], data_dir), _RUN)


def changes(section: Section, pinned: Mapping[str, str]) -> list[str]:
    """Return a line for each name whose identity is not the pinned one."""
    now = section.compute()
    return [
        f"{name}: {pinned.get(name, 'not pinned')} -> {now.get(name, 'gone')}"
        for name in sorted(pinned.keys() | now.keys())
        if pinned.get(name) != now.get(name)
    ]
