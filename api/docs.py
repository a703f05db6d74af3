"""HTTP route of a page to try the API in a browser: Swagger UI, on the OpenAPI document of the app.

Like the monitor, it holds no data and asks for no key; the routes that it calls do.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

import azure.functions as func

from api import page_files
from api.problems import answers_problems

blueprint = func.Blueprint()

FOLDER = Path(__file__).with_name("docs_page")
PACKAGE = "mkdocs_swagger_ui_tag"
"""Only the files of Swagger UI are used of it: nothing but its empty `__init__` is imported."""

_SWAGGER_UI = ("javascripts/swagger-ui-bundle.js", "stylesheets/swagger-ui.css")


@blueprint.function_name("get_docs")
@blueprint.route(route="docs/{*path}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
def get_docs(req: func.HttpRequest) -> func.HttpResponse:
    """Returns the page, or one of its files."""
    return page_files.answer(req, "docs", files())


@cache
def files() -> Mapping[str, Path]:
    """The files of the page by their paths: its own, and those of Swagger UI. Looked up with the first request."""
    package = Path(str(resources.files(PACKAGE))) / "swagger-ui"
    shipped = (package / path for path in _SWAGGER_UI)
    return page_files.files_of(FOLDER) | {path.name: path for path in shipped}
