"""A langgraph graph of one node that asks langchain's ChatOpenAI, over a batch of questions."""

from __future__ import annotations

from typing import TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph

from benchmarks.peers.measured import Job, questions, serve_coroutines


class State(TypedDict, total=False):
    question: str
    answer: str


async def ask_all(job: Job) -> int:
    model = ChatOpenAI(model="bench", base_url=job.base_url, api_key="none", temperature=0.7)

    async def ask(state: State) -> State:
        message = await model.ainvoke(state["question"])
        return {"answer": str(message.content)}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    states = await graph.compile().abatch(
        [{"question": question} for question, _ in questions(job.items)],
        config={"max_concurrency": job.concurrency},
    )
    return sum(bool(state["answer"]) for state in states)


def main() -> None:
    serve_coroutines(ask_all, ["langgraph", "langchain-openai", "openai"])


if __name__ == "__main__":
    main()
