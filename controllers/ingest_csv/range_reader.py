"""Reads the range of a load task."""

import zlib

from controllers import authoring as lockstep


def read_range(parameters: lockstep.TaskParameters, services: lockstep.Services) -> bytes:
    """Returns the bytes of the range.

    Raises:
        SourceError: the source cannot be used, or the range has changed since the file was cut.
        SourceUnavailableError: the source cannot be read now.
    """
    source = parameters["source"]
    with services.open_source(source) as opened:
        data = opened.read(parameters["offset"], parameters["length"])
    if len(data) != parameters["length"] or zlib.crc32(data) != parameters["crc32"]:
        raise lockstep.source_changed(lockstep.display_name(source))
    return data
