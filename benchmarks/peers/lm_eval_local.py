"""`lm_eval.simple_evaluate` of `local-chat-completions` on a task of generated questions."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import lm_eval
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from benchmarks.peers.measured import Job, questions, serve_jobs, timed


def ask_all(job: Job, tasks: TaskManager) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "questions.jsonl")
        rows = [{"question": q, "answer": a} for q, a in questions(job.items)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = ConfigurableTask(
            config={
                "task": "questions",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(file)}, "cache_dir": folder},
                "test_split": "test",
                "output_type": "generate_until",
                "doc_to_text": "{{question}}",
                "doc_to_target": "{{answer}}",
                "generation_kwargs": {"temperature": 0.7, "do_sample": True, "until": []},
                "metric_list": [
                    {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
                ],
            }
        )
        found = lm_eval.simple_evaluate(
            model="local-chat-completions",
            model_args={
                "model": "bench",
                "base_url": f"{job.base_url}/chat/completions",
                "num_concurrent": job.concurrency,
            },
            tasks=[task],
            task_manager=tasks,
            apply_chat_template=True,
            bootstrap_iters=0,
            verbosity="ERROR",
        )
    return sum(bool(sample["resps"][0][0]) for sample in found["samples"]["questions"])


def main() -> None:
    # Its own 14,000 tasks are read by a program once, and that is no part of a call.
    tasks = TaskManager(include_defaults=False)
    serve_jobs(lambda job: timed(lambda one: ask_all(one, tasks), job), ["lm_eval"])


if __name__ == "__main__":
    main()
