"""Architectures with their parameters as MLflow's logged models. Imports mlflow."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from mlflow.entities import LoggedModelStatus

from ember_bench.tracking.fields import (
    NOTE_TAG,
    PROMPTS_TAG,
    cut,
    escaped_markdown,
    model_name,
    model_params,
    tag_value,
)
from ember_bench.tracking.messages import Network
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.prompts import Prompts

NETWORK_TAG: Final = "ember_bench.network"
_KIND: Final = "architecture"
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Link:
    """What a cell's run and traces are linked with: a model's id, and the tag of its prompts."""

    model_id: str
    prompts: str


NO_LINK: Final = Link("", "")


def link_networks(store: Store, networks: Iterable[Network], parent: str) -> dict[str, Link]:
    """Return the links of each cell, by its name; models and prompts are made where missing.

    Args:
        store: An open store.
        networks: The architectures.
        parent: The run that makes them.
    """
    networks = list(networks)
    if not networks:
        return {}
    known = _known(store)
    prompts = Prompts(store)
    wanted = [(network, _digest(network), prompts.linked(network.prompts)) for network in networks]

    def made(entry: tuple[Network, str, str]) -> str:
        network, digest, linked = entry
        return known.get(digest) or _make(store, network, digest, linked, parent)

    with ThreadPoolExecutor(max_workers=store.writers) as pool:
        ids = list(pool.map(made, wanted))
    return {
        cell: Link(model_id, linked)
        for (network, _, linked), model_id in zip(wanted, ids, strict=True)
        for cell in network.cells
    }


def _digest(network: Network) -> str:
    content = msgspec.structs.replace(network, cells=[])
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:32]


def _known(store: Store) -> dict[str, str]:
    """Return the models of ours that the experiment has, by their digest."""
    return {
        digest: model_id
        for model_id, digest, status in _models(store)
        if status == LoggedModelStatus.READY
    }


def _models(store: Store) -> Iterator[tuple[str, str, LoggedModelStatus]]:
    token: str | None = None
    while True:
        page = store.client.search_logged_models(
            [store.experiment_id], max_results=_PAGE, page_token=token
        )
        for model in page:
            if digest := model.tags.get(NETWORK_TAG):
                yield model.model_id, digest, model.status
        token = page.token
        if not token:
            return


def _make(store: Store, network: Network, digest: str, linked: str, parent: str) -> str:
    tags = {NETWORK_TAG: digest, NOTE_TAG: tag_value(_note(network))}
    if linked:
        tags[PROMPTS_TAG] = linked
    model = store.client.create_logged_model(
        store.experiment_id,
        name=model_name(network.label),
        source_run_id=parent,
        tags=tags,
        params=model_params(network),
        model_type=_KIND,
    )
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "card.yaml": network.card,
            "graph.svg": network.svg,
            "graph.mmd": network.mermaid,
            "graph.txt": network.tree + "\n",
        }
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8", errors="replace")
        store.client.log_model_artifacts(model.model_id, folder)
    store.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def _note(network: Network) -> str:
    """Return the description of a model: its purpose, and its graph in a block of code."""
    # A fence that is longer than any in the text cannot be ended by it.
    fence = "`" * 8
    tree = cut(network.tree.replace(fence, "'" * 8), 6_000)
    return f"{escaped_markdown(network.purpose)}\n\n{fence}\n{tree}\n{fence}\n"
