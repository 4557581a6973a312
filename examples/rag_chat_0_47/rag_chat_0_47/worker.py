"""The worker: one workflow of three steps (`python -m rag_chat_0_47.worker`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hatchet_sdk import Context, Hatchet

from rag_chat_0_47 import model, pages

hatchet = Hatchet()


@hatchet.workflow(on_events=["question:asked"], timeout="45m")
class AnswerQuestion:
    """Input: `{"url": …, "messages": [{"role": …, "content": …}, …]}`, the question last."""

    @hatchet.step(timeout="1m", retries=2)
    async def load_page(self, context: Context) -> dict[str, Any]:
        given = context.workflow_input()
        passages = await pages.passages_of(given["url"])
        context.log(f"{len(passages)} passages in {given['url']}")
        return {"status": "The page is loaded.", "passages": passages}

    @hatchet.step(parents=["load_page"], timeout="15m", retries=2)
    async def reason(self, context: Context) -> dict[str, Any]:
        question = context.workflow_input()["messages"][-1]["content"]
        evidence = pages.closest(context.step_output("load_page")["passages"], question)
        task = "Which facts below help with the question? Note them briefly, and say what is missing."
        notes = await model.whole(
            [
                {"role": "system", "content": context.playground("reasoning_prompt", task)},
                {"role": "user", "content": f"Question: {question}\n\nThe page says:\n" + "\n\n".join(evidence)},
            ],
            _telling(context),
        )
        return {"status": "The answer is thought out.", "notes": notes}

    @hatchet.step(parents=["load_page", "reason"], timeout="15m", retries=2)
    async def answer(self, context: Context) -> dict[str, Any]:
        notes = context.step_output("reason")["notes"]
        task = context.playground("answer_prompt", "Answer the last message from these notes, and from nothing else.")
        said = ""
        prompt = [{"role": "system", "content": f"{task}\n\n{notes}"}, *context.workflow_input()["messages"]]
        async for piece in model.say(prompt, _telling(context)):
            said += piece
            # As JSON, because this SDK decodes what looks like it: a bare "42 " would arrive as a number. What an
            # earlier attempt wrote stays on the page until the next one speaks.
            context.put_stream(json.dumps({"text": piece, "attempt": context.retry_count()}))
        return {"status": "Done.", "message": said}


def _telling(context: Context) -> Callable[[str], None]:
    return lambda words: context.put_stream(json.dumps({"status": words}))


def main() -> None:
    worker = hatchet.worker("rag-chat-0-47", max_runs=10)
    worker.register_workflow(AnswerQuestion())
    worker.start()


if __name__ == "__main__":
    main()
