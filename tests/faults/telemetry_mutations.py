"""The guards of telemetry, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_CONTEXTS = "telemetry/contexts.py"
_SAMPLER = "telemetry/sampler.py"
_TRACES = "tests/unit/telemetry/test_traces.py"


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the one link to what sent a batch": (
        [
            Edit(
                _CONTEXTS,
                "            texts.setdefault(text)\n",
                "            texts[f'{len(texts):08}{text}'] = None\n",
            ),
            Edit(_CONTEXTS, "map(parse, texts)", "map(parse, (text[8:] for text in texts))"),
        ],
        [f"{_TRACES}::test_a_job_is_one_connected_picture"],
    ),
    "the ids with which the trace of a job begins": (
        [Edit(_CONTEXTS, "super().generate_span_id() if root is None else root.span_id", "super().generate_span_id()")],
        [f"{_TRACES}::test_a_job_is_one_connected_picture"],
    ),
    "the invocation that is traced with its job": (
        [
            Edit(
                _SAMPLER,
                "        elif links:\n"
                "            is_sampled = any(link.context.trace_flags.sampled for link in links)\n",
            )
        ],
        [f"{_TRACES}::test_jobs_are_traced_whole_or_not_at_all"],
    ),
    "the trace of a client": (
        [Edit(_SAMPLER, "        elif parent.trace_flags.sampled:\n            is_sampled = True\n")],
        [f"{_TRACES}::test_a_client_that_traces_its_request_has_it_traced"],
    ),
    "the trace of the threads that work for an invocation": (
        [Edit("core/log_threads.py", "    action = telemetry().joined(action)\n")],
        [f"{_TRACES}::test_a_job_is_one_connected_picture"],
    ),
    "the value of what waits that is sent once": (
        [Edit("telemetry/numbers.py", "self._observations.pop(name, [])", "self._observations.get(name, [])")],
        ["tests/unit/telemetry/test_numbers.py::test_a_value_of_what_waits_is_sent_once"],
    ),
    "the rows that are not read while telemetry is off": (
        [Edit("engine/repair/backlog_watch.py", "    if not telemetry().is_on:\n        return\n")],
        ["tests/unit/telemetry/test_numbers.py::test_what_waits_is_not_read_while_telemetry_is_off"],
    ),
    "the redacted traceback of a log line": (
        [
            Edit(
                "telemetry/logs.py",
                'attributes["exception.stacktrace"] = record.exc_text',
                'attributes["exception.stacktrace"] = str(record.exc_info[1])',
            )
        ],
        ["tests/unit/telemetry/test_logs.py::test_an_exception_is_sent_with_its_redacted_traceback"],
    ),
    "the lines of what sends lines": (
        [
            Edit(
                "telemetry/logs.py", 'if record.name.startswith(("opentelemetry", "urllib3", "requests")):', "if False:"
            )
        ],
        ["tests/unit/telemetry/test_logs.py::test_what_sends_lines_makes_no_more_of_them"],
    ),
}
