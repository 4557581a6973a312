"""A small real server of the OpenAI protocol: model list, streamed chat completions, embeddings, and their failures.

It says what the test tells it to, one piece after the other, and keeps what it was asked. `gate` holds the answer back
after `pieces_before_gate` pieces; `hung_up` is set when a client goes away before the end, which is how a test sees
that a call was cancelled.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import re
from types import TracebackType
from typing import Any


class ModelServer:
    """`kind` is whose habits it has: `openai`, `ollama` or `llama.cpp`."""

    def __init__(self, port: int = 0, kind: str = "openai") -> None:
        self.port = port
        self.kind = kind
        self.models = ["tiny-chat"]
        self.created: dict[str, int] = {}
        self.pieces = ["Install it ", "with pip ", "[1]", "."]
        self.reasoning: list[str] = []
        self.finish = "stop"
        # Says the pieces over and over until somebody hangs up.
        self.endless = False
        self.pause_s = 0.0
        self.gate: asyncio.Event | None = None
        self.pieces_before_gate = 1
        # The number of the first chat that the gate holds back.
        self.gated_from = 1
        self.fail_times = 0
        self.fail_status = 500
        self.fail_message = "the model fell over"
        # The first looks at its models meet a server that has not loaded yet, or a status of `list_status`.
        self.loading_times = 0
        self.list_status = 200
        self.list_gate: asyncio.Event | None = None
        self.break_off = False
        # The same, for the chats of these numbers alone, the first being 1.
        self.breaks_off_at: set[int] = set()
        # A prompt with more tokens (a word each) than this is refused, or cut without a word.
        self.window_tokens: int | None = None
        self.cuts_silently = False
        self.in_memory: dict[str, int] = {}
        self.context_length = 131_072
        self.capabilities = ["completion"]
        self.refused_fields: set[str] = set()
        self.fail_embeddings = False
        self.embedding_gate: asyncio.Event | None = None
        # What it says to a question whose answer is not streamed, by a word of its instructions; else it says nothing.
        self.replies: dict[str, str] = {}
        self.reply_gate: asyncio.Event | None = None
        self.replying = asyncio.Event()
        self.asides: list[dict[str, Any]] = []
        self.chats: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.embedded: list[str] = []
        self.authorizations: list[str] = []
        self.looked = asyncio.Event()
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.speaking = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> ModelServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nothing answers at its address any more, until it is started again."""
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
            self.paths.append(path)
            match (method, path, self.kind):
                case ("GET", "/v1/models", _):
                    await self._list(writer)
                case ("POST", "/v1/chat/completions", _):
                    await self._chat(reader, writer, body)
                case ("POST", "/api/chat", "ollama"):
                    await self._chat(reader, writer, body)
                case ("POST", "/v1/embeddings", _):
                    await self._embed(writer, body)
                case ("GET", "/api/version", "ollama"):
                    await _send_json(writer, 200, {"version": "0.33.1"})
                case ("GET", "/api/tags", "ollama"):
                    await _send_json(writer, 200, {"models": [{"name": name} for name in self.models]})
                case ("GET", "/api/ps", "ollama"):
                    loaded = [{"name": name, "context_length": size} for name, size in self.in_memory.items()]
                    await _send_json(writer, 200, {"models": loaded})
                case ("POST", "/api/show", "ollama"):
                    info = {"general.architecture": "tiny", "tiny.context_length": self.context_length}
                    await _send_json(writer, 200, {"capabilities": self.capabilities, "model_info": info})
                case ("GET", "/props", "llama.cpp"):
                    await _send_json(writer, 200, {"default_generation_settings": {"n_ctx": self.window_tokens}})
                case _:
                    await _send_json(writer, 404, {"error": {"message": f"no {path} here"}})
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _list(self, writer: asyncio.StreamWriter) -> None:
        self.looked.set()
        if self.list_gate is not None:
            await self.list_gate.wait()
        if self.loading_times > 0:
            self.loading_times -= 1
            error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
            await _send_json(writer, 503, {"error": error})
        elif self.list_status != 200:
            await _send_json(writer, self.list_status, {"error": {"message": self.fail_message}})
        else:
            listed = [{"id": name, "object": "model", "created": self.created.get(name, 0)} for name in self.models]
            await _send_json(writer, 200, {"object": "list", "data": listed})

    def _refusal(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if self.fail_times > 0:
            self.fail_times -= 1
            return self.fail_status, {"error": {"message": self.fail_message}}
        if body["model"] not in self.models:
            return 404, {"error": {"message": f"model '{body['model']}' not found"}}
        refused = self.refused_fields & body.keys()
        if refused:
            message = f"Unsupported parameter: '{min(refused)}' is not supported with this model."
            return 400, {"error": {"message": message, "code": "unsupported_parameter"}}
        words = _words(body)
        if self.window_tokens is not None and words > self.window_tokens and not self.cuts_silently:
            message = "the request exceeds the available context size, try increasing it"
            error = {"code": 400, "message": message, "type": "exceed_context_size_error", "n_ctx": self.window_tokens}
            return 400, {"error": error | {"n_prompt_tokens": words}}
        return None

    def _said(self, text: str, *, thought: bool = False) -> bytes:
        if self.kind == "ollama":
            message = {"role": "assistant", "content": "" if thought else text, "thinking": text if thought else ""}
            return _line({"message": message, "done": False})
        delta = {"reasoning_content" if thought else "content": text}
        return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    def _end(self, body: dict[str, Any]) -> bytes:
        read = min(_words(body), self.window_tokens or 1_000_000)
        if self.kind == "ollama":
            ended = {"message": {"content": ""}, "done": True, "done_reason": self.finish}
            return _line(ended | {"prompt_eval_count": read})
        end = _event({"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish}]})
        if "stream_options" in body:
            end += _event({"choices": [], "usage": {"prompt_tokens": read}})
        return end + b"data: [DONE]\n\n"

    async def _chat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        if body.get("stream") is False:
            await self._reply(reader, writer, body)
            return
        self.chats.append(body)
        number = len(self.chats)
        self.asked.set()
        refusal = self._refusal(body)
        if refusal is not None:
            await _send_json(writer, *refusal)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        gone = asyncio.create_task(reader.read(1))
        pieces = itertools.cycle(self.pieces) if self.endless else self.pieces
        try:
            for thought in self.reasoning:
                writer.write(self._said(thought, thought=True))
            for index, piece in enumerate(pieces):
                if self.gate is not None and number >= self.gated_from and index == self.pieces_before_gate:
                    gate = asyncio.create_task(self.gate.wait())
                    await asyncio.wait({gate, gone}, return_when=asyncio.FIRST_COMPLETED)
                    gate.cancel()
                if gone.done():
                    self.hung_up.set()
                    return
                writer.write(self._said(piece))
                await writer.drain()
                self.speaking.set()
                if self.pause_s or self.endless:
                    await asyncio.wait({gone}, timeout=self.pause_s)
            if self.break_off or number in self.breaks_off_at:
                return
            writer.write(self._end(body))
            await writer.drain()
        except ConnectionError:
            self.hung_up.set()
        finally:
            gone.cancel()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        self.asides.append(body)
        self.replying.set()
        if self.reply_gate is not None:
            gone = asyncio.create_task(reader.read(1))
            gate = asyncio.create_task(self.reply_gate.wait())
            await asyncio.wait({gate, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                self.hung_up.set()
            gate.cancel()
            gone.cancel()
        instructions = body["messages"][0]["content"]
        said = next((text for word, text in self.replies.items() if word in instructions), "")
        message = {"role": "assistant", "content": said}
        whole = {"message": message, "done": True} if self.kind == "ollama" else {"choices": [{"message": message}]}
        await _send_json(writer, 200, whole)

    async def _embed(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        if self.fail_embeddings:
            await _send_json(writer, 500, {"error": {"message": "no memory left"}})
            return
        if self.embedding_gate is not None:
            await self.embedding_gate.wait()
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


def _words(body: dict[str, Any]) -> int:
    return sum(len(message["content"].split()) for message in body["messages"])


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode() + b"\n"


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
