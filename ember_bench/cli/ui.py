"""`ember-bench ui`: MLflow's pages on the runs of a results folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ember_bench.running.messages import say


def ui(
    results: Annotated[Path, typer.Option(help="The results folder to show.")] = Path("results"),
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where on 127.0.0.1.")] = 5000,
    show: Annotated[
        bool, typer.Option("--open", help="Show the cells of the last experiment in the browser.")
    ] = False,
) -> None:
    """Open MLflow on the runs of a results folder, until Ctrl-C."""
    from ember_bench.tracking.server import Pages, sigterm_interrupts

    with suppress(KeyboardInterrupt), sigterm_interrupts(), Pages(results, port) as pages:
        say("starting MLflow ...")
        pages.wait_until_up()
        say(f"MLflow: {pages.url} (Ctrl-C ends it)")
        found = pages.experiments()
        for name, url in found:
            say(f"  {name}: {url}")
        if show:
            import webbrowser

            webbrowser.open(found[0][1] if found else pages.url)
        pages.wait()
    say("stopped")
