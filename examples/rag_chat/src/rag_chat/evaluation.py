"""How well passages are found: questions whose right pages are known, and what is measured of the answers.

Owns the measures. Of the passages that an answer would be given, only the page each is from counts: `rank` is the place
of the first one from a right page, and precision the share of those that are from right pages. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rag_chat.messages import QUESTION_CHARS_MAX

QUESTIONS_MAX = 500
PAGES_MAX = 20

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class Method(StrEnum):
    """How passages are found."""

    WORDS = "words"
    MEANING = "meaning"
    BOTH = "both"


class KnownQuestion(BaseModel):
    """A question and the pages that answer it, each by the last part of its address without an ending."""

    model_config = ConfigDict(frozen=True)

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=QUESTION_CHARS_MAX)]
    pages: Annotated[list[Name], Field(min_length=1, max_length=PAGES_MAX)]


class Score(BaseModel):
    """One question by one method. `rank` begins at 1 and is null when no passage is from a right page."""

    rank: int | None
    precision: float
    pages: list[str] = []


class Summary(BaseModel):
    """One method over all questions. `recall`, `precision` and `reciprocal_rank` are means, 0 to 1."""

    questions: int
    found: int
    first: int
    recall: float
    precision: float
    reciprocal_rank: float


def questions_about_the_docs() -> list[KnownQuestion]:
    """Those this package has about the engine's own documentation."""
    text = files("rag_chat").joinpath("docs_questions.json").read_text(encoding="utf-8")
    return [KnownQuestion.model_validate(entry) for entry in json.loads(text)]


def page_name(url: str) -> str:
    """The last part of an address, without an ending: `install` for `https://e.org/docs/install.html#pip`."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2].partition(".")[0]


def score(question: KnownQuestion, found: Sequence[str]) -> Score:
    """What the addresses of the passages found, best first, are worth."""
    names = [page_name(url) for url in found]
    right = [name in question.pages for name in names]
    rank = right.index(True) + 1 if any(right) else None
    return Score(rank=rank, precision=round(sum(right) / len(right), 3) if right else 0.0, pages=names)


def summarise(scores: Sequence[Mapping[Method, Score]]) -> dict[Method, Summary]:
    """Each method that was used for any question, over the questions it was used for."""
    summaries: dict[Method, Summary] = {}
    for method in Method:
        of_method = [each[method] for each in scores if method in each]
        if not of_method:
            continue
        count = len(of_method)
        ranks = [each.rank for each in of_method if each.rank is not None]
        summaries[method] = Summary(
            questions=count,
            found=len(ranks),
            first=ranks.count(1),
            recall=round(len(ranks) / count, 3),
            precision=round(sum(each.precision for each in of_method) / count, 3),
            reciprocal_rank=round(sum(1 / rank for rank in ranks) / count, 3),
        )
    return summaries
