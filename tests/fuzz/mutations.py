"""Broken documents and files: valid ones, changed where they have structure and where not.

Everything is drawn, so that what breaks something is shrunk to what is needed for it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import yaml
from hypothesis import strategies as st

Draw = Any
Path = tuple[str | int, ...]

# Stands in a document for what no dumper writes.
_RAW: Final = {
    "raw-deep-1": "[" * 55 + "]" * 55,
    "raw-deep-2": "[" * 70 + "]" * 70,
    "raw-deep-3": "{a: " * 600 + "x" + "}" * 600,
    "raw-deep-4": "[" * 5_000,
    "raw-merge": "{<<: {a: 1}, b: 2}",
    "raw-merge-list": "{<<: [{a: 1}, {b: 2}], <<: 3}",
    "raw-self": "&self [*self]",
    "raw-self-map": "&self {again: *self}",
    "raw-bomb": "&a [x, &b [y, &c [*a, *b], *c], *b]",
    "raw-missing": "*nowhere",
    "raw-tag": "!!python/object/apply:os.system ['true']",
    "raw-tag-2": "!!binary aGVsbG8=",
    "raw-tag-3": "!!set {a, b}",
    "raw-tag-4": "!unknown x",
    "raw-tag-5": "!!timestamp 2026-99-99",
    "raw-complex": "{? [a, b] : c}",
    "raw-digits": "9" * 4_400,
    "raw-octal": "0o777",
    "raw-sexagesimal": "12:30:45",
    "raw-nan": ".nan",
    "raw-inf": "-.inf",
    "raw-surrogate": '"\\ud800"',
    "raw-nul": '"\\0"',
    "raw-bidi": '"\\u202e\\u2066"',
}

_ODD: Final = [
    None, True, False, 0, 1, -1, 2, 7, 10**6, 10**9, 2**53, 2**63, 10**30, -(10**30), 10**400,
    0.0, -0.0, 0.5, 1e-320, 1e300, float("nan"), float("inf"), float("-inf"),
    "", " ", "x", "null", "yes", "1", "1e3", "x" * 5_000, "\n", "a\nb", "$", "$$", "$model", "$k",
    "{", "}", "{}", "{k}", "{k.__class__}", "{0}", "{k:>99999999}", "{model}/x", "%s",
    "../../etc/passwd", "/dev/zero", "/", ".", "~", "con", "a:b", ":", "a:", "os:system",
    "counted:a", "simulated:small", "recorded:x", "openai:gpt-4o", "sums", "vote", "single",
    "exact_match", "EnsembleOperator", "Operator", "generate", "\u0130", "\U0001f600", "e\u0301",
    "\u202e\u200b", "\x07", "\ufeff", date(2026, 1, 1), [], {}, [[]], [None], [{}], {"": None},
    [1, "x", [2]], {"name": "x"}, {"a": {"b": {"c": []}}}, list(range(300)),
    {str(i): i for i in range(300)}, *_RAW,
]  # fmt: skip

_SCRAPS: Final = [
    "\t", "\n", "\n\t", ": ", "- ", "? ", "&a ", "*a", "<<: *a\n", "!!str ", "!!int ", "|\n", ">\n",
    "---\n", "...\n", "%YAML 9.9\n---\n", "# ", "'", '"', "{", "}", "[", "]", ",", "\\", "\x00",
    "\x85", "\u2028", "\ufeff", "\x1b", "name: again\n", "0x", "@", "`", "=", "~",
]  # fmt: skip
_BYTES: Final = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xff\xfe", b"\x80"]


@st.composite
def documents(draw: Draw, valid: Sequence[Any]) -> bytes:
    """Draw one of `valid`, changed here and there, as it stands in a YAML file."""
    data = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 3))):
        data = _changed(draw, data)
    text = yaml.safe_dump(
        data,
        sort_keys=False,
        allow_unicode=draw(st.booleans()),
        default_flow_style=draw(st.sampled_from([False, False, None])),
        width=1_000_000,
    )
    for name in sorted(_RAW, key=len, reverse=True):
        text = text.replace(name, _RAW[name])
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 0, 1, 2]))):
        text = _edited(draw, text)
    return _damaged(draw, text.encode("utf-8", "surrogatepass"))


@st.composite
def records(draw: Draw, valid: Sequence[dict[str, Any]]) -> list[Any]:
    """Draw rows like `valid`, some of them changed."""
    rows: Any = copy.deepcopy(list(valid))
    for _ in range(draw(st.integers(0, 3))):
        rows = _changed(draw, rows)
    return rows if isinstance(rows, list) else [rows]


def _damaged(draw: Draw, content: bytes) -> bytes:
    """Cut `content`, or put bytes into it that no text has."""
    match draw(st.sampled_from(["whole"] * 16 + ["cut", "bytes", "zeros", "none"])):
        case "cut":
            return content[: draw(st.integers(0, len(content)))]
        case "bytes":
            at = draw(st.integers(0, len(content)))
            return content[:at] + draw(st.sampled_from(_BYTES)) + content[at:]
        case "zeros":
            return content + b"\0" * draw(st.integers(1, 100))
        case "none":
            return b""
    return content


@st.composite
def damaged(draw: Draw, content: bytes) -> bytes:
    """Draw `content` whole, cut, or with other bytes in it."""
    for _ in range(draw(st.integers(0, 2))):
        content = _damaged(draw, content)
    return content


def _edited(draw: Draw, text: str) -> str:
    """Change `text` where it has no structure: scraps of YAML, and lines twice, gone, moved."""
    lines = text.splitlines(keepends=True) or [""]
    line = draw(st.integers(0, len(lines) - 1))
    match draw(st.sampled_from(["scrap", "twice", "gone", "moved", "tab", "indent"])):
        case "scrap":
            at = draw(st.integers(0, len(text)))
            return text[:at] + draw(st.sampled_from(_SCRAPS)) + text[at:]
        case "twice":
            lines.insert(line, lines[line])
        case "gone":
            del lines[line]
        case "moved":
            lines.append(lines.pop(line))
        case "tab":
            lines[line] = "\t" + lines[line].lstrip()
        case "indent":
            lines[line] = " " * draw(st.integers(1, 9)) + lines[line]
    return "".join(lines)


def _changed(draw: Draw, data: Any) -> Any:
    """Change `data` in one place."""
    places = list(_places(data))
    at = draw(st.sampled_from(places))
    if not at:
        return draw(st.sampled_from(_ODD)) if draw(st.integers(0, 9)) == 0 else data
    holder = data
    for key in at[:-1]:
        holder = holder[key]
    key: Any = at[-1]
    kind = draw(
        st.sampled_from(["value", "value", "value", "drop", "rename", "copy", "wrap", "add"])
    )
    odd = copy.deepcopy(draw(st.sampled_from(_ODD)))
    match kind:
        case "value":
            holder[key] = odd
        case "drop":
            del holder[key]
        case "wrap":
            holder[key] = draw(st.sampled_from([[holder[key]], {"name": holder[key]}]))
        case "copy":
            other = data
            for step in draw(st.sampled_from(places)):
                other = other[step]
            holder[key] = copy.deepcopy(other)
        case "rename" if isinstance(holder, dict):
            name = draw(st.sampled_from([f"{key}s", str(key)[:-1], "name", "", "override", "<<"]))
            holder[name] = holder.pop(key)
        case _ if isinstance(holder, dict):
            holder[draw(st.sampled_from(["x", "name", "parameters", "options", "override"]))] = odd
        case _:
            holder.insert(key, odd)
    return data


def _places(data: Any, at: Path = ()) -> list[Path]:
    found: list[Path] = [at]
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            found += _places(value, (*at, key))
    return found
