"""From ZeroEval's repository to the files that the cards read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

TASK = "gsm"


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Write zeroeval/TASK.items.jsonl, and zeroeval/TASK__MODEL.jsonl.gz for each model."""
    source = clones["github.com/WildEval/ZeroEval"] / "result_dirs" / TASK
    target = data / "zeroeval"
    target.mkdir(parents=True, exist_ok=True)
    questions = {}
    for path in sorted(source.glob("*.json")):
        records = json.loads(path.read_text(encoding="utf-8"))
        with gzip.open(target / f"{TASK}__{path.stem}.jsonl.gz", "wt", encoding="utf-8") as file:
            for record in records:
                output = record["output"]
                text = output[0] if isinstance(output, list) else output
                file.write(json.dumps({"id": record["id"], "output": text}) + "\n")
                question = {key: record[key] for key in ("id", "question", "answer")}
                questions.setdefault(record["id"], question)
    if not questions:
        raise FileNotFoundError(f"no *.json in {source}")
    lines = "".join(json.dumps(question) + "\n" for question in questions.values())
    (target / f"{TASK}.items.jsonl").write_text(lines, encoding="utf-8")
