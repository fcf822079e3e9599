"""A server on loopback that speaks the batch APIs of OpenAI, Anthropic and Google.

Batches go on until the test lets them end:

    with BatchServer() as server:
        ...  # submit at server.openai_url
        server.end()
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.loopback import Asked, Fault, LoopbackServer, Reply, json_reply

# What becomes of one request: its answer's text, or an HTTP status, or None if it is not done.
Fate = Callable[[str], str | int | None]


@dataclass
class Batch:
    """One batch as the server has it."""

    id: str
    requests: list[tuple[str, str]]
    """(the API's id of it, the prompt) of each."""
    made: float
    label: str = ""
    state: str = "running"
    fates: dict[str, str | int | None] = field(default_factory=dict)


class BatchServer(LoopbackServer):
    """See the module's docstring.

    Args:
        fate: What becomes of each request, by its prompt; by default the prompt is repeated.
        fault: A fault in place of an answer, or after a batch was made (`lost`).
        immediate: Batches end as soon as they are asked for.
        keyless: Google's answers come without what was said of the requests.
        in_file: Google's answers come in a file, as many or large ones do.

    Attributes:
        batches: All that were submitted, in order.
        lost: Make the next batch, but break the connection in place of telling its id.
        slow: Seconds that it takes to tell the id of a batch that was made.
    """

    def __init__(
        self,
        fate: Fate = lambda prompt: f"re: {prompt}",
        *,
        fault: Callable[[Asked], Fault | None] = lambda asked: None,
        immediate: bool = False,
        keyless: bool = False,
        in_file: bool = False,
    ) -> None:
        super().__init__(self._answer)
        self.fate = fate
        self.fault = fault
        self.immediate = immediate
        self.keyless = keyless
        self.in_file = in_file
        self.batches: list[Batch] = []
        self.lost = False
        self.slow = 0.0
        self._files: dict[str, str] = {}

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def prompts(self) -> list[str]:
        """Every prompt that was ever submitted."""
        return [prompt for batch in self.batches for _, prompt in batch.requests]

    def end(self, state: str = "done") -> None:
        """Have the batches that go on end as `done`, `expired`, `cancelled` or `failed`."""
        for batch in self.batches:
            if batch.state == "running":
                batch.fates = {name: self.fate(prompt) for name, prompt in batch.requests}
                batch.state = state

    def _answer(self, asked: Asked) -> Reply:
        path = urlsplit(asked.path).path
        if (fault := self.fault(asked)) is not None:
            return fault
        if self.immediate and not asked.body:
            self.end()
        for pattern, answer in self._routes().items():
            if (match := re.fullmatch(pattern, path)) is not None:
                return answer(asked, *match.groups())
        return Fault(404, f"no such path: {path}")

    def _routes(self) -> Mapping[str, Callable[..., Reply]]:
        return {
            "/v1/files": self._upload,
            "/v1/files/([^/]+)/content": lambda asked, name: _text(self._files[name]),
            "/v1/batches": self._openai_batches,
            "/v1/batches/([^/]+)": lambda asked, name: json_reply(_openai(self._named(name))),
            "/v1/messages/batches": self._anthropic_batches,
            "/v1/messages/batches/([^/]+)": (
                lambda asked, name: json_reply(self._anthropic(self._named(name)))
            ),
            "/v1/messages/batches/([^/]+)/results": self._anthropic_results,
            "/v1beta/models/([^/]+):batchGenerateContent": self._google_create,
            "/v1beta/batches": self._google_list,
            "(?:/download)?/v1beta/files/(answers):download": (
                lambda asked, name: _text(self._files[name])
            ),
            "/v1beta/(batches/[^/]+)": (
                lambda asked, name: json_reply(self._google(self._named(name)))
            ),
        }

    def _named(self, name: str) -> Batch:
        return next(batch for batch in self.batches if batch.id == name)

    def _made(self, batch: Batch, body: Callable[[], Any]) -> Reply:
        self.batches.append(batch)
        if self.lost:
            self.lost = False
            return Fault(0)
        return json_reply(body(), delay=self.slow)

    def _page(self, asked: Asked) -> list[Batch]:
        """Return the batches, the newest first, after the one that is asked for."""
        query = parse_qs(urlsplit(asked.path).query)
        newest = self.batches[::-1]
        for name in (query.get("after", []) + query.get("after_id", []))[:1]:
            newest = newest[[batch.id for batch in newest].index(name) + 1 :]
        return newest

    # --- OpenAI

    def _upload(self, asked: Asked) -> Reply:
        assert asked.body["purpose"] == "batch"
        name = f"file-{len(self._files)}"
        self._files[name] = asked.body["file"]
        return json_reply({"id": name, "object": "file", "purpose": "batch"})

    def _openai_batches(self, asked: Asked) -> Reply:
        if not asked.body:
            data = [_openai(batch) for batch in self._page(asked)]
            return json_reply({"object": "list", "data": data, "has_more": False})
        lines = [json.loads(line) for line in self._files[asked.body["input_file_id"]].splitlines()]
        assert {line["url"] for line in lines} == {asked.body["endpoint"]}
        assert asked.body["completion_window"] == "24h"
        batch = Batch(
            f"batch-{len(self.batches)}",
            [(line["custom_id"], _openai_prompt(line["body"])) for line in lines],
            datetime.now(UTC).timestamp(),
            label=asked.body["metadata"]["ember_bench"],
        )
        self._made_of(batch, asked.body["endpoint"])
        return self._made(batch, lambda: _openai(batch))

    def _made_of(self, batch: Batch, endpoint: str) -> None:
        """Write the files when they are read: the batch may have ended by then."""
        server = self

        class _Files(dict[str, str]):
            def __missing__(self, name: str) -> str:
                kind, _, batch_id = name.partition("-of-")
                return server._openai_lines(server._named(batch_id), kind, endpoint)

        self._files = _Files(self._files)

    def _openai_lines(self, batch: Batch, kind: str, endpoint: str) -> str:
        lines = []
        for name, fate in batch.fates.items():
            if (kind == "output") != isinstance(fate, str):
                continue
            line: dict[str, Any] = {"id": f"r-{name}", "custom_id": name, "error": None}
            if isinstance(fate, str):
                write = _chat if endpoint == "/v1/chat/completions" else _response
                line["response"] = {"status_code": 200, "request_id": "r", "body": write(fate)}
            elif fate is None:
                line["response"] = None
                line["error"] = {"code": "batch_expired", "message": "not done in time"}
            else:
                error = {"message": "refused", "type": "e", "code": None, "param": None}
                line["response"] = {"status_code": fate, "body": {"error": error}}
            lines.append(json.dumps(line))
        return "\n".join(lines) + "\n"

    # --- Anthropic

    def _anthropic_batches(self, asked: Asked) -> Reply:
        if not asked.body:
            data = [self._anthropic(batch) for batch in self._page(asked)]
            return json_reply({"data": data, "has_more": False, "first_id": None, "last_id": None})
        requests = [
            (entry["custom_id"], entry["params"]["messages"][-1]["content"])
            for entry in asked.body["requests"]
        ]
        assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name, _ in requests)
        batch = Batch(f"msgbatch_{len(self.batches)}", requests, datetime.now(UTC).timestamp())
        return self._made(batch, lambda: self._anthropic(batch))

    def _anthropic(self, batch: Batch) -> dict[str, Any]:
        ended = batch.state != "running"
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = len(batch.requests)
        made = datetime.fromtimestamp(batch.made, UTC).isoformat()
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": made,
            "expires_at": made,
            "results_url": f"{self.url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }

    def _anthropic_results(self, asked: Asked, name: str) -> Reply:
        batch = self._named(name)
        lines = []
        for custom_id, fate in reversed(batch.fates.items()):
            result: dict[str, Any]
            if isinstance(fate, str):
                result = {"type": "succeeded", "message": _message(fate)}
            elif fate is None:
                result = {"type": "expired" if batch.state != "cancelled" else "canceled"}
            else:
                kind = "invalid_request_error" if fate == 400 else "overloaded_error"
                error = {"type": "error", "error": {"type": kind, "message": "refused"}}
                result = {"type": "errored", "error": error}
            lines.append(json.dumps({"custom_id": custom_id, "result": result}))
        return _text("\n".join(lines) + "\n")

    # --- Google

    def _google_create(self, asked: Asked, model: str) -> Reply:
        body = asked.body["batch"]
        entries = body["inputConfig"]["requests"]["requests"]
        batch = Batch(
            f"batches/{len(self.batches)}",
            [
                (entry["metadata"]["key"], entry["request"]["contents"][-1]["parts"][-1]["text"])
                for entry in entries
            ],
            datetime.now(UTC).timestamp(),
            label=body["displayName"],
        )
        return self._made(batch, lambda: self._google(batch))

    def _google_list(self, asked: Asked) -> Reply:
        return json_reply({"operations": [self._google(batch) for batch in self._page(asked)]})

    def _google(self, batch: Batch) -> dict[str, Any]:
        states = {"running": "RUNNING", "done": "SUCCEEDED"}
        state = states.get(batch.state, batch.state.upper())
        made = datetime.fromtimestamp(batch.made, UTC).isoformat()
        metadata: dict[str, Any] = {
            "displayName": batch.label,
            "state": f"BATCH_STATE_{state}",
            "createTime": made,
        }
        if batch.fates:
            answers = [self._google_answer(name, fate) for name, fate in batch.fates.items()]
            metadata["output"] = {"inlinedResponses": {"inlinedResponses": answers}}
            if self.in_file:
                self._files["answers"] = "\n".join(map(json.dumps, answers))
                metadata["output"] = {"responsesFile": "files/answers"}
        return {"name": batch.id, "metadata": metadata}

    def _google_answer(self, name: str, fate: str | int | None) -> dict[str, Any]:
        said: dict[str, Any] = {} if self.keyless else {"metadata": {"key": name}}
        if isinstance(fate, str):
            return {**said, "response": _content(fate)}
        return {**said, "error": {"code": 3 if fate == 400 else 14, "message": "refused"}}

    async def _read(self, reader: Any) -> Asked:
        """Read a form, too: OpenAI's files come in one."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        path, kind = head[0].split(" ")[1], headers.get("content-type", "")
        body = _form(content, kind) if kind.startswith("multipart") else json.loads(content or "{}")
        return Asked(len(self.asked), path, headers, body)


def _form(content: bytes, kind: str) -> dict[str, str]:
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    fields = {}
    for part in content.split(b"--" + boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        assert name is not None
        fields[name[1].decode()] = value.removesuffix(b"\r\n").decode()
    return fields


def _text(content: str) -> Fault:
    return Fault(200, content, raw=True, headers={"content-type": "application/octet-stream"})


def _openai_prompt(body: Mapping[str, Any]) -> str:
    return str((body.get("messages") or body["input"])[-1]["content"])


def _openai(batch: Batch) -> dict[str, Any]:
    states = {"running": "in_progress", "done": "completed"}
    body: dict[str, Any] = {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-0",
        "completion_window": "24h",
        "status": states.get(batch.state, batch.state),
        "created_at": int(batch.made),
        "metadata": {"ember_bench": batch.label},
    }
    if batch.state == "failed":
        error = {"code": "token_limit_exceeded", "message": "too much waits", "line": None}
        body["errors"] = {"object": "list", "data": [error]}
    elif batch.fates:
        fates = batch.fates.values()
        if any(isinstance(fate, str) for fate in fates):
            body["output_file_id"] = f"output-of-{batch.id}"
        if not all(isinstance(fate, str) for fate in fates):
            body["error_file_id"] = f"errors-of-{batch.id}"
    return body


def _chat(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50},
    }


def _response(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "id": "r",
        "object": "response",
        "status": "completed",
        "output": [{"type": "message", "id": "m", "role": "assistant", "content": content}],
        "usage": {"input_tokens": 30, "output_tokens": 20, "total_tokens": 50},
    }


def _message(text: str) -> dict[str, Any]:
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 30, "output_tokens": 20},
    }


def _content(text: str) -> dict[str, Any]:
    signature = base64.b64encode(b"thought").decode()
    parts = [{"text": text, "thoughtSignature": signature}]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 30,
            "candidatesTokenCount": 20,
            "totalTokenCount": 50,
        },
    }
