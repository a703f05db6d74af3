"""Matches paths against route templates such as ``jobs/{job_id}``."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from local.functions_host.errors import AppLoadError

_PARAMETER = re.compile(r"\{(\*?)(\w+)(?::(\w+))?(\?)?\}")
_CONSTRAINTS = {
    None: "[^/]+",
    "int": r"-?\d+",
    "guid": r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}",
    "alpha": "[a-zA-Z]+",
}


class Route:
    """A template of literal segments and parameters: ``{id}``, ``{id:int}``, ``{id?}``, ``{*rest}``.

    Args:
        template: the template with the route prefix and without a leading slash.

    Raises:
        AppLoadError: the template is malformed or has a constraint other than int, guid and alpha.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        pattern, ranks = "", []
        for segment in template.split("/") if template else ():
            segment_pattern, rank = _segment(segment, template)
            pattern += segment_pattern
            ranks.append(rank)
        self._pattern = re.compile(pattern, re.IGNORECASE)  # as ASP.NET's routes
        self.precedence = tuple(ranks)

    def match(self, path: str) -> Mapping[str, str] | None:
        """The decoded parameters if a percent-encoded path matches, otherwise None."""
        match = self._pattern.fullmatch(path.rstrip("/"))
        if match is None:
            return None
        return {name: unquote(value) for name, value in match.groupdict().items() if value}


def _segment(segment: str, template: str) -> tuple[str, int]:
    """The pattern of a segment with its leading slash, and its rank; a lower rank is more specific."""
    parameters = list(_PARAMETER.finditer(segment))
    literals = _PARAMETER.sub("", segment)
    if "{" in literals or "}" in literals or any(match[3] not in _CONSTRAINTS for match in parameters):
        raise AppLoadError(f"the route {template} has a segment that this host does not support: {segment}")
    if not parameters:
        return "/" + re.escape(segment), 0
    first = parameters[0]
    if first[1]:
        return f"(?:/(?P<{first[2]}>.*))?", 3
    if first[4]:
        return f"(?:/(?P<{first[2]}>{_CONSTRAINTS[first[3]]}))?", 2
    pattern, end = "/", 0
    for match in parameters:
        pattern += re.escape(segment[end : match.start()]) + f"(?P<{match[2]}>{_CONSTRAINTS[match[3]]})"
        end = match.end()
    return pattern + re.escape(segment[end:]), 1 if first[3] else 2
