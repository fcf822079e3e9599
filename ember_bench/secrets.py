"""Removal of secrets from texts: keys, and passwords in addresses.

A provider's adapter removes its own key from what a server says. This is the net below it: every
error that is shown or stored, also that of a user's operator, goes through `without_secrets`. A
secret is found as it is, inside base64, and with characters escaped for URLs, JSON or HTML.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

HIDDEN: Final = "***"

# Whole words, found once each: a pattern that ends with an `@` is tried from every `://` of a long
# text to its end. The user is all up to the last `@`: a password may have an `@`, or a `/`, in it.
_ADDRESS: Final = re.compile(r"(?<=://)[^\s'\"<>]+")
# In an address only: `key=len` in a traceback is none. ODBC's parameters are quoted in one of ours.
_PARAMETER: Final = re.compile(
    r"(?i)((?:[?&;]|%3B|%26)(?:api_?key|key|\w*token|\w*secret|pwd|\w*password)(?:=|%3D))"
    r"[^&;\s'\"]+?(?=[&;\s'\"]|%3B|%26|$)"
)
# What holds a secret in the environment, by its name.
_VARIABLE: Final = re.compile(r"(?i)(?:_|^)(?:key|token|secret)$|_pwd$|password$")
# A shorter one would be found in every other word; no provider's key is that short.
_SHORTEST: Final = 8
# What local servers take for a key (`lm-studio`) is a word that an answer may have.
_SHORTEST_IN_ANSWERS: Final = 16

_BASE64: Final = "A-Za-z0-9+/_-"
# Whole words, for the same reason.
_BASE64_WORD: Final = re.compile(rf"[{_BASE64}]+={{0,2}}")
_BASIC: Final = re.compile(rf"(?i)(\bbasic(?:\s|%20|\+)+)([{_BASE64}]+(?:=|%3D){{0,2}})")

_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}

_given: set[str] = set()


def remember(secret: str) -> None:
    """Keep `secret`, which a card or a program gave, out of all texts from now on."""
    if len(secret) >= _SHORTEST:
        _given.add(secret)


def without_given(answer: str) -> str:
    """Return a model's answer without keys that were given: some servers echo what they are sent.

    Nothing else is removed, and nothing that may be a word.
    """
    for secret in _given:
        if len(secret) >= _SHORTEST_IN_ANSWERS:
            if secret in answer:
                answer = answer.replace(secret, HIDDEN)
            answer = _without_encoded(answer, secret)
    return answer


def passwords(address: str) -> list[str]:
    """Return the password in an address, as it stands there and as it is meant; [] if none."""
    found = _ADDRESS.search(address)
    password = found[0].rpartition("@")[0].partition(":")[2] if found else ""
    return list(dict.fromkeys([password, unquote(password)])) if password else []


def names_secret(variable: str) -> bool:
    """Whether a variable of the environment holds a secret, by its name."""
    return _VARIABLE.search(variable) is not None


def redacted(text: str) -> str:
    """Return `text` without Basic credentials and without user names and passwords in addresses."""
    text = _BASIC.sub(_without_credentials, text)
    return _PARAMETER.sub(rf"\1{HIDDEN}", _ADDRESS.sub(_without_user, text))


def without_secrets(text: str) -> str:
    """Return `text` without passwords in addresses, keys that were given, and the environment's."""
    for secret in sorted({*_given, *_of_environment()}, key=len, reverse=True):
        text = _without_encoded(text.replace(secret, HIDDEN), secret)
        text = _escaped(secret).sub(HIDDEN, text)
    return redacted(text)


def _without_user(address: re.Match[str]) -> str:
    _, at, rest = address[0].rpartition("@")
    return f"{HIDDEN}@{rest}" if at else rest


def _without_encoded(text: str, secret: str) -> str:
    """Return `text` without base64 words that have `secret` in them."""
    parts = _in_base64(secret)
    if not any(part in text for part in parts):
        return text

    def hidden(word: re.Match[str]) -> str:
        return HIDDEN if any(part in word[0] for part in parts) else word[0]

    return _BASE64_WORD.sub(hidden, text)


def _without_credentials(found: re.Match[str]) -> str:
    """Return "Basic ***" if what follows is the base64 of a user and a password."""
    coded = unquote(found[2]).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        decoded = base64.b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return found[0]
    return f"{found[1]}{HIDDEN}" if ":" in decoded and decoded.isprintable() else found[0]


@lru_cache(maxsize=256)
def _in_base64(secret: str) -> tuple[str, ...]:
    """Return the base64 of `secret` inside any longer text: one string for each of 3 alignments.

    The first and last characters, which depend on the neighbours, are left out.
    """
    raw, parts = secret.encode("utf-8", "surrogatepass"), []
    for before in range(3):
        whole = (before + len(raw)) // 3 * 3 - before  # bytes up to the last whole group
        coded = base64.b64encode(b"\0" * before + raw[:whole]).decode()
        parts.append(coded[4 if before else 0 :])
    both = (*parts, *(part.translate(str.maketrans("+/", "-_")) for part in parts))
    return tuple(dict.fromkeys(part for part in both if part))


@lru_cache(maxsize=256)
def _escaped(secret: str) -> re.Pattern[str]:
    """Return a pattern of `secret` with any of its characters escaped."""
    return re.compile("".join(f"(?:{'|'.join(_escapes(character))})" for character in secret))


def _escapes(character: str) -> Iterator[str]:
    """Yield a character's forms in URLs (quoted up to twice), JSON, Python, HTML and shells."""
    code = ord(character)
    yield re.escape(character)
    quoted = quote(character, safe="", errors="surrogatepass")
    if quoted == character:
        quoted = f"%{code:02X}"
    yield f"(?i:{quoted}|{quoted.replace('%', '%25')})"
    units = character.encode("utf-16-be", "surrogatepass")
    unicode = "".join(rf"\\{{1,2}}u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
    yield f"(?i:{unicode}|&#0*{code};|&#x0*{code:x};)"
    if code < 256:
        yield rf"(?i:\\{{1,2}}x{code:02x})"
    if not character.isalnum():
        yield rf"\\{{1,3}}{re.escape(character)}"
    if character == " ":
        yield r"\+"
    if (named := _HTML.get(character)) is not None:
        yield named


def _of_environment() -> list[str]:
    found = [value for name, value in os.environ.items() if _VARIABLE.search(name)]
    # Several keys may stand in one variable.
    found += [part.strip() for value in found if "," in value for part in value.split(",")]
    return [value for value in found if len(value) >= _SHORTEST]
