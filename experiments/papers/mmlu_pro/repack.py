"""From MMLU-Pro's repository to the files that the cards read."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "model_outputs_*_5shots.zip"


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Write mmlu_pro/questions.jsonl.gz, and answers.csv.gz with a column for each model.

    A model's letter is that of its file, `-` where it has none, and "" for a question that it was
    not asked. Files carry keys of several versions of the dataset; a question has the one of most.
    """
    source = clones["github.com/TIGER-AI-Lab/MMLU-Pro"] / "eval_results"
    prefix, suffix = NAME.split("*")
    outputs = {
        path.name.removeprefix(prefix).removesuffix(suffix): _records(path)
        for path in sorted(source.glob(NAME))
    }
    # A file whose records are no answers to these questions is left out.
    outputs = {model: records for model, records in outputs.items() if records}
    if not outputs:
        raise FileNotFoundError(f"no eval_results/{NAME}")
    target = data / "mmlu_pro"
    target.mkdir(parents=True, exist_ok=True)
    questions: dict[int, dict[str, Any]] = {}
    keys: dict[int, Counter[str]] = {}
    for records in outputs.values():
        for number, record in records.items():
            keys.setdefault(number, Counter())[record["answer"]] += 1
            names = ("question_id", "question", "options", "answer", "category", "src")
            questions.setdefault(number, {name: record.get(name) for name in names})
    numbers = sorted(questions)
    for number in numbers:
        questions[number]["answer"] = keys[number].most_common(1)[0][0]
    with gzip.open(target / "questions.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(questions[number]) + "\n" for number in numbers)
    with gzip.open(target / "answers.csv.gz", "wt", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["question_id", *(f"{model}:stored" for model in outputs)])
        for number in numbers:
            found = (records.get(number) for records in outputs.values())
            letters = ["" if one is None else one.get("pred") or "-" for one in found]
            table.writerow([number, *letters])


def _records(path: Path) -> dict[int, dict[str, Any]]:
    """Return the records of a file by their questions; {} if it is of another structure."""
    found: dict[int, dict[str, Any]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".json") or name.startswith("__MACOSX"):
                continue
            records = json.loads(archive.read(name))
            if not isinstance(records, list) or not all("question_id" in one for one in records):
                return {}
            found |= {int(one["question_id"]): one for one in records}
    return found
