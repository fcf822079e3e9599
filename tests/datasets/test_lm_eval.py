"""Tasks of lm-evaluation-harness: what lm-eval itself gives, item by item."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ember_bench.datasets import Dataset, Item, lm_eval_tasks, load_dataset
from ember_bench.errors import ConfigError, EmberBenchError
from ember_bench.evaluators.lm_eval import LmEval
from ember_bench.experiment.runner import trial_store
from ember_bench.registry import Cards
from tests.support.openai_server import Answer, Asked, OpenAIServer
from tests.support.workspace import Workspace, single

TASKS = Path(__file__).parent / "lm_eval_tasks"
ITEMS = [json.loads(line) for line in (TASKS / "items.jsonl").read_text().splitlines()]
pytestmark = [pytest.mark.extra, pytest.mark.slow, pytest.mark.usefixtures("package")]
INSTALLED = importlib.util.find_spec("lm_eval") is not None

# task -> (filter, metric) of what is compared
SHAPES: dict[str, list[tuple[str, str]]] = {
    "t_plain": [("none", "exact_match")],
    "t_worked_two_filters": [("strict-match", "exact_match"), ("flexible-extract", "exact_match")],
    "t_several_targets": [("none", "exact_match")],
    "t_choice_in_words": [("get-answer", "exact_match")],
    "t_own_results": [("none", "contained"), ("none", "closeness")],
    "t_shuffled_docs": [("letter", "exact_match")],
    "t_text_functions": [("lower", "exact_match")],
    "t_own_filter": [("last-word", "exact_match")],
    "t_inline_examples": [("none", "exact_match")],
    "t_examples_of_the_test_split": [("none", "exact_match")],
    "t_mapped": [("number-of-letter", "exact_match")],
    "t_of_validation": [("none", "closeness")],
    "t_python_class": [("none", "exact_match")],
    "t_both": [("none", "exact_match")],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "t_worked_two_filters": {"num_fewshot": 3},
    "t_inline_examples": {"fewshot_as_multiturn": False},
    "t_examples_of_the_test_split": {"fewshot_seed": 7},
    "t_several_targets": {"system_instruction": "Answer in a word."},
}


Values = dict[tuple[str, str], float]
"""(task-filter-metric, item) -> value."""


def recorded(asked: Asked) -> Answer:
    """Return the answer recorded for the last question of the last message, up to a stop text."""
    places = [(asked.prompt.rfind(item["question"]), item["recorded"]) for item in ITEMS]
    place, text = max(places)
    assert place >= 0
    for stop in asked.body.get("stop") or []:
        text = text.partition(stop)[0]
    return Answer(text)


@pytest.fixture
def package() -> None:
    if not INSTALLED:
        pytest.skip("needs the extra lm-eval")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tasks name their files relative to the working directory."""
    monkeypatch.chdir(TASKS)
    return tmp_path


def card(task: str, **options: Any) -> dict[str, Any]:
    source = {"task": task, "include_path": str(TASKS), **options}
    return {
        "name": task,
        "purpose": "A test.",
        "source": {"lm_eval": source},
        "evaluator": "lm_eval",
    }


def loaded(folder: Path, content: dict[str, Any]) -> Dataset:
    workspace = Workspace(folder)
    workspace.write(f"registry/datasets/{content['name']}.yaml", content)
    return load_dataset(content["name"], Cards([folder / "registry"]))


def said(messages: Any) -> str:
    return json.dumps([[m["role"], m["content"]] for m in messages])


def by_lm_eval(server: OpenAIServer, tasks: Any) -> Values:
    """Return the values that lm-eval gives."""
    from lm_eval import simple_evaluate

    found: Values = {}
    for name, pairs in SHAPES.items():
        options = OPTIONS.get(name, {})
        ran = simple_evaluate(
            model="local-chat-completions",
            model_args={"model": "m", "base_url": f"{server.base_url}/chat/completions"},
            tasks=[name],
            task_manager=tasks,
            apply_chat_template=True,
            num_fewshot=options.get("num_fewshot"),
            fewshot_as_multiturn=options.get("fewshot_as_multiturn", True),
            fewshot_random_seed=options.get("fewshot_seed", 1234),
            system_instruction=options.get("system_instruction"),
            bootstrap_iters=0,
        )
        for task, samples in ran["samples"].items():
            for sample in samples:
                for filter_name, metric in pairs:
                    if sample["filter"] == filter_name:
                        number = str(sample["doc_id"])
                        item = number if task == name else f"{task}/{number}"
                        key = (f"{name}-{filter_name}-{metric}", item)
                        found[key] = float(sample[metric])
    return found


def by_ember_bench(server: OpenAIServer, folder: Path) -> Values:
    """Return the same of a grid that has each task once for each filter and metric."""
    workspace = Workspace(folder)
    workspace.write(
        "registry/models/m.yaml",
        {"name": "openai:m", "provider": {"name": "openai", "base_url": server.base_url}},
    )
    names = []
    for task, pairs in SHAPES.items():
        for filter_name, metric in pairs:
            name = f"{task}-{filter_name}-{metric}"
            scoring = {"kind": "lm_eval", "filter": filter_name, "metric": metric}
            workspace.write(f"registry/evaluators/{name}.yaml", scoring)
            content = card(task, **OPTIONS.get(task, {})) | {"name": name, "evaluator": name}
            workspace.write(f"registry/datasets/{name}.yaml", content)
            names.append(name)
    workspace.grid(datasets=names, architectures=[single("openai:m")])
    ran = workspace.run()
    assert ran.progress.errors == 0, ran.progress.first_error
    experiment = workspace.experiment()
    store = trial_store(folder / "results/trip", experiment)
    try:
        return {
            (cell.dataset, experiment.questions[cell.dataset].items[item].id): score
            for number, cell in enumerate(experiment.cells)
            for item, _, score in store.columns(number, ["score"])
        }
    finally:
        store.close()


def test_each_item_is_asked_and_scored_as_lm_eval_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval import evaluator
    from lm_eval.tasks import TaskManager

    # It runs programs to describe the machine, for seconds.
    monkeypatch.setattr(evaluator, "add_env_info", lambda results: None)

    tasks = TaskManager(include_path=str(TASKS), include_defaults=False)
    with OpenAIServer(recorded) as theirs:
        expected = by_lm_eval(theirs, tasks)
    with OpenAIServer(recorded) as ours:
        found = by_ember_bench(ours, folder)
    assert found == expected
    assert len({name.partition("-")[0] for name, _ in found}) >= 12
    assert {0.0, 1.0} < {*found.values()}
    asked = [Counter(said(one.body["messages"]) for one in s.asked) for s in (theirs, ours)]
    assert asked[0].keys() == asked[1].keys()


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("t_plian", "lm-eval has no task 't_plian'; did you mean 't_plain'"),
        (
            "t_log_likelihood",
            "compares log-likelihoods .* a form with words is 't_log_likelihood_generative'",
        ),
        ("t_begun_answer", "t_begun_answer has a `gen_prefix`"),
        ("t_many_draws", "t_many_draws draws 4 answers to each question; .* such as `vote`"),
        ("t_runs_code", "t_runs_code runs what models have written, without a sandbox"),
    ],
)
def test_a_task_that_cannot_be_asked_is_refused_with_the_reason(
    folder: Path, task: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = lm_eval_tasks._manager(TASKS)  # lm-eval's own 14,000 tasks take seconds to list
    monkeypatch.setattr(lm_eval_tasks, "_manager", lambda include: own)
    with pytest.raises(ConfigError, match=reason) as refused:
        loaded(folder, card(task))
    assert f"{task}.yaml:" in str(refused.value)


def test_a_number_of_examples_that_lm_eval_would_ignore_is_refused(folder: Path) -> None:
    assert len(loaded(folder, card("t_zero_shot"))) == len(ITEMS)
    with pytest.raises(ConfigError, match="t_zero_shot fixes num_fewshot at 0"):
        loaded(folder, card("t_zero_shot", num_fewshot=2))


def test_a_folder_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        loaded(folder, card("t_plain", include_path="nowhere"))


def test_what_a_task_raises_is_told_in_a_line(folder: Path) -> None:
    (folder / "tasks").mkdir()
    broken = (TASKS / "plain.yaml").read_text().replace("include: _base.yaml", "test_split: test")
    source = f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder}/none.jsonl}}}}\n"
    (folder / "tasks/plain.yaml").write_text(source + broken)
    with pytest.raises(ConfigError, match=r"lm-eval cannot load it: .*none\.jsonl"):
        loaded(folder, card("t_plain", include_path=str(folder / "tasks")))


def test_a_system_message_and_turns_come_before_the_question(folder: Path) -> None:
    item = loaded(folder, card("t_worked_two_filters")).items[0]
    assert [role for role, _ in item.turns] == ["system", *["user", "assistant"] * 2]
    assert item.question == f"Question: {ITEMS[0]['question']}\nAnswer:"
    assert (item.target, item.category) == (ITEMS[0]["worked"], None)


def test_a_group_has_its_tasks_as_categories(folder: Path) -> None:
    items = loaded(folder, card("t_both")).items
    assert {item.category for item in items} == {"t_member_one", "t_member_two"}
    assert items[0].id == "t_member_one/0"


def test_other_fields_of_the_documents_may_be_mapped(folder: Path) -> None:
    fields = {"id": "id", "messages": "messages", "target": "target", "metadata": ["lm_eval"]}
    content = card("t_plain") | {"fields": {**fields, "category": "doc.letter"}}
    assert {i.category for i in loaded(folder, content)} == {one["letter"] for one in ITEMS}


def test_identity_has_the_version_and_the_files_of_own_tasks(folder: Path) -> None:
    from importlib.metadata import version

    named = f"lm-eval@{version('lm-eval')}"
    before = loaded(folder, card("t_plain"))
    assert (before.revision or "").startswith(named)
    assert named in LmEval("e").identity
    copied = folder / "tasks"
    copied.mkdir()
    for path in TASKS.glob("*.*"):
        (copied / path.name).write_text(path.read_text())
    content = card("t_plain", include_path=str(copied))
    assert loaded(folder, content).digest == before.digest
    (copied / "functions.py").write_text("# other\n")
    assert loaded(folder, content).digest != before.digest


def test_the_global_generators_are_left_as_they_were(folder: Path) -> None:
    import random

    random.seed(5)
    expected = random.random()
    random.seed(5)
    loaded(folder, card("t_shuffled_docs"))
    assert random.random() == expected


class TestEvaluator:
    def test_scores_by_the_first_mean_where_more_is_better(self, folder: Path) -> None:
        item = loaded(folder, card("t_own_results")).items[0]
        evaluator = LmEval("e")
        evaluator.check_item(item)
        assert evaluator.evaluate(item, "It is 12.").explanation.startswith("contained (none)")
        assert evaluator.evaluate(item, "It is 12.").value == 1.0

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"metric": "spread"}, "'spread' is no mean over items"),
            ({"metric": "words"}, "'words' is no mean over items where more is better"),
            ({"filter": "nome"}, "no filter 'nome'; did you mean 'none'"),
        ],
    )
    def test_refuses_what_is_no_score_of_an_item(
        self, folder: Path, options: dict[str, str], reason: str
    ) -> None:
        item = loaded(folder, card("t_own_results")).items[0]
        with pytest.raises(ConfigError, match=reason):
            LmEval("e", **options).check_item(item)

    def test_names_the_metrics_that_there_are(self, folder: Path) -> None:
        item = loaded(folder, card("t_own_results")).items[0]
        with pytest.raises(ConfigError, match="gives no 'contain'; did you mean 'contained'"):
            LmEval("e", metric="contain").evaluate(item, "12")

    def test_divides_by_the_maximum_and_refuses_values_above_it(self, folder: Path) -> None:
        item = loaded(folder, card("t_own_results")).items[0]
        assert LmEval("e", metric="closeness", maximum=2).evaluate(item, "12").value == 0.5
        with pytest.raises(EmberBenchError, match=r"closeness is 1, not from 0 to 0\.5"):
            LmEval("e", metric="closeness", maximum=0.5).evaluate(item, "12")

    def test_tells_what_no_filter_can_read_apart_from_what_is_wrong(self, folder: Path) -> None:
        item = loaded(folder, card("t_worked_two_filters")).items[0]
        strict = LmEval("e")
        assert strict.evaluate(item, "So it is 12.").outcome == "unparsed"
        assert strict.evaluate(item, "#### 13").outcome == "wrong"
        assert strict.evaluate(item, "#### 12").outcome == "correct"

    def test_ends_an_answer_where_the_task_says_and_leaves_thoughts_out(self, folder: Path) -> None:
        item = loaded(folder, card("t_plain")).items[0]
        assert LmEval("e").evaluate(item, "<think>Three\ncats.</think>12\nor 13").value == 1.0

    def test_counts_answers_together_that_the_filter_reads_alike(self, folder: Path) -> None:
        item = loaded(folder, card("t_worked_two_filters")).items[0]
        normal = LmEval("e").normal
        assert normal(item, "3 * 4\n#### 12") == normal(item, "#### 12 ") != normal(item, "#### 9")

    def test_an_item_of_another_source_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"source: \{lm_eval"):
            LmEval("e").check_item(Item("1", "?", "4"))
