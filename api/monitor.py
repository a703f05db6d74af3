"""HTTP route of the monitor: a page that shows jobs in a browser, with its scripts, styles and libraries.

It holds no data, so it asks for no key. The page asks for one when a route that it calls does.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import azure.functions as func

from api import page_files
from api.problems import answers_problems

blueprint = func.Blueprint()

FOLDER = Path(__file__).with_name("monitor_page")


@blueprint.function_name("get_monitor")
@blueprint.route(route="monitor/{*path}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
def get_monitor(req: func.HttpRequest) -> func.HttpResponse:
    """Returns the page, or one of its files."""
    return page_files.answer(req, "monitor", files())


@cache
def files() -> Mapping[str, Path]:
    """The files of the page by their paths."""
    return page_files.files_of(FOLDER)
