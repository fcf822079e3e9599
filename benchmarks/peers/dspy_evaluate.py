"""`dspy.Evaluate` of a `Predict`, in so many threads, without its cache."""

from __future__ import annotations

import dspy

from benchmarks.peers.measured import Job, questions, serve_jobs, timed


def ask_all(job: Job) -> int:
    model = dspy.LM(
        "openai/bench", api_base=job.base_url, api_key="none", temperature=0.7, cache=False
    )
    asked = [
        dspy.Example(question=question, answer=answer).with_inputs("question")
        for question, answer in questions(job.items)
    ]
    answered = 0

    def score(example: dspy.Example, prediction: dspy.Prediction, _: object = None) -> bool:
        nonlocal answered
        answered += bool(prediction.answer)
        return bool(prediction.answer == example.answer)

    evaluate = dspy.Evaluate(
        devset=asked,
        metric=score,
        num_threads=job.concurrency,
        display_progress=False,
        display_table=False,
    )
    with dspy.context(lm=model):
        evaluate(dspy.Predict("question -> answer"))
    return answered


def main() -> None:
    serve_jobs(lambda job: timed(ask_all, job), ["dspy", "litellm", "openai"])


if __name__ == "__main__":
    main()
