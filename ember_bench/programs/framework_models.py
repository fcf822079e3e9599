"""LM modules as the models of other frameworks.

Their calls go through the service of the LM module, or of the trial that the program runs in: they
are stored, priced and counted like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ember_bench.errors import ConfigError
from ember_bench.operators.dspy_signatures import require_dspy
from ember_bench.operators.lm import LMModule
from ember_bench.programs.asking import as_module

if TYPE_CHECKING:
    import dspy
    from langchain_core.language_models import BaseChatModel


def dspy_lm(module: LMModule | str, *, legacy: bool = False) -> dspy.BaseLM:
    """Return a language model of DSPy whose calls an LM module makes.

    The parameters of the module are used where a program gives none. DSPy's own cache and retries
    are not used, and `rollout_id` is not needed: equal requests are new draws, which a response
    store answers when the program is run again.

    Args:
        module: The LM module, or the name of a model.
        legacy: A subclass of `dspy.BaseLM` with `forward`, which DSPy 3.5 removes, in place of a
            `dspy.LM` with an engine.

    Raises:
        ConfigError: if DSPy is not installed, or there is no such model.
    """
    require_dspy()
    from ember_bench.programs import _dspy_models  # noqa: PLC0415 - needs DSPy

    found = as_module(module)
    return _dspy_models.LegacyLM(found) if legacy else _dspy_models.engine_lm(found)


def langchain_model(module: LMModule | str) -> BaseChatModel:
    """Return a chat model of LangChain whose calls an LM module makes.

    Args:
        module: The LM module, or the name of a model.

    Raises:
        ConfigError: if langchain-core is not installed, or there is no such model.
    """
    try:
        from ember_bench.programs._langchain_model import (  # noqa: PLC0415 - an optional dependency
            ServiceChatModel,
        )
    except ImportError as error:
        raise ConfigError(
            f"LangChain is not installed: pip install 'ember-bench[langgraph]' ({error})"
        ) from None
    return ServiceChatModel(module=as_module(module))
