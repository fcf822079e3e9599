"""Prompts in MLflow's registry, a version for each text. Imports mlflow."""

from __future__ import annotations

import json
from collections.abc import Iterable

from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import PROMPT_EXPERIMENT_IDS_TAG_KEY
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from ember_bench.tracking.messages import NodePrompt
from ember_bench.tracking.mlflow_store import Store


class Prompts:
    """The prompts of an experiment in the registry of its store."""

    def __init__(self, store: Store) -> None:
        self._client = store.client
        self._experiment_id = store.experiment_id
        self._versions: dict[str, dict[str, int]] = {}
        """Version by text, by name."""

    def linked(self, prompts: Iterable[NodePrompt]) -> str:
        """Return the tag that links prompts, registered if they are not; empty for none."""
        found = {prompt.name: self._version(prompt) for prompt in prompts}
        named = [{"name": name, "version": str(version)} for name, version in found.items()]
        return json.dumps(named) if named else ""

    def _version(self, prompt: NodePrompt) -> int:
        if prompt.name not in self._versions:
            self._versions[prompt.name] = self._registered(prompt.name)
        versions = self._versions[prompt.name]
        if prompt.template not in versions:
            # Not `register_prompt`: a thread of it would add the experiment that is MLflow's own.
            if not versions:
                shown = {PROMPT_EXPERIMENT_IDS_TAG_KEY: f",{self._experiment_id},"}
                self._client.create_prompt(prompt.name, tags=shown)
            made = self._client.create_prompt_version(prompt.name, prompt.template)
            versions[prompt.template] = int(made.version)
        return versions[prompt.template]

    def _registered(self, name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        token: str | None = None
        try:
            while True:
                page = self._client.search_prompt_versions(name, page_token=token)
                found |= {str(version.template): int(version.version) for version in page}
                token = page.token
                if not token:
                    break
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            return {}
        if found:
            self._show(name)
        return found

    def _show(self, name: str) -> None:
        """Have the prompt listed among those of the experiment, too."""
        prompt = self._client.get_prompt(name)
        known = prompt.tags.get(PROMPT_EXPERIMENT_IDS_TAG_KEY, "") if prompt is not None else ""
        numbers = [number for number in known.split(",") if number]
        if self._experiment_id not in numbers:
            listed = ",".join([*numbers, self._experiment_id])
            self._client.set_prompt_tag(name, PROMPT_EXPERIMENT_IDS_TAG_KEY, f",{listed},")
