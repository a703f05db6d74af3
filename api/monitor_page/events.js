// What happened to a job, the newest step first.

import { query, route } from "./api.js";
import { capital, number, plural, words } from "./format.js";
import { html } from "./lib.js";
import { Refusal, Time } from "./parts.js";
import { useLive } from "./poller.js";

const LIMIT = 1_000;
const MOST_SHOWN = 200;
const REREAD = 30_000;
const BAD = new Set(["failed", "stage_failed", "dead_letter", "end_hook_failed"]);

export function Events({ job }) {
  const steps = [job.status, ...job.stages.map((stage) => stage.status)].join();
  const { data, error } = useLive(route`/jobs/${job.job_id}/events` + query({ limit: LIMIT }), REREAD, steps);
  const events = data?.events ?? [];
  const shown = events.slice(-MOST_SHOWN).reverse();
  return html`<section aria-labelledby="events">
    <h2 id="events">Events</h2>
    <${Refusal} error=${error} />
    <ol class="events" reversed>
      ${shown.map(
        (event) => html`<li key=${event.event_id}>
          <span class="quiet"><${Time} at=${event.last_at} /></span>
          <span class=${BAD.has(event.kind) ? "bad" : ""}>${said(event)}</span>
        </li>`,
      )}
    </ol>
    ${events.length > MOST_SHOWN ? html`<p class="quiet small">The last ${MOST_SHOWN} of ${number(events.length)} events.</p>` : null}
  </section>`;
}

function said(event) {
  const { kind, stage, subject, details, times } = event;
  const often = times > 1 ? ` (${number(times)} times)` : "";
  const ended = () => `${number(details.completed)} completed, ${number(details.failed)} failed, ${number(details.cancelled)} cancelled`;
  switch (kind) {
    case "stage_started":
      return `Stage ${stage} started: ${details.name}`;
    case "stage_dispatched":
      return `Stage ${stage} is queued: ${plural(details.tasks, "task")} in ${plural(details.batches, "batch")}`;
    case "stage_finished":
    case "stage_failed":
    case "stage_cancelled":
    case "tasks_ended":
      return `${kind === "tasks_ended" ? `All tasks of stage ${stage} have ended` : `Stage ${stage} ${kind.slice(6)}`}: ${ended()}`;
    case "failed":
    case "completed_with_errors":
      return `${capital(words(kind))}: ${details.error?.message ?? ""}`;
    case "repaired":
      return `Repaired: ${words(subject ?? "")}${often}`;
    case "dead_letter":
      return `Dead letter: ${subject}${often}`;
    default:
      return `${capital(words(kind))}${often}`;
  }
}
