"""Prompts, citations, and the answer without a model."""

from __future__ import annotations

import pytest

from rag_chat.answering import (
    Opening,
    best_part,
    build_prompt,
    cited,
    extractive_answer,
    follow_ups,
    search_text_of,
    tokens_of,
)
from rag_chat.messages import ChatMessage, Citation

PASSAGES = [
    Citation(
        index=1,
        title="Install",
        heading="With pip",
        url="https://e.org/i#pip",
        quote="Run pip.",
        text="Run `pip install x`.",
    ),
    Citation(
        index=2,
        title="Concepts",
        heading="Tasks",
        url="https://e.org/c",
        quote="Tasks run.",
        text="Tasks run on workers.",
    ),
]


def said(*texts: str) -> list[ChatMessage]:
    return [ChatMessage(role="user" if n % 2 == 0 else "assistant", content=text) for n, text in enumerate(texts)]


def test_the_prompt_numbers_the_passages_and_ends_with_the_question() -> None:
    prompt = build_prompt(said("How?", "Like this [2].", "And then?"), PASSAGES).messages
    assert [message.role for message in prompt] == ["system", "user", "assistant", "user"]
    assert "[1] Install — With pip\nhttps://e.org/i#pip\nRun `pip install x`." in prompt[0].content
    assert prompt[2].content == "Like this ."
    assert prompt[-1].content == "And then?"


def test_a_long_conversation_is_bounded_and_keeps_its_latest_part() -> None:
    prompt = build_prompt(said(*[f"{n} " + "x" * 3_000 for n in range(41)]), PASSAGES).messages
    assert sum(len(message.content) for message in prompt[1:-1]) <= 6_000
    assert prompt[-2].content.startswith("39 ")


def big(index: int, chars: int) -> Citation:
    return Citation(index=index, title="T", heading="H", url="https://e.org", quote="q", text="word " * (chars // 5))


@pytest.mark.parametrize(
    ("room_tokens", "given", "shortened", "messages"),
    [
        (None, [1, 2, 3], False, 4),
        (5_000, [1, 2, 3], False, 4),
        (1_350, [1, 2, 3], False, 2),
        (500, [1], True, 2),
        (200, [], False, 2),
    ],
)
def test_a_small_window_is_given_the_best_passages_before_the_conversation(
    room_tokens: int | None, given: list[int], shortened: bool, messages: int
) -> None:
    conversation = said("First question? " + "filler " * 40, "An answer. " + "filler " * 90, "And now?")
    prompt = build_prompt(conversation, [big(n, 900) for n in (1, 2, 3)], room_tokens)
    assert ([each.index for each in prompt.passages], prompt.shortened) == (given, shortened)
    assert (prompt.left_out, len(prompt.messages)) == (3 - len(given), messages)
    assert prompt.messages[-1].content == "And now?"
    if room_tokens is not None and given:
        assert sum(tokens_of(message.content) for message in prompt.messages) <= room_tokens


def test_only_cited_passages_are_listed_and_code_does_not_cite() -> None:
    assert [c.index for c in cited("Yes [2].", PASSAGES)] == [2]
    assert [c.index for c in cited("`a[1]` and\n```\nb[1]\n```\nso [2][9]", PASSAGES)] == [2]
    assert [c.index for c in cited("No marks.", PASSAGES)] == [1, 2]


def test_the_extractive_answer_says_what_it_is_and_quotes_with_citations() -> None:
    answer = "".join(extractive_answer("how to pip", PASSAGES, matched=True))
    assert answer.startswith("No language model is reachable, so here are the passages")
    assert "**With pip** [1]\n\n> Run `pip install x`." in answer
    assert "nothing on the page matches" in "".join(extractive_answer("?", PASSAGES, matched=False))


def test_the_best_part_of_a_long_passage_is_the_one_about_the_question() -> None:
    blocks = [f"Paragraph {n} speaks of nothing much. " + "filler " * 40 for n in range(6)]
    blocks[4] = "To upgrade, stop the engine first.\n\n```\nbroadaxe migrate\n\nbroadaxe serve\n```"
    part = best_part("how do I upgrade the engine", "\n\n".join(blocks), 400)
    assert part.startswith("To upgrade")


def test_a_short_follow_up_is_searched_with_the_question_before_it() -> None:
    assert (
        search_text_of(said("How do I install it on Linux?", "So.", "and on Windows?"))
        == "and on Windows? How do I install it on Linux?"
    )
    assert search_text_of(said("a", "b", "How are failing tasks tried again?")) == "How are failing tasks tried again?"
    leaning = said("How do I start a worker in the background?", "So.", "How would one stop it on Windows?")
    assert search_text_of(leaning) == "How would one stop it on Windows? How do I start a worker in the background?"
    chain = said("How are failing tasks tried again?", "So.", "And for children?", "So.", "How long?")
    assert search_text_of(chain) == "How long? And for children? How are failing tasks tried again?"


def test_questions_that_might_come_next_are_about_what_was_found_and_not_used() -> None:
    def found(index: int, heading: str) -> Citation:
        return Citation(index=index, title="Docs", heading=heading, url="https://e.org/", quote="", text="")

    passages = [
        found(1, "Install / With pip"),
        found(2, "Install / With pip"),
        found(3, "Install / How to upgrade"),
        found(4, "Which Python?"),
        found(5, "Concepts / Retries"),
        found(6, "Concepts / Crons"),
        found(7, "The"),
    ]
    assert follow_ups("What are retries?", passages, passages[:1]) == [
        "How do I upgrade?",
        "Which Python?",
        "What about “Crons”?",
    ]
    assert follow_ups("How?", [], []) == []


@pytest.mark.parametrize(
    ("pieces", "shown", "not_said"),
    [
        (["[0] No."], "No.", True),
        (["[", "0", "]", ": ", "No."], "No.", True),
        ([" \n[0]\n\n", "No [0]."], "No [0].", True),
        (["[1] says so."], "[1] says so.", False),
        (["[", "1] says so."], "[1] says so.", False),
        (["Yes [0]."], "Yes [0].", False),
        (["["], "[", False),
        (["[0]"], "", True),
    ],
    ids=["whole", "torn", "with space", "a citation", "a torn citation", "later", "cut", "alone"],
)
def test_the_mark_of_an_answer_that_is_none_is_taken_off_its_beginning(
    pieces: list[str], shown: str, not_said: bool
) -> None:
    opening = Opening()
    assert "".join(opening.take(piece) for piece in pieces) + opening.rest() == shown
    assert opening.not_said is not_said
