"""Packages that only some kinds of evaluators need, imported when they are needed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType


@cache
def library(module: str, *, package: str, extra: str) -> ModuleType:
    """Import a package that an extra installs.

    Args:
        module: What is imported, such as `rouge_score.rouge_scorer`.
        package: The name of its distribution, such as `rouge-score`.
        extra: The extra of ember-bench that installs it.

    Raises:
        ConfigError: if it is not installed; says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(_missing(package, extra)) from error


@cache
def library_identity(package: str, *, extra: str) -> str:
    """Return name and version of an installed distribution, such as `sacrebleu@2.6.0`.

    A score may change with the version, so both are part of what identifies the evaluator.

    Raises:
        ConfigError: if it is not installed; says how to install it.
    """
    try:
        return f"{package}@{version(package)}"
    except PackageNotFoundError as error:
        raise ConfigError(_missing(package, extra)) from error


def _missing(package: str, extra: str) -> str:
    return f"this evaluator needs the package {package}: pip install 'ember-bench[{extra}]'"
