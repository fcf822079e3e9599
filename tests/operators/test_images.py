"""Images among the inputs are shown to every model that is asked about them."""

from __future__ import annotations

import pytest

from ember_bench.errors import SignatureError
from ember_bench.models.call import Call
from ember_bench.models.media import Image
from ember_bench.models.types import Message
from ember_bench.operators import EnsembleOperator
from tests.operators.networks import every_operator, items_of, jittering, maker
from tests.support.models import module, scripted, serve

IMAGE = Image("image/png", "https://example.com/a.png")
MODEL = jittering(0)
NAMES = list(every_operator(maker(serve(MODEL), MODEL)))


@pytest.mark.parametrize("name", NAMES)
def test_every_call_of_every_operator_has_them(name: str) -> None:
    asked: list[Call] = []

    async def note(call: Call) -> str:
        asked.append(call)
        return "Answer: 7"

    model = scripted(note)
    network = every_operator(maker(serve(model), model))[name]
    network({**items_of(name), "images": [IMAGE]})
    for call in asked:
        users = [m for m in call.request.messages if m.role == "user"]
        assert users[0].images == (IMAGE,)


def test_they_stand_behind_the_turns_before_the_question() -> None:
    asked: list[Call] = []

    async def note(call: Call) -> str:
        asked.append(call)
        return ""

    model = scripted(note)
    ensemble = EnsembleOperator(lm_modules=[module(serve(model), model)])
    ensemble(query="What is it?", images=[IMAGE], turns=[Message("system", "Be brief.")])
    (call,) = asked
    assert call.request.messages == (
        Message("system", "Be brief."),
        Message("user", "What is it?", (IMAGE,)),
    )


@pytest.mark.parametrize("images", ["a.png", ["a.png"], [b"GIF8"]])
def test_paths_are_refused_before_anything_is_asked(images: object) -> None:
    async def fail(call: Call) -> str:
        raise AssertionError(call)

    model = scripted(fail)
    ensemble = EnsembleOperator(lm_modules=[module(serve(model), model)])
    with pytest.raises(SignatureError, match=r"images: expected a list of Image, .*Image\.read"):
        ensemble(query="What is it?", images=images)
