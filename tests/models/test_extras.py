"""Headers and fields of bodies with variables of the environment in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ember_bench import secrets
from ember_bench.errors import ConfigError
from ember_bench.models import ModelInfo
from ember_bench.models.extras import expanded, expanded_headers, merged, variables, with_headers
from ember_bench.operators.lm import LMModuleConfig

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab$ {}", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("abc", max_size=2), JSON, max_size=3)


class TestVariables:
    def test_are_replaced_at_any_depth_and_kept_out_of_texts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_TOKEN", "token-of-mine-1234")
        given = {"a": ["Bearer ${MY_TOKEN}", {"b": "${MY_TOKEN}"}], "c": 1, "d": "$MY_TOKEN"}
        sent = {
            "a": ["Bearer token-of-mine-1234", {"b": "token-of-mine-1234"}],
            "c": 1,
            "d": "$MY_TOKEN",
        }
        assert expanded(given) == sent
        assert "token-of-mine" not in secrets.without_secrets("refused: token-of-mine-1234")
        assert [*variables(given)] == ["MY_TOKEN", "MY_TOKEN"]

    @given(JSON)
    def test_that_nothing_names_leave_data_as_they_are(self, data: object) -> None:
        assert expanded(data) == data

    def test_that_are_not_set_are_a_mistake(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MISSING", raising=False)
        with pytest.raises(ConfigError, match="MISSING is not set in the environment"):
            expanded({"a": "${MISSING}"})

    def test_cannot_end_a_header(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EVIL", "1\r\nX-Other: 2")
        with pytest.raises(ConfigError, match="X-A has characters that no header can have"):
            expanded_headers({"X-A": "${EVIL}"})


class TestMerging:
    @given(OBJECTS, OBJECTS)
    def test_has_all_of_both_and_the_second_where_both_say_something(
        self, first: dict[str, object], second: dict[str, object]
    ) -> None:
        found = merged(first, second)
        assert found.keys() == first.keys() | second.keys()
        assert merged(found, second) == found
        assert merged(first, {}) == first

    def test_goes_into_objects(self) -> None:
        assert merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}

    def test_of_headers_knows_no_case(self) -> None:
        found = with_headers({"Authorization": "a", "X-B": "b"}, {"authorization": "c"})
        assert found == {"X-B": "b", "authorization": "c"}


class TestMistakes:
    @pytest.mark.parametrize(
        ("headers", "message"),
        [
            ({"a b": "1"}, "no name of a header"),
            ({"X-A": "1\n2"}, "no line of printable characters"),
            ({"Content-Length": "1"}, "written by ember-bench itself"),
            ({"host": "other"}, "written by ember-bench itself"),
            ({"Authorization": "Bearer abc"}, "looks like a secret"),
            ({"X-Api-Key": "abc"}, "looks like a secret"),
        ],
    )
    def test_in_headers_are_found_on_cards_and_in_parameters(
        self, headers: dict[str, str], message: str
    ) -> None:
        with pytest.raises(ValidationError, match=message):
            ModelInfo(model_id="openai:m", headers=headers)
        with pytest.raises(ValidationError, match=message):
            LMModuleConfig(model_name="openai:m", headers=headers)

    @pytest.mark.parametrize(
        "body",
        [
            {"model": "other"},
            {"stream": True},
            {"n": 5},
            {"max_tokens": 10**6},
            {"generationConfig": {"maxOutputTokens": 10**6}},
            {"generation_config": {"candidate_count": 2}},
        ],
    )
    def test_no_field_of_a_body_goes_around_budgets_and_identities(
        self, body: dict[str, object]
    ) -> None:
        with pytest.raises(ValidationError, match="is not for it"):
            ModelInfo(model_id="openai:m", extra_body=body)
        with pytest.raises(ValidationError, match="is not for it"):
            LMModuleConfig(model_name="openai:m", extra_body=body)

    def test_a_secret_is_named_by_its_variable(self) -> None:
        headers = {"Authorization": "Bearer ${MY_TOKEN}"}
        assert ModelInfo(model_id="openai:m", headers=headers).headers == headers
        assert LMModuleConfig(model_name="openai:m", headers=headers).headers == headers


def test_identity_has_the_name_of_a_variable_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = ModelInfo(model_id="openai:m")
    prints = set()
    for value in ("first-secret-value", "second-secret-value"):
        monkeypatch.setenv("MY_TOKEN", value)
        card = ModelInfo(model_id="openai:m", headers={"X-Team": "${MY_TOKEN}"})
        prints.add(card.fingerprint)
        assert value not in repr(card) + card.model_dump_json()
    assert len(prints) == 1
    assert plain.fingerprint not in prints
