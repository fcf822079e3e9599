"""Tasks of Inspect: its questions and its scores, sample by sample."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ember_bench.datasets import Dataset, Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators.inspect_scores import InspectScores

pytestmark = [pytest.mark.extra, pytest.mark.slow, pytest.mark.usefixtures("package")]
INSTALLED = importlib.util.find_spec("inspect_ai") is not None
TASKS = Path(__file__).with_name("inspect_tasks.py")

OUTPUTS = {
    "plain": ["Paris", "It is Lima.", "2"],
    "thinking": ["Well.\n\nANSWER: Paris", "ANSWER: Lima", "I pass."],
    "numbers": ["I count them.\nANSWER: 2"],
    "choices": ["ANSWER: B", "ANSWER: A"],
    "shuffled_choices": ["Let me see.\n\nANSWER: B", "ANSWER: C"],
    "conversation": ["It is 4."],
    "two_values": ["Paris", "Rome", "12"],
}
# task -> (scorer, field of its value)
SCORERS: dict[str, list[tuple[str | None, str | None]]] = {
    "plain": [(None, None), ("match", None), ("exact", None), ("f1", None)],
    "two_values": [("several", "length"), ("several", "right")],
}


@pytest.fixture
def package() -> None:
    if not INSTALLED:
        pytest.skip("needs the extra inspect")


@pytest.fixture
def read(load: Callable[..., Dataset], registry: Path) -> Callable[..., Dataset]:
    def read(task: str, **args: Any) -> Dataset:
        folder = registry.parent / "tasks"
        folder.mkdir(exist_ok=True)
        shutil.copy(TASKS, folder / "tasks.py")
        named = f"../../tasks/tasks.py@{task}"
        source = {"inspect": {"task": named, "args": args} if args else named}
        content = {"name": "quiz", "purpose": "A test.", "source": source, "evaluator": "inspect"}
        return load(yaml.safe_dump(content))

    return read


@pytest.fixture
def words_as_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspect counts tokens by an encoding that tiktoken downloads."""
    if importlib.util.find_spec("tiktoken") is not None:
        encoding = SimpleNamespace(encode=lambda text, **options: text.split())
        monkeypatch.setattr("tiktoken.get_encoding", lambda name: encoding)


def by_inspect(task: str, folder: Path) -> Any:
    """Return the log of Inspect's own run of a task, with the outputs in the samples' order."""
    from inspect_ai import eval as run
    from inspect_ai.model import ModelOutput, get_model

    outputs = [ModelOutput.from_content("mockllm/model", text) for text in OUTPUTS[task]]
    model = get_model("mockllm/model", custom_outputs=outputs)
    logs = run(
        f"{TASKS}@{task}", model=model, log_dir=str(folder), display="none", max_samples=1,
        max_connections=1,
    )  # fmt: skip
    assert logs[0].status == "success", logs[0].error
    return logs[0]


@pytest.mark.usefixtures("words_as_tokens")
@pytest.mark.parametrize("task", OUTPUTS)
def test_each_sample_is_asked_and_scored_as_inspect_does(
    read: Callable[..., Dataset], task: str, tmp_path: Path
) -> None:
    from inspect_ai.log import resolve_sample_attachments
    from inspect_ai.scorer import value_to_float

    items = {item.id: item for item in read(task).items}
    log = by_inspect(task, tmp_path / "logs")
    assert {str(sample.id) for sample in log.samples} == {*items}
    for condensed in log.samples:
        sample = resolve_sample_attachments(condensed, "full")
        item = items[str(sample.id)]
        request = next(event for event in sample.events if event.event == "model")
        asked = [(message.role, message.text) for message in request.input]
        assert [*item.turns, ("user", item.question)] == asked
        output = request.output.completion
        for name, field in SCORERS.get(task, [(None, None)]):
            theirs = sample.scores[name or next(iter(sample.scores))].value
            evaluator = InspectScores("e", name, field)
            evaluator.check_item(item)
            expected = value_to_float()(theirs[field] if field else theirs)
            assert evaluator.evaluate(item, output).value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("plane", "expected one task, found 0|cannot load"),
        ("twice", "it asks more than one question"),
        ("unseeded", "its questions differ each time; give its shuffling a seed"),
        ("tools", "it gives the model tools"),
        ("boxed", "it works in a sandbox"),
        ("unscored", "it has no scorer"),
        ("silent", "it asks the model no question"),
        ("asking", "it asks a model by itself"),
        ("critical", "it asks a model by itself"),
    ],
)
def test_a_task_that_is_more_than_a_question_is_refused(
    read: Callable[..., Dataset], task: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        read(task)
    assert "quiz.yaml:" in str(refused.value)


def test_a_scorer_that_asks_a_model_is_refused(read: Callable[..., Dataset]) -> None:
    item = read("graded").items[0]
    with pytest.raises(Exception, match=r"it asks a model by itself, .* kind `judged`"):
        InspectScores("e").evaluate(item, "Paris")


def test_a_file_with_several_tasks_names_them(load: Callable[..., Dataset], tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    shutil.copy(TASKS, tmp_path / "tasks/tasks.py")
    source = {"inspect": "../../tasks/tasks.py"}
    content = {"name": "quiz", "purpose": "A test.", "source": source, "evaluator": "inspect"}
    with pytest.raises(ConfigError, match=r"expected one task, found 16: .* thinking, .*; write"):
        load(yaml.safe_dump(content))


def test_arguments_reach_the_task(read: Callable[..., Dataset]) -> None:
    item = read("plain", greeting="Good day").items[0]
    assert item.turns == (("system", "Good day, fr."),)


def test_identity_has_the_version_and_the_code_of_the_file(
    read: Callable[..., Dataset], registry: Path
) -> None:
    from importlib.metadata import version

    named = f"inspect-ai@{version('inspect-ai')}"
    before = read("plain")
    assert (before.revision or "").startswith(named)
    assert named in InspectScores("e").identity
    assert before.digest == read("plain").digest


class TestEvaluator:
    def test_a_scorer_or_field_that_is_not_there_is_refused(
        self, read: Callable[..., Dataset]
    ) -> None:
        item = read("two_values").items[0]
        with pytest.raises(ConfigError, match="no scorer 'severa'; did you mean 'several'"):
            InspectScores("e", scorer="severa").check_item(item)
        with pytest.raises(ConfigError, match="no field 'rigth'; did you mean 'right'"):
            InspectScores("e", field="rigth").evaluate(item, "Paris")

    def test_an_item_of_another_source_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"source: \{inspect"):
            InspectScores("e").check_item(Item("1", "?", "4"))

    def test_thoughts_are_no_part_of_the_answer(self, read: Callable[..., Dataset]) -> None:
        item = read("plain").items[0]
        assert InspectScores("e").evaluate(item, "<think>Paris?</think>Rome").value == 0.0


def test_samples_fields_can_be_mapped(load: Callable[..., Dataset], tmp_path: Path) -> None:
    shutil.copy(TASKS, tmp_path / "tasks.py")
    fields = {"id": "id", "messages": "messages", "target": "target", "metadata": ["inspect"]}
    content = {
        "name": "quiz",
        "purpose": "A test.",
        "source": {"inspect": f"{tmp_path}/tasks.py@choices"},
        "fields": {**fields, "category": "sample.target"},
        "evaluator": "inspect",
    }
    assert [item.category for item in load(json.dumps(content)).items] == ["B", "C"]
