from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ember_bench.registry import builtin_root
from tests.support.fake_hub import FakeHub
from tests.support.mbpp import MBPP

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROWS = [{"id": f"q{i}", "question": f"What is {i} + {i}?", "answer": str(2 * i)} for i in range(5)]

Load = Callable[..., dict[str, Any]]


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture(scope="module")
def reader(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One process for all tests: importing `datasets` takes longer than all of them."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE"))}
    environment = ours | {
        "HF_HOME": str(tmp_path_factory.mktemp("hf")),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "tests.support.hub_reader"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, env=environment, cwd=ROOT, text=True, **pipes)
    yield process
    process.communicate(timeout=10)


@pytest.fixture
def load(reader: Any, registry: Path) -> Load:
    def load(repository: str, revision: str, split: str = "test", **card: Any) -> dict[str, Any]:
        source = {"repository": repository, "split": split, "revision": revision}
        if "config" in card:
            source["config"] = card.pop("config")
        content: dict[str, Any] = {
            "purpose": "A test.",
            "evaluator": "exact_match",
            "source": {"hub": source},
            "fields": {"id": "id", "question": "question", "target": "answer"},
        } | card
        # JSON is YAML, and needs no care with quotes.
        path = registry / "datasets" / "quiz.yaml"
        path.write_text(json.dumps(content, indent=1))
        request = {"registry": str(registry), "name": "quiz"}
        reader.stdin.write(json.dumps(request) + "\n")
        reader.stdin.flush()
        reply: dict[str, Any] = json.loads(reader.stdout.readline())
        return reply

    return load


def test_a_split_is_read_at_its_pinned_revision(hub: FakeHub, load: Load) -> None:
    sha = hub.commit("org/sums", {"test.jsonl": jsonl(ROWS)})
    loaded = load("org/sums", sha)
    assert [item[:3] for item in loaded["items"]] == [list(row.values()) for row in ROWS]
    assert loaded["revision"] == sha
    assert loaded["source"] == "hub org/sums (test)"


def test_an_edited_dataset_has_another_digest_and_the_pinned_one_stays_as_it_was(
    hub: FakeHub, load: Load
) -> None:
    old = hub.commit("org/edited", {"test.jsonl": jsonl(ROWS)})
    before = load("org/edited", old)
    new = hub.commit("org/edited", {"test.jsonl": jsonl([ROWS[0] | {"answer": "7"}, *ROWS[1:]])})
    after = load("org/edited", new)
    assert after["digest"] != before["digest"]
    assert load("org/edited", old) == before


def test_a_split_that_was_loaded_once_needs_no_hub(hub: FakeHub, load: Load) -> None:
    sha = hub.commit("org/kept", {"test.jsonl": jsonl(ROWS)})
    first = load("org/kept", sha)
    asked = len(hub.requests)
    hub.stop()
    try:
        assert load("org/kept", sha) == first
    finally:
        hub.start()
    assert len(hub.requests) == asked


def test_another_revision_in_the_cache_is_never_taken_for_the_pinned_one(
    hub: FakeHub, load: Load
) -> None:
    load("org/offline", hub.commit("org/offline", {"test.jsonl": jsonl(ROWS)}))
    unseen = hub.commit("org/offline", {"test.jsonl": jsonl(ROWS[:2])})
    hub.stop()
    try:
        error = load("org/offline", unseen)["error"]
    finally:
        hub.start()
    assert f"has not been loaded at revision {unseen} on this machine before" in error
    assert "the hub cannot be reached" in error
    assert "quiz.yaml:5:3: dataset 'org/offline'" in error


def test_csv_columns_stay_text(hub: FakeHub, load: Load) -> None:
    table = 'id,question,answer\n007,"What, NA?",NA\n008,One?,1.0\n'
    sha = hub.commit("org/table", {"test.csv": table})
    items = load("org/table", sha)["items"]
    assert [item[:3] for item in items] == [["007", "What, NA?", "NA"], ["008", "One?", "1.0"]]


def test_choices_inside_a_field_are_found(hub: FakeHub, load: Load) -> None:
    row = {"q": "Which?", "mc": {"choices": ["no", "yes", "maybe"], "labels": [0, 1, 0]}}
    sha = hub.commit("org/nested", {"validation.jsonl": jsonl([row])})
    fields = {"question": "q", "choices": "mc.choices", "target": "mc.labels"}
    loaded = load("org/nested", sha, split="validation", fields=fields, target_is="flags")
    assert loaded["items"] == [
        ["0", "Which?\n\nA) no\nB) yes\nC) maybe", "B", ["no", "yes", "maybe"], {}]
    ]


def test_a_config_names_its_own_files(hub: FakeHub, load: Load) -> None:
    readme = (
        "---\nconfigs:\n"
        "- config_name: easy\n  data_files: [{split: test, path: easy.jsonl}]\n"
        "- config_name: hard\n  data_files: [{split: test, path: hard.jsonl}]\n---\n"
    )
    files = {"README.md": readme, "easy.jsonl": jsonl(ROWS[:2]), "hard.jsonl": jsonl(ROWS[2:])}
    sha = hub.commit("org/configs", files)
    assert len(load("org/configs", sha, config="hard")["items"]) == 3
    wrong = load("org/configs", sha, config="heard")["error"]
    assert "dataset 'org/configs' has no config 'heard'; did you mean 'hard'?" in wrong
    none = load("org/configs", sha)["error"]
    assert "needs a `config`: one of easy, hard" in none


def test_several_configs_are_read_one_after_the_other_and_named(hub: FakeHub, load: Load) -> None:
    configs = "".join(
        f"- config_name: {name}\n  data_files: [{{split: test, path: {name}.jsonl}}]\n"
        for name in ("b", "a")
    )
    files = {"README.md": f"---\nconfigs:\n{configs}---\n", "a.jsonl": jsonl(ROWS[:1])}
    sha = hub.commit("org/subjects", files | {"b.jsonl": jsonl([*ROWS[1:], {"id": "x"}])})
    fields = {"id": ["config", "id"], "question": "question", "target": "answer"}
    loaded = load("org/subjects", sha, config=["a"], fields=fields)
    assert [item[0] for item in loaded["items"]] == ["a/q0"]
    assert loaded["source"] == "hub org/subjects (test)"
    error = load("org/subjects", sha, config=["a", "b"], fields=fields)["error"]
    assert "record 5 of org/subjects (b, test): the target (field 'answer') is empty" in error


def test_mbpps_card_fits_what_the_hub_has(hub: FakeHub, load: Load) -> None:
    files = "data_files: [{split: test, path: s.jsonl}]"
    readme = f"---\nconfigs:\n- config_name: sanitized\n  {files}\n---\n"
    sha = hub.commit("org/mbpp", {"README.md": readme, "s.jsonl": jsonl([MBPP])})
    card = yaml.safe_load((builtin_root() / "datasets/mbpp.yaml").read_text())
    same = {key: card[key] for key in ("fields", "prompt", "answer_format", "evaluator")}
    ((id_, question, target, _, metadata),) = load("org/mbpp", sha, config="sanitized", **same)[
        "items"
    ]
    assert (id_, target) == ("2", MBPP["code"])
    assert "\n\nassert common([3, 4], [5, 4]) == [4]\nassert common" in question
    assert metadata == {name: MBPP[name] for name in ("test_list", "test_imports")}


def test_squads_card_fits_what_the_hub_has(hub: FakeHub, load: Load) -> None:
    answers = [{"text": ["France"], "answer_start": [3]}, {"text": [], "answer_start": []}]
    rows = [
        {"id": f"56{n}", "title": "Normans", "context": "In France.", "question": "Where?"}
        | {"answers": answer}
        for n, answer in enumerate(answers)
    ]
    sha = hub.commit("org/squad", {"validation.jsonl": jsonl(rows)})
    card = yaml.safe_load((builtin_root() / "datasets/squad_2.yaml").read_text())
    same = {key: card[key] for key in ("fields", "prompt", "empty_target", "evaluator")}
    loaded = load("org/squad", sha, split="validation", **same)["items"]
    assert [(id_, target) for id_, _, target, *_ in loaded] == [
        ("560", "France"),
        ("561", "unanswerable"),
    ]


def test_what_the_hub_does_not_have_is_said(hub: FakeHub, load: Load) -> None:
    sha = hub.commit("org/there", {"test.jsonl": jsonl(ROWS)})
    assert "dataset 'org/not-there' is not on the hub" in load("org/not-there", sha)["error"]
    nowhere = "0123456789" * 4
    error = load("org/there", nowhere)["error"]
    assert f"dataset 'org/there' has no revision {nowhere} on the hub" in error
    error = load("org/there", sha, split="tset")["error"]
    assert "org/there has no split 'tset'; did you mean 'test'?" in error


def test_a_gated_dataset_says_how_to_get_in(hub: FakeHub, load: Load) -> None:
    sha = hub.commit("org/gated", {"test.jsonl": jsonl(ROWS)})
    hub.gated.add("org/gated")
    error = load("org/gated", sha)["error"]
    assert "'org/gated' is gated: ask for access at https://huggingface.co/" in error
    assert "HF_TOKEN" in error


def test_an_item_without_a_target_is_named_by_its_number(hub: FakeHub, load: Load) -> None:
    sha = hub.commit("org/bare", {"test.jsonl": jsonl([ROWS[0], ROWS[1] | {"answer": ""}])})
    error = load("org/bare", sha)["error"]
    assert "record 2 of org/bare (test): the target (field 'answer') is empty" in error


@pytest.mark.slow
def test_no_part_of_a_download_is_left_when_it_fails(
    hub: FakeHub, load: Load, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sha = hub.commit("org/broken", {"test.jsonl": '{"id": 1, "question": '})
    assert "dataset 'org/broken' cannot be loaded" in load("org/broken", sha)["error"]
    kept = list(tmp_path_factory.getbasetemp().glob("hf*/datasets/ember_bench/org%2Fbroken/**/*"))
    assert [path for path in kept if path.is_file()] == []
