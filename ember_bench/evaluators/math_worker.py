"""A process that compares mathematical expressions: a line of JSON in, a line of JSON out.

math-verify evaluates what models write: an expression such as 9^{9^{9}} takes all time and memory
there are. So it runs where it can be killed. It also sets alarms, which only a main thread can.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any, Final

_MEMORY_BYTES: Final = 4 * 2**30
_PERCENT: Final = re.compile(r"(?<!\\)%")
_MONEY: Final = re.compile(r"^\\?\$(?=\s*[-\d.])|\\\$")
_REPEATING: Final = re.compile(r"(\d*)\.(\d*)\\overline\{?(\d+)\}?")
_TEXT: Final = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox)\{([^{}]*)\}")
_COMMAND: Final = re.compile(r"\\[A-Za-z]+|\$[^$]*\$")
_PROSE: Final = re.compile(r"[A-Za-z]{2,}")
_DELIMITERS: Final = (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))


def plain(text: str) -> str:
    """Return an expression without what stands around it: math delimiters, a final full stop."""
    text = text.strip().rstrip(".").strip()
    for opening, closing in _DELIMITERS:
        inner = text[len(opening) : -len(closing)]
        if text.startswith(opening) and text.endswith(closing) and "$" not in inner:
            return inner.strip()
    return text


def written(text: str) -> str:
    """Return an expression as math-verify reads it, which it does only between dollar signs."""
    text = _MONEY.sub("", plain(text))
    text = _REPEATING.sub(_fraction, _PERCENT.sub(r"\\%", text))
    return f"${text}$"


def _fraction(found: re.Match[str]) -> str:
    r"""Return a repeating decimal as a fraction; math-verify reads 0.\overline{3} as 0."""
    whole, fixed, repeated = found.groups()
    scale = 10 ** len(fixed) * (10 ** len(repeated) - 1)
    number = int(f"{whole}{fixed}{repeated}") - int(f"{whole}{fixed}" or "0")
    return rf"\frac{{{number}}}{{{scale}}}"


def bare(text: str) -> str:
    r"""Return what is left of a text in words, such as "C" of `\text{(C)}`."""
    text = _TEXT.sub(r"\1", plain(text)).strip()
    if text.startswith("(") and text.endswith(")") and text[1:-1].strip().isalpha():
        text = text[1:-1]
    return " ".join(text.split()).casefold()


def read(text: str) -> list[Any]:
    """Return what math-verify reads: an expression and its text; an empty list if nothing."""
    from math_verify import parse  # noqa: PLC0415 - sympy takes a second to import

    forms = [text] if _is_prose(text) else [written(text), text]
    parsed: list[list[Any]] = [parse(form, parsing_timeout=0) for form in forms]
    return next(filter(None, parsed), [])


def _is_prose(text: str) -> bool:
    """Whether a text is a sentence, whose words would be read as products of letters."""
    return len(_PROSE.findall(_COMMAND.sub(" ", _TEXT.sub(" ", text)))) > 2


def compare(answer: str, targets: list[str]) -> dict[str, Any]:
    """Return whether an answer could be read, and the first target that it equals.

    Returns:
        `read`, and `equal`: an index of `targets`, or None.
    """
    from math_verify import verify  # noqa: PLC0415

    words = bare(answer)
    for index, target in enumerate(targets):
        if words and words == bare(target):
            return {"read": True, "equal": index}
    given = read(answer)
    for index, target in enumerate(targets if given else ()):
        # The order matters: the target decides in which form an answer may be.
        if verify(read(target), given, timeout_seconds=0):
            return {"read": True, "equal": index}
    return {"read": bool(given), "equal": None}


def main() -> None:
    """Compare until there is nothing more to read."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - which Windows has not

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    logging.disable(logging.CRITICAL)  # it reports each answer that it cannot read
    sys.set_int_max_str_digits(0)
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        try:
            reply = compare(**json.loads(line))
        except Exception as error:  # of the libraries, on what a model wrote
            reply = {"failed": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
