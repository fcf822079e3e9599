"""Texts without what must not be seen: keys, and passwords in addresses.

An adapter takes its own key out of what a server says. This is the net below it: whatever is told
or kept of an error, a user's own operator's too, goes through `without_secrets`.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "***"

# Greedy up to the last `@` of the word: a password may have an `@`, or a `/`, in it.
_USER: Final = re.compile(r"(?<=://)[^\s'\"<>]*@")
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

_given: set[str] = set()


def remember(secret: str) -> None:
    """Keep `secret`, which a card or a program gave, out of all texts from now on."""
    if len(secret) >= _SHORTEST:
        _given.add(secret)


def without_given(answer: str) -> str:
    """Return a model's answer without keys that were given: some servers echo what they are sent.

    Of an answer nothing else is taken, and nothing that may be a word.
    """
    for secret in _given:
        if secret in answer and len(secret) >= _SHORTEST_IN_ANSWERS:
            answer = answer.replace(secret, HIDDEN)
    return answer


def passwords(address: str) -> list[str]:
    """Return the password in an address, as it stands there and as it is meant; [] if none."""
    found = _USER.search(address)
    password = found[0][:-1].partition(":")[2] if found else ""
    return list(dict.fromkeys([password, unquote(password)])) if password else []


def redacted(text: str) -> str:
    """Return `text` without user names and passwords in any address in it."""
    return _PARAMETER.sub(rf"\1{HIDDEN}", _USER.sub(f"{HIDDEN}@", text))


def without_secrets(text: str) -> str:
    """Return `text` without passwords in addresses, keys that were given, and the environment's."""
    for secret in sorted({*_given, *_of_environment()}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return redacted(text)


def _of_environment() -> list[str]:
    return [
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _VARIABLE.search(name)
    ]
