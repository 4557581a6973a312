"""Text out of PDF documents.

Owns what is read of one: its text layer, page by page, each page under a heading of its own, so that a passage leads to
its page (`#page=3` is understood by browsers). Nothing is recognised in pictures. Pure functions that may take seconds:
run them in a thread. A document is somebody else's, so pages, characters and time are bounded, and whatever it does to
the library that reads it is a sentence.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pypdf import PdfReader
from pypdf.errors import FileNotDecryptedError

from rag_chat.errors import PageEmpty, PageError

PAGES_MAX = 500
TIME_S_MAX = 60.0

# It warns of every oddity of a document, which nobody can mend.
logging.getLogger("pypdf").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class PdfText:
    """`pages` are the texts of the pages, in order, empty ones too. `title` is what the document says of itself."""

    title: str
    pages: tuple[str, ...]


def read_pdf(body: bytes, name: str, chars_max: int) -> PdfText:
    """The text of a PDF document; raises PageError when it cannot be read, with `name` for what it is called."""
    by = time.monotonic() + TIME_S_MAX
    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise PageError(f"{name} is protected by a password, so it cannot be read.")
        count = len(reader.pages)
        if count > PAGES_MAX:
            raise PageError(f"{name} has {count} pages; the chat reads documents of at most {PAGES_MAX}.")
        title = str((reader.metadata.title if reader.metadata is not None else None) or "")
        pages = tuple(_texts(reader, name, chars_max, by))
    except FileNotDecryptedError:
        raise PageError(f"{name} is protected by a password, so it cannot be read.") from None
    except PageError:
        raise
    except Exception as error:
        # Of damaged documents it raises what it happens to stumble over.
        raise PageError(f"{name} is damaged, or no PDF document ({type(error).__name__}).") from None
    if not any(text.strip() for text in pages):
        raise PageEmpty(f"{name} has no text, as documents that were scanned: it consists of pictures.")
    return PdfText(" ".join(title.split()), pages)


def _texts(reader: PdfReader, name: str, chars_max: int, by: float) -> Iterator[str]:
    chars = 0
    for page in reader.pages:
        if time.monotonic() > by:
            raise PageError(f"{name} is too complicated: reading it took longer than {TIME_S_MAX:g} s.")
        text = page.extract_text()[: max(0, chars_max - chars)]
        chars += len(text)
        yield text
