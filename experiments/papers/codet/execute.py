"""Makes codet/execution.jsonl.gz: runs every program with every test, in the sandbox.

python experiments/papers/codet/execute.py DIR [PROBLEMS]

DIR is the data directory. All 164 problems take some hours of one processor; PROBLEMS is how many
of the first ones are run.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).with_name("registry")))

import codet

BENCHMARK_SECONDS = 1.0


def run(item: dict[str, Any], samples: list[str], written: list[str]) -> dict[str, Any]:
    """Return the record of one problem."""
    entry_point, prompt = item["entry_point"], item["prompt"]
    tests = Counter(test for text in written for test in codet.tests_of(text, entry_point))
    programs = list(dict.fromkeys(map(codet.cut, samples)))
    place = {program: number for number, program in enumerate(programs)}
    check = [f"{item['test']}\ncheck({entry_point})"]
    own = (codet.passed(prompt + program, check, BENCHMARK_SECONDS) for program in programs)
    return {
        "task_id": item["task_id"],
        "tests": [[test, times] for test, times in tests.items()],
        "sample_program": [place[codet.cut(text)] for text in samples],
        "program_passes_benchmark": [int(digit == "1") for digit in own],
        "program_passes_tests": [codet.passed(prompt + one, list(tests)) for one in programs],
    }


def main() -> None:
    """Run the problems, and write the records."""
    folder = Path(sys.argv[1]) / "codet"
    found = {
        name: {record["task_id"]: record for record in codet.lines(folder / f"{name}.jsonl.gz")}
        for name in ("items", "solutions", "tests")
    }
    items = list(found["items"].values())[: int(sys.argv[2]) if len(sys.argv) > 2 else None]
    with gzip.open(folder / "execution.jsonl.gz", "wt", encoding="utf-8") as file:
        for item in items:
            samples, written = (
                found[n][item["task_id"]]["samples"] for n in ("solutions", "tests")
            )
            file.write(json.dumps(run(item, samples, written)) + "\n")
            print(item["task_id"], flush=True)


if __name__ == "__main__":
    main()
