"""The bare openai SDK on asyncio: so many workers that ask one question after the other."""

from __future__ import annotations

import asyncio
import sys

from openai import AsyncOpenAI, DefaultAioHttpClient

from benchmarks.peers.measured import Job, questions, serve_coroutines


async def ask_all(job: Job, *, aiohttp: bool) -> int:
    http_client = DefaultAioHttpClient() if aiohttp else None
    asked = iter(questions(job.items))
    answers = 0

    async def work(client: AsyncOpenAI) -> None:
        nonlocal answers
        for question, _ in asked:
            completion = await client.chat.completions.create(
                model="bench",
                messages=[{"role": "user", "content": question}],
                temperature=0.7,
            )
            answers += bool(completion.choices[0].message.content)

    async with AsyncOpenAI(
        base_url=job.base_url, api_key="none", http_client=http_client
    ) as client:
        await asyncio.gather(*(work(client) for _ in range(job.concurrency)))
    return answers


def main() -> None:
    aiohttp = "--aiohttp" in sys.argv[1:]
    packages = ["openai", *(["aiohttp"] if aiohttp else [])]
    serve_coroutines(lambda job: ask_all(job, aiohttp=aiohttp), packages)


if __name__ == "__main__":
    main()
