"""Requests and tokens per minute, in one process and in several."""

from __future__ import annotations

import math
import os
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models import ModelInfo, ProviderInfo
from ember_bench.models.limits.shared import SharedBucket, shared_path


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.zero = 0.0

    def __call__(self) -> float:
        return self.now

    def bucket(self, per_minute: float, path: Path | None = None) -> SharedBucket:
        return SharedBucket(per_minute, path, clock=self, zero=lambda: self.zero)


def sent_at(clock: Clock, buckets: list[SharedBucket], amounts: list[float]) -> list[float]:
    """Take the amounts in turn from the buckets, waiting as told; return when each was used."""
    times = []
    for number, amount in enumerate(amounts):
        clock.now += buckets[number % len(buckets)].take(amount)
        times.append(clock.now)
    return times


def most_in_a_minute(times: list[float], amounts: list[float]) -> float:
    return max(
        sum(a for t, a in zip(times, amounts, strict=True) if start <= t < start + 60 - 1e-6)
        for start in times
    )


class TestBucket:
    @given(st.integers(1, 3000))
    def test_no_minute_has_more_requests_than_allowed(self, per_minute: int) -> None:
        clock = Clock()
        ones = [1.0] * min(3 * per_minute, 400)
        times = sent_at(clock, [clock.bucket(per_minute)], ones)
        assert most_in_a_minute(times, ones) <= per_minute

    @pytest.mark.parametrize("per_minute", [1, 10, 60, 600, 5000])
    def test_what_is_allowed_is_had(self, per_minute: int) -> None:
        clock = Clock()
        ones = [1.0] * (3 * per_minute)
        times = sent_at(clock, [clock.bucket(per_minute)], ones)
        assert len(times) / (times[-1] - times[0] + 60 / per_minute) >= 0.98 * per_minute / 60

    @given(st.lists(st.floats(1, 40_000), min_size=2, max_size=60))
    def test_tokens_exceed_it_by_no_more_than_one_request(self, amounts: list[float]) -> None:
        clock = Clock()
        times = sent_at(clock, [clock.bucket(40_000)], amounts)
        assert most_in_a_minute(times, amounts) <= 40_000 + max(amounts) + 1

    def test_what_can_never_be_had_waits_for_a_whole_minutes_worth(self) -> None:
        bucket = Clock().bucket(600)
        assert bucket.take(1_000_000) <= 60

    def test_what_was_not_used_is_given_back(self) -> None:
        clock = Clock()
        bucket = clock.bucket(6000)
        bucket.take(5000)
        full = bucket.take(0)
        bucket.settle(5000, 100)
        assert full > 40
        assert bucket.take(0) == 0

    def test_what_was_used_beyond_it_is_taken(self) -> None:
        bucket = Clock().bucket(6000)
        bucket.take(100)
        bucket.settle(100, 3000)
        assert bucket.take(1) == pytest.approx(29, abs=2)

    def test_giving_back_more_than_there_is_room_for_saves_nothing_up(self) -> None:
        clock = Clock()
        bucket = clock.bucket(600)
        bucket.take(500)
        clock.now += 3600
        bucket.settle(500, 0)
        waits = [bucket.take(1) for _ in range(12)]
        assert waits[9] == 0
        assert waits[11] > 0


class TestSharedFile:
    def test_two_processes_share_one_limit(self, tmp_path: Path) -> None:
        clock = Clock()
        buckets = [clock.bucket(600, tmp_path / "b") for _ in range(2)]
        ones = [1.0] * 900
        assert most_in_a_minute(sent_at(clock, buckets, ones), ones) <= 600

    @pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 16, b"0" * 1000])
    def test_a_file_that_is_none_of_ours_counts_as_empty(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "b"
        path.write_bytes(content)
        wait = Clock().bucket(600, path).take(1)
        assert wait == 0
        assert math.isfinite(wait)

    @pytest.mark.parametrize("full_at", [1e300, math.inf, math.nan, 5e5])
    def test_a_time_that_nobody_can_have_written_counts_as_empty(
        self, tmp_path: Path, full_at: float
    ) -> None:
        clock = Clock()
        clock.bucket(6, tmp_path / "b").take(6)
        (tmp_path / "b").write_bytes(struct.pack("<dd", full_at, clock.zero))
        assert clock.bucket(6, tmp_path / "b").take(1) == 0

    def test_a_restart_of_the_machine_makes_it_void(self, tmp_path: Path) -> None:
        clock = Clock()
        clock.bucket(6, tmp_path / "b").take(6)
        clock.now, clock.zero = 5.0, 5000.0
        assert clock.bucket(6, tmp_path / "b").take(1) == 0

    def test_where_it_cannot_be_written_the_process_counts_alone_and_says_so(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        bucket = Clock().bucket(60, tmp_path / "missing" / "b")
        assert bucket.take(1) == 0
        assert bucket.take(1) > 0
        assert "each process for itself" in caplog.text
        assert len(caplog.records) == 1

    def test_processes_that_take_at_the_same_time_lose_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "b"
        program = (
            "import sys; from pathlib import Path\n"
            "from ember_bench.models.limits.shared import SharedBucket\n"
            "bucket = SharedBucket(6000, Path(sys.argv[1]))\n"
            "for _ in range(1000): bucket.take(1)\n"
        )
        command = [sys.executable, "-c", program, str(path)]
        processes = [subprocess.Popen(command) for _ in range(3)]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        # 3,000 at 100 a second take 30 s; what passed since then is no more than this test took.
        left = SharedBucket(6000, path).take(1)
        assert 0 < left <= 31

    def test_a_process_that_was_killed_leaves_a_usable_file(self, tmp_path: Path) -> None:
        path = tmp_path / "b"
        program = (
            "import sys; from pathlib import Path\n"
            "from ember_bench.models.limits.shared import SharedBucket\n"
            "bucket = SharedBucket(60_000_000, Path(sys.argv[1]))\n"
            "while True: bucket.take(1)\n"
        )
        process = subprocess.Popen([sys.executable, "-c", program, str(path)])
        deadline = time.monotonic() + 30
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert SharedBucket(60_000_000, path).take(1) < 60


class TestPath:
    @pytest.fixture(autouse=True)
    def _state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EMBER_BENCH_STATE", str(tmp_path / "state"))

    def test_is_one_for_each_model_and_key(self) -> None:
        def path(name: str, key: str | None) -> Path | None:
            return shared_path(ModelInfo.model_validate({"model_id": name, "api_key": key}), "r")

        assert path("a:b", "k1") == path("a:b", "k1")
        assert (
            len({path("a:b", "k1"), path("a:b", "k2"), path("a:c", "k1"), path("a:b", None)}) == 4
        )

    def test_the_key_in_the_environment_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = ModelInfo(model_id="openai:m")
        monkeypatch.setenv("OPENAI_API_KEY", "one")
        before = shared_path(model, "r")
        monkeypatch.setenv("OPENAI_API_KEY", "other")
        assert shared_path(model, "r") != before

    def test_nothing_of_the_key_stands_in_it(self, tmp_path: Path) -> None:
        provider = ProviderInfo.model_validate({"name": "openai", "default_api_key": "sk-secret"})
        path = shared_path(ModelInfo(model_id="openai:gpt", provider=provider), "requests")
        assert path is not None
        assert "secret" not in str(path)
        assert "gpt" not in path.name
        SharedBucket(60, path).take(1)
        assert b"secret" not in path.read_bytes()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    def test_without_a_folder_it_is_none_and_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("EMBER_BENCH_STATE", str(tmp_path / "file" / "state"))
        assert shared_path(ModelInfo(model_id="a:b"), "r") is None
        assert "each process for itself" in caplog.text
