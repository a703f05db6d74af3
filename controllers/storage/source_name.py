"""The type of a parameter that names a source."""

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from controllers.storage.opener import check_source, check_unsigned


def _checked(source: str, info: ValidationInfo) -> str:
    # A submission is JSON. A row is not, and a job from before signed URLs were refused must be able to go on.
    return check_unsigned(check_source(source)) if info.mode == "json" else check_source(source)


SourceName = Annotated[str, AfterValidator(_checked)]
"""A path relative to DATA_DIR, `blob://CONTAINER/NAME`, or an https URL without a secret in its query."""
