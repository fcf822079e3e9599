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
        (
            "def f(x):\n    return x\n\nif __name__ == '__main__':\n    print(f(1))",
            "def f(x):\n    return x\n\nif __name__ == '__main__':\n    print(f(1))",
        ),
        (
            (
                "Sure! Here is it:\n\nimport os\n\ndef f():\n    return os.name\n\n"
                "In this function we do it.\n- it works"
            ),
            "import os\n\ndef f():\n    return os.name",
        ),
        ("<answer>\n```python\ndef f():\n    return 1\n```\n</answer>", "def f():\n    return 1"),
        (
            (
                "[PYTHON]\n```python\ndef f():\n    return 1\n```\n[/PYTHON]\n[TESTS]\n"
                "assert f() == 1\n[/TESTS]"
            ),
            "def f():\n    return 1",
        ),
        (
            "```python\ndef f():\n    return 1\n\ndef test_f():\n    assert f()==1\n```",
            "def f():\n    return 1\n\ndef test_f():\n    assert f()==1",
        ),
        ("~~~\ndef f():\n    return 1\n~~~", "def f():\n    return 1"),
        (
            (
                "```python\ndef f():\n    return g()\n```\n and\n```python\ndef g():\n"
                "    return 1\n```"
            ),
            "def f():\n    return g()\n\ndef g():\n    return 1",
        ),
        (
            (
                "```python\nfrom typing import List\n```\n```python\ndef f(x: List[int]):\n"
                "    return 1\n```\nOutput:\n```\n1\n```"
            ),
            "from typing import List\n\ndef f(x: List[int]):\n    return 1",
        ),
        (
            (
                "1. First\n   ```python\n   def f():\n       return 1\n   ```\n2. Then\n"
                "   ```python\n   print(f())\n   ```"
            ),
            "def f():\n    return 1",
        ),
        (
            "    return x + 1\n\ndef other():\n    pass",
            "    return x + 1\n\ndef other():\n    pass",
        ),
        (
            "```python\ndef f(s):\n    '''\n    ```\n    x\n    ```\n    '''\n    return s\n```",
            "def f(s):\n    '''\n    ```\n    x\n    ```\n    '''\n    return s",
        ),
        (f"[BEGIN]\n{F}\n[DONE]\nNext: [BEGIN", F),
        (f"{F}\n[DONE]\n\nWrite another one.", F),
        (f"Here it is: ```python\n{F}\n```\nIt works.", F),
        (f"<code>\n{F}\n</code>", F),
        (
            (
                f"```python\n{F}\n```\nTests:\n```python\nclass TestF(T):\n"
                f"    def test(self): f(1)\n```"
            ),
            F,
        ),
        (f"```python\n{F}<|endoftext|>", F),
        (f"It works so:\n\n{F}\n\nThe function returns what it is given.", F),
        (f"> ```python\n> {F.replace(chr(10), chr(10) + '> ')}\n> ```", F),
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
