"""`ember-bench serve`: networks as OpenAI-compatible models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ember_bench.cli._run_options import Budget, DataDir
from ember_bench.running.messages import say
from ember_bench.serving.server import KEY_VARIABLE as _KEY

OwnSampling = Annotated[
    bool,
    typer.Option(
        "--own-sampling",
        help="Accept requests with sampling parameters that the network does not use.",
    ),
]


def serve(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...", help="An architecture, or a cell of a study: STUDY/CELL."
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PARAMETER=VALUE", help="A parameter of the architectures, as in k=5."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help=f"Where to listen; other than this machine only with {_KEY} set.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 for any that is free.")] = 8000,
    results: Annotated[
        Path | None, typer.Option(help="Keep calls in this results folder, and reuse those there.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(min=1, max=100_000, help="Requests that are answered at once.")
    ] = 1000,
    own_sampling: OwnSampling = False,
    budget_usd: Budget = None,
    data_dir: DataDir = None,
) -> None:
    """Serve networks as OpenAI-compatible models, until Ctrl-C."""
    from ember_bench.serving.server import is_loopback, require_server

    require_server()
    key = os.environ.get(_KEY) or None
    if key is None and not is_loopback(host):
        from ember_bench.errors import ConfigError

        raise ConfigError(
            f"--host {host}: others could spend your money; set {_KEY} to the key that they need"
        )
    if data_dir is not None:
        from ember_bench.running.places import use_data_dir

        use_data_dir(data_dir)
    from ember_bench.serving.openai_api import Access
    from ember_bench.serving.start import Places, serve_networks

    serve_networks(
        names,
        _parsed(values or []),
        Access(key, in_flight),
        Places(host, port, results),
        budget_usd=budget_usd,
        own_sampling=own_sampling,
        told=say,
    )
    say("stopped")


def _parsed(given: list[str]) -> dict[str, Any]:
    """Return parameters by name; values are YAML."""
    from ember_bench.experiment.edits import Edits

    return dict(Edits.parse(None, [], given).values)
