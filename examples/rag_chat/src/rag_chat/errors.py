"""Every failure the chat can explain to a person, in one tree.

    ChatError
    ├── SettingsError         a setting is missing or malformed
    ├── DatabaseError         the chat's Postgres cannot be used
    ├── EngineError           the engine did not answer
    ├── PageError             the page cannot be read, and trying again will not help
    │   ├── AddressRefused      the address is private, or is no web address at all
    │   ├── PageTooLarge        the page is larger than we read
    │   └── PageEmpty           there is no text in it
    ├── PageUnavailable       the page cannot be read now, trying again may help
    ├── ModelRefused          the model's server said no, and will say it again
    └── ModelUnavailable      the model's server failed, trying again may help
        └── ModelUnreachable    nothing answers at the model's address

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


class ModelRefused(ChatError):
    code = "model_refused"


class ModelUnavailable(ChatError):
    code = "model_unavailable"
    retryable = True


class ModelUnreachable(ModelUnavailable):
    code = "model_unreachable"
