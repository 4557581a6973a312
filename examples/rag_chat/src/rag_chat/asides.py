"""Short questions to the model beside the answer: what to search for, what might be asked next.

Owns their bounds, and that none of them can fail an answer or hold it up: where the model is away, not in memory, slow,
or says nothing of use, the outcome is empty and whoever asked does without. A model that has still to be loaded is only
waited for by callers with `patience_s`, since hanging up on it would make its server begin the loading again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from rag_chat.answering import CITATION_MARK, FOLLOW_UPS_MAX
from rag_chat.dialects import PromptMessage
from rag_chat.errors import ModelError
from rag_chat.messages import ChatMessage
from rag_chat.model import ModelClient

TIME_S_MAX = 10.0
TOKENS_MAX = 200
HISTORY_MESSAGES_MAX = 6
MESSAGE_CHARS_MAX = 800
LINE_CHARS_MAX = 200
HEADINGS_MAX = 12
PLAN_QUESTIONS_MAX = 4
#: What small models put before a line, whatever they were asked for.
LINE_BEGINNING = re.compile(r"^\s*(?:[-*•\u2013]|\(?\d{1,2}[.):])\s*|^\s*[\"'“`]+")

REWRITE = """\
Rewrite the last question of a conversation so that it can be understood without the conversation: put the things that
words like "it" or "that" stand for in their place. Do not answer it. Keep its language. Reply with the one question."""
PLAN = """\
Somebody wants a thorough answer from web pages. Split the last question into two to four smaller questions, whose
answers together answer it. Do not answer them. Keep the language of the question. Reply with one question a line."""
TRANSLATE = """\
Questions are to be searched for on web pages in another language. Translate each of them into the language of these
pages, with the words that such pages use. Do not answer them. Reply with each question in a line of its own."""
NEXT = """\
Somebody asked a question about web pages and was answered. Suggest three short questions that the same person might ask
next, and that sections of the pages are likely to answer. Keep the language of the question. Reply with one question a
line."""


async def in_other_words(client: ModelClient, messages: Sequence[ChatMessage], wanted: str | None) -> str | None:
    """The last question, so that it is understood alone; None when it is the first one, or the model has no better."""
    if sum(message.role == "user" for message in messages) < 2:
        return None
    lines = _lines_of(await _ask(client, wanted, REWRITE, _conversation(messages)), 1)
    return lines[0] if lines and lines[0] != messages[-1].content.strip() else None


async def plan_of(
    client: ModelClient, messages: Sequence[ChatMessage], wanted: str | None, patience_s: float
) -> list[str]:
    """The questions a thorough answer has to answer, at most PLAN_QUESTIONS_MAX."""
    return _lines_of(await _ask(client, wanted, PLAN, _conversation(messages), patience_s), PLAN_QUESTIONS_MAX)


async def in_the_language_of(
    client: ModelClient, questions: Sequence[str], openings: Sequence[str], wanted: str | None, patience_s: float
) -> list[str]:
    """Questions as they would be asked in the language of pages that begin so; none when the model has no others."""
    asked = "\n".join(" ".join(question.split())[:MESSAGE_CHARS_MAX] for question in questions)
    begin = "\n".join(opening[:LINE_CHARS_MAX] for opening in openings)
    reply = await _ask(client, wanted, TRANSLATE, f"The pages begin so:\n{begin}\n\nQuestions:\n{asked}", patience_s)
    lines = _lines_of(reply, len(questions), MESSAGE_CHARS_MAX)
    return [] if set(lines) <= set(asked.split("\n")) else lines


async def next_questions(
    client: ModelClient, asked: str, answer: str, headings: Sequence[str], wanted: str | None
) -> list[str]:
    """What might be asked after an answer, at most FOLLOW_UPS_MAX."""
    sections = "; ".join(dict.fromkeys(headings[:HEADINGS_MAX]))
    answer = CITATION_MARK.sub("", answer)[: 2 * MESSAGE_CHARS_MAX]
    said = f"Question: {asked[:MESSAGE_CHARS_MAX]}\n\nAnswer: {answer}\n\nSections: {sections}"
    lines = _lines_of(await _ask(client, wanted, NEXT, said), 2 * FOLLOW_UPS_MAX)
    return [line for line in lines if line.endswith(("?", "？", "؟")) and line != asked][:FOLLOW_UPS_MAX]  # noqa: RUF001


async def _ask(
    client: ModelClient, wanted: str | None, instructions: str, said: str, patience_s: float | None = None
) -> str:
    """What the model says, or nothing."""
    try:
        async with asyncio.timeout(patience_s or TIME_S_MAX):
            model = await client.find(wanted)
            if patience_s is None and not await client.is_loaded(model):
                return ""
            prompt = [PromptMessage("system", instructions), PromptMessage("user", said)]
            return await client.say(model, prompt, TOKENS_MAX)
    except (ModelError, TimeoutError):
        return ""


def _conversation(messages: Sequence[ChatMessage]) -> str:
    who = {"user": "Person", "assistant": "Answer"}
    lines = [
        f"{who[message.role]}: {' '.join(CITATION_MARK.sub('', message.content).split())[:MESSAGE_CHARS_MAX]}"
        for message in messages[-HISTORY_MESSAGES_MAX:]
    ]
    return "\n".join(lines)


def _lines_of(text: str, limit: int, chars_max: int = LINE_CHARS_MAX) -> list[str]:
    """The questions in a reply, each once; what is too long for one is none."""
    lines: dict[str, None] = {}
    for line in text.splitlines():
        words = " ".join(LINE_BEGINNING.sub("", line).strip(" \t\"'“”`*").split())
        if 3 <= len(words) <= chars_max and not words.endswith(":"):
            lines.setdefault(words)
    return list(lines)[:limit]
