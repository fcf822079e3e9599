"""`repack.py` of the papers: from the files of public repositories to those that cards read.

The repositories are made here, of recorded data, in the layout of the public ones.
"""

from __future__ import annotations

import csv
import gzip
import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

PAPERS = Path(__file__).parents[2] / "experiments" / "papers"
SOME = 40


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def repacked(paper: str, repository: str, clone: Path, data: Path) -> Path:
    runpy.run_path(str(PAPERS / paper / "repack.py"))["repack"]({repository: clone}, data)
    return data


def test_records_of_runs_of_omnisbench(data_dir: Path, tmp_path: Path) -> None:
    runs = ("2026-08-19", "fresh-16k-2026-08-20")
    known = {run: lines(data_dir / f"omnisbench/{run}.items.jsonl.gz")[:SOME] for run in runs}
    for run, items in known.items():
        content = {"provenance": {}, "leaderboard": [], "items": items}
        put(tmp_path / f"clone/runs/{run}/results.json", json.dumps(content))
    repository = "github.com/Fortitude-Group/OmnisBench"
    data = repacked("omnisbench", repository, tmp_path / "clone", tmp_path / "data")
    for run, items in known.items():
        assert lines(data / f"omnisbench/{run}.items.jsonl.gz") == items


def test_predictions_of_routerbench_mini(data_dir: Path, tmp_path: Path) -> None:
    name = "routing/routerbench_mini_v5.predictions.csv.gz"
    content = gzip.decompress((data_dir / name).read_bytes())
    path = tmp_path / "clone/results/qwen3.5-v5-3200-800/test_predictions.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    repository = "github.com/ken-ab/routerbench-mini"
    data = repacked("routerbench_mini", repository, tmp_path / "clone", tmp_path / "data")
    assert gzip.decompress((data / name).read_bytes()) == content


def test_responses_and_verdicts_of_m_ifeval(data_dir: Path, tmp_path: Path) -> None:
    folder, clone = data_dir / "ifeval_responses", tmp_path / "clone"
    items = lines(folder / "items.jsonl.gz")[:SOME]
    names = {name for item in items for given in item["kwargs"] for name in given}
    full = [
        item | {"kwargs": [dict.fromkeys(names) | given for given in item["kwargs"]]}
        for item in items
    ]
    put(clone / "data/en_input_data.jsonl", "".join(json.dumps(item) + "\n" for item in full))
    model = "claude-3-haiku-20240307"
    known = {row["key"]: row for row in lines(folder / f"responses__{model}.jsonl.gz")}
    for kind in ("strict", "loose"):
        rows = [
            {
                "follow_all_instructions": all(known[item["key"]][kind]),
                "follow_instruction_list": known[item["key"]][kind],
                "instruction_id_list": item["instruction_id_list"],
                "prompt": item["prompt"],
                "response": known[item["key"]]["response"],
            }
            for item in items
        ]
        path = clone / f"evaluations/en_input_response_data_{model}/eval_results_{kind}.jsonl"
        put(path, "".join(json.dumps(row) + "\n" for row in rows))
    put(clone / "evaluations/es_input_response_data_other/eval_results_strict.jsonl", "")
    repository = "github.com/lightblue-tech/M-IFEval"
    data = repacked("ifeval_responses", repository, clone, tmp_path / "data") / "ifeval_responses"
    assert {path.name for path in data.iterdir()} == {
        "items.jsonl.gz", f"responses__{model}.jsonl.gz",
    }  # fmt: skip
    assert lines(data / "items.jsonl.gz") == items
    assert lines(data / f"responses__{model}.jsonl.gz") == [known[item["key"]] for item in items]


def test_letters_of_mmlu_pro(data_dir: Path, tmp_path: Path) -> None:
    folder, clone = data_dir / "mmlu_pro", tmp_path / "clone/eval_results"
    clone.mkdir(parents=True)
    models = ("Mixtral-8x7B-v0.1", "mathstral-7B", "gemini-1.5-flash-002")
    for model in models:
        shutil.copy(folder / f"full_outputs/model_outputs_{model}_5shots.zip", clone)
    repository = "github.com/TIGER-AI-Lab/MMLU-Pro"
    data = repacked("mmlu_pro", repository, tmp_path / "clone", tmp_path / "data") / "mmlu_pro"
    questions = lines(data / "questions.jsonl.gz")
    known = lines(folder / "questions.jsonl.gz")
    changed = set(json.loads((folder / "key_changes.json").read_text()))
    assert len(questions) == len(known)
    for ours, theirs in zip(questions, known, strict=True):
        # Which key most files carry depends on which files there are.
        if str(theirs["question_id"]) not in changed:
            assert ours == theirs
    with (
        gzip.open(data / "answers.csv.gz", "rt", encoding="utf-8") as ours_file,
        gzip.open(folder / "answers.csv.gz", "rt", encoding="utf-8") as theirs_file,
    ):
        table = zip(csv.DictReader(ours_file), csv.DictReader(theirs_file), strict=True)
        for ours_row, theirs_row in table:
            for model in models:
                assert ours_row[f"{model}:stored"] == theirs_row[f"{model}:stored"]


def test_annotations_of_alpaca_eval(data_dir: Path, tmp_path: Path) -> None:
    folder, clone = data_dir / "alpaca_eval", tmp_path / "clone"
    items = lines(folder / "items.jsonl.gz")
    models = ("alpaca-7b_verbose", "gpt4_1106_preview")
    for model in models:
        outputs = {item["id"]: item["reference_output"] for item in items}
        if model != "gpt4_1106_preview":
            rows = lines(folder / f"outputs__{model}.jsonl.gz")
            outputs = {row["id"]: row["output"] for row in rows}
        annotations = [
            {
                "instruction": items[row["id"]]["instruction"],
                "dataset": items[row["id"]]["dataset"],
                "output_1": items[row["id"]]["reference_output"],
                "generator_1": "gpt4_1106_preview",
                "output_2": outputs[row["id"]],
                "generator_2": model,
                "annotator": "weighted_alpaca_eval_gpt4_turbo",
                "preference": row["preference"],
                "price_per_example": row.get("price"),
                "time_per_example": row.get("time_s"),
            }
            for row in lines(folder / f"judge__{model}.jsonl.gz")
        ]
        path = clone / f"results/{model}/weighted_alpaca_eval_gpt4_turbo/annotations.json"
        put(path, json.dumps(annotations))
    put(clone / "results/other/alpaca_eval_gpt4/annotations.json", "[]")
    repository = "github.com/tatsu-lab/alpaca_eval"
    data = repacked("alpaca_eval", repository, clone, tmp_path / "data") / "alpaca_eval"
    assert lines(data / "items.jsonl.gz") == items
    for model in models:
        told = ("id", "preference", "price", "time_s")
        known = [
            {name: row[name] for name in told if name in row}
            for row in lines(folder / f"judge__{model}.jsonl.gz")
        ]
        assert lines(data / f"judge__{model}.jsonl.gz") == known
    name = "outputs__alpaca-7b_verbose.jsonl.gz"
    assert lines(data / name) == lines(folder / name)


@pytest.mark.parametrize(
    ("paper", "repository"),
    [
        ("omnisbench", "github.com/Fortitude-Group/OmnisBench"),
        ("routerbench_mini", "github.com/ken-ab/routerbench-mini"),
        ("ifeval_responses", "github.com/lightblue-tech/M-IFEval"),
        ("mmlu_pro", "github.com/TIGER-AI-Lab/MMLU-Pro"),
        ("alpaca_eval", "github.com/tatsu-lab/alpaca_eval"),
    ],
)
def test_a_repository_of_another_layout_is_an_error(
    paper: str, repository: str, tmp_path: Path
) -> None:
    with pytest.raises((OSError, LookupError)):
        repacked(paper, repository, tmp_path, tmp_path / "data")
