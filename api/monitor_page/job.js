// The page of a job, and what it leads to: the tasks of a batch or of a cause, and one task.

import { Actions } from "./actions.js";
import { route } from "./api.js";
import { Batches } from "./batches.js";
import { Events } from "./events.js";
import { Failures } from "./failures.js";
import { about, capital, pretty, rate } from "./format.js";
import { html, useEffect, useState } from "./lib.js";
import { Duration, Fact, JOB_ENDS, Loading, Progress, Refusal, Status, Time } from "./parts.js";
import { useLive } from "./poller.js";
import { link } from "./router.js";
import { Running } from "./running.js";
import { Stages } from "./stages.js";
import { Task } from "./task.js";
import { batchOf, TasksOfBatch, TasksOfCause } from "./tasks.js";
import { Throughput } from "./throughput.js";

export function Job({ parts, values }) {
  const [jobId, part, id] = parts;
  const title = titleOf(parts);
  useEffect(() => {
    document.title = `${title} – Lockstep`;
  }, [title]);
  if (part === "tasks" && id) return html`<${Task} jobId=${jobId} taskId=${id} />`;
  if (part === "batches" && id) return html`<${TasksOfBatch} jobId=${jobId} batchId=${id} after=${values.after} />`;
  if (part === "failures" && id) return html`<${TasksOfCause} jobId=${jobId} group=${id} after=${values.after} />`;
  return html`<${Overview} jobId=${jobId} />`;
}

function titleOf([jobId, part, id]) {
  const job = `job ${jobId.slice(0, 8)}`;
  if (part === "tasks" && id) return `Task ${Number(id.split("-t").pop())} of ${job}`;
  if (part === "batches" && id) return `Batch ${batchOf(id).index ?? ""} of ${job}`;
  return part === "failures" && id ? `Failures of ${job}` : capital(job);
}

function Overview({ jobId }) {
  const [asksNotes, setAsksNotes] = useState(true);
  const { data: job, error } = useLive(route`/jobs/${jobId}` + (asksNotes ? "?include=progress_notes" : ""));
  const [chosen, setChosen] = useState(null);
  useEffect(() => {
    if (error?.status === 400) setAsksNotes(false); // a host of the version before, during an update, knows none
  }, [error]);
  if (!job) return error ? html`<h1>Job</h1><${Refusal} error=${error} />` : html`<${Loading} what="the job" />`;
  const stage = chosen ?? job.stage;
  return html`
    <div class="head">
      <div>
        <p class="crumbs"><a href="#/jobs">Jobs</a></p>
        <h1>${job.job_type}</h1>
        <span class="id">${job.job_id}</span>
      </div>
      <${Actions} job=${job} />
    </div>
    <${Refusal} error=${error} />
    <${Facts} job=${job} />
    <${Notes} job=${job} />
    ${job.stages.length
      ? html`
          <${Stages} job=${job} chosen=${stage} onChoose=${setChosen} />
          <${Running} job=${job} />
          <${Batches} key=${stage} jobId=${jobId} stage=${job.stages.find((each) => each.stage === stage)} />
          <${Throughput} job=${job} />
          <${Failures} job=${job} />
        `
      : null}
    <${Values} job=${job} />
    <${Events} job=${job} />
  `;
}

function Facts({ job }) {
  const isEnded = JOB_ENDS.has(job.status);
  return html`<dl class="facts">
    <${Fact} name="Status"><span aria-live="polite"><${Status} of=${job.status} /></span><//>
    ${isEnded ? null : html`<${Fact} name="Progress"><${Progress} value=${job.progress} label="Progress of the job" /><//>`}
    ${isEnded
      ? null
      : html`<${Fact} name="Time left">${job.eta_seconds === null ? "Not known yet" : about(job.eta_seconds)}<//>`}
    <${Fact} name="Rate">${job.tasks_per_second ? rate(job.tasks_per_second) : "–"}<//>
    <${Fact} name="Duration"><${Duration} from=${job.started_at} to=${job.finished_at} /><//>
    <${Fact} name="Created"><${Time} at=${job.created_at} /><//>
    ${job.finished_at ? html`<${Fact} name="Finished"><${Time} at=${job.finished_at} /><//>` : null}
    ${job.urgent ? html`<${Fact} name="Queue">Urgent<//>` : null}
  </dl>`;
}

function Notes({ job }) {
  const { error, warning, waits_for: waits } = job;
  return html`
    ${error ? html`<p class="note note-error">${error.message ?? pretty(error)}</p>` : null}
    ${warning ? html`<p class="note">${warning.message ?? pretty(warning)}</p>` : null}
    ${waits ? html`<${Waits} waits=${waits} />` : null}
  `;
}

function Waits({ waits }) {
  return html`<div class="note">
    Waits
    ${waits.start_at ? html` until <${Time} at=${waits.start_at} />` : null}
    ${waits.after.length ? " for the end of " : null}
    ${waits.after.map((id) => html`<a href=${link(["jobs", id])} class="id">${id.slice(0, 8)}</a> `)}
    ${waits.exclusive_key
      ? html` for the key <code>${waits.exclusive_key}</code>
          ${waits.key_holder ? html`, which <a href=${link(["jobs", waits.key_holder])}>another job</a> has` : null}`
      : null}
  </div>`;
}

function Values({ job }) {
  const hasResult = job.result !== null;
  return html`<section aria-label="Parameters and result">
    <details><summary>Parameters</summary><pre tabindex="0">${pretty(job.parameters)}</pre></details>
    ${hasResult ? html`<details><summary>Result</summary><pre tabindex="0">${pretty(job.result)}</pre></details>` : null}
  </section>`;
}
