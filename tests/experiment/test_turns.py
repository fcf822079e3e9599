"""Cells whose models' servers have too few GPUs to run all at once have their turns."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ember_bench.experiment.turns import Servers, Turn, fits, turns_of

ROOM = st.lists(st.integers(1, 4), min_size=1, max_size=3)
SIZES = st.fixed_dictionaries({name: st.integers(1, 3) for name in "abcde"})
GROUPS = st.lists(st.frozensets(st.sampled_from("abcde"), max_size=3), max_size=6)


def groups(*names: str) -> list[Servers]:
    return [frozenset(name) for name in names]


def ones(names: str) -> dict[str, int]:
    return dict.fromkeys(names, 1)


def starts(turns: list[Turn]) -> list[str]:
    """Return the servers that are started, in order."""
    found: list[str] = []
    for before, turn in itertools.pairwise([Turn(frozenset(), frozenset()), *turns]):
        found += sorted(turn.running - before.running)
    return found


def test_all_run_at_once_where_there_are_gpus_enough() -> None:
    (turn,) = turns_of(groups("a", "b", "ab", ""), ones("ab"), [2])
    assert turn.groups == set(groups("a", "b", "ab", ""))
    assert turn.running == {"a", "b"}


def test_models_share_one_gpu_in_turn() -> None:
    turns = turns_of(groups("a", "b", "c", "a", ""), ones("abc"), [1])
    assert starts(turns) == ["a", "b", "c"]
    assert all(len(turn.running) == 1 for turn in turns)


def test_a_judge_that_all_need_goes_on() -> None:
    turns = turns_of(groups("aj", "bj", "cj"), ones("abcj"), [2])
    assert starts(turns) == ["a", "j", "b", "c"]


def test_an_order_is_found_in_which_each_is_started_once() -> None:
    turns = turns_of(groups("bc", "ab", "cd"), ones("abcd"), [2])
    assert sorted(starts(turns)) == ["a", "b", "c", "d"]


def test_it_begins_with_what_runs() -> None:
    turns = turns_of(groups("a", "b"), ones("ab"), [1], frozenset("b"))
    assert [turn.running for turn in turns] == groups("b", "a")


def test_a_server_is_on_one_machine() -> None:
    assert not fits("a", {"a": 2}, [1, 1])
    assert fits("abc", {"a": 1, "b": 2, "c": 1}, [2, 2])


@given(GROUPS, SIZES, ROOM)
def test_no_turn_takes_more_than_there_is_and_each_group_has_one(
    wanted: list[Servers], sizes: dict[str, int], room: list[int]
) -> None:
    wanted = [group for group in wanted if fits(group, sizes, room)]
    turns = turns_of(wanted, sizes, room)
    assert sorted(map(sorted, itertools.chain(*(turn.groups for turn in turns)))) == sorted(
        map(sorted, set(wanted))
    )
    for turn in turns:
        assert fits(turn.running, sizes, room)
        assert all(group <= turn.running for group in turn.groups)


@given(GROUPS, ROOM)
def test_servers_that_are_alone_in_their_groups_are_started_once(
    wanted: list[Servers], room: list[int]
) -> None:
    alone = [group for group in wanted if len(group) == 1]
    started = starts(turns_of(alone, ones("abcde"), room))
    assert len(started) == len(set(started))
