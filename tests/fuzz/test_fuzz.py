"""Whatever is in a grid, a card or a file of records: it is read, or refused with its place.

The default profile tries 100 cases of each kind, 500 in all; `pytest tests/fuzz
--hypothesis-profile=nightly -o faulthandler_timeout=0` tries 10,000, in minutes each.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from ember_bench.datasets import load_dataset
from ember_bench.datasets.suites import load_suite
from ember_bench.documents import read_document
from ember_bench.errors import ConfigError, Problem
from ember_bench.evaluators import load_evaluator
from ember_bench.experiment.forecast.calls import forecast
from ember_bench.experiment.prepare import prepare
from ember_bench.graph.architecture import load_architecture
from ember_bench.models.model_registry import ModelRegistry, models_of_card
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.service import ModelService
from ember_bench.operators.signature import signature_from_card
from ember_bench.registry import KINDS, Card, Cards, Kind, builtin_root
from tests.fuzz.mutations import damaged, documents, records
from tests.support.workspace import Workspace, single, vote

# Of processor time. No case takes a tenth of it; a hang takes for ever.
MOST_SECONDS = 30.0

# Two thousand cases of a kind take minutes.
pytestmark = pytest.mark.timeout(3_600)

shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                           HealthCheck.data_too_large],
)  # fmt: skip


@contextmanager
def refused_with_its_place(path: Path) -> Iterator[None]:
    """See that what is done with `path` is done, or refused in one `ConfigError`, and soon."""
    started = time.process_time()
    try:
        yield
    except ConfigError as error:
        event("refused")
        check(error, path)
    else:
        event("read")
    assert time.process_time() - started < MOST_SECONDS


def check(error: ConfigError, path: Path) -> None:
    assert error.problems
    for problem in error.problems:
        check_problem(problem, path)


def check_problem(problem: Problem, path: Path) -> None:
    assert problem.message
    # A name is repeated as it stands, and the longest here has 5,000 characters.
    assert len(problem.message) < 20_000
    if problem.location is None:
        # Not about one place: it must say which card, model or file it is about.
        assert any(name in problem.message for name in (path.name, path.stem, ":")), problem
        return
    # Lines are those of what is packed in it.
    if problem.location.path == path and problem.location.line and path.suffix != ".gz":
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        # YAML ends lines with more characters than most readers do.
        assert 1 <= problem.location.line <= len(lines) + 2, problem
        assert problem.location.column is None or problem.location.column >= 1


# --- grids

GRIDS = [
    {
        "name": "trip",
        "purpose": "To see.",
        "seed": 3,
        "epochs": 2,
        "failures": "wrong",
        "level": 0.9,
        "in_flight": 10,
        "datasets": [{"name": "sums", "limit": 5, "evaluator": "numeric_match"}, "arithmetic"],
        "architectures": [
            {**vote([1, 3], ["counted:a", "simulated:small"]), "label": "{k} of {model}"},
            single(datasets=["sums"]),
            {"name": "oracle", "parameters": {"models": [["counted:a", "simulated:small"]]}},
        ],
        "baseline": {"name": "vote", "parameters": {"k": 1, "model": "counted:a"}},
    },
    {
        "name": "more",
        "datasets": [{"name": "arithmetic", "parameters": {"count": 4, "terms": 2, "seed": 1}}],
        "architectures": [
            {"name": "ensemble_judge", "parameters": {
                "models": [["counted:a"]], "judge": "counted:a",
            }},
            {"name": "verifier_judge", "parameters": {
                "model": "counted:a", "verifier": "counted:a", "k": 2, "temperature": None,
            }},
            {"name": "cascade", "parameters": {"cheap": [["counted:a"]], "dear": [["counted:a"]]}},
        ],
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Cards, ModelRegistry]:
    """A workspace, and its cards, read once."""
    workspace = Workspace(tmp_path_factory.mktemp("grids"))
    workspace.sums(6)
    workspace.model("counted:a")
    workspace.model("simulated:small", accuracy=0.5)
    cards = workspace.cards()
    return workspace, cards, ModelRegistry.from_cards(cards)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid["name"])
def test_what_is_changed_is_a_valid_grid(
    place: tuple[Workspace, Cards, ModelRegistry], grid: dict[str, Any]
) -> None:
    workspace, cards, registry = place
    assert forecast(workspace.write("grid.yaml", grid), cards, registry).trials > 0


@shared
@given(content=documents(GRIDS))
def test_a_grid_is_planned_or_refused(
    place: tuple[Workspace, Cards, ModelRegistry], content: bytes
) -> None:
    workspace, cards, registry = place
    path = workspace.root / "grid.yaml"
    path.write_bytes(content)
    with refused_with_its_place(path):
        experiment = prepare(path, cards, ModelService(registry, offline=True), asks=False)
        # Rehearsing a hundred thousand draws of each item is right, and takes its time.
        if len(experiment.cells) <= 20 and b"0000" not in content:
            planned = forecast(path, cards, registry)
            assert planned.trials == len(experiment)


# --- cards


def builtin_cards(kind: str) -> list[Any]:
    found = sorted((builtin_root() / kind).glob("*.yaml"))
    return [read_document(path).data for path in found]


CARDS = [
    (kind, card)
    for kind in KINDS
    for card in builtin_cards(kind)
    # What is read over a network is tested with a fake of it.
    if "hub" not in card.get("source", {})
] + [
    ("models", {
        "name": "recorded:set", "files": ["a/{model}.jsonl"], "models": ["m", "n"],
        "fields": {"item": ["id"], "answer": "output", "cost": "usd"}, "where": {"k": 1},
        "cost": {"m": {"input_cost_per_million": 1, "output_cost_per_million": 2}},
    }),
    ("models", {
        "name": "openai:mine", "model_name": "x", "rate_limit": {"requests_per_minute": 5},
        "provider": {"name": "openai", "base_url": "http://127.0.0.1:1/v1"}, "api_key": "sk-x",
    }),
    ("datasets", {
        "name": "local", "purpose": "x", "source": {"file": "x.jsonl"}, "evaluator": "exact_match",
        "fields": {"id": ["a", "b"], "question": "q", "target": "a", "choices": "c"},
    }),
]  # fmt: skip


pytestmark = pytest.mark.slow

BUILT_IN = Cards([builtin_root()])


class Layered(Cards):
    """On top of the built-in cards, which are read once and not for each case."""

    def all(self, kind: Kind) -> dict[str, Card]:
        return BUILT_IN.all(kind) | super().all(kind)


def load_card(kind: Kind, path: Path, registry: Path) -> None:
    """Load a card as far as it goes without a network or files of others."""
    cards = Layered([registry])
    for name in [c.name for c in cards.all(kind).values() if c.document.path == path]:
        card = cards.get(kind, name)
        match kind:
            case "models":
                models_of_card(card.document)
            case "datasets":
                load_dataset(card, cards, limit=3)
            case "suites":
                load_suite(card, cards)
            case "evaluators":
                load_evaluator(name, cards)
            case "architectures":
                load_architecture(name, cards)
            case "signatures":
                signature_from_card(name, cards)


@shared
@given(data=st.data())
def test_a_model_card_is_loaded_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    load_broken("models", tmp_path, data)


@shared
@given(data=st.data())
def test_any_other_card_is_loaded_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    kinds = [kind for kind in KINDS if kind != "models"]
    load_broken(data.draw(st.sampled_from(kinds), label="kind"), tmp_path, data)


def load_broken(kind: Kind, tmp_path: Path, data: st.DataObject) -> None:
    valid = [card for of, card in CARDS if of == kind]
    path = (tmp_path / "registry" / kind / "mine.yaml").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in (tmp_path / "registry").rglob("*.yaml"):
        other.unlink()
    path.write_bytes(data.draw(documents([{**card, "override": True} for card in valid])))
    (path.parent / "x.jsonl").write_text('{"a": "1", "b": "2", "q": "?", "c": ["1", "2"]}\n')
    with refused_with_its_place(path):
        load_card(kind, path, tmp_path / "registry")


# --- records

ROWS = [
    {"id": "1", "q": "What is 1 + 1?", "a": "2", "usd": 0.5, "s": 12, "n": 0, "who": "m"},
    {"id": "2", "q": 'Say "é,\n"', "a": "é", "usd": 0.25, "s": 0.5, "n": 1, "who": "m"},
    {"id": "3", "q": "One of two?", "a": "B", "usd": None, "s": 1, "n": 2, "who": "n"},
]


def as_jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, default=str).encode() + b"\n" for row in rows)


def as_json(rows: list[Any]) -> bytes:
    return json.dumps(rows, default=str).encode()


def as_csv(rows: list[Any]) -> bytes:
    names = list(dict.fromkeys(itertools.chain(*(r for r in rows if isinstance(r, dict))))) or ["a"]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for row in rows:
        if isinstance(row, dict):
            with suppress(csv.Error):
                writer.writerow(row)
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_parquet(rows: list[Any]) -> bytes:
    good = [row for row in rows if isinstance(row, dict)] or ROWS
    sink = io.BytesIO()
    try:
        table = pyarrow.Table.from_pylist(good)
    except Exception:  # not every mixture of types can be a column
        table = pyarrow.Table.from_pylist([{str(k): str(v) for k, v in r.items()} for r in good])
    with suppress(pyarrow.ArrowException):
        parquet.write_table(table, sink)
    return sink.getvalue()


WRITERS: dict[str, Callable[[list[Any]], bytes]] = {
    ".jsonl": as_jsonl, ".json": as_json, ".csv": as_csv, ".parquet": as_parquet,
    ".jsonl.gz": as_jsonl, ".json.gz": as_json, ".csv.gz": as_csv,
}  # fmt: skip


def write_records(data: st.DataObject, folder: Path, endings: list[str]) -> Path:
    """Write a file of records that may be broken in itself, or cut."""
    ending = data.draw(st.sampled_from(endings), label="ending")
    content = WRITERS[ending](data.draw(records(ROWS)))
    if ending.endswith(".gz"):
        content = gzip.compress(data.draw(damaged(content)), mtime=0)
    path = folder / f"items{ending}"
    path.write_bytes(data.draw(damaged(content)))
    return path


@shared
@given(data=st.data())
def test_a_file_of_items_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "registry" / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    path = write_records(data, folder, list(WRITERS))
    fields = {"question": "q", "target": "a"} | data.draw(
        st.sampled_from([{}, {"id": "id"}, {"id": ["id", "n"]}, {"difficulty": "usd"},
                         {"cluster": "who", "category": "s"}, {"choices": "q"}, {"labels": "a"}])
    )  # fmt: skip
    card = {"name": "quiz", "purpose": "x", "source": {"file": path.name}, "fields": fields}
    (folder / "quiz.yaml").write_text(json.dumps(card | {"evaluator": "exact_match"}))
    with refused_with_its_place(path):
        dataset = load_dataset("quiz", Cards([tmp_path / "registry"]))
        assert len({item.id for item in dataset.items}) == len(dataset.items) > 0


@shared
@given(data=st.data())
def test_a_file_of_recorded_answers_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = write_records(data, tmp_path, [e for e in WRITERS if "parquet" not in e])
    fields = {"item": "id", "answer": "a"} | data.draw(
        st.sampled_from([{}, {"cost": "usd"}, {"latency": "s", "input_tokens": "n"},
                         {"sample": "n"}, {"model": "who"}, {"item": ["id", "n"]}])
    )  # fmt: skip
    more = data.draw(st.sampled_from([{}, {"where": {"n": 1}}, {"where": {"who": "m"}}]))
    card = {"name": "recorded:set", "files": path.name, "models": ["m"], "fields": fields} | more
    card_path = tmp_path / "set.yaml"
    card_path.write_text(json.dumps(card))
    with refused_with_its_place(path):
        models = models_of_card(read_document(card_path))
        Recorded.check(models)
        assert all(Recorded.content(model) for model in models)
