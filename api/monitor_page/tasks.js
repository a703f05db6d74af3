// Lists of tasks: those of a batch, and those of a cause.

import { change } from "./actions.js";
import { query, route } from "./api.js";
import { number } from "./format.js";
import { html, useState } from "./lib.js";
import { awaited, Confirm, Duration, Pager, Status } from "./parts.js";
import { useLive } from "./poller.js";
import { link } from "./router.js";

export function TasksOfBatch({ jobId, batchId, after = "" }) {
  const { stage, index } = batchOf(batchId);
  const { data: job } = useLive(route`/jobs/${jobId}`);
  const tasks = useLive(route`/jobs/${jobId}/tasks` + query({ batch: batchId, after }));
  const hasFailed = tasks.data?.tasks.some((task) => task.status === "failed");
  const canRetry = hasFailed && (job?.status === "failed" || job?.status === "completed_with_errors");
  const [isAsked, setAsked] = useState(false);
  return html`
    <div class="head">
      <div>
        <${Crumbs} jobId=${jobId} job=${job} />
        <h1>${index === undefined ? "Batch" : `Batch ${number(index)} of stage ${stage}`}</h1>
        <span class="id">${batchId}</span>
      </div>
      <div class="buttons">
        ${canRetry ? html`<button onClick=${() => setAsked(true)}>Retry failed tasks of this batch</button>` : null}
      </div>
    </div>
    <${List} jobId=${jobId} live=${tasks} after=${after} place=${["jobs", jobId, "batches", batchId]} />
    ${isAsked
      ? html`<${Confirm}
          title="Retry the failed tasks of this batch?"
          text="Failed tasks of other batches stay as they are."
          verb="Retry"
          act=${() => change(jobId, "retry", { batch_id: batchId })}
          onClose=${() => setAsked(false)}
        />`
      : null}
  `;
}

/** Returns the stage and the index of a batch, or nothing if the id is of none. */
export const batchOf = (batchId) => /-s(?<stage>\d+)-b(?<index>\d+)$/.exec(batchId)?.groups ?? {};

export function TasksOfCause({ jobId, group, after = "" }) {
  const { data: job } = useLive(route`/jobs/${jobId}`);
  const tasks = useLive(route`/jobs/${jobId}/tasks` + query({ status: "failed", error: group, after }));
  return html`
    <${Crumbs} jobId=${jobId} job=${job} />
    <h1>Tasks that failed alike</h1>
    <${List} jobId=${jobId} live=${tasks} after=${after} place=${["jobs", jobId, "failures", group]} />
  `;
}

export function Crumbs({ jobId, job }) {
  return html`<nav class="crumbs" aria-label="Breadcrumb">
    <a href="#/jobs">Jobs</a> / <a href=${link(["jobs", jobId])}>${job?.job_type ?? "job"} ${jobId.slice(0, 8)}</a>
  </nav>`;
}

function List({ jobId, live, after, place }) {
  return awaited(
    live,
    "tasks",
    ({ tasks, next }) => html`
      ${tasks.length
        ? html`<${Table} jobId=${jobId} tasks=${tasks} />`
        : html`<p class="quiet">There are no such tasks here.</p>`}
      <${Pager} isFirst=${!after} first=${link(place)} next=${next && link(place, { after: next })} />
    `,
  );
}

function Table({ jobId, tasks }) {
  return html`<section><div class="table-frame"><table class="rows tasks">
    <thead>
      <tr>
        <th scope="col">Task</th><th scope="col">Status</th><th scope="col">Error or progress</th>
        <th scope="col" class="right">Attempts</th><th scope="col" class="right">Duration</th>
      </tr>
    </thead>
    <tbody>
      ${tasks.map(
        (task) => html`<tr key=${task.task_id}>
          <td class="named">
            <a class="row-link" href=${link(["jobs", jobId, "tasks", task.task_id])}>${number(task.task_index)}</a>
            <span class="quiet"> ${task.task_type}</span>
          </td>
          <td><${Status} of=${task.status} /></td>
          <td class="cause">${saidOf(task)}</td>
          <td class="right" data-name="Attempts">${task.attempt}</td>
          <td class="right" data-name="Duration">${task.started_at ? html`<${Duration} from=${task.started_at} to=${task.finished_at} />` : "–"}</td>
        </tr>`,
      )}
    </tbody>
  </table></div></section>`;
}

function saidOf(task) {
  if (task.error) return html`<span class="quiet">${task.error.type}: ${task.error.message}</span>`;
  if (task.progress === null) return "";
  return html`<span class="quiet">${Math.floor(task.progress * 100)}% ${task.progress_note ?? ""}</span>`;
}
