"""Programs that ask through OpenAI's client, at an address of this machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from openai import APIStatusError, AsyncOpenAI, OpenAI

from ember_bench import Dataset, MemoryStore, Study, architecture
from ember_bench.errors import EmberBenchError, ProviderError, StoreError
from ember_bench.models.call import Call
from ember_bench.models.types import Completion, ToolCall, Usage
from ember_bench.programs import ClientProgram
from tests.support.models import in_trial, module, scripted, serve, telling

AGENT = """\
import os, sys
from urllib.request import Request, urlopen
import json
messages = [{"role": "user", "content": sys.stdin.read()}]
body = {"model": os.environ["OPENAI_MODEL"], "messages": messages}
request = Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json.dumps(body).encode())
print(json.load(urlopen(request))["choices"][0]["message"]["content"])
"""


def asked(client: OpenAI, model: str, text: str, **options: Any) -> Any:
    messages: list[Any] = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, **options)


def twice(query: str, client: OpenAI, model: str) -> str:
    texts = [asked(client, model, query).choices[0].message.content for _ in range(2)]
    return " ".join(texts)


def test_its_calls_are_those_of_its_trial() -> None:
    model = telling(cost={"input_cost_per_thousand": 1.0, "output_cost_per_thousand": 1.0})
    service = serve(model, store=MemoryStore())
    program = ClientProgram(twice, module(service, model))
    output, strand = in_trial(lambda: program(query="q"))
    made = [call.key.hex() for call in strand.trial.calls]
    assert output["final_answer"] == " ".join(made)
    assert len(set(made)) == 2  # draws of one request
    assert sum(call.spend_usd for call in strand.trial.calls) == pytest.approx(0.01)
    again, replayed = in_trial(lambda: program(query="q"))
    assert again == output
    assert all(call.stored for call in replayed.trial.calls)


def test_a_coroutine_function_and_a_mapping_are_fine_too() -> None:
    async def program(query: str, base_url: str, api_key: str, model: str) -> Mapping[str, Any]:
        async with AsyncOpenAI(base_url=base_url, api_key=api_key) as client:
            calls = [
                client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": f"{query} {n}"}]
                )
                for n in range(3)
            ]
            texts = [c.choices[0].message.content for c in await asyncio.gather(*calls)]
        return {"final_answer": texts[0], "others": texts[1:]}

    model = telling()
    output, strand = in_trial(
        lambda: ClientProgram(program, module(serve(model), model))(query="q")
    )
    assert len(strand.trial.calls) == 3
    assert len({output["final_answer"], *output["others"]}) == 3


def test_a_command_asks_at_the_address_in_its_environment(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(AGENT)
    model = telling()
    program = ClientProgram(
        [sys.executable, str(tmp_path / "agent.py")], module(serve(model), model)
    )
    output, strand = in_trial(lambda: program(query="q"))
    assert output["final_answer"] == strand.trial.calls[0].key.hex()
    before = program.describe()
    (tmp_path / "agent.py").write_text(AGENT + "\n")
    assert program.describe() != before  # its file is part of its identity


def test_a_command_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    model = telling()
    broken = ClientProgram(
        [sys.executable, "-c", "raise SystemExit('no luck')"], module(serve(model), model)
    )
    with pytest.raises(EmberBenchError, match="ended with status 1: no luck"):
        broken(query="q")
    absent = ClientProgram(["no-such-program"], module(serve(model), model))
    with pytest.raises(EmberBenchError, match="no-such-program: cannot be run: No such file"):
        absent(query="q")
    slow = ClientProgram(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        module(serve(model), model),
        timeout_seconds=0.2,
    )
    with pytest.raises(EmberBenchError, match="without an answer"):
        slow(query="q")


def test_tools_streams_and_several_choices_are_as_the_api_has_them() -> None:
    async def answer(call: Call) -> Completion:
        if call.request.tools:
            return Completion("", Usage(1, 1), "tool_calls", tool_calls=(ToolCall("c", "f", "{}"),))
        return Completion(f"draw {call.draw_text}", Usage(1, 2))

    model = scripted(answer)

    def program(query: str, client: OpenAI, model: str) -> str:
        tool: Any = {
            "type": "function",
            "function": {"name": "f", "parameters": {"type": "object"}},
        }
        called = asked(client, model, query, tools=[tool]).choices[0]
        assert called.message.tool_calls[0].function.name == "f"
        choices = asked(client, model, query, n=2).choices
        events = asked(client, model, query, stream=True, stream_options={"include_usage": True})
        parts = list(events)
        assert parts[-1].usage.completion_tokens == 2
        text = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
        return " ".join([*(choice.message.content for choice in choices), text])

    output, _ = in_trial(lambda: ClientProgram(program, module(serve(model), model))(query="q"))
    assert output["final_answer"] == "draw 0 draw 1 draw 2"


def test_an_error_of_a_model_is_the_error_of_its_client_and_is_asked_once() -> None:
    calls: list[Call] = []

    async def refuse(call: Call) -> str:
        calls.append(call)
        raise ProviderError("overloaded", status=503)

    model = scripted(refuse)

    def program(query: str, client: OpenAI, model: str) -> str:
        with pytest.raises(APIStatusError, match="overloaded") as caught:
            asked(client, model, query)
        return str(caught.value.status_code)

    assert ClientProgram(program, module(serve(model), model))(query="q")["final_answer"] == "503"
    assert len(calls) == 1


def test_a_model_that_is_not_its_own_is_refused_with_those_that_are() -> None:
    model = telling()

    def program(query: str, client: OpenAI) -> str:
        with pytest.raises(APIStatusError, match="is not one of the program's LM modules"):
            asked(client, "gpt-4o", query)
        return ", ".join(found.id for found in client.models.list())

    output = ClientProgram(program, module(serve(model), model))(query="q")
    assert output["final_answer"] == model.model_id


def test_a_store_that_fails_ends_the_trial_whatever_the_program_makes_of_it() -> None:
    class Broken(MemoryStore):
        async def put(self, *_: Any, **__: Any) -> Any:
            raise StoreError("disk full")

    model = telling()
    service = serve(model, store=Broken())

    def program(query: str, client: OpenAI, model: str) -> str:
        with suppress(APIStatusError):
            asked(client, model, query)
        return "fine"

    with pytest.raises(StoreError, match="disk full"):
        ClientProgram(program, module(service, model))(query="q")


def test_its_address_ends_with_it() -> None:
    kept: list[str] = []

    def program(query: str, base_url: str) -> str:
        kept.append(base_url)
        return "x"

    model = telling()
    ClientProgram(program, module(serve(model), model))(query="q")
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{kept[0]}/chat/completions", b"{}")
    assert caught.value.code == 410
    assert b"has ended" in caught.value.read()


def test_many_trials_ask_at_the_same_time(tmp_path: Path) -> None:
    def program(query: str, client: OpenAI, model: str) -> str:
        return str(asked(client, model, query).choices[0].message.content)

    asked_all, calls = asyncio.Event(), list[Call]()

    async def answer(call: Call) -> str:
        # Nobody is answered before the last of twenty has asked.
        calls.append(call)
        if len(calls) == 20:
            asked_all.set()
        await asyncio.wait_for(asked_all.wait(), 60)
        return call.request.messages[-1].content.removeprefix("say ")

    model = scripted(answer)
    service = serve(model)
    rows = [{"question": f"say {n}", "answer": str(n)} for n in range(20)]
    dataset = Dataset.from_records(
        rows, name="says", question="question", target="answer", evaluator="exact_match"
    )
    lm = module(service, model)
    study = Study(
        name="clients",
        datasets=[dataset],
        architectures={"mine": architecture(lambda: ClientProgram(program, lm))},
    )
    from ember_bench.running.open_study import open_study
    from tests.support.workspace import run

    ran = run(open_study(study, {}, service), tmp_path)
    assert ran.cell.accuracy is not None
    assert ran.cell.accuracy.value == 1.0
    assert ran.summary.run.calls_made == 20


@pytest.mark.parametrize(
    ("program", "modules", "message"),
    [
        (twice, [], "ClientProgram needs LM modules"),
        ("twice", None, "expected a function"),
        ([], None, "expected a function"),
    ],
)
def test_what_is_no_program_is_refused(program: Any, modules: Any, message: str) -> None:
    model = telling()
    with pytest.raises((TypeError, ValueError), match=message):
        ClientProgram(program, module(serve(model), model) if modules is None else modules)


def test_a_missing_input_is_an_error_before_any_call() -> None:
    def program(question: str, passage: str, client: OpenAI) -> str:
        return ""

    model = telling()
    with pytest.raises(ValueError, match="missing input 'question', 'passage'"):
        ClientProgram(program, module(serve(model), model))(query="q")
