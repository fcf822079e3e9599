"""Evaluators that run what models have written in a sandbox."""

from __future__ import annotations

from functools import cached_property
from sys import version_info
from typing import TYPE_CHECKING, Final

from ember_bench.answers.formats import get_answer_format
from ember_bench.evaluators.sandbox import Limits, Sandbox, find_sandbox

_MIB: Final = 2**20


class InSandbox:
    """An evaluator with a sandbox, which is a dataclass with these limits among its fields.

    Attributes:
        cpu_seconds: Processor time.
        wall_seconds: Time for everything.
        memory_mib: Address space.
    """

    if TYPE_CHECKING:  # the fields keep the order that the identity has
        cpu_seconds: int
        wall_seconds: float
        memory_mib: int

    @property
    def blocking(self) -> bool:
        """Processes are waited for."""
        return True

    @cached_property
    def sandbox(self) -> Sandbox:
        """What the programs run in.

        Raises:
            ConfigError: if there is no sandbox.
        """
        return find_sandbox()

    def _put_into(self, sandbox: Sandbox) -> None:
        """Let the programs run in `sandbox`."""
        self.__dict__["sandbox"] = sandbox  # where cached_property keeps it

    @property
    def limits(self) -> Limits:
        """What a sandbox may use."""
        return Limits(
            wall_seconds=self.wall_seconds,
            cpu_seconds=self.cpu_seconds,
            memory_bytes=self.memory_mib * _MIB,
        )

    @property
    def surroundings(self) -> str:
        """The part of the identity that has answer format, Python's version and sandbox."""
        python = f"python@{version_info.major}.{version_info.minor}"
        reading = get_answer_format("python").identity
        return f"{reading} {python} {self.sandbox.identity}"
