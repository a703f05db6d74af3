"""HTTP route of the list of jobs."""

import azure.functions as func

from api import conditional, job_filters, job_listing_answers, requests
from api.known_parameters import takes
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("list_jobs")
@blueprint.route(route="jobs", methods=["GET"])
@answers_problems
@takes("type", "status", "created_from", "created_before", "text", "after", "limit")
def list_jobs(req: func.HttpRequest) -> func.HttpResponse:
    """Lists jobs, the newest first, page by page: see `api.job_filters`."""
    where, text, limit = job_filters.job_filter(req), job_filters.searched_text(req), requests.limit(req)
    found = app().job_lister.page(where, job_filters.after_job(req), limit, text)
    jobs = [job_listing_answers.listed_job(each) for each in found.jobs]
    cursor = job_filters.cursor_of(found.next) if found.next else None
    return conditional.json_response(req, job_listing_answers.ListedJobs(jobs, cursor))
