"""Reads a Python program out of a text; nothing of it is parsed, let alone run.

Python's own parser is no help here: on text made for it, it ends the process.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ember_bench.answers.endings import own_part

# A fence behind the words that introduce it; a program has no such line.
_INLINE_FENCE = re.compile(
    r"(?<=:)[ \t]{1,4}(`{3,6}[ \t]{0,2}(?:python3?|py)[ \t]{0,9})$", re.MULTILINE | re.IGNORECASE
)
_FENCE = re.compile(
    r"^(?P<lead>[ \t>]*(?:(?:[-*+]|[0-9]{1,3}[.)])[ \t]+)?)(?P<mark>`{3,}|~{3,})[ \t]*"
    r"\{?\.?(?P<tag>[\w+.-]*)[^\n`]*$"
)
_PYTHON: Final = ("", "python", "python3", "py", "py3", "python2", "ipython", "sage")
# A line that a program may begin with, and prose does not.
_BEGINNING = re.compile(
    r"(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:\[]"
    r"|import[ \t]+[\w.]+[ \t]*(?:,|as\b|;|#|(?=\n)|\Z)"
    r"|from[ \t]+[\w.]+[ \t]+import\b|@\w|#!|raise[ \t]+\w+[ \t]*\(|\w+[ \t]*(?::[^=\n]+)?=[^=]"
    r"|[ \t]+\S"
)
# One that does so wherever in a text it stands.
_UNMISTAKABLE = re.compile(
    r"^(?:(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:\[]"
    r"|import[ \t]+[\w.]+(?:[ \t]+as[ \t]+\w+)?(?:[ \t]*,[ \t]*[\w.]+)*[ \t]*(?:[;#].*)?$"
    r"|from[ \t]+[\w.]+[ \t]+import[ \t]+[\w(*]|@\w[\w.]*(?:\(.*\))?[ \t]*$)",
    re.MULTILINE,
)
_DEFINITION = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class)[ \t]", re.MULTILINE)
_ANSWER = re.compile(r"[ \t*_#]{0,9}answer[*_]{0,4}:[*_]{0,4}[ \t]*\n?", re.IGNORECASE)
_MARKED = re.compile(
    r"^[ \t]*(?:\[(?P<square>PYTHON|CODE|BEGIN|ANSWER|SOLUTION)\]"
    r"|<(?P<angle>python|code|answer|solution)>)",
    re.MULTILINE | re.IGNORECASE,
)
_DONE = re.compile(r"^[ \t]*\[DONE\]", re.MULTILINE)
_ENDS: Final = {"begin": r"\[(?:DONE|END|/BEGIN)\]"}
# Names that a block gives to those after it.
_DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
_ASSIGNED = re.compile(r"^(\w+)[ \t]*(?::[^=\n]+)?=[^=]", re.MULTILINE)
_IMPORTED = re.compile(r"^(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(.+)$", re.MULTILINE)
_TEST = re.compile(r"test|check$|main$|demo|example|usage|run_", re.IGNORECASE)
_BODY = re.compile(r":[^\n]*\S[ \t]*$|:[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]+\S", re.MULTILINE)
# Two names in a row, which no Python has but behind a keyword or around an operator; or Markdown.
_KEYWORDS: Final = (
    "and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from"
    "|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|print|raise|return|try|type|while"
    "|with|yield"
)
_PROSE = re.compile(
    rf"(?!(?:{_KEYWORDS})\b)[A-Za-z][\w'\u2019-]*[,:;]?[ \t]+"
    r"(?!(?:and|as|else|for|if|in|is|not|or)\b)"
    r"[`*\"(]?[A-Za-z][\w'\u2019]*(?:[ \t]+[^=\s]|[.!?:`*]|$)"
    r"|[-*+][ \t]+[A-Za-z`*]|[0-9]{1,3}[.)][ \t]+[A-Za-z`*]|`{3,}|~{3,}"
)
_TRIPLE = re.compile(r'"""|\'\'\'')


class _Block(NamedTuple):
    """What stands between two fences, and whether it says that it is Python."""

    code: str
    tagged: bool


def parse_program(text: str) -> str | None:
    """Return the program in the text, or None.

    That is the last block in fences, or between marks such as `[PYTHON]`, that defines something
    other than tests, else the last one; with the earlier blocks that define what it lacks. A block
    that is tagged as another language is none. Without a block it is what begins as programs do,
    less an "Answer:" before it and the prose around it. Indentation is kept, since an answer may
    go on where the question's program stopped.
    """
    text = own_part(text, lambda _: False).replace("\r\n", "\n").replace("\r", "\n")
    text = _INLINE_FENCE.sub(r"\n\1", text)
    if (marked := _between_marks(text)) is not None and (found := _program(marked)) is not None:
        return found
    return _program(text)


def _program(text: str) -> str | None:
    whole = text.lstrip("\n")
    if marker := _ANSWER.match(whole):
        whole = whole[marker.end() :].lstrip("\n")
    if _BEGINNING.match(whole) and not _FENCE.match(whole.partition("\n")[0]):
        return _without_prose(whole).rstrip() or None
    blocks = [block for block in _blocks(text) if block.code.strip()]
    if any(_DEFINITION.search(block.code) for block in blocks):
        return _joined([block.code for block in blocks])
    if "```" not in text and "~~~" not in text and (first := _UNMISTAKABLE.search(text)):
        return _without_prose(text[first.start() :]).rstrip()
    chosen = ([block for block in blocks if block.tagged] or blocks)[-1:]
    return chosen[0].code.strip("\n").rstrip() if chosen else None


def _between_marks(text: str) -> str | None:
    """Return what stands behind the last mark of a program; None if there is none."""
    last: re.Match[str] | None = None
    for last in _MARKED.finditer(text):  # noqa: B007 - the last match is what is wanted
        pass
    if last is None:
        # The prompt has the opening mark, as MBPP's has.
        done = _DONE.search(text)
        return text[: done.start()] if done is not None else None
    name = (last["square"] or last["angle"]).lower()
    end = re.compile(_ENDS.get(name, rf"[\[<]/{name}[\]>]"), re.IGNORECASE).search(text, last.end())
    return text[last.end() : end.start() if end else len(text)]


def _joined(blocks: list[str]) -> str:
    """Return the last block that defines something, behind those that define what it lacks."""
    defining = [i for i, block in enumerate(blocks) if _DEFINITION.search(block)]
    programs = [i for i in defining if not _is_test(blocks[i])]
    last = (programs or defining)[-1]
    chosen = [blocks[last]]
    names = _names(blocks[last])
    for block in reversed(blocks[:last]):
        given = _names(block) - names
        defined = set(_DEFINED.findall(block)) - names
        used = any(re.search(rf"\b{re.escape(name)}\b", code) for name in given for code in chosen)
        if used or (defined and not _is_test(block) and _BODY.search(block)):
            chosen.insert(0, block)
            names |= given
    return "\n\n".join(block.strip("\n").rstrip() for block in chosen)


def _names(block: str) -> set[str]:
    """Return the names that a block defines, assigns or imports for those after it."""
    names = {*_DEFINED.findall(block), *_ASSIGNED.findall(block)}
    for imported in _IMPORTED.findall(block):
        for part in imported.partition("#")[0].strip("() ").split(","):
            words = part.split()
            names |= {words[-1].partition(".")[0]} if words else set()
    return names


def _is_test(block: str) -> bool:
    """Whether all that a block defines is there to try out something else."""
    names = _DEFINED.findall(block)
    return bool(names) and all(_TEST.match(name) for name in names)


def _without_prose(code: str) -> str:
    """Return unfenced code up to the first line that is prose, or a fence."""
    kept: list[str] = []
    quote = ""
    for line in code.split("\n"):
        if not quote and kept and _PROSE.match(line):
            break
        kept.append(line)
        for mark in _TRIPLE.findall(line):
            quote = mark if not quote else "" if mark == quote else quote
    return "\n".join(kept)


def _blocks(text: str) -> list[_Block]:
    """Return the blocks in fences; the last one may have no end, as where a model was cut off."""
    blocks: list[_Block] = []
    fence, lead, tag, lines = "", "", "", list[str]()
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not fence:
            if match:
                fence, lead, lines = match["mark"], match["lead"], []
                tag = match["tag"].lower()
        elif (
            match
            and match["mark"].startswith(fence)
            and not match["tag"]
            and len(match["lead"]) <= len(lead) + 3
        ):
            blocks += _block(tag, lead, lines)
            fence = ""
        else:
            lines.append(line)
    return blocks + (_block(tag, lead, lines) if fence else [])


def _block(tag: str, lead: str, lines: list[str]) -> list[_Block]:
    """Return a block of Python with the indentation of its fence taken off; none of another."""
    if tag not in _PYTHON:
        return []
    if lead:
        pattern = re.compile(rf"[ \t>]{{0,{len(lead)}}}")
        lines = [pattern.sub("", line, count=1) for line in lines]
    return [_Block("\n".join(lines), bool(tag))]
