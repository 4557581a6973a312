"""`python -m rag_chat.evaluate`: measure how well passages are found, and print it as a table.

The measuring is a run on the engine, done by the chat's worker; this program begins it, waits, and shows its progress.
Exit code 0 when it was done, 1 when it failed or found less than was asked for, 2 for a mistake in the call.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from rag_chat.addresses import parse_web_address
from rag_chat.database import open_database
from rag_chat.engine import HatchetGateway
from rag_chat.engine_connection import connect, wait_for_engine
from rag_chat.errors import AddressRefused, ChatError
from rag_chat.evaluation import QUESTIONS_MAX, KnownQuestion, Method, questions_about_the_docs, summarise
from rag_chat.evaluation_runs import begin_evaluation, settle
from rag_chat.evaluation_store import EvaluatedQuestion, EvaluationStore
from rag_chat.settings import read_settings

FILE_BYTES_MAX = 5_000_000
LOOK_EVERY_S = 1.0


class Mistake(Exception):
    """The call cannot be carried out as it was made."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        questions = _read_questions(options.questions) if options.questions else questions_about_the_docs()
        if options.url is not None:
            parse_web_address(options.url)
        return asyncio.run(_evaluate(options.url, questions, options.first_min))
    except (Mistake, AddressRefused) as error:
        print(f"rag_chat.evaluate: {error}", file=sys.stderr)
        return 2
    except ChatError as error:
        print(f"rag_chat.evaluate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rag_chat.evaluate",
        description="Measure how well passages are found, by words, by meaning and by both. Needs the chat's worker, "
        "and the same settings (RAG_CHAT_DATABASE_URL, HATCHET_CLIENT_TOKEN, ...).",
    )
    parser.add_argument("--url", help="the site to ask about (default: RAG_CHAT_DEFAULT_URL)")
    parser.add_argument(
        "--questions",
        type=Path,
        metavar="FILE",
        help='a JSON list of {"question": "...", "pages": ["install", ...]} (default: some about the engine\'s docs)',
    )
    parser.add_argument(
        "--first-min",
        type=int,
        default=0,
        metavar="N",
        help="fail unless the best method puts a right page first for at least N questions, and finds one for all",
    )
    return parser


def _read_questions(path: Path) -> list[KnownQuestion]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Mistake(f"{path} is larger than {FILE_BYTES_MAX // 1_000_000} MB")
        found = TypeAdapter(list[KnownQuestion]).validate_json(path.read_bytes())
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Mistake(f"{path} is no list of questions: {place + ': ' if place else ''}{first['msg']}") from None
    if not 0 < len(found) <= QUESTIONS_MAX:
        raise Mistake(f"{path} has {len(found)} questions: give 1 to {QUESTIONS_MAX}")
    return found


async def _evaluate(url: str | None, questions: list[KnownQuestion], first_min: int) -> int:
    settings = read_settings()
    hatchet = connect(attempts_max=1)
    await wait_for_engine(hatchet, settings.engine_wait_s)
    database = await open_database(settings.database_url)
    try:
        store = EvaluationStore(database)
        gateway = HatchetGateway(hatchet)
        where = url or settings.default_url
        evaluation_id = await begin_evaluation(gateway, store, where, questions)
        print(f"{len(questions)} questions about {where}", file=sys.stderr)
        error = await _follow(gateway, store, evaluation_id, len(questions))
        if error is not None:
            print(f"rag_chat.evaluate: {error}", file=sys.stderr)
            return 1
        return _print(await store.questions(evaluation_id), first_min)
    finally:
        await database.close()


async def _follow(gateway: HatchetGateway, store: EvaluationStore, evaluation_id: UUID, questions: int) -> str | None:
    """Show progress until the evaluation has ended; why it did not end well."""
    shown = -1
    while True:
        await settle(gateway, store, evaluation_id)
        evaluation = await store.get(evaluation_id)
        done = len(await store.questions(evaluation_id))
        if done != shown:
            print(f"{done} of {questions} questions" if done else "reading the site", file=sys.stderr)
            shown = done
        if evaluation is None or evaluation.status != "running":
            return "The evaluation is gone." if evaluation is None else evaluation.error
        await asyncio.sleep(LOOK_EVERY_S)


def _print(answers: Sequence[EvaluatedQuestion], first_min: int) -> int:
    summaries = summarise([answer.scores for answer in answers])
    print("rank of the first passage from a right page (- none among the passages)\n")
    print("  ".join(f"{method.value:>7}" for method in summaries) + "  question")
    for answer in answers:
        ranks = "  ".join(f"{answer.scores[method].rank or '-':>7}" for method in summaries)
        print(f"{ranks}  {answer.question.question}")
    print()
    for method, each in summaries.items():
        print(
            f"{method.value:>7}: found {each.found} of {each.questions}, first {each.first}, recall {each.recall:.2f}, "
            f"precision {each.precision:.2f}, mean reciprocal rank {each.reciprocal_rank:.2f}"
        )
    if Method.MEANING not in summaries:
        print("\nWords only: no embedding model is there (README, Finding by meaning).")
    best = max(summaries.values(), key=lambda each: (each.found, each.first))
    return 1 if first_min and (best.first < first_min or best.found < best.questions) else 0


if __name__ == "__main__":
    sys.exit(main())
