"""`ember-bench view`: the progress of runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ember_bench.running.messages import say


def view(
    results: Annotated[
        Path, typer.Argument(metavar="[RESULTS]", help="The results folder to show.")
    ] = Path("results"),
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Where on 127.0.0.1; 0 for any that is free.")
    ] = 0,
    show: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Show runs in the browser while they go on, until Ctrl-C."""
    from ember_bench.serving.server import require_server

    require_server()
    from ember_bench.errors import ConfigError
    from ember_bench.serving.view import view as view_results

    if results.exists() and not results.is_dir():
        raise ConfigError(f"{results}: is no folder")

    def told(url: str) -> None:
        say(f"view: {url} (Ctrl-C ends it)")
        if show:
            import webbrowser

            webbrowser.open(url)

    view_results(results, port, told)
    say("stopped")
