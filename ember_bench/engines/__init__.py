"""Engines, which run trials."""

from ember_bench.engines.local import LocalEngine, run_loop

__all__ = ["LocalEngine", "run_loop"]
