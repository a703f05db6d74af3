"""Takes secrets out of texts that are shown, stored as errors or logged.

What counts as a secret: the user info, the query and the fragment of a URL, where signatures and passwords stand; the
value of a `name=value` pair whose name says that it is a secret, as in a connection string; and the values that a job
type declares as secret parameters.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

MASK = "***"
"""What a secret value is replaced by."""

_LEAST_LENGTH = 4
"""Of a secret that is looked for inside other texts. A shorter one would be found in any text; it is masked only where
it is the whole value."""

# None of these patterns looks at a character more than a few times, whatever the text: a text may have megabytes.
_RUN = r"""[^\s"<>]*"""
_URL = re.compile(rf"(?<=[A-Za-z0-9+.-]):(?:\\?/){{2}}({_RUN})")
_HOST_AND_PORT = re.compile(r"(?:\[[^\]@/]*\]|[^/?#@:\\]*)(?::\d*)?(?=[/?#\\]|$)")
_END_OF_PATH = re.compile(r":(?:\\?/){2}|[?#]")
_NAMES = (
    "sharedaccesskey|sharedaccesssignature|accountkey|sig|signature|"
    "password|passwd|pwd|secret|client_?secret|token|(?:access|sas)_?token|api[_-]?key"
)
_QUERY_NAMES = "key|code|auth|credential|x-(?:amz|goog|ms)-[a-z-]+"  # in the query of a reference without a host
_PAIR = re.compile(
    rf"""((?:(?<![A-Za-z0-9])|(?<=%3F)|(?<=%26))(?:{_NAMES})|(?<=[?&])(?:{_QUERY_NAMES}))(\s?=\s?|%3D)"""
    r"""(?:'[^']*'|[^\s;&"<>]*[^\s;&"<>'`),.:\]}])""",
    re.IGNORECASE,
)
_CLOSING = "'`),.;:]}"
"""What follows a URL in a sentence or a list rather than ends it."""


def redacted(text: str) -> str:
    """Returns a text whose URLs have no user info, query and fragment, and whose secret pairs have no value.

    Other texts are unchanged, and so are texts that were redacted before.
    """
    if "=" not in text and "://" not in text and ":\\/\\/" not in text and "%3" not in text:
        return text
    text = _URL.sub(_without_secrets, text)
    return _PAIR.sub(rf"\g<1>\g<2>{MASK}", text)


@dataclass(frozen=True)
class Redaction:
    """Redacts what is shown of one job.

    Attributes:
        secrets: the values of its secret parameters.
    """

    secrets: frozenset[str] = frozenset()

    def text(self, text: str) -> str:
        """Returns a text without the secrets, see `redacted`."""
        if text in self.secrets:
            return MASK
        if self._inside is not None:
            text = self._inside.sub(MASK, text)
        return redacted(text)

    def json(self, value: Any) -> Any:
        """Returns a JSON value with all its strings and keys redacted, at any depth."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(name): self.json(each) for name, each in value.items()}
            case list() | tuple():
                return [self.json(each) for each in value]
            case bool() | None:
                return value
        return MASK if self.secrets and json.dumps(value) in self.secrets else value

    def cut_text(self, text: str) -> str:
        """Returns a text whose end was cut off, without the secrets: the last one may have been cut, too."""
        cut = max((_common(text, form) for form in self._forms), default=0)
        return self.text(text[:-cut]) + MASK if cut else self.text(text)

    @cached_property
    def _inside(self) -> re.Pattern[str] | None:
        if not self._forms:
            return None
        return re.compile("|".join(re.escape(form) for form in sorted(self._forms, key=len, reverse=True)))

    @cached_property
    def _forms(self) -> frozenset[str]:
        return frozenset(form for secret in self.secrets if len(secret) >= _LEAST_LENGTH for form in _forms(secret))


def _common(text: str, secret: str) -> int:
    """How many characters at the end of a text are the first of a secret."""
    lengths = range(min(len(text), len(secret)), 0, -1)
    return next((length for length in lengths if text.endswith(secret[:length])), 0)


def _forms(secret: str) -> Iterable[str]:
    """The ways in which errors quote a value, and quote a text that quotes it; most values look the same in all."""
    as_bytes = repr(secret.encode(errors="surrogatepass"))[2:-1]
    quoted = {*_quotes(secret), *_quotes(as_bytes), as_bytes, quote(secret, safe="", errors="surrogatepass")}
    return {secret, *quoted, *(each for form in quoted for each in _quotes(form))}


def _quotes(text: str) -> set[str]:
    """A text inside of a literal of Python, whichever quotes that has, and of JSON, whichever letters it escapes."""
    escaped = repr(f"{text}'\"")[1:-4]
    return {
        escaped,
        escaped.replace("\\'", "'"),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
    }


def _without_secrets(match: re.Match[str]) -> str:
    run, separator = match[1], match[0][: -len(match[1])] if match[1] else match[0]
    parts = [separator]
    position = _after_user_info(run, 0)
    while end := _END_OF_PATH.search(run, position):
        parts.append(run[position : end.start()])
        if end[0] in "?#":
            parts.append(_closing(run[end.start() :]))
            return "".join(parts)
        parts.append(end[0])  # a URL in the path of another, or a list of URLs
        position = _after_user_info(run, end.end())
    return "".join([*parts, run[position:]])


def _after_user_info(run: str, position: int) -> int:
    """Finds the host. A password may contain `/`, `?`, `#` and `@`, although a URL should have them percent-encoded."""
    while not _HOST_AND_PORT.match(run, position):
        at = run.find("@", position)
        if at < 0:
            return position
        position = at + 1
    return position


def _closing(text: str) -> str:
    return text[len(text.rstrip(_CLOSING)) :]
