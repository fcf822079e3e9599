r"""Reads a list of integers out of a text.

The integers stand sorted: `103 x 101` is `101,103`. Powers count as repeated factors (`2^3` is
`2,2,2`). Bare commas separate (`101,103`) unless the list has another separator too: then
`1,009 x 1,013` has thousands. A list with anything else in it (`1/2, 3`, `[0, 9)`, `1, ..., 9`)
is no list of integers.
"""

from __future__ import annotations

import re
from typing import Final

from ember_bench.answers.claims import Claim
from ember_bench.answers.decimals import MAX_DIGITS
from ember_bench.answers.endings import unfinished
from ember_bench.answers.notation import plain
from ember_bench.answers.statements import IGNORED, Ignored, Parsed, Reading, final_statement
from ember_bench.models.types import CutOff

MAX_INTEGERS: Final = 256

_POWER: Final = r"[0-9]++(?:\s?\^\s?(?:\{[0-9]{1,2}\}|[0-9]{1,2}))?"
_SEPARATOR: Final = (
    r"(?:[\s,;\u00d7*\u00b7&$()\[\]{}]|x(?=[\s(]?-?[0-9])"
    r"|(?<![^\W_])(?:and|und|et|y|e|\u0438)(?![^\W_])|\u548c|\u3068|\uc640|\uacfc|\u0648)"
)
_LIST = re.compile(rf"(?:-\s?)?{_POWER}(?:{_SEPARATOR}++-?{_POWER})*+", re.IGNORECASE)
_ENTRY = re.compile(r"(-?)\s?([0-9]++)(?:\s?\^\s?\{?([0-9]{1,2})\}?)?")
_GROUPED = re.compile(r"(?<![0-9,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?!,?[0-9])")
_OTHER_SEPARATOR = re.compile(r"[0-9]\s*(?:,\s|[^\W\d_]|[;\u00d7*\u00b7&$\s()\[\]{}])")
_EDGE: Final = 40

# What a list is part of, if it stands directly before or behind.
_BEFORE = re.compile(
    r"(?:[\w.^\\/!\u221a\u03c0%]|\w[-+]|[-+/^\u00b1\u00f7<>\u2264\u2265\u221a~]\s?|\.\.\.?,?\s?|\bor\s|[0-9]\sto\s|[0-9]:"
    r"|(?:[0-9)\]}!%\u03c0]|(?<![^\W_])[A-Za-z]|[0-9][A-Za-z]{1,3})\s?[,;]\s?)[(\[{]*$",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"[)\]}$]*+(?:[^\s\w.,;:?\-()\[\]{}\"'`*$=<>\u2014]|[A-Za-z_0-9\u0370-\u03ff]|[.,:/-][0-9]|\s?[-+/^\u00f7\u00b1~](?!\s[^\W\d_]{2})"
    r"|\s?[,;]?\s?(?:\.\.|\u2026)|\s?[,;]?\s?or\b\s*-?[0-9]|\s?[<>\u2264\u2265!^](?!-))",
    re.IGNORECASE,
)
_OPERAND = re.compile(r"[0-9)\]}]\s*$")
_OPENING = re.compile(r"[(\[{]*$")
_CLOSING = re.compile(r"[)\]}]*")
_ASSIGNED = re.compile(r"(?<![\w\\])[A-Za-z](?:_\{?\w\}?)?\s?=\s?(?=[-(\[{$]*[0-9])")
_BOXES = re.compile(
    r"\\boxed\{[^{}]{1,100}\}(?:(?:[\s,;$.&]|\band\b){1,12}\\boxed\{[^{}]{1,100}\})+"
)
_BOX = re.compile(r"\\boxed\{([^{}]*)\}")
_BULLETED = re.compile(r"(?:^[ \t]*[-*\u2022][ \t]+-?[0-9]+[ \t]*$\n?){2,}", re.MULTILINE)
_BULLET = re.compile(r"[-*\u2022][ \t]+(-?[0-9]+)")
_REASON = re.compile(
    r"\s\((?=[^()\n]*[A-Za-z=])|(?<![^\W_])(?:because|since|as|where|given|so|which|for)(?![^\W_])"
    r"|\.(?=\s|$)|\u56e0\u4e3a",
    re.IGNORECASE,
)
_EDGES: Final = " \t\r\n$\"'`"


def parse_integers(text: str) -> Parsed:
    """Return the integers that `text` gives as its answer, else those of the last line with any."""
    text = _one_line(_one_box(text))
    statement = final_statement(text, _read_claim)
    if statement.decided:
        return Parsed(statement.answer, stated=True)
    if unfinished(text):
        return Parsed(None)
    for line in reversed(text[statement.floor :][-4 * 4096 :].splitlines()):
        if not isinstance(answer := _integers(plain(line)), Ignored):
            return Parsed(answer, stated=len(line) == len(text))
    return Parsed(None)


def read_integers(text: str) -> str | None:
    """Return the integers of the list that `text` is, wholly; None if it is anything else."""
    written = plain(text).replace("\\{", "{").replace("\\}", "}").strip(_EDGES)
    found = _LIST.search(written)
    if found is None:
        return None
    outside = written[: found.start()] + written[found.end() :]
    return _sorted(written, found) if not outside.strip("()[]{}$ ") else None


def _one_box(text: str) -> str:
    r"""Write `\boxed{1} and \boxed{2}` as one box: both are the answer."""
    if text.count("\\boxed{") < 2:
        return text
    written = _BOXES.sub(lambda boxes: f"\\boxed{{{', '.join(_BOX.findall(boxes[0]))}}}", text)
    return CutOff(written) if isinstance(text, CutOff) else written


def _one_line(text: str) -> str:
    """Write a list with a bullet before each integer on one line: the bullets are no signs."""
    if "\n" not in text or not _BULLETED.search(text):
        return text
    written = _BULLETED.sub(lambda lines: ", ".join(_BULLET.findall(lines[0])), text)
    return CutOff(written) if isinstance(text, CutOff) else written


def _read_claim(claim: Claim) -> Reading:
    fragment = plain(claim.fragment)
    first = _LIST.search(fragment)
    if first is None:
        return IGNORED
    reason = _REASON.search(fragment, first.end())
    return _integers(fragment[: reason.start()] if reason else fragment)


def _integers(text: str) -> Reading:
    """Read the last list of several integers in a plain text, else the last integer."""
    text = _ASSIGNED.sub("", text.replace("\\{", "{").replace("\\}", "}"))
    runs = list(_LIST.finditer(text))
    if not runs:
        return IGNORED
    several = [run for run in runs if len(_ENTRY.findall(run[0])) > 1]
    return _sorted(text, (several or runs)[-1])


def _sorted(text: str, found: re.Match[str]) -> str | None:
    """Return the integers of a list that is part of nothing else."""
    edge = text[max(0, found.start() - _EDGE) : found.start()]
    if _BEFORE.search(edge) or (found[0].startswith("-") and _OPERAND.search(edge)):
        return None
    if _BEHIND.match(text, found.end()) or not _brackets_pair(text, found):
        return None
    run = found[0].strip()
    if _OTHER_SEPARATOR.search(run):
        run = _GROUPED.sub(lambda match: match[0].replace(",", ""), run)
    values: list[int] = []
    for sign, digits, power in _ENTRY.findall(run):
        if len(digits) > MAX_DIGITS:
            return None
        values += [int(sign + digits)] * int(power or 1)
    if not 0 < len(values) <= MAX_INTEGERS:
        return None
    return ",".join(map(str, sorted(values)))


def _brackets_pair(text: str, found: re.Match[str]) -> bool:
    """Whether no bracket opens round and closes square, as those of an interval do."""
    opening = _OPENING.search(text[max(0, found.start() - _EDGE) : found.start()])
    closing = _CLOSING.match(text, found.end())
    run = (opening[0] if opening else "") + found[0] + (closing[0] if closing else "")
    return run.count("[") == run.count("]") and run.count("{") == run.count("}")
