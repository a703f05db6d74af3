"""The steps of docs/walkthrough.md: the page shows them, `make walkthrough` records them, and the test runs them."""

from dataclasses import dataclass

JOB_ID = "JOB_ID"
GROUP = "GROUP"
TASK_ID = "TASK_ID"
"""What stands in a command for an id that the commands before have printed."""

LOST = ("station-0417.csv", "station-2208.csv", "station-4975.csv")


@dataclass(frozen=True)
class Step:
    """Commands that are run one after the other, and shown as one block.

    Attributes:
        name: of its block in the page.
        commands: lines of bash.
        codes: their exit codes.
    """

    name: str
    commands: tuple[str, ...]
    codes: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """A picture of the monitor.

    Attributes:
        name: of its file.
        place: what follows `/api/monitor` in the URL.
        texts: what the page shows when it is complete.
        height: of the picture, in pixels.
        button: what is pressed before the picture is taken.
    """

    name: str
    place: str
    texts: tuple[str, ...]
    height: int
    button: str | None = None


STEPS: tuple[Step | Picture, ...] = (
    Step("delivery", ("python -m samples.delivery samples/delivery",), (0,)),
    Step(
        "submit",
        ("lockstep submit verify_files -p checksums=delivery/arrived/SHA256SUMS --watch", "echo $?"),
        (5, 0),
    ),
    Step("show", (f"lockstep show {JOB_ID}",), (0,)),
    Picture("jobs", "#/jobs", ("verify_files", "Completed with errors"), 300),
    Picture("job", f"#/jobs/{JOB_ID}", ("3 ended with failures", "Failures by cause"), 1130),
    Step("failures", (f"lockstep failures {JOB_ID}",), (0,)),
    Step("tasks", (f"lockstep tasks {JOB_ID} --failed",), (0,)),
    Step("task", (f"lockstep task {TASK_ID}",), (0,)),
    Picture("failures", f"#/jobs/{JOB_ID}", ("3 ended with failures", "3 tasks"), 560, "Retry these"),
    Step("fix", ("cp samples/delivery/sent/station-{0417,2208,4975}.csv samples/delivery/arrived/",), (0,)),
    Step("retry", (f"lockstep retry {JOB_ID} --error {GROUP} --watch", "echo $?"), (0, 0)),
    Step("events", (f"lockstep events {JOB_ID}",), (0,)),
    Picture("completed", f"#/jobs/{JOB_ID}", ("50 completed",), 560),
    Step(
        "results",
        (f"lockstep results {JOB_ID} -o out.ndjson", "wc -l out.ndjson", "head -n 1 out.ndjson | python -m json.tool"),
        (0, 0, 0),
    ),
)
