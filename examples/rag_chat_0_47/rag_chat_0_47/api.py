"""The edge: a question goes in, an answer comes out as server-sent events.

`POST /message {"url": …, "messages": […]}` answers `{"messageId": …}`, which is the id of the run. `GET
/message/{messageId}` follows it: `status` events as steps end, `token` events as the model speaks, and at the end one
`answer` or `error`. Whoever comes late still gets the end; and the last tokens may be missing, because the SDK sends
them beside the step's result and not before it. The answer is always whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.run_event_listener import StepRunEventType
from pydantic import BaseModel, Field


class Message(BaseModel):
    role: str = Field(pattern="^(user|assistant)$")
    content: str = Field(min_length=1, max_length=20_000)


class Question(BaseModel):
    url: str = Field(pattern="^https?://", max_length=2_000)
    messages: list[Message] = Field(min_length=1, max_length=100)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Made inside the running event loop, which the asyncio half of this SDK insists on.
    app.state.hatchet = Hatchet()
    yield


app = FastAPI(title="Chat about a page (hatchet-sdk 0.47.1)", lifespan=lifespan)


@app.post("/message")
async def ask(question: Question) -> dict[str, str]:
    run = await app.state.hatchet.admin.aio.run_workflow("AnswerQuestion", question.model_dump())
    return {"messageId": run.workflow_run_id}


@app.get("/message/{message_id}")
async def follow(message_id: str) -> StreamingResponse:
    return StreamingResponse(_events(message_id), media_type="text/event-stream")


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


async def _events(run_id: str) -> AsyncIterator[str]:
    run = app.state.hatchet.admin.get_workflow_run(run_id)
    async for event in run.stream():
        if event.type == StepRunEventType.STEP_RUN_EVENT_TYPE_STREAM:
            said = _decoded(event.payload)
            if "status" in said:
                yield _event("status", {"text": said["status"]})
            else:
                # A piece of another attempt replaces what the earlier one wrote.
                yield _event("token", {"text": said.get("text", ""), "attempt": said.get("attempt", 0)})
        elif event.type == StepRunEventType.STEP_RUN_EVENT_TYPE_COMPLETED:
            yield _event("status", {"text": _decoded(event.payload).get("status", "")})
    try:
        results = await run.result()
    except Exception as error:
        yield _event("error", {"text": _first_words(str(error))})
    else:
        yield _event("answer", {"text": results["answer"]["message"]})


def _first_words(error: str) -> str:
    """What went wrong first. The SDK gives the texts of all failed steps at once, tracebacks and all."""
    return re.split(r"\\n|\n", error)[0].removeprefix("Workflow Errors: [").strip("'\"")


def _decoded(payload: Any) -> dict[str, Any]:
    return payload if isinstance(payload, dict) else {}


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


PAGE = """<!doctype html><meta charset="utf-8"><title>Ask a page</title>
<style>body{font:16px/1.5 system-ui;max-width:42rem;margin:3rem auto;padding:0 1rem}input{width:100%;padding:.6rem;
margin:.3rem 0;font:inherit;box-sizing:border-box}#status{color:#667}#answer{white-space:pre-wrap}</style>
<h1>Ask a page</h1><form><input id="url" type="url" placeholder="https://…" required>
<input id="question" placeholder="What would you like to know?" required><button>Ask</button></form>
<p id="status"></p><p id="answer"></p><script>
const at = id => document.getElementById(id);
document.querySelector("form").onsubmit = async submitted => {
  submitted.preventDefault(); at("answer").textContent = ""; at("status").textContent = "Asking…";
  const messages = [{role: "user", content: at("question").value}];
  const asked = await fetch("/message", {method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({url: at("url").value, messages})});
  if (!asked.ok) { at("status").textContent = "That did not work: " + await asked.text(); return; }
  const feed = new EventSource("/message/" + (await asked.json()).messageId);
  const text = event => JSON.parse(event.data).text;
  feed.addEventListener("status", event => at("status").textContent = text(event));
  let attempt = 0;
  feed.addEventListener("token", event => {
    const same = JSON.parse(event.data).attempt === attempt; attempt = JSON.parse(event.data).attempt;
    at("answer").textContent = (same ? at("answer").textContent : "") + text(event); });
  feed.addEventListener("answer", event => {
    at("answer").textContent = text(event); at("status").textContent = ""; feed.close(); });
  feed.addEventListener("error", event => { if (event.data) at("status").textContent = text(event); feed.close(); });
};</script>"""
