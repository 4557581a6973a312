"""A small real server of the OpenAI protocol: model list, streamed chat completions, embeddings, and their failures.

It says what the test tells it to, one piece after the other, and keeps what it was asked. `gate` holds the answer back
after `pieces_before_gate` pieces; `hung_up` is set when a client goes away before the end, which is how a test sees
that a call was cancelled.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from types import TracebackType
from typing import Any


class ModelServer:
    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.models = ["tiny-chat"]
        self.pieces = ["Install it ", "with pip ", "[1]", "."]
        self.pause_s = 0.0
        self.gate: asyncio.Event | None = None
        self.pieces_before_gate = 1
        self.fail_times = 0
        self.fail_status = 500
        self.fail_message = "the model fell over"
        self.break_off = False
        self.fail_embeddings = False
        self.chats: list[dict[str, Any]] = []
        self.embedded: list[str] = []
        self.authorizations: list[str] = []
        self.hung_up = asyncio.Event()
        self.speaking = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> ModelServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path = head.split(" ")[:2]
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            body = json.loads(await reader.readexactly(int(length.group(1)))) if length else {}
            authorization = re.search(r"authorization: (.*)\r\n", head, re.IGNORECASE)
            self.authorizations.append(authorization.group(1) if authorization else "")
            match (method, path):
                case ("GET", "/v1/models"):
                    listed = [{"id": name, "object": "model"} for name in self.models]
                    await _send_json(writer, 200, {"object": "list", "data": listed})
                case ("POST", "/v1/chat/completions"):
                    self.chats.append(body)
                    await self._chat(reader, writer)
                case ("POST", "/v1/embeddings"):
                    await self._embed(writer, body)
                case _:
                    await _send_json(writer, 404, {"error": {"message": f"no {path} here"}})
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _chat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fail_times > 0:
            self.fail_times -= 1
            await _send_json(writer, self.fail_status, {"error": {"message": self.fail_message}})
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        gone = asyncio.create_task(reader.read(1))
        try:
            for index, piece in enumerate(self.pieces):
                if self.gate is not None and index == self.pieces_before_gate:
                    gate = asyncio.create_task(self.gate.wait())
                    await asyncio.wait({gate, gone}, return_when=asyncio.FIRST_COMPLETED)
                    gate.cancel()
                if gone.done():
                    self.hung_up.set()
                    return
                writer.write(_event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}))
                await writer.drain()
                self.speaking.set()
                if self.pause_s:
                    await asyncio.wait({gone}, timeout=self.pause_s)
            if self.break_off:
                return
            writer.write(
                _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"
            )
            await writer.drain()
        except ConnectionError:
            self.hung_up.set()
        finally:
            gone.cancel()

    async def _embed(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        if self.fail_embeddings:
            await _send_json(writer, 500, {"error": {"message": "no memory left"}})
            return
        texts = body["input"]
        self.embedded += texts
        data = [{"index": index, "embedding": embedding_of(text)} for index, text in enumerate(texts)]
        await _send_json(writer, 200, {"data": data})


def embedding_of(text: str) -> list[float]:
    """Words hashed into 64 places: texts that share words are near each other, and `car` is near `automobile`."""
    places = [0.0] * 64
    for word in re.findall(r"\w+", text.lower()):
        word = {"automobile": "car"}.get(word, word)
        places[int(hashlib.sha256(word.encode()).hexdigest(), 16) % 64] += 1.0
    return places


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


async def _send_json(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    text = json.dumps(body).encode()
    fields = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\nConnection: close"
    writer.write(f"HTTP/1.1 {status} X\r\n{fields}\r\n\r\n".encode() + text)
    await writer.drain()


async def _main() -> None:
    """Run by hand: `python -m tests.model_server 11500`, for looking at the chat with a model that only pretends."""
    import sys

    async with ModelServer(int(sys.argv[1]) if len(sys.argv) > 1 else 11_500) as server:
        server.pause_s = 0.05
        server.pieces = [
            "Broadaxe ",
            "is installed ",
            "with pip ",
            "[1]",
            ":\n\n",
            "```bash\n",
            "pip install broadaxe\n",
            "```\n",
        ]
        print(f"OPENAI_BASE_URL={server.base_url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
