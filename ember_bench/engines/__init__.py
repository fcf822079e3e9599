"""Where trials run."""

from ember_bench.engines.local import LocalEngine
from ember_bench.engines.loop import run as run_loop

__all__ = ["LocalEngine", "run_loop"]
