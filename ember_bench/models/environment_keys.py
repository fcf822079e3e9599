"""Keys from the environment, by the names that the code has for them."""

from __future__ import annotations

import os
from typing import Final

from pydantic import SecretStr

_KEY: Final = "_api_key"


class Settings:
    """Keys of providers: `settings.openai_api_key` is the variable `OPENAI_API_KEY`.

    A key is a `SecretStr`, which does not show itself; None if the variable is not set or empty.
    """

    def __getattr__(self, name: str) -> SecretStr | None:
        if not name.endswith(_KEY) or name.startswith("_"):
            raise AttributeError(f"settings has no {name!r}; keys are settings.PROVIDER{_KEY}")
        value = os.environ.get(name.upper())
        return SecretStr(value) if value else None

    def __repr__(self) -> str:
        return "settings"


settings: Final = Settings()
