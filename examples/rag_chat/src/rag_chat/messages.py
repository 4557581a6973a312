"""The words the chat's parts exchange: the workflow's input and outputs, and what the browser receives.

Owns the shapes and their bounds, and nothing else. The four outputs carry `status`, the word the browser shows for what
happens after that step: when `start` is done the chat is `reading`, then `making sense`, then `writing`, and at last
`complete`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator


class Mode(StrEnum):
    """How much is done for an answer; each is a workflow of its own. `balanced` is what an event gets."""

    QUICK = "quick"
    BALANCED = "balanced"
    THOROUGH = "thorough"


WORKFLOW_NAMES: dict[Mode, str] = {
    Mode.QUICK: "rag-chat-quick",
    Mode.BALANCED: "rag-chat",
    Mode.THOROUGH: "rag-chat-thorough",
}
QUESTION_EVENT = "question:create"

QUESTION_CHARS_MAX = 8_000
ANSWER_CHARS_MAX = 40_000
MESSAGES_MAX = 100

#: How many pages beside the first one a question may be about.
SOURCES_MAX = 10

Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_048)]


class Step(StrEnum):
    """In the order in which they run. Only a thorough answer is planned and reads more."""

    START = "start"
    PLAN = "plan"
    LOAD_DOCS = "load_docs"
    READ_MORE = "read_more"
    REASON_DOCS = "reason_docs"
    GENERATE_RESPONSE = "generate_response"


# What the chat is doing while a step runs.
STATUS_WHILE: dict[Step, str] = {
    Step.START: "starting",
    Step.PLAN: "planning",
    Step.LOAD_DOCS: "reading",
    Step.READ_MORE: "reading",
    Step.REASON_DOCS: "making sense",
    Step.GENERATE_RESPONSE: "writing",
}
# What a step announces when it ends: the next thing the chat does.
STATUS_AFTER: dict[Step, str] = {
    Step.START: STATUS_WHILE[Step.LOAD_DOCS],
    Step.PLAN: STATUS_WHILE[Step.LOAD_DOCS],
    Step.LOAD_DOCS: STATUS_WHILE[Step.REASON_DOCS],
    Step.READ_MORE: STATUS_WHILE[Step.REASON_DOCS],
    Step.REASON_DOCS: STATUS_WHILE[Step.GENERATE_RESPONSE],
    Step.GENERATE_RESPONSE: "complete",
}


class Outcome(StrEnum):
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ChatMessage(BaseModel):
    model_config = ConfigDict(frozen=True)

    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=ANSWER_CHARS_MAX)]


class Question(BaseModel):
    """The workflow's input: a conversation that ends with a question, and the page it is about, or several: `sources`
    are further addresses."""

    model_config = ConfigDict(frozen=True)

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MESSAGES_MAX)]
    url: Address
    sources: Annotated[list[Address], Field(max_length=SOURCES_MAX)] = []
    model: Annotated[str, StringConstraints(max_length=200)] | None = None

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> Question:
        last = self.messages[-1]
        if last.role != "user" or not last.content.strip():
            raise ValueError("messages must end with a message of role 'user' that is not empty")
        if len(last.content) > QUESTION_CHARS_MAX:
            raise ValueError(f"the question in messages is longer than {QUESTION_CHARS_MAX} characters: shorten it")
        return self


class Citation(BaseModel):
    """A passage: shown to the model in full as `text`, to the reader as `quote`."""

    model_config = ConfigDict(frozen=True)

    index: int
    title: str
    heading: str
    url: str
    quote: str
    # Where it stands in the library, and its share of the votes it could have got when it was found, 0 to 1.
    page_id: int | None = None
    passage_id: int | None = None
    score: float | None = None
    text: str = Field(default="", exclude_if=lambda text: text == "")

    def without_text(self) -> Citation:
        return self.model_copy(update={"text": ""})


class StepOutput(BaseModel):
    """What every step says at its end: the word for what comes next, the time of its last attempt, and its number."""

    status: str
    seconds: float | None = None
    attempt: int = 1


class StartOutput(StepOutput):
    question: str
    search_text: str
    url: str
    # Further pages, none of them twice.
    sources: list[str] = []


class PlanOutput(StepOutput):
    """The questions that are searched for, one of which is the person's own when the model had no plan."""

    questions: list[str]
    by_model: bool = False


class LoadDocsOutput(StepOutput):
    page_ids: list[int]
    pages: list[str]
    indexed: int
    skipped: list[str]
    # Pages that these link to and that a thorough answer reads next, the most promising first.
    further: list[str] = []


class ReadMoreOutput(StepOutput):
    page_ids: list[int]
    # How many more pages were tried.
    tried: int
    skipped: list[str]


class ReasonDocsOutput(StepOutput):
    method: str
    passages: list[Citation]
    # What was searched for beside, or in place of, the question as it stands.
    searched_for: list[str] = []
    # Sentences about what the search could not do.
    notices: list[str] = []
    # Whether anything stood at the model's address. If so, its absence later is a restart and no lack of a model.
    model_seen: bool = False


class GenerateResponseOutput(StepOutput):
    message: str
    citations: list[Citation]
    model: str | None
    extractive: bool
    # The answer says that the passages do not contain one.
    not_said: bool = False
    # Sentences about what is missing: passages that did not fit, an end that was cut.
    notices: list[str] = []
    reasoning: str = ""
    # How many of the passages that were found, by rank, the answer was made from.
    given: int = 0
    # Questions that might come next.
    suggestions: list[str] = []


class StepChunk(BaseModel):
    """A step began, ended or is about to be tried again. Travels through the engine's stream.

    The end of `reason_docs` brings the passages, so that the marks of an answer lead somewhere while it is written.
    """

    type: Literal["step"] = "step"
    step: Step
    phase: Literal["started", "finished", "retrying"]
    attempt: int
    status: str
    detail: str | None = None
    citations: list[Citation] | None = None
    # The end of `plan` and of `reason_docs` says what is searched for.
    searched_for: list[str] | None = None


class ProgressChunk(BaseModel):
    """A line about what a step is doing just now."""

    type: Literal["progress"] = "progress"
    step: Step
    detail: str


class TokenChunk(BaseModel):
    """A piece of the answer. `offset` counts this attempt's characters before it, so that lost pieces are noticed."""

    type: Literal["token"] = "token"
    attempt: int
    offset: int
    text: str


class DraftChunk(BaseModel):
    """All of the answer so far, for those who missed a piece."""

    type: Literal["draft"] = "draft"
    attempt: int
    text: str


Chunk = Annotated[StepChunk | ProgressChunk | TokenChunk | DraftChunk, Field(discriminator="type")]


class StepRecord(BaseModel):
    """What is remembered of a step: the time of its last attempt, how many there were, what it did in sentences."""

    step: Step
    seconds: float | None
    attempts: int
    notes: list[str]


class Result(BaseModel):
    """How an answer ended. `message` is always fit to be shown. `found` are all passages, by rank, of which the answer
    was made from the first `given` and refers to the `citations`; with `not_said` it says that they contain none.
    `searched_for` is what was searched for where that is not the question as it stands."""

    status: Outcome
    message: str
    citations: list[Citation] = []
    model: str | None = None
    extractive: bool = False
    not_said: bool = False
    searched_for: list[str] = []
    notices: list[str] = []
    reasoning: str = ""
    error: str | None = None
    found: list[Citation] = []
    given: int = 0
    steps: list[StepRecord] = []
    suggestions: list[str] = []
