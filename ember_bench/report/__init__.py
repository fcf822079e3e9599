"""What people read: tables of cells, in the terminal and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ember_bench._lazy import lazy

if TYPE_CHECKING:
    from ember_bench.report.markdown import markdown
    from ember_bench.report.summary_table import table

__all__ = ["markdown", "table"]

__getattr__ = lazy(__name__, {"markdown": "markdown", "table": "summary_table"})
