"""`ember-bench what-if`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single

pytestmark = pytest.mark.slow

MODELS = ("counted:a", "counted:b", "counted:c")


@pytest.fixture
def ran(command: Command, here: Workspace) -> Workspace:
    here.sums(40)
    for name in MODELS:
        here.model(name)
    here.grid(architectures=[single(name, label=name[-1]) for name in MODELS])
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    return here


def test_usual_combinations_are_shown_without_a_request(command: Command, ran: Workspace) -> None:
    before = counted.requests().total()
    result = command("what-if", "trip")
    assert result.status == 0
    for kind in ("vote: a; b; c", "weighted: a; b; c", "oracle: a; b; c", "cascade: a; b > c"):
        assert f"\n{kind}  " in result.out
    assert "Oracle: looks at the target" in " ".join(result.out.split())
    assert counted.requests().total() == before


def test_a_combination_is_named(command: Command, ran: Workspace) -> None:
    options = ("--try", "cascade: a; b > c", "--agreement", "1")
    shown = command("what-if", "trip", *options, "--json").json
    (row,) = shown["rows"]
    assert (row["items"], row["missing"]["trials"], row["optimistic"]) == (40, 0, None)
    assert row["members"] == [f"sums/single(model={name})" for name in MODELS]


def test_it_fits_80_columns(
    command: Command, ran: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = command("what-if", "trip")
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--try", "vot: a; b"), "did you mean 'vote'"),
        (("--try", "a; b"), "combinations are vote: A; B; C"),
        (("--try", "vote: a; d"), "unknown system 'd'"),
        (("--try", "vote: a"), "at least two systems"),
        (("--try", "cascade: a; b"), "is not of the form cascade: A > B"),
        (("--try", "router: a; b"), "takes items with categories"),
        (("--agreement", "2"), "--agreement must be over 0"),
        (("--within", "-1"), "--within must be between 0 and 100"),
    ],
)
def test_bad_input_exits_with_2(
    command: Command, ran: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    result = command("what-if", "trip", *arguments)
    assert (result.status, said in result.err) == (2, True), result.err
