"""How a program is read out of a model's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.answers.formats import parse_answer

F = "def f(x):\n    return x"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (F, F),
        (f"\n\n{F}\n\n", F),
        (f"Answer: {F}", F),
        (f"**Answer:**\n{F}", F),
        (f"```python\n{F}\n```", F),
        (f"```\n{F}\n```", F),
        (f"```py\r\n{F}\r\n```\r\n".replace("\n    ", "\r\n    "), F),
        (f"Sure!\n\n~~~python\n{F}\n~~~\nThat is all.", F),
        (f"First try:\n```python\ndef f(): pass\n```\nNo:\n```python\n{F}\n```", F),
        (f"```python\n{F}\n```\nUse it so:\n```python\nprint(f(1))\n```", F),
        (f"```bash\npip install x\n```\n```python\n{F}\n```", F),
        (f"```python\n{F}", F),  # the model was cut off
        (f"````python\n{F}\n```\n````", f"{F}\n```"),
        ("    return x\n", "    return x"),
        ("```python\n    return x\n```", "    return x"),
        ("import math", "import math"),
        ("f = lambda x: x", "f = lambda x: x"),
    ],
)
def test_the_program_is_found(text: str, program: str) -> None:
    assert parse_answer(text, "python") == program


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "I do not know.",
        "import your data first, then sort it.",
        "class is a hard word. Define it.",
        "from here on it is easy",
        "```json\n{}\n```",
        "```python\n\n```",
        "Answer:",
    ],
)
def test_where_there_is_none_nothing_is_guessed(text: str) -> None:
    assert parse_answer(text, "python") is None


@given(st.text(alphabet="`~pyth on\n\tdef(x):=1#\"'\r", max_size=80))
def test_a_program_that_was_read_reads_as_itself_or_as_none(text: str) -> None:
    program = parse_answer(text, "python")
    if program is not None and "```" not in program and "~~~" not in program:
        fenced = f"```python\n{program}\n```"
        assert parse_answer(fenced, "python") == program


@given(st.text(max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    program = parse_answer(text, "python")
    assert program is None or program.strip()


def test_a_long_text_is_read_at_once() -> None:
    for text in (
        "`" * 200_000,
        " " * 200_000 + "x",
        "```\n" * 50_000,
        "a" * 200_000,
        "\n" * 200_000,
    ):
        parse_answer(text, "python")
