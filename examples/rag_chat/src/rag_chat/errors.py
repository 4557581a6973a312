"""Every failure the chat can explain to a person, in one tree.

    ChatError
    ├── SettingsError         a setting is missing or malformed
    ├── DatabaseError         the chat's Postgres cannot be used
    ├── EngineError           the engine did not answer
    ├── UnknownPlace          a conversation has no such message, or is somebody else's
    ├── PageError             the page cannot be read, and trying again will not help
    │   ├── AddressRefused      the address is private, or is no web address at all
    │   ├── PageTooLarge        the page is larger than we read
    │   └── PageEmpty           there is no text in it
    ├── PageUnavailable       the page cannot be read now, trying again may help
    └── ModelError            no answer from a language model
        ├── ModelRefused        the model's server said no, and will say it again
        │   ├── ModelMissing      there is no such model, or no chat model at all
        │   ├── ModelSilent       not a word within the time it gets; asking again would only begin it anew
        │   └── PromptTooLong     more was sent than the model's window holds
        └── ModelUnavailable    the model's server failed, trying again may help
            ├── ModelLoading      it is loading the model
            └── ModelUnreachable  nothing answers at the model's address

The message of each is written for the person who asked the question: it reaches the chat and the run's page unchanged.
`retryable` decides whether the workflow tries again.
"""

from __future__ import annotations


class ChatError(Exception):
    """Something the chat can explain."""

    code = "chat_error"
    retryable = False


class SettingsError(ChatError):
    code = "settings"


class DatabaseError(ChatError):
    code = "database"


class EngineError(ChatError):
    code = "engine"


class UnknownPlace(ChatError):
    """`field` is the one of the question that names it."""

    code = "unknown_place"

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class PageError(ChatError):
    code = "page"


class AddressRefused(PageError):
    code = "address_refused"


class PageTooLarge(PageError):
    code = "page_too_large"


class PageEmpty(PageError):
    code = "page_empty"


class PageUnavailable(ChatError):
    code = "page_unavailable"
    retryable = True


class ModelError(ChatError):
    code = "model"


class ModelRefused(ModelError):
    code = "model_refused"


class ModelMissing(ModelRefused):
    code = "model_missing"


class ModelSilent(ModelRefused):
    code = "model_silent"


class PromptTooLong(ModelRefused):
    """`window_tokens` is what the server says it holds, when it says so."""

    code = "prompt_too_long"

    def __init__(self, message: str, window_tokens: int | None = None) -> None:
        super().__init__(message)
        self.window_tokens = window_tokens


class ModelUnavailable(ModelError):
    code = "model_unavailable"
    retryable = True


class ModelLoading(ModelUnavailable):
    code = "model_loading"


class ModelUnreachable(ModelUnavailable):
    code = "model_unreachable"
