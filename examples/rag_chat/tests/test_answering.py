"""Prompts, citations, and the answer without a model."""

from __future__ import annotations

from rag_chat.answering import best_part, build_prompt, cited, extractive_answer, search_text_of
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
    prompt = build_prompt(said("How?", "Like this [2].", "And then?"), PASSAGES)
    assert [message.role for message in prompt] == ["system", "user", "assistant", "user"]
    assert "[1] Install — With pip\nhttps://e.org/i#pip\nRun `pip install x`." in prompt[0].content
    assert prompt[2].content == "Like this ."
    assert prompt[-1].content == "And then?"


def test_a_long_conversation_is_bounded_and_keeps_its_latest_part() -> None:
    prompt = build_prompt(said(*[f"{n} " + "x" * 3_000 for n in range(41)]), PASSAGES)
    assert sum(len(message.content) for message in prompt[1:-1]) <= 6_000
    assert prompt[-2].content.startswith("39 ")


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
