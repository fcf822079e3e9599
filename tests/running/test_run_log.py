"""The log of a run tells what its limits did."""

from __future__ import annotations

import logging
from pathlib import Path

from ember_bench.models.limits import WindowHistory
from ember_bench.running.run_log import RUN_LOG, last_limits, run_log


def test_the_last_change_of_each_model_is_found_again(tmp_path: Path) -> None:
    first, second = (WindowHistory(name, lambda: 5.0) for name in ("openai:x", "openai:y"))
    with run_log(tmp_path):
        first.add(20, None, "refused with 429")
        second.add(7, None, "no answer in time")
        logging.getLogger("ember_bench.store").warning("something else (at 5.0 s)")
        first.add(12, 8.0, "refused with 429: wait; or not")
    found = last_limits(tmp_path)
    assert found["openai:x"].startswith("refused with 429: wait; or not; window 12, pace 8/s, ")
    assert found["openai:y"].startswith("no answer in time; window 7, pace free, ")


def test_nothing_is_known_without_a_log(tmp_path: Path) -> None:
    assert last_limits(tmp_path) == {}
    (tmp_path / RUN_LOG).write_bytes(b"\xff no log\n")
    assert last_limits(tmp_path) == {}


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    with run_log(tmp_path):
        WindowHistory("openai:old", lambda: 0.0).add(1, None, "refused")
        for _ in range(1_000):
            WindowHistory("openai:x", lambda: 0.0).add(2, None, "refused " + "again " * 20)
    assert [*last_limits(tmp_path)] == ["openai:x"]
