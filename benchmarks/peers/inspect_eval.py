"""`inspect_ai.eval` of a task: generate, match, and for several draws epochs and their mode."""

from __future__ import annotations

import tempfile

from inspect_ai import Epochs, Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate

from benchmarks.peers.measured import Job, questions, serve_jobs, timed


def ask_all(job: Job) -> int:
    task = Task(
        dataset=MemoryDataset(
            [Sample(input=question, target=answer) for question, answer in questions(job.items)]
        ),
        solver=generate(),
        scorer=match(numeric=True),
    )
    with tempfile.TemporaryDirectory() as logs:
        [log] = evaluate(
            task,
            model=get_model(
                "openai/bench",
                base_url=job.base_url,
                api_key="none",
                responses_api=False,
                config=GenerateConfig(temperature=0.7, max_connections=job.concurrency * job.draws),
            ),
            epochs=Epochs(job.draws, "mode") if job.draws > 1 else None,
            max_samples=job.concurrency * job.draws,
            log_dir=logs,
            display="none",
        )
    if log.status != "success" or log.results is None:
        raise RuntimeError(f"the evaluation ended with {log.status}: {log.error}")
    completed: int = log.results.completed_samples
    return completed


def main() -> None:
    serve_jobs(lambda job: timed(ask_all, job), ["inspect-ai", "openai"])


if __name__ == "__main__":
    main()
