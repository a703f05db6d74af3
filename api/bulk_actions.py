"""HTTP routes that cancel, retry or delete many jobs, and tell how far that has come."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import azure.functions as func

from api import requests, views
from api.job_filters import job_filter
from api.known_parameters import takes
from api.problems import answers_problems
from bootstrap import app
from core.bulk_actions import BulkAction, BulkKind, JobRefusal
from core.errors import ActionNotFoundError, FieldError, InvalidInputError, field_error
from core.statuses import JobStatus

blueprint = func.Blueprint()

_ACTION_ID = re.compile("[0-9a-f]{32}")
_POLL_SECONDS = "2"

_FILTERS = ("type", "status", "created_from", "created_before")
_PARAMETERS = (*_FILTERS, "dry_run")


@dataclass(frozen=True)
class JobCount:
    """How many jobs a bulk action would be about."""

    matched: int


@dataclass(frozen=True)
class ActionProgress:
    """How far a bulk action has come.

    `matched` counts the jobs when it began. Jobs that no longer fitted the filter at their turn were left alone, and
    count neither as `done` nor as `failed`. `failures` has the first hundred.
    """

    action_id: str
    action: BulkKind
    is_finished: bool
    matched: int
    done: int
    failed: int
    failures: Sequence[JobRefusal]
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class ListedAction:
    """A bulk action in a list, with its filter: its `statuses` are those that can be meant."""

    action_id: str
    action: BulkKind
    job_type: str | None
    statuses: Sequence[JobStatus]
    created_from: datetime | None
    created_before: datetime | None
    is_finished: bool
    matched: int
    done: int
    failed: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class ListedActions:
    """A page of bulk actions, the newest first; `next` is the `after` of the next page, null on the last one."""

    actions: Sequence[ListedAction]
    next: str | None


@blueprint.function_name("cancel_jobs")
@blueprint.route(route="jobs/cancel", methods=["POST"])
@answers_problems
@takes(*_PARAMETERS)
def cancel_jobs(req: func.HttpRequest) -> func.HttpResponse:
    """Cancels the jobs of a filter: see `api.job_filters`; `?dry_run=true` counts them."""
    return _begin(req, BulkKind.CANCEL)


@blueprint.function_name("retry_jobs")
@blueprint.route(route="jobs/retry", methods=["POST"])
@answers_problems
@takes(*_PARAMETERS)
def retry_jobs(req: func.HttpRequest) -> func.HttpResponse:
    """Runs the failed tasks of the jobs of a filter again; `?dry_run=true` counts the jobs."""
    return _begin(req, BulkKind.RETRY)


@blueprint.function_name("delete_jobs")
@blueprint.route(route="jobs/delete", methods=["POST"])
@answers_problems
@takes(*_PARAMETERS)
def delete_jobs(req: func.HttpRequest) -> func.HttpResponse:
    """Deletes the jobs of a filter that have ended; `?dry_run=true` counts them."""
    return _begin(req, BulkKind.DELETE)


@blueprint.function_name("get_action")
@blueprint.route(route="actions/{action_id}", methods=["GET"])
@answers_problems
def get_action(req: func.HttpRequest) -> func.HttpResponse:
    """Shows how far a bulk action has come, and with which jobs it could not be done."""
    action_id = str(req.route_params.get("action_id", ""))
    if not _ACTION_ID.fullmatch(action_id):
        raise ActionNotFoundError(action_id)
    return views.json_response(_progress(app().bulk_actions.get(action_id)))


@blueprint.function_name("list_actions")
@blueprint.route(route="actions", methods=["GET"])
@answers_problems
@takes("after", "limit")
def list_actions(req: func.HttpRequest) -> func.HttpResponse:
    """Lists bulk actions, the newest first, page by page: `?after={next}&limit=`."""
    limit, after = requests.limit(req), req.params.get("after") or None
    if after is not None and not _ACTION_ID.fullmatch(after):
        raise field_error("after", "must be the `next` of the previous page")
    found = app().bulk_actions.newest(after, limit)
    cursor = found[-1].action_id if found.has_more else None
    return views.json_response(ListedActions([_listed(each) for each in found], cursor))


def _begin(req: func.HttpRequest, kind: BulkKind) -> func.HttpResponse:
    _refuse_the_unread(req)
    where, only_counts = job_filter(req), requests.flag(req, "dry_run")
    if only_counts:
        return views.json_response(JobCount(app().bulk_actions.count(kind, where)))
    action = app().bulk_actions.begin(kind, where)
    url = f"{req.url.split('/jobs/')[0]}/actions/{action.action_id}"
    return views.json_response(_progress(action), 202, {"Location": url, "Retry-After": _POLL_SECONDS})


def _refuse_the_unread(req: func.HttpRequest) -> None:
    """Refuses what a list would ignore: without an empty filter, an action would be about more jobs than meant."""
    errors = [FieldError(name, f"{name} is empty") for name in _FILTERS if req.params.get(name) == ""]
    if errors:
        raise InvalidInputError("; ".join(error.message for error in errors), errors)
    if requests.json_object(req, app().settings.max_request_bytes):
        raise InvalidInputError("the jobs are named by parameters of the URL; the body must be empty")


def _progress(action: BulkAction) -> ActionProgress:
    return ActionProgress(
        action.action_id,
        action.kind,
        action.finished_at is not None,
        action.matched,
        action.done,
        action.failed,
        action.failures,
        action.created_at,
        action.finished_at,
    )


def _listed(action: BulkAction) -> ListedAction:
    return ListedAction(
        action.action_id,
        action.kind,
        action.where.job_type,
        sorted(action.where.statuses or ()),
        action.where.created_from,
        action.where.created_before,
        action.finished_at is not None,
        action.matched,
        action.done,
        action.failed,
        action.created_at,
        action.finished_at,
    )
