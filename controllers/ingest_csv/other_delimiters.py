"""Guesses the delimiter of a file that is read with another one."""

import csv
from dataclasses import dataclass
from io import StringIO
from itertools import islice

from controllers.ingest_csv.record_grammar import lift_field_limit

SAMPLE_BYTES = 64 * 1024
"""The beginning of a file that is read for a guess."""

_SAMPLE_RECORDS = 20
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class OtherDelimiter:
    """A delimiter that cuts the first record into more columns than the given one.

    Attributes:
        delimiter: one of those that are common.
        columns: of the first record.
        fits: whether the records after the first one have as many columns, as far as the guess reads.
    """

    delimiter: str
    columns: int
    fits: bool


def find_other_delimiter(sample: bytes, record: bytes, delimiter: str, columns: int) -> OtherDelimiter | None:
    """Returns the delimiter that cuts the first record into the most columns, if they are more than the given one's.

    Args:
        sample: the beginning of the file, from the first record.
        record: the first record.
        delimiter: the given one.
        columns: of the first record, with the given delimiter.
    """
    counts = {each: _widths(record, each, 1)[0] for each in _DELIMITERS if each != delimiter}
    best = max(counts, key=lambda each: counts[each])
    if counts[best] <= columns:
        return None
    # The sample may end inside a record.
    whole = sample if len(sample) < SAMPLE_BYTES else sample[: sample.rfind(b"\n") + 1]
    return OtherDelimiter(best, counts[best], fits=set(_widths(whole, best, _SAMPLE_RECORDS)) <= {counts[best]})


def _widths(data: bytes, delimiter: str, most: int) -> list[int]:
    """Counts the columns of the first records that are not blank."""
    lift_field_limit()
    reader = csv.reader(StringIO(data.decode(errors="replace"), newline=""), delimiter=delimiter)
    return [len(fields) for fields in islice(filter(None, reader), most)]
