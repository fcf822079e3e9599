"""`settings.PROVIDER_api_key`: keys from the environment."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

import ember_bench


def test_a_key_is_read_when_it_is_asked_for_and_does_not_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MADE_UP_API_KEY", raising=False)
    assert ember_bench.settings.made_up_api_key is None
    monkeypatch.setenv("MADE_UP_API_KEY", "sk-made-up")
    key = ember_bench.settings.made_up_api_key
    assert key == SecretStr("sk-made-up")
    assert "made-up" not in f"{key!r} {ember_bench.settings!r}"


@pytest.mark.parametrize("name", ["openai_key", "path", "_api_key"])
def test_there_is_nothing_else(name: str) -> None:
    with pytest.raises(AttributeError, match=r"settings\.PROVIDER_api_key"):
        getattr(ember_bench.settings, name)
    assert not hasattr(ember_bench.settings, name)
