// The stages of a job with the counts of their tasks.

import { number } from "./format.js";
import { html } from "./lib.js";
import { Duration, Status } from "./parts.js";

const SHOWN = ["completed", "failed", "cancelled", "processing", "retrying", "queued"];

export function Stages({ job, chosen, onChoose }) {
  const hasCancelled = job.stages.some((stage) => stage.tasks.cancelled);
  return html`<section aria-labelledby="stages">
    <h2 id="stages">Stages</h2>
    <div class="table-frame"><table class="rows counts">
      <thead>
        <tr>
          <th scope="col">Stage</th><th scope="col">Status</th><th scope="col" class="right">Tasks</th>
          <th scope="col" class="right">Completed</th><th scope="col" class="right">Running</th>
          <th scope="col" class="right">Waiting</th><th scope="col" class="right">Failed</th>
          ${hasCancelled ? html`<th scope="col" class="right">Cancelled</th>` : null}
          <th scope="col" class="right">Duration</th>
        </tr>
      </thead>
      <tbody>
        ${job.stages.map(
          (each) =>
            html`<${Stage}
              key=${each.stage}
              stage=${each}
              isChosen=${each.stage === chosen}
              hasCancelled=${hasCancelled}
              onChoose=${onChoose}
            />`,
        )}
      </tbody>
    </table></div>
    ${job.stages.length < job.total_stages
      ? html`<p class="quiet small">${job.total_stages - job.stages.length} more to come.</p>`
      : null}
  </section>`;
}

function Stage({ stage, isChosen, hasCancelled, onChoose }) {
  const { tasks } = stage;
  const about = tasks.estimated ? "≈ " : "";
  const waiting = tasks.pending_queue + tasks.queued + tasks.retrying;
  return html`<tr>
    <td class="named">
      <button class="plain" aria-pressed=${isChosen} onClick=${() => onChoose(stage.stage)}>${stage.stage}. ${stage.name}</button>
      <${Bar} stage=${stage} />
    </td>
    <td>
      <${Status} of=${stage.status} />
      ${stage.waits_for_room ? html`<span class="quiet small"> waits for room</span>` : null}
    </td>
    <td class="right" data-name="Tasks">${number(stage.total_tasks ?? tasks.created)}${stage.total_tasks === null ? "+" : ""}</td>
    <td class="right" data-name="Completed">${number(tasks.completed)}</td>
    <td class="right" data-name="Running">${about}${number(tasks.processing)}</td>
    <td class="right" data-name="Waiting">${about}${number(waiting)}</td>
    <td class="right" data-name="Failed">${tasks.failed ? html`<span class="bad">${number(tasks.failed)}</span>` : "0"}</td>
    ${hasCancelled ? html`<td class="right" data-name="Cancelled">${number(tasks.cancelled)}</td>` : null}
    <td class="right" data-name="Duration"><${Duration} from=${stage.created_at} to=${stage.finished_at} /></td>
  </tr>`;
}

/** The shares of the statuses; the columns beside it have the counts. */
function Bar({ stage }) {
  const total = stage.total_tasks ?? stage.tasks.created;
  if (!total) return null;
  return html`<div class="stage-bar" aria-hidden="true">
    ${SHOWN.map((name) => html`<span class=${`bar-${name}`} style=${{ width: `${(100 * stage.tasks[name]) / total}%` }}></span>`)}
  </div>`;
}
