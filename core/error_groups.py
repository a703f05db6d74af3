"""Groups errors by their cause: by type, and by message without what differs between errors of one cause."""

import hashlib
import re
from dataclasses import dataclass

from core.redaction import Redaction

READ_CHARACTERS = 500
"""Of a message; what follows tells no causes apart. A reader of many errors may cut them to this length."""

_QUOTED = re.compile(r"""(?<!\w)'[^']*'|"[^"]*"|`[^`]*`""")
_QUOTED_TO_THE_CUT = re.compile(r"""((?<!\w)'[^']*|"[^"]*|`[^`]*)$""")
_VARIES = re.compile(r"[\d/\\=@#]")
"""A character of a number, an id, a path, a URL, an address or a pair."""


@dataclass(frozen=True)
class ErrorGroup:
    """The errors of one cause.

    Attributes:
        id: 16 hex digits that follow from the type and the message, in all jobs and versions of the app.
        type: the exception's class name.
        message: with `#` for each quoted text and each word that holds a number, an id, a path or a URL.
    """

    id: str
    type: str
    message: str


def group_of(error_type: str, message: str) -> ErrorGroup:
    """Returns the group of an error, as a row holds it; the first `READ_CHARACTERS` of the message decide."""
    text = message[:READ_CHARACTERS]
    normalised = _normalised(text, is_cut=len(text) == READ_CHARACTERS)
    digest = hashlib.sha256(f"{error_type}\n{normalised}".encode(errors="surrogatepass"))
    return ErrorGroup(digest.hexdigest()[:16], error_type, normalised)


def shown_message(message: str, redaction: Redaction) -> str:
    """Returns the message of a group as it may be shown, from that of one of its errors.

    The message of the group itself cannot be redacted: a secret that was changed there would not be found.
    """
    text = message[:READ_CHARACTERS]
    is_cut = len(text) == READ_CHARACTERS
    return _normalised(redaction.cut_text(text) if is_cut else redaction.text(text), is_cut=is_cut)


def _normalised(text: str, *, is_cut: bool) -> str:
    text = _QUOTED.sub("#", text)
    if is_cut:
        text = _QUOTED_TO_THE_CUT.sub("#", text)
    words = text.split()
    if is_cut and len(words) > 1:
        words.pop()  # it may be cut anywhere
    return " ".join("#" if _VARIES.search(word) else word for word in words)
