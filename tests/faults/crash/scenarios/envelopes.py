"""Jobs whose first stage has envelopes: these are refused, lost, dead-lettered, or left by a worker that dies."""

from typing import Any

from controllers.authoring import DispatchProtocol, Handler, JobController, MessagePer
from core.batching import BATCH_SIZE
from core.ids import batch_id
from core.messages import BatchMessage
from core.statuses import JobStatus
from engine.repair.dead_letters import EXPIRED
from tests.faults.crash import jobs
from tests.faults.crash.host import Host
from tests.faults.crash.scenarios.places import CLAIMED_TOGETHER, DISPATCHED, ENDED_TOGETHER, RETRIES_UNSENT
from tests.faults.crash.scenarios.runs import MAX_RUNNING
from tests.faults.crash.story import (
    LOCK_SECONDS,
    SILENCE_SECONDS,
    Life,
    Scenario,
    asking,
    burying,
    end_locks,
    in_turn,
    lose_messages,
    refusing,
    running,
)

_SOME = 3
_STRANGE = (b"no envelope", BatchMessage(batch_id("0" * 32, 1, 0)).outgoing().body)
_RESENT = frozenset({"BatchSender.resend"})


def _enveloped(handler: Handler = jobs.work, **choices: Any) -> type[JobController[Any]]:
    return jobs.job_type(handler, message_per=MessagePer.BATCH, **choices)


def _run_all_but_the_last_envelope(host: Host) -> None:
    running("run_job_message")(host)
    host.consume("run_batch", most=(host.size - 1) // BATCH_SIZE)


def _bury_an_envelope_of_ended_tasks(host: Host) -> None:
    host.send("sb-batches", BatchMessage(batch_id(host.job_id, 1, 0)).outgoing().body)
    host.bury("sb-batches", 1)
    host.consume("dead_batch")


def _expire(host: Host) -> None:
    host.bury("sb-batches", _SOME, reason=EXPIRED)
    host.everything()


def _meet_strange_envelopes(host: Host) -> None:
    host.send("sb-batches", *_STRANGE)
    host.everything()


def _bury_strange_envelopes(host: Host) -> None:
    host.send("sb-batches", *_STRANGE)
    host.bury("sb-batches", len(_STRANGE))
    host.everything()


SCENARIOS = (
    Scenario(
        "in envelopes, with retries",
        _enveloped(jobs.fail_now_and_then, tolerated=0.5),
        failed=jobs.failures_now_and_then,
        own_trials=frozenset({"BatchSender.two_phase", "BatchSender._send_and_mark"}),
    ),
    Scenario(
        "in envelopes, atomic",
        _enveloped(protocol=DispatchProtocol.ATOMIC),
        own_trials=frozenset({"BatchSender.atomic"}),
    ),
    Scenario("in envelopes, limited", _enveloped(max_running=MAX_RUNNING)),
    Scenario("in envelopes, told to end", _enveloped(jobs.end_amid_the_run), depends_on_threads=True),
    Scenario(
        "in envelopes, cancelled while it runs, resumed",
        _enveloped(jobs.cancel_amid_the_run),
        (Life(), Life(asking("resume_job"))),
        ends={
            "submit_job": JobStatus.COMPLETED,
            "cancel_job": JobStatus.CANCELLED,
            "resume_job": JobStatus.COMPLETED,
        },
        own_trials=_RESENT,
    ),
    Scenario(
        "an envelope refused by the broker",
        _enveloped(),
        (
            Life(running("run_job_message", most=1), before=refusing("sb-batches"), pass_seconds=2),
            Life(lambda host: host.consume("run_job_message")),
        ),
        own_trials=_RESENT,
    ),
    Scenario(
        "the envelopes are lost",
        _enveloped(),
        (Life(running("run_job_message"), after=lose_messages, pass_seconds=SILENCE_SECONDS),),
    ),
    Scenario(
        "a dispatcher of envelopes dies",
        _enveloped(),
        # The sweeper sends the batch.
        (Life(dies_at=DISPATCHED, after=end_locks), Life(pass_seconds=LOCK_SECONDS)),
    ),
    Scenario(
        "a worker of an envelope dies",
        _enveloped(),
        # The envelope finds its tasks leased.
        (Life(dies_at=CLAIMED_TOGETHER, after=end_locks), Life(pass_seconds=LOCK_SECONDS)),
    ),
    Scenario(
        "a worker of an envelope dies that has not sent its retries",
        _enveloped(jobs.fail_now_and_then, tolerated=0.5),
        # The envelope finds tasks that are not due, and those have no messages.
        (Life(dies_at=RETRIES_UNSENT, after=end_locks),),
        failed=jobs.failures_now_and_then,
    ),
    Scenario(
        "a worker of an envelope dies that has ended the stage",
        _enveloped(),
        # It had not sent the stage's message; the envelope finds its tasks ended.
        (Life(_run_all_but_the_last_envelope), Life(dies_at=ENDED_TOGETHER, after=end_locks)),
    ),
    Scenario("envelopes die", _enveloped(), (Life(burying("sb-batches", _SOME, after=running("run_job_message"))),)),
    Scenario("envelopes expire", _enveloped(), (Life(running("run_job_message")), Life(_expire))),
    Scenario(
        "the envelope of ended tasks dies",
        _enveloped(),
        (Life(in_turn("run_job_message", "run_batch"), after=lose_messages), Life(_bury_an_envelope_of_ended_tasks)),
    ),
    Scenario("strange envelopes", _enveloped(), (Life(_meet_strange_envelopes),), letters=lambda _: len(_STRANGE)),
    Scenario("strange envelopes die", _enveloped(), (Life(_bury_strange_envelopes),), letters=lambda _: len(_STRANGE)),
)
