"""Runnables of LangChain and graphs of LangGraph on our models."""

from __future__ import annotations

import asyncio
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from ember_bench import Dataset, MemoryStore, Study, architecture
from ember_bench.errors import ConfigError, SignatureError
from ember_bench.models.call import Call
from ember_bench.models.types import Completion, ToolCall, Usage
from ember_bench.operators.lm import LMModule
from ember_bench.programs import RunnableProgram, langchain_model
from ember_bench.running.open_study import open_study
from tests.support.models import in_trial, module, scripted, serve, telling
from tests.support.workspace import run

pytestmark = pytest.mark.extra


class Drafts(TypedDict):
    query: str
    drafts: Annotated[list[str], operator.add]
    answer: str


def draft_and_join(model: Any) -> Any:
    """Three drafts at the same time, of synchronous and asynchronous nodes, and their join."""

    def draft(state: Drafts) -> Any:
        return {"drafts": [model.invoke(state["query"]).content]}

    async def adraft(state: Drafts) -> Any:
        return {"drafts": [(await model.ainvoke(state["query"])).content]}

    builder = StateGraph(Drafts)
    builder.add_node("a", draft)
    builder.add_node("b", adraft)
    builder.add_node("c", draft)
    builder.add_node("join", lambda state: {"answer": "+".join(sorted(state["drafts"]))})
    for name in "abc":
        builder.add_edge(START, name)
        builder.add_edge(name, "join")
    builder.add_edge("join", END)
    return builder.compile()


def lm_of(model: Any, **options: Any) -> LMModule:
    return module(serve(model, **options), model)


def test_a_graph_makes_its_calls_in_its_trial() -> None:
    program = RunnableProgram(draft_and_join, lm_of(telling(), store=MemoryStore()))
    output, strand = in_trial(lambda: program(query="q"))
    made = sorted(call.key.hex() for call in strand.trial.calls)
    assert output["final_answer"] == "+".join(made)
    assert len(set(made)) == 3
    again, replayed = in_trial(lambda: program(query="q"))
    assert again["final_answer"] == output["final_answer"]
    assert all(call.stored for call in replayed.trial.calls)


def test_a_chain_takes_the_fields_that_its_prompt_names() -> None:
    async def echo(call: Call) -> str:
        return call.request.messages[-1].content

    lm = lm_of(scripted(echo))
    prompt = ChatPromptTemplate.from_template("{question} in {language}")
    program = RunnableProgram(prompt | langchain_model(lm))
    output = program(query="Say hi", metadata={"language": "Latin"})
    assert output["final_answer"] == "Say hi in Latin"
    with pytest.raises(SignatureError, match="missing input 'language', 'question'"):
        program(query="Say hi")


def test_an_agent_with_tools_is_a_conversation_of_messages() -> None:
    @tool
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    async def answer(call: Call) -> Completion:
        last = call.request.messages[-1]
        if last.role == "tool":
            return Completion(f"It is {last.content}.", Usage(1, 1))
        assert [t.name for t in call.request.tools] == ["double"]
        wish = ToolCall("call-1", "double", '{"number": 21}')
        return Completion("", Usage(1, 1), "tool_calls", tool_calls=(wish,))

    def make(model: Any) -> Any:
        bound = model.bind_tools([double])
        builder = StateGraph(MessagesState)
        builder.add_node("model", lambda state: {"messages": [bound.invoke(state["messages"])]})
        builder.add_node("tools", ToolNode([double]))
        builder.add_edge(START, "model")
        builder.add_conditional_edges("model", tools_condition)
        builder.add_edge("tools", "model")
        return builder.compile()

    output, strand = in_trial(
        lambda: RunnableProgram(make, lm_of(scripted(answer)))(query="21 doubled?")
    )
    assert output["final_answer"] == "It is 42."
    assert len(strand.trial.calls) == 2


def test_graphs_are_architectures_of_a_study(tmp_path: Path) -> None:
    async def answer(call: Call) -> str:
        return call.request.messages[-1].content.removeprefix("say ")

    model, other = scripted(answer), scripted(answer)
    service = serve(model, other)

    def make(name: str) -> RunnableProgram:
        def one(chat: Any) -> Any:
            builder = StateGraph(MessagesState)
            builder.add_node("m", lambda state: {"messages": [chat.invoke(state["messages"])]})
            builder.add_edge(START, "m")
            return builder.compile()

        return RunnableProgram(one, module(service, service.registry.get(name)))

    chain = ChatPromptTemplate.from_template("{query}") | langchain_model(module(service, model))

    async def coroutine(query: str) -> str:
        lm = module(service, model)
        first, _ = await asyncio.gather(lm.acall(query), lm.acall(query))
        return first

    rows = [{"question": f"say {n}", "answer": str(n)} for n in range(8)]
    dataset = Dataset.from_records(
        rows, name="says", question="question", target="answer", evaluator="exact_match"
    )
    study = Study(
        name="graphs",
        datasets=[dataset],
        architectures={
            "swept": architecture(make, name=[model.model_id, other.model_id]),
            "chain": chain,
            "coroutine": coroutine,
        },
    )
    ran = run(open_study(study, {}, service), tmp_path)
    accuracies = [cell.accuracy for cell in ran.summary.cells]
    assert [a is not None and a.value for a in accuracies] == [1.0] * 4
    assert ran.summary.run.calls_made + ran.summary.run.calls_shared == 8 * 5


def test_the_model_counts_its_tokens_and_answers_coroutines() -> None:
    chat = langchain_model(lm_of(telling()))
    messages = [chat.invoke("q"), asyncio.run(chat.ainvoke([HumanMessage("q")]))]
    assert messages[0].content != messages[1].content
    assert messages[0].usage_metadata["total_tokens"] == 5


def test_its_identity_is_its_structure_and_the_code_of_its_nodes() -> None:
    lm = lm_of(telling())
    described = RunnableProgram(draft_and_join, lm).describe()
    assert described == RunnableProgram(draft_and_join, lm).describe()
    assert "test_langgraph.py" in str(described)
    chains = [
        RunnableProgram(ChatPromptTemplate.from_template(text) | langchain_model(lm)).describe()
        for text in ("Hi {query}", "Hello {query}")
    ]
    assert chains[0] != chains[1]


def test_a_model_of_langchain_is_refused_as_it_would_ask_past_the_service() -> None:
    from langchain_core.language_models import FakeListChatModel

    other = FakeListChatModel(responses=["x"])

    def node(state: Any) -> Any:
        return {"messages": [other.invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("m", node)
    builder.add_edge(START, "m")
    with pytest.raises(ConfigError, match=r"asks a model by itself \(FakeListChatModel\)"):
        RunnableProgram(builder.compile())


def test_what_is_no_runnable_is_refused() -> None:
    lm = lm_of(telling())
    with pytest.raises(ConfigError, match="expected a Runnable or a function that makes one"):
        RunnableProgram(lambda model: 7, lm)
    with pytest.raises(TypeError, match="expected a function"):
        RunnableProgram(7, lm)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="has no model"):
        RunnableProgram(ChatPromptTemplate.from_template("{query}"))
    several = lambda model: model | (lambda message: {"one": message, "two": message})  # noqa: E731
    with pytest.raises(ConfigError, match="say which of them is the answer"):
        RunnableProgram(several, lm)(query="q")
