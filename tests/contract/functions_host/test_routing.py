import pytest

from local.functions_host.errors import AppLoadError
from local.functions_host.routing import Route


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("", "/", {}),
        ("api/jobs", "/api/jobs", {}),
        ("api/jobs", "/api/jobs/1", None),
        ("api/jobs/{id}", "/api/jobs", None),
        ("api/jobs/{id}", "/api/jobs/a%20b%2Fc", {"id": "a b/c"}),
        ("api/jobs/{id?}", "/api/jobs", {}),
        ("api/jobs/{id?}", "/api/jobs/7", {"id": "7"}),
        ("api/jobs/{id:int}", "/api/jobs/-7", {"id": "-7"}),
        ("api/jobs/{id:int}", "/api/jobs/x", None),
        ("api/{id:guid}", "/api/6f9619ff-8b86-d011-b42d-00c04fc964ff", {"id": "6f9619ff-8b86-d011-b42d-00c04fc964ff"}),
        ("api/{name}.{kind}", "/api/a.json", {"name": "a", "kind": "json"}),
        ("api/files/{*path}", "/api/files/a/b", {"path": "a/b"}),
        ("api/files/{*path}", "/api/files", {}),
        ("a+b", "/aab", None),
    ],
)
def test_a_route_matches_a_path(template: str, path: str, params: dict[str, str] | None) -> None:
    assert Route(template).match(path) == params


def test_literals_precede_constrained_parameters_then_free_ones_then_a_rest() -> None:
    templates = ["x/{*rest}", "x/{id}", "x/{id:int}", "x/y"]
    routes = sorted((Route(template) for template in templates), key=lambda route: route.precedence)
    assert [route.template for route in routes] == ["x/y", "x/{id:int}", "x/{id}", "x/{*rest}"]


@pytest.mark.parametrize("template", ["a/{", "a/{id:regex(x)}", "a/{id:length}", "a/}b"])
def test_a_template_that_is_not_supported_is_refused(template: str) -> None:
    with pytest.raises(AppLoadError, match="does not support"):
        Route(template)
