"""The benchmarks that are programs of their own, each once and tiny."""

from __future__ import annotations

import sys

import pytest

from benchmarks import jit, limits, mlflow_log, recorded

pytestmark = pytest.mark.slow


def test_jit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(jit, "CALLS", 3)
    monkeypatch.setattr(sys, "argv", ["jit", "--repeats", "1"])
    jit.main()
    assert "3 calls written as a plain loop" in capsys.readouterr().out


def test_limits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import openai  # noqa: F401 - takes a second or more, in which nothing would be asked

    words = "--rate 20 --bucket --latency 0.01 --callers 5 --warm-up 0 --seconds 2"
    monkeypatch.setattr(sys, "argv", ["limits", *words.split()])
    limits.main()
    assert "of the rate reached" in capsys.readouterr().out


@pytest.mark.slow
def test_mlflow_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mlflow_log", "--cells", "1", "--items", "2"])
    mlflow_log.main()
    assert capsys.readouterr().out.count("logging") == 3


def test_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    recorded.main(["--models", "2", "--items", "3"])
    printed = capsys.readouterr().out
    assert "run, votes of ten, 60 calls" in printed
    assert "export --what choices" in printed
