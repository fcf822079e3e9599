"""`ember-bench models check` says what the cards' prices are worth today."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli.conftest import Command
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

MINE = {
    "name": "openai:o3-2025-04-16",
    "cost": {
        "input_cost_per_million": 10,
        "cached_input_cost_per_million": 0.5,
        "output_cost_per_million": 40,
    },
    "price_source": "last year's invoice",
    "price_date": "2025-06-01",
}


def row(out: str, name: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith(f"{name} ")]
    return line


def test_a_drifted_price_is_shown_beside_the_lists_with_status_1(
    command: Command, here: Workspace
) -> None:
    here.write("registry/models/mine.yaml", MINE)
    result = command("models", "check")
    assert result.status == 1
    line = row(result.out, "openai:o3-2025-04-16")
    assert "drifted" in line
    assert "10 [2]" in line
    assert "40 [8]" in line
    assert "2025-06-01" in line
    assert not result.err


def test_prices_as_they_are_listed_end_with_status_0(command: Command, here: Workspace) -> None:
    prices = {
        "input_cost_per_million": 2,
        "cached_input_cost_per_million": 0.5,
        "output_cost_per_million": 8,
    }
    here.write("registry/models/mine.yaml", MINE | {"cost": prices})
    result = command("models", "check", "--json")
    (mine,) = [m for m in result.json["models"] if m["model"] == "openai:o3-2025-04-16"]
    assert (mine["status"], mine["drifted"]) == ("same", [])
    # The built-in cards' own prices may have drifted since, which is what the command is for.
    others = [m for m in result.json["models"] if m["status"] == "drifted"]
    assert result.status == (1 if others else 0)


def test_json_says_how_old_a_price_is_and_what_the_list_has(
    command: Command, here: Workspace
) -> None:
    here.write("registry/models/mine.yaml", MINE)
    result = command("models", "check", "--json")
    assert result.json["price_list"].startswith("genai-prices ")
    (mine,) = [m for m in result.json["models"] if m["model"] == "openai:o3-2025-04-16"]
    assert mine["price_date"] == "2025-06-01"
    assert mine["age_days"] > 500
    assert mine["drifted"] == ["input", "output", "cache_write", "cache_write_1h"]
    written = {"cache_write": 10.0, "cache_write_1h": 10.0}
    assert mine["card"] == {"input": 10.0, "cached_input": 0.5, "output": 40.0} | written
    written = {"cache_write": 2.0, "cache_write_1h": 2.0}
    listed = {"input": 2.0, "cached_input": 0.5, "output": 8.0} | written
    assert mine["listed"]["prices"] == listed


def test_cards_that_cannot_be_compared_are_named(command: Command, here: Workspace) -> None:
    here.write("registry/models/new.yaml", {"name": "openai:gpt-4o-mine", "cost": MINE["cost"]})
    here.write(
        "registry/models/own.yaml",
        {"name": "openai:own", "provider": {"name": "openai", "base_url": "http://127.0.0.1:1/v1"}},
    )
    out = command("models", "check").out
    assert "not on the list" in row(out, "openai:gpt-4o-mine")
    assert "a server of one's own" in row(out, "openai:own")


def test_what_is_announced_and_what_long_prompts_cost_is_said(
    command: Command, here: Workspace
) -> None:
    out = command("models", "check").out
    assert re.search(r"^- openai:\S+ when a prompt has over [\d,]+ tokens: input \d", out, re.M)


def test_a_hostile_name_cannot_draw_on_the_terminal(command: Command, here: Workspace) -> None:
    here.write("registry/models/evil.yaml", 'name: "openai:x\\e[2J\\e]8;;http://evil\\a\\u202e"\n')
    out = command("models", "check").out
    assert "openai:x\\x1b[2J" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_a_wrong_card_is_bad_input(command: Command, here: Workspace) -> None:
    here.write("registry/models/bad.yaml", "name: openai:x\ncost: cheap\n")
    result = command("models", "check")
    assert result.status == 2
    assert "registry/models/bad.yaml:2:1: cost" in result.err


def test_the_price_list_is_asked_offline(
    command: Command, here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("no network is to be used")

    monkeypatch.setattr(socket.socket, "connect", refused)
    assert command("models", "check").out


def test_help_does_not_load_the_price_list() -> None:
    program = (
        "import sys; from ember_bench.cli import main\n"
        "try: main(['models', 'check', '--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "price list" in ran.stdout
    assert "genai_prices" not in ran.stderr.split()
