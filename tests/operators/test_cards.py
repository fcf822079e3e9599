"""Operators as cards: what is saved is what is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from ember_bench.errors import ConfigError, SignatureError, UnknownNameError
from ember_bench.graph import NoNGraphData, load_operator, to_mermaid, vmap
from ember_bench.graph.architecture import load_architecture
from ember_bench.graph.jitting.api import JittedOperator
from ember_bench.models import ModelService
from ember_bench.operators import (
    BestOf,
    Branch,
    CascadeOperator,
    EnsembleOperator,
    Function,
    Fuser,
    JudgeBasedOperator,
    LMModule,
    Map,
    MostCommonOperator,
    Operator,
    PromptMixin,
    Router,
    Sequential,
    Signature,
    function,
    operator,
    save_operator,
)
from ember_bench.operators.base import operator_class
from ember_bench.operators.cards import Builder, NodeCard, card_of
from ember_bench.operators.fan_in import LMFanIn, Settling, Verifying
from ember_bench.operators.lm import LMModuleConfig
from ember_bench.operators.references import reference, resolve
from ember_bench.programs.program import Program
from ember_bench.registry import Cards, default_roots
from tests.operators import networks
from tests.operators.networks import (
    QUESTION,
    every_operator,
    graph_in_graph,
    is_short,
    items_of,
    maker,
    many_words,
    run_items,
)
from tests.support.models import Subject, in_trial, keys, module, serve, simulated

MODELS = [simulated("a"), simulated("b", accuracy=0.9)]
SERVICE = serve(*MODELS)
GRAPH = "operator: NoNGraphData\narguments:\n"
ORACLE = "{operator: OracleOperator}"
NETWORKS = every_operator(maker(SERVICE, MODELS[0]))

configs = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0.1, 1),
        "max_tokens": st.integers(1, 99),
        "stop": st.lists(st.text(), max_size=2).map(tuple),
        "seed": st.integers(0, 9),
        "persona": st.text(),
    },
)
fresh = st.builds(
    lambda model, config: module(SERVICE, model, **config), st.sampled_from(MODELS), configs
)


@st.composite
def that_work(
    draw: st.DrawFn, cls: type[Operator], **arguments: st.SearchStrategy[Any]
) -> Operator:
    """Operators of a class, but for those that it refuses as they cannot work."""
    try:
        return draw(st.builds(cls, **arguments))
    except SignatureError:
        reject()


@st.composite
def trees(draw: st.DrawFn) -> Operator:
    """Networks in which some LM modules and operators stand in several places."""
    pool = draw(st.lists(fresh, min_size=1, max_size=3))
    modules = st.lists(st.sampled_from(pool), min_size=1, max_size=4)
    signatures = st.builds(
        Signature, prompt_template=st.text("ab $", max_size=5), required_inputs=st.just(["query"])
    )
    leaves = st.one_of(
        st.builds(EnsembleOperator, lm_modules=modules, signature=st.none() | signatures),
        st.builds(Fuser, lm_modules=modules),
        st.builds(MostCommonOperator, ties=st.sampled_from(["first", "share"])),
        st.builds(PromptMixin, prefixes=st.lists(st.text("$x", max_size=3), min_size=1)),
        st.just(Function(networks.shout)),
        st.just(BestOf(score=many_words, ties="random")),
    )
    inner = st.recursive(
        leaves,
        lambda below: st.one_of(
            that_work(Sequential, operators=st.lists(below, min_size=1, max_size=3)),
            st.builds(JittedOperator, below),
            st.dictionaries(st.sampled_from(["a", "$b", "operator"]), below, min_size=1).map(
                NoNGraphData
            ),
            st.builds(Map, operator=below, field=st.sampled_from(["queries", "$queries"])),
            st.builds(Branch, predicate=st.just(is_short), then=below),
            that_work(CascadeOperator, stages=st.lists(below, min_size=1, max_size=2)),
            st.builds(
                Router,
                routes=st.dictionaries(
                    st.sampled_from(["operator", "callable", "$a", "b"]), below, min_size=1
                ),
                by=st.just(networks.route_by_length),
            ),
        ),
        max_leaves=6,
    )
    return draw(inner)


def build(card: NodeCard | dict[str, Any]) -> Operator:
    return Builder(service=SERVICE).operator(NodeCard.model_validate(card))


def sharing(root: Operator) -> list[int]:
    """Return, for each place of an LM module, the first place at which the same one stands."""
    modules = [id(lm) for _, lm, _ in root.named_lm_modules()]
    return [modules.index(lm) for lm in modules]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(trees())
def test_what_is_built_from_a_card_is_described_as_what_it_was_made_of(tree: Operator) -> None:
    card = NodeCard.model_validate(
        yaml.safe_load(
            yaml.safe_dump(card_of(tree).model_dump(exclude_defaults=True), sort_keys=False)
        )
    )
    built = build(card)
    assert built.describe() == tree.describe()
    assert sharing(built) == sharing(tree)
    assert card_of(built) == card


@pytest.mark.parametrize("name", NETWORKS)
def test_every_built_in_operator_is_loaded_as_it_was_saved(name: str, tmp_path: Path) -> None:
    saved = NETWORKS[name]
    save_operator(saved, tmp_path / "operator.yaml")
    loaded = load_operator(tmp_path / "operator.yaml", SERVICE)
    assert loaded.describe() == saved.describe()
    ((before, asked),) = run_items(saved, 1, items_of(name))
    ((after, again),) = run_items(loaded, 1, items_of(name))
    assert before == after
    assert [c.key for c in asked.trial.calls] == [c.key for c in again.trial.calls]


def test_every_operator_that_is_exported_is_in_the_list() -> None:
    from ember_bench import operators

    public = [getattr(operators, name) for name in operators.__all__]
    classes = {c for c in public if isinstance(c, type) and issubclass(c, Operator)} - {Operator}
    used = {type(part) for network in NETWORKS.values() for _, part in network.named_operators()}
    assert classes <= used


def test_every_built_in_class_is_found_by_its_name() -> None:
    """Also those that stand elsewhere; a base class with arguments of its own is not one."""

    def below(cls: type[Operator]) -> set[type[Operator]]:
        return {cls}.union(*map(below, cls.__subclasses__()))

    ours = {c for c in below(Operator) if c.__module__.startswith("ember_bench.")}
    bases = {Operator, LMFanIn, Program, Settling, Verifying}
    named = {c for c in ours - bases if not c.__name__.startswith("_")}
    assert len(named) > 30
    assert [c for c in named if operator_class(c.__name__) is not c] == []


def test_a_card_is_loaded_by_a_program_that_has_imported_nothing_else(tmp_path: Path) -> None:
    for name in ("NoNGraphData", "JittedOperator", "Outline and the rest of STORM"):
        save_operator(NETWORKS[name], tmp_path / f"{name}.yaml")
    program = (
        "import sys\n"
        "from ember_bench.models import ModelInfo, ModelRegistry, ModelService\n"
        "from ember_bench import load_operator\n"
        "registry = ModelRegistry()\n"
        "registry.register_model(ModelInfo(model_id='simulated:a'))\n"
        "for path in sys.argv[1:]:\n"
        "    print(len(load_operator(path, ModelService(registry)).lm_modules()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *map(str, sorted(tmp_path.glob("*.yaml")))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["3", "3", "5"]


def test_parameters_of_every_kind_are_saved_and_variables_of_the_environment_stay() -> None:
    parameters: dict[str, Any] = {
        "top_k": 5,
        "logit_bias": {"7": -1.0},
        "server_tools": [{"type": "web_search"}],
        "headers": {"X-Team": "${TEAM_TOKEN}"},
        "extra_body": {"a": {"b": ["$c", "${D}"]}},
        "cache": True,
    }
    lm_module = LMModule(
        LMModuleConfig(model_name="simulated:a", **parameters), service=serve(*MODELS)
    )
    saved = EnsembleOperator(lm_modules=[lm_module])
    card = card_of(saved)
    read = NodeCard.model_validate(yaml.safe_load(yaml.safe_dump(card.model_dump())))
    loaded = Builder(service=serve(*MODELS)).operator(read)
    assert loaded.lms[0].config == lm_module.config
    written = {"operator": "EnsembleOperator", "lm_modules": [{"model": "a", **parameters}]}
    written["lm_modules"][0]["extra_body"] = {"a": {"b": ["$$c", "${D}"]}}
    by_hand = Builder(service=serve(*MODELS)).operator(NodeCard.model_validate(written))
    assert by_hand.lms[0].parameters == lm_module.parameters


def test_a_mapped_operator_is_saved_with_what_it_maps() -> None:
    saved = vmap(graph_in_graph(maker(SERVICE, MODELS[0])), max_concurrency=2)
    built = build(card_of(saved))
    assert built.describe() == saved.describe()
    batch = [{**QUESTION, "query": f"{n}?"} for n in range(3)]

    def asked(operator: Operator) -> list[bytes]:
        return keys(in_trial(lambda: operator(batch), subject=Subject())[1])  # type: ignore[arg-type]

    assert asked(built) == asked(saved)


def test_a_graph_is_saved_with_its_nodes_in_their_order(tmp_path: Path) -> None:
    save_operator(NETWORKS["NoNGraphData"], tmp_path / "graph.yaml")
    data = yaml.safe_load((tmp_path / "graph.yaml").read_text())
    assert data["operator"] == "NoNGraphData"
    assert list(data["arguments"]["nodes"]) == ["one", "many", "judge"]
    assert data["arguments"]["edges"]["judge"] == ["one", "many"]
    inner = data["arguments"]["nodes"]["many"]["arguments"]
    assert inner["edges"] == {"drafts": [], "vote": ["drafts"]}
    loaded = load_operator(tmp_path / "graph.yaml", SERVICE)
    assert isinstance(loaded, NoNGraphData)
    assert to_mermaid(loaded) == to_mermaid(NETWORKS["NoNGraphData"])  # type: ignore[arg-type]


def test_a_built_in_name_is_not_taken_by_another_class() -> None:
    for name in ("MostCommonOperator", "Outline", "NoNGraphData"):
        with pytest.raises(ConfigError, match=f"operator '{name}' is built in"):
            operator(type(name, (Operator,), {}))


def test_a_card_is_short_and_readable(tmp_path: Path) -> None:
    lm = module(SERVICE, MODELS[0], temperature=0.5)
    twins = [module(SERVICE, MODELS[0], temperature=0.5) for _ in range(2)]
    network = EnsembleOperator(lm_modules=twins) >> JudgeBasedOperator(lm_modules=[lm])
    save_operator(network, tmp_path / "operator.yaml")
    assert (tmp_path / "operator.yaml").read_text() == (
        "operator: Sequential\n"
        "arguments:\n"
        "  operators:\n"
        "  - operator: EnsembleOperator\n"
        "    lm_modules:\n"
        "    - model: simulated:a\n"
        "      count: 2\n"
        "      temperature: 0.5\n"
        "    signature: generate\n"
        "  - operator: JudgeBasedOperator\n"
        "    lm_modules:\n"
        "    - model: simulated:a\n"
        "      temperature: 0.5\n"
        "    signature: judge\n"
    )


def test_a_saved_operator_can_be_a_node_of_an_architecture(tmp_path: Path) -> None:
    card = card_of(PromptMixin(prefixes=["$5? "])).model_dump(exclude_defaults=True)
    nodes = {"mix": card, "shared": card_of(NETWORKS["Critic"]).model_dump(exclude_defaults=True)}
    folder = tmp_path / "architectures"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        yaml.safe_dump({"name": "mine", "purpose": "Try.", "graph": nodes})
    )
    architecture = load_architecture("mine", Cards([*default_roots(), tmp_path]))
    graph = architecture.build({}, SERVICE)
    assert graph.nodes["mix"](query="x")["queries"] == ["$5? x"]


class Answer(BaseModel):
    label: str


def test_models_of_a_signature_are_saved_by_their_path() -> None:
    signature = Signature(prompt_template="{query}", structured_output=Answer, input_model=Answer)
    saved = EnsembleOperator(lm_modules=[module(SERVICE, MODELS[0])], signature=signature)
    card = card_of(saved).model_dump()
    assert card["signature"]["structured_output"] == "tests.operators.test_cards:Answer"
    assert build(card).describe() == saved.describe()


class Scorer:
    def __call__(self, response: str, inputs: Any) -> float:
        return 1.0

    def score(self, response: str, inputs: Any) -> float:
        return 1.0


@pytest.mark.parametrize("score", [lambda *_: 1.0, Scorer().score, Scorer()])
def test_a_function_without_a_name_is_refused(score: Any) -> None:
    with pytest.raises(ConfigError, match=r"BestOf\.score cannot be saved: .*@function") as caught:
        card_of(BestOf(score=score))
    assert "define it at the top of a module" in str(caught.value)


def test_a_function_of_the_program_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_words, "__module__", "__main__")
    with pytest.raises(ConfigError, match="__main__:many_words has no name that a card can use"):
        reference(many_words)


def test_a_registered_function_is_saved_by_its_name() -> None:
    @function("length")
    def length(response: str, inputs: Any) -> float:
        return len(response)

    saved = BestOf(score=length)
    assert card_of(saved).arguments == {"score": {"callable": "length"}}
    assert build(card_of(saved)).describe() == saved.describe()
    with pytest.raises(ConfigError, match="function 'length' is already registered"):
        function("length")(many_words)
    with pytest.raises(UnknownNameError, match="unknown function 'lenth'; did you mean 'length'"):
        resolve("lenth")
    with pytest.raises(ConfigError, match="a name has no colon"):
        function("a:b")


@pytest.mark.parametrize("path", ["no_such_module:f", "numpy:no_such_name", "numpy:pi.x"])
def test_a_path_that_leads_nowhere_is_an_error(path: str) -> None:
    with pytest.raises(ConfigError, match=f"{path}: cannot be imported"):
        resolve(path)


@operator
class Echo(Operator):
    """Keeps what it is given, by way of `**kwargs`."""

    def __init__(self, *, times: int, lm: LMModule | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.times = times
        self.lm = lm


def test_a_registered_class_of_ones_own_can_be_saved() -> None:
    lm = module(SERVICE, MODELS[0])
    saved = Echo(times=2, lm=lm, lm_modules=[lm, lm])
    built = build(card_of(saved))
    assert built.describe() == saved.describe()
    assert sharing(built) == sharing(saved) == [0, 0, 0]


class Unknown(Operator):
    """Is registered nowhere."""


@operator
class Forgetful(Operator):
    """Does not keep its argument."""

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.doubled = 2 * size


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (Unknown(), "Unknown cannot be saved: no operator is registered under that name"),
        (Forgetful(size=1), "it has no attribute 'size' with the constructor's argument"),
        (Echo(times=object()), r"Echo\.times cannot be saved: <object .* is not plain data"),
        (Echo(times={1: 2}), "the key 1 is not a text"),
        (Echo(times={"callable": "len"}), "reads as an object"),
    ],
)
def test_what_cannot_be_saved_says_why(thing: Operator, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        card_of(thing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("operator: MostComonOperator", "did you mean 'MostCommonOperator'"),
        ("operator: MostCommonOperator\narguments: {tie: first}", "unexpected keyword argument"),
        ("operator: Function\narguments: {function: $f}", "unknown parameter 'f'"),
        ("operatr: Map", "operatr"),
        ("operator: Map\narguments: {operator: {operator: Mp}}", "unknown operator 'Mp'"),
        (
            "operator: Map\narguments: {operator: {operator: OracleOperator, inputs: [a]}}",
            "OracleOperator: only the node of a graph has inputs",
        ),
        (
            f"{GRAPH}  nodes: {{vote: {{operator: MostCommonOperator}}}}\n  edges: {{vot: []}}",
            "edges: unknown node 'vot'; did you mean 'vote'",
        ),
        (
            f"{GRAPH}  nodes: {{a: {ORACLE}, b: {ORACLE}}}\n  edges: {{a: [b], b: [a]}}",
            "node 'a': unknown input 'b'",
        ),
    ],
)
def test_a_mistake_in_a_file_has_a_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text(text)
    service: ModelService = SERVICE
    with pytest.raises(ConfigError, match=message) as caught:
        load_operator(path, service)
    assert str(caught.value).startswith(f"{path}:1:1: ")
