"""`lockstep migrate`: runs the app's own step of a deployment, because the command has none of the app's packages."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.exits import UsageError

_NEEDED = "import azure.identity, psycopg2, pydantic, yoyo"


def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="list what is pending, change nothing; exit code 1 if any")
    ] = False,
    app_role: Annotated[str | None, typer.Option(metavar="NAME", help="grant this role what the app needs")] = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="how long to try while others hold locks")] = 300.0,
    app: Annotated[Path, typer.Option(help="the directory of the app, with function_app.py")] = Path(),
    python: Annotated[str, typer.Option(help="a Python with the packages of the app")] = sys.executable,
) -> None:
    """Bring the schema of the database that DATABASE_URL names up to date, from a checkout of the app."""
    if not (app / "migrate.py").is_file():
        raise UsageError(f"{app.absolute()} is not the app: it has no migrate.py; name its directory with --app")
    interpreter = _interpreter(python)
    if app_role == "":  # of a variable that is not set: the app would be without rights on the new tables
        raise UsageError("--app-role must not be empty")
    arguments = [f"--wait={wait}", *(["--check"] if check else []), *([f"--app-role={app_role}"] if app_role else [])]
    ran = subprocess.run([interpreter, "-m", "migrate", *arguments], cwd=app, check=False)  # noqa: S603 - the app's own
    raise typer.Exit(ran.returncode)


def _interpreter(python: str) -> str:
    found = shutil.which(python)
    if found is None:
        raise UsageError(f"there is no {python}; --python names a Python with the packages of the app")
    path = str(Path(found).absolute())  # the step runs in another directory
    if subprocess.run([path, "-c", _NEEDED], check=False, capture_output=True).returncode:  # noqa: S603 - as the caller says
        raise UsageError(
            f"{path} lacks packages of the app: install its requirements.txt, or name another with --python"
        )
    return path
