"""Stand-ins: what is made of them is known, what looks into them is seen."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import EmberBenchError
from ember_bench.graph.jitting.stand_ins import NeedsInput, Tokens, Untraceable
from ember_bench.operators.plan import Ref, resolve, show


@pytest.fixture(params=[False, True], ids=["plain", "bait"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    return Tokens(frozenset(["question"]), bait=request.param)


class TestMade:
    """What is made of stand-ins gives, with the values in their place, what it gives of these."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda a, v: a,
            lambda a, v: f"{a}",
            lambda a, v: f"<{a}|{v}>",
            lambda a, v: f"{a:>10}{a!r}{v['k']!s:.2}",
            lambda a, v: "%s and %s" % (a, v["k"]),  # noqa: UP031
            lambda a, v: "%s" % a,  # noqa: UP031
            lambda a, v: "{} {x}".format(a, x=v["k"]),
            lambda a, v: "\n".join([a, "b", a]),
            lambda a, v: "\n".join(f"{i}. {x}" for i, x in enumerate([a, a])),
            lambda a, v: a.join(["x", "y"]),
            lambda a, v: a + "x" + a,
            lambda a, v: "x" + a,
            lambda a, v: a * 2 + "-" * 3,
            lambda a, v: a[0] + a[1:3] + a[-1],
            lambda a, v: a.strip().upper().replace("R", "xx").title(),
            lambda a, v: a.partition("e"),
            lambda a, v: a.split("e"),
            lambda a, v: a.split("e")[0],
            lambda a, v: a.startswith("r"),
            lambda a, v: a == "red",
            lambda a, v: [a != "red", a < "s", a.isalpha(), a.count("e")],
            lambda a, v: v["k"],
            lambda a, v: v["n"] + 1,
            lambda a, v: 10 - v["n"] * 2,
            lambda a, v: -v["n"] / 2,
            lambda a, v: v["list"][0][1],
            lambda a, v: v["list"] + ["x"],
            lambda a, v: v.get("k", 0),
            lambda a, v: v["k"].upper(),
            lambda a, v: v["n"].real,
            lambda a, v: {"x": [a, (v["k"], {"y": f"{a}{a}"})], "z": 1},
            lambda a, v: "x".replace("x", a),
            lambda a, v: copy.copy(a) + copy.deepcopy([a])[0],
            lambda a, v: str(a) + str(v["k"]),
        ],
    )
    def test_deferred(self, tokens: Tokens, make: Callable[[Any, Any], Any]) -> None:
        values = {"a": "red", "v": {"k": "key", "n": 7, "list": [[1, 2]]}}
        symbol = tokens.symbolic(make(tokens.text(Ref("a")), tokens.value(Ref("v"))))
        found, expected = resolve(symbol, values), make(values["a"], values["v"])
        assert found == expected
        assert type(found) is type(expected)

    @given(pieces=st.lists(st.none() | st.text(max_size=5), max_size=6), bait=st.booleans())
    def test_any_text_around_them(self, pieces: list[str | None], bait: bool) -> None:
        tokens = Tokens(bait=bait)
        traced = [tokens.text(Ref(f"{i}")) if p is None else p for i, p in enumerate(pieces)]
        values = {f"{i}": f"({i})" for i in range(len(pieces))}
        expected = "".join(f"({i})" if p is None else p for i, p in enumerate(pieces))
        assert resolve(tokens.symbolic("".join(traced)), values) == expected

    def test_it_can_be_shown(self, tokens: Tokens) -> None:
        a, v = tokens.text(Ref("a")), tokens.value(Ref("v"))
        made = [f"so {a}", v["x"].strip(), a.split("\n")[0], v.field + 1]
        assert show(tokens.symbolic(made)) == (
            "['so {a}', v['x'].strip(), a.split('\\n')[0], v.field + 1]"
        )


class TestLookedInto:
    @pytest.mark.parametrize(
        "look",
        [
            bool,
            len,
            list,
            int,
            float,
            hash,
            lambda a: "x" in a,
            lambda a: a in ["x"],
            lambda a: a in {"x"},
            lambda a: {a: 1},
            lambda a: {"x": 1}[a],
            lambda a: 1 if a == "x" else 2,
            lambda a: 1 if a > "x" else 2,
            lambda a: [*a],
            lambda a: sorted([a, "x"]),
            lambda a: max(a, "x"),
            lambda a: range(a.count("x")),
            json.loads,
            pickle.dumps,
        ],
    )
    def test_a_text(self, tokens: Tokens, look: Callable[[Any], Any]) -> None:
        with pytest.raises((Untraceable, json.JSONDecodeError)):
            look(tokens.text(Ref("answer")))

    @pytest.mark.parametrize(
        "look",
        [
            bool,
            len,
            list,
            dict,
            int,
            hash,
            lambda v: isinstance(v, dict),
            lambda v: {**v},
            lambda v: "x" in v,
            lambda v: [x + 1 for x in v["list"]],
            lambda v: 1 if v["n"] > 3 else 2,
            lambda v: range(v["n"]),
            lambda v: [1, 2][v["n"]],
            lambda v: operator.setitem(v, "x", 1),
            lambda v: operator.delitem(v, "x"),
            lambda v: setattr(v, "x", 1),
            lambda v: v["list"].append(1),
            lambda v: v.update(x=1),
            lambda v: v.pop("x"),
            pickle.dumps,
        ],
    )
    def test_a_value(self, tokens: Tokens, look: Callable[[Any], Any]) -> None:
        with pytest.raises(Untraceable):
            look(tokens.value(Ref("output")))

    def test_an_input_is_named(self, tokens: Tokens) -> None:
        question = tokens.text(Ref("question"))
        with pytest.raises(NeedsInput) as caught:
            bool(question.strip() == "x")
        assert caught.value.names == {"question"}
        with pytest.raises(Untraceable):
            len(question + tokens.text(Ref("answer")))

    @pytest.mark.parametrize(
        "change",
        [
            str.upper,
            str.lower,
            str.swapcase,
            lambda text: text[3:],
            lambda text: text[:-3],
            lambda text: text[::-1],
            json.dumps,
            lambda text: text.replace("<", ""),
            lambda text: text.encode("ascii", "ignore").decode(),
            lambda text: text.encode("unicode_escape").decode(),
            lambda text: re.sub(r"\d", "", text),
            lambda text: "".join(c for c in text if unicodedata.category(c) != "Co"),
        ],
    )
    def test_a_text_made_of_one_that_was_cut_or_changed_is_refused(
        self, tokens: Tokens, change: Callable[[str], str]
    ) -> None:
        text = str.__add__("", f"{tokens.text(Ref('answer'))}-{tokens.text(Ref('b'))}")
        with pytest.raises(Untraceable, match="cut or changed"):
            tokens.symbolic(change(text))

    def test_stripping_shows_in_one_of_two_traces(self) -> None:
        baited, plain = Tokens(bait=True), Tokens()
        assert plain.symbolic(f" {plain.text(Ref('a'))} ".strip()) == Ref("a")
        with pytest.raises(Untraceable):
            baited.symbolic(f" {baited.text(Ref('a'))} ".strip())

    def test_objects_that_hold_one_are_refused(self, tokens: Tokens) -> None:
        @dataclass
        class Box:
            content: Any

        for content in (
            tokens.text(Ref("a")),
            tokens.value(Ref("v")),
            [f"<{tokens.text(Ref('a'))}>"],
        ):
            with pytest.raises(Untraceable, match="stands where"):
                tokens.symbolic({"x": Box(content)})
        with pytest.raises(Untraceable, match="stands where"):
            tokens.symbolic({f"<{tokens.text(Ref('a'))}>": 1})
        box = Box("plain")
        assert tokens.symbolic(box) is box

    def test_one_of_another_trace_is_refused(self, tokens: Tokens) -> None:
        with pytest.raises(Untraceable, match="another trace"):
            Tokens().symbolic(tokens.text(Ref("a")))

    def test_after_the_trace_they_are_good_for_nothing(self, tokens: Tokens) -> None:
        text = tokens.text(Ref("a"))
        tokens.close()
        for use in (len, lambda t: t + "x", lambda t: t.upper(), repr):
            with pytest.raises(EmberBenchError, match="used after the trace"):
                use(text)

    def test_who_keeps_one_is_seen(self, tokens: Tokens) -> None:
        kept = [tokens.text(Ref("a"))]
        assert tokens.any_left()
        kept.clear()
        assert not tokens.any_left()
