"""Everything that job types import from Lockstep, in one module.

| names | for |
|---|---|
| `JobController`, `JobParameters`, `StageSpec`, `DispatchProtocol` | a job type's class, its parameters, its stages |
| `WhenExclusive` | what happens to a submission whose exclusive key another job holds |
| `MessagePer` | whether a message carries one task of a stage or a batch of them |
| `task_type`, `TaskType`, `Lane`, `Backoff`, `Rate` | its task types: handler, retries, lane, limits |
| `batch_handler`, `BatchHandler`, `TaskItem`, `TaskItems`, `ItemOutcomes` | task types that run many tasks in a call |
| `JobContext`, `StageContext`, `TaskContext`, `Services` | the contexts that its code gets, and the services in them |
| `JobOutcome`, `JobStatus` | how a job ended, for `job_ended` |
| `Schedule` | when jobs of a type are submitted |
| `Tasks`, `TaskDefinition`, `TaskParameters`, `Handler` | the task definitions of a stage, and what runs a task |
| `TaskResult`, `TaskResults`, `TaskStatus`, `JsonValue` | the results of tasks, stages and jobs |
| `BatchWindow`, `AlignedBatch` | a controller that changes how the tasks of a stage are queued |
| `ContinueLater` | a handler raises it to go on in another run |
| `JobFailure`, `NonDeterministicStageError`, `PermanentTaskError`, `LockstepError`, `UnencodableValueError` | errors |
| `TaskLeaseLostError` | the error of a checkpoint when the task runs elsewhere |
| `InvalidParameterError`, `InvalidInputError`, `FieldError`, `UnreachableError` | errors of `check_submission` |
| `ConstraintViolationError` | the error of a constraint of a table of its own |
| `Database`, `UnitOfWork`, `TransactionKind` | `Services.transact` to write, `Database.transaction` to read |
| `Rows`, `Row`, `queries`, `copy_line` | tables of its own: the connection of a repository, named SQL, COPY |
| `identifier`, `with_names`, `MAX_IDENTIFIER_BYTES` | names of tables and columns in the text of a query |
| `check_data_path`, `existing_file`, `place_of`, `DataPathError` | paths under DATA_DIR that clients name |
| `SourceName`, `check_source`, `display_name` | a parameter that names a file, a blob or an https URL |
| `Source`, `blocks` | what `Services.open_source` opens |
| `ndjson_items`, `csv_items`, `blob_items`, `Item`, `ListedBlob` | lines, rows, blobs: tasks of them, `docs/blobs.md` |
| `write_ndjson` | results as the lines of a blob |
| `SourceError`, `SourceUnavailableError`, `source_changed` | errors of reading them |
| `TargetError`, `TargetUnavailableError` | errors of writing a blob |
| `json_text` | JSON as PostgreSQL's `jsonb` takes it |

A parameter of pydantic's type `SecretStr`, `SecretBytes` or `Secret` is not shown, and its value is kept out of errors.
"""

from controllers.base import (
    BatchWindow,
    DispatchProtocol,
    JobController,
    StageSpec,
    TaskResults,
    Tasks,
    WhenExclusive,
)
from controllers.context import (
    Handler,
    JobContext,
    JobParameters,
    JsonValue,
    StageContext,
    TaskContext,
    TaskParameters,
)
from controllers.data_paths import DataPathError, check_data_path, existing_file, place_of
from controllers.outcome import JobOutcome
from controllers.schedule import Schedule
from controllers.services import Services
from controllers.storage.blob_items import ListedBlob, blob_items
from controllers.storage.blob_writer import write_ndjson
from controllers.storage.item import Item
from controllers.storage.line_items import csv_items, ndjson_items
from controllers.storage.opener import check_source, display_name
from controllers.storage.source import Source, blocks
from controllers.storage.source_name import SourceName
from controllers.task_items import BatchHandler, ItemOutcomes, TaskItem, TaskItems
from controllers.task_type import TaskType, batch_handler, task_type
from core import json_text
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import (
    ConstraintViolationError,
    ContinueLater,
    FieldError,
    InvalidInputError,
    InvalidParameterError,
    JobFailure,
    LockstepError,
    NonDeterministicStageError,
    PermanentTaskError,
    SourceError,
    SourceUnavailableError,
    TargetError,
    TargetUnavailableError,
    TaskLeaseLostError,
    UnencodableValueError,
    UnreachableError,
    source_changed,
)
from core.lanes import Lane, MessagePer
from core.retry import Backoff
from core.statuses import JobStatus, TaskStatus
from core.task_limits import Rate
from core.task_runs import TaskResult
from repositories import queries
from repositories.copy_format import copy_line
from repositories.identifiers import MAX_IDENTIFIER_BYTES, identifier, with_names
from repositories.ports import Database, Row, Rows, TransactionKind, UnitOfWork

__all__ = [
    "MAX_IDENTIFIER_BYTES",
    "AlignedBatch",
    "Backoff",
    "BatchHandler",
    "BatchWindow",
    "ConstraintViolationError",
    "ContinueLater",
    "DataPathError",
    "Database",
    "DispatchProtocol",
    "FieldError",
    "Handler",
    "InvalidInputError",
    "InvalidParameterError",
    "Item",
    "ItemOutcomes",
    "JobContext",
    "JobController",
    "JobFailure",
    "JobOutcome",
    "JobParameters",
    "JobStatus",
    "JsonValue",
    "Lane",
    "ListedBlob",
    "LockstepError",
    "MessagePer",
    "NonDeterministicStageError",
    "PermanentTaskError",
    "Rate",
    "Row",
    "Rows",
    "Schedule",
    "Services",
    "Source",
    "SourceError",
    "SourceName",
    "SourceUnavailableError",
    "StageContext",
    "StageSpec",
    "TargetError",
    "TargetUnavailableError",
    "TaskContext",
    "TaskDefinition",
    "TaskItem",
    "TaskItems",
    "TaskLeaseLostError",
    "TaskParameters",
    "TaskResult",
    "TaskResults",
    "TaskStatus",
    "TaskType",
    "Tasks",
    "TransactionKind",
    "UnencodableValueError",
    "UnitOfWork",
    "UnreachableError",
    "WhenExclusive",
    "batch_handler",
    "blob_items",
    "blocks",
    "check_data_path",
    "check_source",
    "copy_line",
    "csv_items",
    "display_name",
    "existing_file",
    "identifier",
    "json_text",
    "ndjson_items",
    "place_of",
    "queries",
    "source_changed",
    "task_type",
    "with_names",
    "write_ndjson",
]
