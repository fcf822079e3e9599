"""Networks as models, as OpenAI's SDK sees them."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from ember_bench.errors import ConfigError
from ember_bench.graph import NoNGraphData
from ember_bench.models.budget import Budget
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.operators import Function
from ember_bench.registry import Cards, default_roots
from ember_bench.serving.networks import Network, find_networks
from ember_bench.serving.openai_api import Access, OpenAIServer
from tests.support import counted
from tests.support.asgi import serving
from tests.support.workspace import Workspace, single, vote

ASK = [{"role": "user", "content": "3 + 4 = ?"}]
# A call of the provider `counted` has 10 tokens in and 20 out, at a dollar per 1,000.
CALL_USD = 0.03


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(counted.LOG, str(tmp_path / "requests.log"))
    made = Workspace(tmp_path)
    made.model("counted:a", right=0.6)
    made.model("counted:b", refuses=True)
    return made


Client = Callable[..., openai.OpenAI]


@pytest.fixture
def client(here: Workspace) -> Iterator[Client]:
    """Start a server of networks; return a client of it."""
    with ExitStack() as stack:

        def start(*names: str, key: str | None = None, **options: Any) -> openai.OpenAI:
            values = options.pop("values", {"model": "counted:a"})
            url = stack.enter_context(served(*names, values=values, key=key, **options))
            made = openai.OpenAI(base_url=f"{url}/v1", api_key=key or "any", max_retries=0)
            return stack.enter_context(made)

        yield start


@contextmanager
def served(
    *names: str,
    values: dict[str, Any],
    key: str | None = None,
    results: Path | None = None,
    budget: Budget | None = None,
    in_flight: int = 1000,
    own_sampling: bool = False,
    told: Callable[[str], None] = lambda _: None,
    more: tuple[Network, ...] = (),
) -> Iterator[str]:
    cards = Cards(default_roots())
    registry = ModelRegistry.from_cards(cards)
    plain, storing = ModelService(registry, budget=budget), None
    if results is not None:
        storing = ModelService(registry, store=ResponseStore(results / "responses.db"))
    networks = [*find_networks(names, values, plain, cards), *more]
    server = OpenAIServer(
        networks, Access(key, in_flight), plain, storing, own_sampling=own_sampling, told=told
    )
    with serving(server.app()) as url:
        yield url


def function(name: str, answer: Callable[..., Any]) -> Network:
    """Return a network that asks no model: a function that returns its final answer."""

    async def final(**inputs: Any) -> dict[str, Any]:
        found = answer(**inputs)
        return {"final_answer": await found if inspect.isawaitable(found) else found}

    graph = NoNGraphData()
    graph.add_node(name="answer", operator=Function(final))
    return Network(name, "", graph, ModelService(ModelRegistry()))


def requests() -> int:
    return sum(counted.requests().values())


def test_the_usage_sums_the_calls_and_says_their_cost(client: Client) -> None:
    asked = client("vote", values={"model": "counted:a", "k": 5})
    found = asked.chat.completions.create(
        model="vote", messages=ASK, extra_body={"ember_bench": {"answer_format": "number"}}
    )
    assert found.choices[0].message.content in ("7", "8")
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (50, 100)
    assert found.usage.model_extra == {
        "cost": pytest.approx(5 * CALL_USD), "calls": 5, "stored_calls": 0
    }  # fmt: skip
    assert requests() == 5


def test_n_answers_have_draws_of_their_own(client: Client) -> None:
    asked = client("single")
    found = asked.chat.completions.create(model="single", messages=ASK, n=20)
    texts = {choice.message.content for choice in found.choices}
    assert texts == {"Answer: 7", "Answer: 8"}
    assert [choice.index for choice in found.choices] == list(range(20))
    assert found.usage is not None
    assert found.usage.total_tokens == 20 * 30


def test_a_stream_has_the_same_text_and_ends_with_the_usage(client: Client) -> None:
    asked = client("single")
    whole = asked.chat.completions.create(model="single", messages=ASK)
    chunks = list(
        asked.chat.completions.create(
            model="single", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 30
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_responses_are_answered_whole_and_as_a_stream(client: Client) -> None:
    asked = client("single")
    whole = asked.responses.create(model="single", input="3 + 4 = ?", instructions="Add.")
    assert whole.status == "completed"
    assert whole.output_text in ("Answer: 7", "Answer: 8")
    assert whole.usage is not None
    assert whole.usage.total_tokens == 30
    with asked.responses.stream(model="single", input="3 + 4 = ?", instructions="Add.") as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == whole.output_text
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_turns_before_the_question_reach_the_models(client: Client) -> None:
    seen = []

    def answer(query: str, turns: Any = (), **_: Any) -> str:
        seen.append([(turn.role, turn.content) for turn in turns])
        return query

    asked = client(more=(function("echo", answer),), values={})
    messages: Any = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    found = asked.chat.completions.create(model="echo", messages=messages)
    assert found.choices[0].message.content == "d"
    assert seen == [[("system", "Be short."), ("user", "a\nb"), ("assistant", "c")]]


def test_an_answer_ends_before_a_stop_text(client: Client) -> None:
    network = function("long", lambda query, **_: "one\n\nQ: two")
    found = client(more=(network,), values={}).chat.completions.create(
        model="long", messages=ASK, stop=["Q:", "\n\n"]
    )
    assert found.choices[0].message.content == "one"


SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "sum",
        "schema": {
            "type": "object",
            "properties": {"sum": {"type": "integer"}},
            "required": ["sum"],
        },
    },
}


def test_a_structured_answer_is_the_json_that_follows_the_schema(client: Client) -> None:
    asked_for = []

    def answer(query: str, **_: Any) -> str:
        asked_for.append(query)
        return 'Here it is:\n```json\n{"sum": 7}\n```'

    asked = client(more=(function("json", answer),), values={})
    found = asked.chat.completions.create(model="json", messages=ASK, response_format=SCHEMA)
    assert json.loads(found.choices[0].message.content or "") == {"sum": 7}
    assert '"required": ["sum"]' in asked_for[0]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("seven", "the network's answer is no JSON"),
        ('{"sum": "7"}', "does not follow the schema: '7' is not of type 'integer'"),
    ],
)
def test_an_answer_that_does_not_follow_the_schema_is_an_error(
    client: Client, said: str, error: str
) -> None:
    asked = client(more=(function("json", lambda query, **_: said),), values={})
    with pytest.raises(openai.InternalServerError, match=error):
        asked.chat.completions.create(model="json", messages=ASK, response_format=SCHEMA)


def test_models_are_listed_and_other_addresses_are_unknown(client: Client) -> None:
    asked = client("single", "vote")
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(POST /v1/completions\)"):
        asked.completions.create(model="vote", prompt="3 + 4 = ?")
    assert [model.id for model in asked.models.list()] == ["single", "vote"]
    assert asked.models.retrieve("vote").owned_by == "ember-bench"


@pytest.mark.parametrize(
    ("fields", "kind", "error"),
    [
        ({"model": "singel"}, openai.NotFoundError, "`singel` does not exist; did you mean"),
        ({"messages": []}, openai.BadRequestError, "expected a list of messages"),
        ({"n": 0}, openai.BadRequestError, "n: expected 1 to 128, found 0"),
        ({"tools": [{"type": "function"}]}, openai.BadRequestError, "'tools' is not supported"),
        (
            {"extra_body": {"temprature": 1}},
            openai.BadRequestError,
            "Unrecognized request argument supplied: temprature; did you mean 'temperature'",
        ),
        (
            {"extra_body": {"ember_bench": {"answer_format": "nummer"}}},
            openai.BadRequestError,
            "unknown answer format 'nummer'; did you mean 'number'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            openai.BadRequestError,
            "messages.0.content: only text is supported, found 'image_url'",
        ),
        ({"store": True}, openai.BadRequestError, "this server keeps no answers"),
    ],
)
def test_wrong_requests_are_refused_as_the_real_api_does(
    client: Client, fields: dict[str, Any], kind: type[openai.APIStatusError], error: str
) -> None:
    asked = client("single")
    with pytest.raises(kind, match=error):
        asked.chat.completions.create(**{"model": "single", "messages": ASK, **fields})
    assert requests() == 0


def test_a_model_that_does_not_answer_is_an_error_of_the_server(client: Client) -> None:
    asked = client("single", values={"model": "counted:b"})
    with pytest.raises(openai.InternalServerError, match="it never answers") as caught:
        asked.chat.completions.create(model="single", messages=ASK)
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_reached_budget_is_said_as_an_exhausted_quota(client: Client, here: Workspace) -> None:
    here.edit("registry/models/counted-a.yaml", "name:", "context_tokens: 200\nname:")
    asked = client("single", budget=Budget(0.1))
    with pytest.raises(openai.RateLimitError, match="more than the budget") as caught:
        asked.chat.completions.create(model="single", messages=ASK)
    assert caught.value.code == "insufficient_quota"


def test_the_key_is_asked_for(client: Client) -> None:
    asked = client("single", key="right")
    assert asked.models.list().data
    wrong = asked.with_options(api_key="wrong")
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
        wrong.chat.completions.create(model="single", messages=ASK)
    assert requests() == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example", "Content-Type": "application/json"}, 403),
        ({"Host": "evil.example:8000", "Content-Type": "application/json"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "localhost:8000", "Content-Type": "application/json"}, 200),
        ({"Host": "[::1]:8000", "Content-Type": "application/json"}, 200),
    ],
)
def test_pages_of_elsewhere_cannot_ask(
    here: Workspace, headers: dict[str, str], status: int
) -> None:
    with served("single", values={"model": "counted:a"}) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        body = json.dumps({"model": "single", "messages": ASK})
        connection.request("POST", "/v1/chat/completions", body, headers)
        assert connection.getresponse().status == status
        connection.close()


def test_more_requests_than_are_answered_at_once_are_told_to_come_again(client: Client) -> None:
    release = asyncio.Event()
    loops = []

    async def slow(query: str, **_: Any) -> str:
        loops.append(asyncio.get_running_loop())
        await release.wait()
        return "done"

    asked = client(more=(function("slow", slow),), values={}, in_flight=1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(asked.chat.completions.create, model="slow", messages=ASK)
        while not loops:
            pass
        with pytest.raises(openai.RateLimitError, match="1 requests are under way") as caught:
            asked.chat.completions.create(model="slow", messages=ASK)
        assert caught.value.response.headers["retry-after"] == "1"
        loops[0].call_soon_threadsafe(release.set)
        assert first.result().choices[0].message.content == "done"


def test_a_client_that_goes_away_ends_the_work(client: Client) -> None:
    ended: list[str] = []

    async def slow(query: str, **_: Any) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "too late"

    asked = client(more=(function("slow", slow),), values={})
    with pytest.raises(openai.APITimeoutError):
        asked.chat.completions.create(model="slow", messages=ASK, timeout=0.3)
    for _ in range(1000):
        if ended:
            break
        asked.models.list()
    assert ended == ["cancelled"]


def test_a_study_s_cell_answers_its_items_as_its_trials_do_for_no_more_money(
    client: Client, here: Workspace
) -> None:
    here.sums(10)
    here.grid(architectures=[single(), vote([3])], name="trip")
    here.run()
    made = requests()
    asked = client("grid.yaml/vote", values={}, results=here.root / "results")
    questions = here.experiment().questions["sums"].items
    right = 0
    for item in questions:
        found = asked.chat.completions.create(
            model="grid.yaml/vote", messages=[{"role": "user", "content": item.question}]
        )
        right += found.choices[0].message.content == item.target
        assert found.usage is not None
        assert (found.usage.model_extra or {})["stored_calls"] == 3
    assert requests() == made
    cells = {cell.name: cell for cell in here.run().summary.cells}
    accuracy = cells["sums/vote(model=counted:a, k=3)"].accuracy
    assert accuracy is not None
    assert right / len(questions) == accuracy.value


def test_calls_are_kept_unless_a_request_does_not_want_it(client: Client, here: Workspace) -> None:
    asked = client("single", results=here.root / "kept")
    for _ in range(2):
        asked.chat.completions.create(model="single", messages=ASK)
    assert requests() == 1
    asked.chat.completions.create(model="single", messages=ASK, store=False)
    assert requests() == 2


@pytest.mark.parametrize(
    ("names", "values", "error"),
    [
        (["vot"], {}, "unknown architecture 'vot'; did you mean 'vote'"),
        (["vote"], {}, "vote: missing parameter 'model' .*give it with --set"),
        (["vote"], {"model": "counted:a", "kk": 3}, "--set kk: unknown parameter"),
        (["vote"], {"modle": "counted:a"}, "--set modle: unknown parameter; did you mean 'model'"),
        (["quickstart"], {}, "quickstart is a study: name one of its systems"),
        (["vote"], {"model": "counted:c"}, "unknown model 'counted:c'"),
        (["grid.yaml/vote of 4"], {}, "unknown cell 'vote of 4'; did you mean 'vote of 3'"),
        (["gird/vote of 3"], {}, "unknown grid 'gird'"),
    ],
)
def test_networks_that_are_not_there_are_named(
    here: Workspace, names: list[str], values: dict[str, Any], error: str
) -> None:
    here.sums(3)
    here.grid(architectures=[{**vote([3]), "label": "vote of {k}"}])
    cards = Cards(default_roots())
    service = ModelService(ModelRegistry.from_cards(cards))
    with pytest.raises(ConfigError, match=error):
        find_networks(names, values, service, cards)
