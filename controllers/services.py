from dataclasses import dataclass
from pathlib import Path

from repositories.ports import Database


@dataclass(frozen=True)
class Services:
    """The services that controllers and handlers get in their contexts.

    Attributes:
        data_dir: the only directory that jobs may read files from.
        allowed_source_hosts: the hosts that jobs may read from over https.
        database: transactions on Lockstep's own database.
    """

    data_dir: Path
    allowed_source_hosts: frozenset[str]
    database: Database
