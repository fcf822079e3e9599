"""`litellm.acompletion` on asyncio, in so many workers."""

from __future__ import annotations

import asyncio

import litellm

from benchmarks.peers.measured import Job, questions, serve_coroutines


async def ask_all(job: Job) -> int:
    asked = iter(questions(job.items))
    answers = 0

    async def work() -> None:
        nonlocal answers
        for question, _ in asked:
            completion = await litellm.acompletion(
                model="openai/bench",
                api_base=job.base_url,
                api_key="none",
                messages=[{"role": "user", "content": question}],
                temperature=0.7,
            )
            answers += bool(completion.choices[0].message.content)

    await asyncio.gather(*(work() for _ in range(job.concurrency)))
    return answers


def main() -> None:
    serve_coroutines(ask_all, ["litellm", "openai"])


if __name__ == "__main__":
    main()
