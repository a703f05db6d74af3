"""`python -m cli`, and the command `lockstep`."""

from cli.app import app


def main() -> None:
    """Runs the command."""
    app(prog_name="lockstep")


if __name__ == "__main__":
    main()
