"""A model that says the same over and over is noticed; a table is not."""

from __future__ import annotations

import pytest

from rag_chat.repetition import repetition_begins

OPENING = "The engine keeps its state in Postgres. "


@pytest.mark.parametrize(
    "loop",
    [
        "Install it with pip. ",
        "and so on ",
        "ha",
        "A longer thought that takes more than one line\nand comes back again and again.\n\n",
        "Step 12: restart the worker and look whether it helped this time.\n",
    ],
    ids=["sentence", "words", "syllable", "paragraph", "counted"],
)
def test_a_loop_is_noticed_where_its_second_round_begins(loop: str) -> None:
    text = OPENING
    found = None
    for number in range(300):
        text += loop.replace("12", str(10 + number % 80))
        found = repetition_begins(text)
        if found is not None:
            break
    assert found is not None
    assert len(OPENING) < found <= len(OPENING) + 2 * len(loop)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "word",
        "| a | b |\n|" + "-" * 400,
        "\n".join(f"| {n} | {n * 7919 % 1000} |" for n in range(100)),
        "\n".join(f"| {n} | none | yes |" for n in range(100)),
        "\n".join(f"- {word}: see the page about {word}" for word in "abcdefghijklmnopqrstuvwxyz"),
        "no, no, no. " + OPENING * 2,
    ],
    ids=["nothing", "short", "rule", "figures", "rows", "list", "twice"],
)
def test_what_looks_regular_is_no_loop(text: str) -> None:
    assert repetition_begins(text) is None
