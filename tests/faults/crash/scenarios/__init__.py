"""The scenarios: together they pass every place where the engine commits or sends.

A trial plays everything before its point, so the stories are short: one for each event that can happen to a job.
"""

from tests.faults.crash.scenarios import (
    bulk_actions,
    dead_letters,
    deaths,
    envelopes,
    losses,
    notices,
    requests,
    runs,
    strange_messages,
    waits,
)
from tests.faults.crash.story import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *runs.SCENARIOS,
    *losses.SCENARIOS,
    *deaths.SCENARIOS,
    *dead_letters.SCENARIOS,
    *strange_messages.SCENARIOS,
    *requests.SCENARIOS,
    *bulk_actions.SCENARIOS,
    *waits.SCENARIOS,
    *envelopes.SCENARIOS,
    *notices.SCENARIOS,
)
