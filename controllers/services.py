from dataclasses import dataclass
from pathlib import Path

from repositories.ports import Database


@dataclass(frozen=True)
class Services:
    """What the outside world lends to controllers and handlers, in their contexts.

    Attributes:
        data_dir: the only directory that jobs may read files of.
        allowed_source_hosts: the hosts that https sources may name.
        database: transactions on Lockstep's own database.
    """

    data_dir: Path
    allowed_source_hosts: frozenset[str]
    database: Database
