"""Raw HTTP/1.1, byte for byte."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

CHAT = "/v1/chat/completions"


def body(question: str = "2 + 2?", **more: Any) -> bytes:
    messages = [{"role": "user", "content": question}]
    return json.dumps({"model": "bench", "messages": messages, **more}).encode()


def post(content: bytes, path: str = CHAT, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def chunked(content: bytes, sizes: list[int], *, trailer: bytes = b"") -> bytes:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: bench\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    parts, start = [], 0
    for size in sizes:
        piece = content[start : start + size]
        parts.append(b"%x;note=%d\r\n%s\r\n" % (len(piece), start, piece))
        start += len(piece)
    assert start == len(content)
    return head + b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def text(self) -> str:
        text = self.json["choices"][0]["message"]["content"]
        assert isinstance(text, str)
        return text


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def read(self) -> Reply:
        status = int(self._file.readline().split()[1])
        headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Reply(status, headers, self._file.read(int(headers.get("content-length", 0))))

    def ask(self, request: bytes) -> Reply:
        self.send(request)
        return self.read()

    def is_closed(self) -> bool:
        """Wait for the next byte, or the end."""
        return self._file.read(1) == b""
