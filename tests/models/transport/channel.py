"""Asking over the direct transport's connections, and a server that repeats the question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.openai import OpenAI
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Message
from tests.support.loopback import Asked, LoopbackServer
from tests.support.openai_server import Answer
from tests.support.raw import response

KEY = "sk-secret-0123456789"


def model(server: LoopbackServer, url: str | None = None, **fields: Any) -> ModelInfo:
    base_url = f"{url or server.url}/v1"
    return ModelInfo.model_validate(
        {
            "model_id": "openai:m",
            "provider": {"name": "openai", "base_url": base_url},
            "api_key": KEY,
            **fields,
        }
    )


def questions(info: ModelInfo, *texts: str) -> list[Call]:
    strand = Strand(TrialContext())
    return [Call.place(Request(info, (Message("user", t),)), strand, "0", "") for t in texts]


def one_by_one(
    info: ModelInfo, *texts: str, between: Callable[[], Awaitable[None]] | None = None
) -> list[str]:
    """Ask one after the other; an error stands as its text."""

    async def main() -> list[str]:
        provider, found = OpenAI(info), []
        try:
            for call in questions(info, *texts):
                try:
                    found.append((await provider.complete(call)).text)
                except ProviderError as error:
                    found.append(str(error))
                if between is not None:
                    await between()
            return found
        finally:
            await provider.close()

    return asyncio.run(main())


def echo(asked: Asked) -> bytes:
    """Return the answer that repeats the question."""
    return response(Answer(asked.prompt).body(asked))


async def repeat(asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Answer with the question, and keep the connection."""
    writer.write(echo(asked))
    await writer.drain()
    return True
