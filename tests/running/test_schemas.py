"""JSON Schemas: they accept each built-in card and grid, and refuse what the harness refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from ember_bench.documents import read_document
from ember_bench.errors import UnknownNameError
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.operators import save_operator
from ember_bench.registry import KINDS
from ember_bench.running.schemas import attach_schema, kinds, schema_of
from tests.operators.networks import every_operator
from tests.support.models import module, serve, simulated

ROOT = Path(__file__).parents[2]
GRIDS = [ROOT / "experiments" / "quickstart.yaml", *ROOT.glob("experiments/papers/*/grid.yaml")]
REGISTRIES = [ROOT / "registry", *ROOT.glob("experiments/papers/*/registry")]
CARDS = [
    (kind.removesuffix("s"), path)
    for registry in REGISTRIES
    for kind in KINDS
    for path in sorted((registry / kind).glob("*.yaml"))
]


def mistakes(kind: str, data: Any) -> list[str]:
    """Return what the schema has against YAML data."""
    validator = Draft202012Validator(schema_of(kind))
    return [
        error.message for error in validator.iter_errors(json.loads(json.dumps(data, default=str)))
    ]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    """Register the evaluators of the papers' registries, as reading them does."""
    from ember_bench.registry import Cards

    Cards(REGISTRIES).all("evaluators")


@pytest.mark.parametrize("kind", kinds())
def test_a_schema_is_a_valid_one(kind: str) -> None:
    Draft202012Validator.check_schema(schema_of(kind))


@pytest.mark.parametrize(
    ("kind", "path"),
    [*(("grid", path) for path in GRIDS), *CARDS],
    ids=lambda value: value if isinstance(value, str) else f"{value.parent.name}/{value.stem}",
)
def test_each_grid_and_card_of_the_project_fits_its_schema(kind: str, path: Path) -> None:
    assert mistakes(kind, yaml.safe_load(path.read_text())) == []


MISTAKES = [
    ("grid", "datasets: [gsm8k]\narchitectures: [vote]", "'name' is a required property"),
    ("grid", "name: a\ndatasets: [d]\narchitectures: [v]\nepoch: 3", "epoch"),
    ("grid", "name: a\ndatasets: [d]\narchitectures: [v]\nbudget_usd: -1", "-1"),
    ("dataset", "name: d\nsource: {file: a.csv}\nevaluator: e", "purpose"),
    ("dataset", "name: d\npurpose: p\nevaluator: e\nsource: {fille: a}", "fille"),
    ("evaluator", "name: e\nkind: numeric_mach", "numeric_mach"),
    ("evaluator", "name: e\nkind: numeric_match\nrelative_tolerence: 1", "relative_tolerence"),
    ("architecture", "purpose: p\ngraph: {}", "{}"),
    ("architecture", "purpose: p", "'graph' is a required property"),
    ("architecture", "operator: Fuser\nlm_modules: [{modle: a}]", "modle"),
    ("architecture", "operator: Fuser\ninputs: [drafts]", "inputs"),
    ("architecture", "operator: Fuser\nparameters: {}", "parameters"),
    ("signature", "purpose: p", "prompt_template"),
    ("model", "purpose: p", "name"),
    ("model", "name: openai:x\ncost: {input_cost_per_million: 1}", "cost"),
    ("model", "name: openai:x\nmax_concurrency: 0", "0"),
    ("model", "name: recorded:x\nmodels: [a]\nfields: {item: id, answer: a}", "files"),
]


@pytest.mark.parametrize(("kind", "text", "named"), MISTAKES)
def test_a_mistake_is_found(kind: str, text: str, named: str) -> None:
    assert any(named in message for message in mistakes(kind, yaml.safe_load(text)))


def test_prices_are_given_per_thousand_or_per_million_tokens() -> None:
    thousand = {"input_cost_per_thousand": 1, "output_cost_per_thousand": 2}
    million = {"input_cost_per_million": 1, "output_cost_per_million": 2}
    for cost in (thousand, million):
        assert mistakes("model", {"name": "openai:x", "cost": cost}) == []
    both = thousand | {"input_cost_per_million": 1}
    assert mistakes("model", {"name": "openai:x", "cost": both}) != []


def test_fields_are_described_where_their_text_says_so() -> None:
    grid = schema_of("grid")["properties"]
    assert grid["epochs"]["description"].startswith("How often each item is asked")
    assert all(schema_of("grid")["properties"][name].get("description") for name in grid)
    model = schema_of("model")["$defs"]["ModelInfo"]["properties"]
    assert model["context_tokens"]["description"].startswith("Longest input and output together")


def test_any_card_may_replace_one_below() -> None:
    architectures = schema_of("architecture")["$defs"]
    found = [schema_of("dataset"), schema_of("signature")]
    for schema in (*found, architectures["ArchitectureCard"], architectures["NodeCard"]):
        assert schema["properties"]["override"]["type"] == "boolean"


def test_each_saved_operator_is_an_architecture_card(tmp_path: Path) -> None:
    validator = Draft202012Validator(schema_of("architecture"))
    model = simulated()
    service = serve(model)
    for name, network in every_operator(lambda: module(service, model)).items():
        save_operator(network, tmp_path / "mine.yaml")
        card = yaml.safe_load((tmp_path / "mine.yaml").read_text())
        for given in (card, card | {"name": "mine", "purpose": "p", "override": True}):
            assert [error.message for error in validator.iter_errors(given)] == [], name


def test_singular_and_plural_are_one_kind() -> None:
    assert schema_of("datasets") == schema_of("dataset")


def test_an_unknown_kind_lists_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dataset'"):
        schema_of("datset")


def test_a_file_names_the_schema_beside_it_and_reads_as_before(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    text = "name: a\ndatasets: [d]\narchitectures: [v]\n"
    grid.write_text(text)
    for _ in range(2):  # the second time changes nothing
        attach_schema("grid", grid)
        assert grid.read_text() == f"# yaml-language-server: $schema=.schemas/grid.json\n{text}"
    assert json.loads((tmp_path / ".schemas" / "grid.json").read_text()) == schema_of("grid")
    assert read_document(grid).parse(ExperimentSpec).name == "a"
