// One task with all that is kept of it.

import { change } from "./actions.js";
import { route } from "./api.js";
import { number, pretty } from "./format.js";
import { html, useState } from "./lib.js";
import { Confirm, Duration, Fact, Loading, Progress, Refusal, Status, Time } from "./parts.js";
import { useLive } from "./poller.js";
import { link } from "./router.js";
import { batchOf, Crumbs } from "./tasks.js";

export function Task({ jobId, taskId }) {
  const { data: job } = useLive(route`/jobs/${jobId}`);
  const { data: task, error } = useLive(route`/jobs/${jobId}/tasks/${taskId}`);
  const [isAsked, setAsked] = useState(false);
  if (!task) return error ? html`<h1>Task</h1><${Refusal} error=${error} />` : html`<${Loading} what="the task" />`;
  const canRetry = task.status === "failed" && (job?.status === "failed" || job?.status === "completed_with_errors");
  return html`
    <div class="head">
      <div>
        <${Crumbs} jobId=${jobId} job=${job} />
        <h1>Task ${number(task.task_index)} of stage ${task.stage}</h1>
        <span class="id">${task.task_id}</span>
      </div>
      <div class="buttons">${canRetry ? html`<button onClick=${() => setAsked(true)}>Retry this task</button>` : null}</div>
    </div>
    <${Refusal} error=${error} />
    <dl class="facts">
      <${Fact} name="Status"><${Status} of=${task.status} /><//>
      <${Fact} name="Type">${task.task_type}<//>
      <${Fact} name="Batch"><a href=${link(["jobs", jobId, "batches", task.batch_id])}>${batchOf(task.batch_id).index}</a><//>
      <${Fact} name="Attempts">${task.attempt}<//>
      <${Fact} name="Messages sent">${task.sends}<//>
      <${Fact} name="Worker">${task.worker ?? "–"}<//>
      <${Fact} name="Started"><${Time} at=${task.started_at} /><//>
      <${Fact} name="Duration"><${Duration} from=${task.started_at} to=${task.finished_at} /><//>
      ${task.not_before && task.status === "retrying" ? html`<${Fact} name="Next attempt"><${Time} at=${task.not_before} /><//>` : null}
      ${task.progress === null ? null : html`<${Fact} name="Progress">
            <${Progress} value=${task.progress} label="Progress of the task" /> ${task.progress_note ?? ""}
          <//>`}
    </dl>
    ${task.error ? html`<${Errors} task=${task} />` : null}
    <${Part} name="Parameters" value=${task.parameters} isOpen />
    ${task.result === null ? null : html`<${Part} name="Result" value=${task.result} isOpen />`}
    ${task.checkpoint === null ? null : html`<${Part} name="Checkpoint" value=${task.checkpoint} />`}
    ${isAsked
      ? html`<${Confirm}
          title="Retry this task?"
          text="Other failed tasks stay as they are."
          verb="Retry"
          act=${() => change(jobId, "retry", { task_ids: [taskId] })}
          onClose=${() => setAsked(false)}
        />`
      : null}
  `;
}

function Errors({ task }) {
  const { error, errors } = task;
  const earlier = errors.slice(error.message === errors[0]?.message ? 1 : 0);
  return html`<section aria-labelledby="error">
    <h2 id="error">Error</h2>
    <p class="note note-error"><strong>${error.type}</strong> ${error.message}</p>
    ${error.traceback ? html`<details><summary>Traceback</summary><pre tabindex="0">${error.traceback}</pre></details>` : null}
    ${earlier.length
      ? html`<details>
          <summary>Errors of earlier attempts</summary>
          <pre tabindex="0">${pretty(earlier)}</pre>
        </details>`
      : null}
  </section>`;
}

function Part({ name, value, isOpen }) {
  return html`<section aria-label=${name}>
    <details open=${isOpen}><summary>${name}</summary><pre tabindex="0">${pretty(value)}</pre></details>
  </section>`;
}
