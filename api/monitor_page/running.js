// What running tasks said last.

import { html } from "./lib.js";
import { Progress, Time } from "./parts.js";
import { link } from "./router.js";

export function Running({ job }) {
  const { job_id: jobId, progress_notes: notes = [] } = job;
  if (!notes.length) return null;
  return html`<section aria-labelledby="running">
    <h2 id="running">Running tasks</h2>
    <div class="table-frame"><table class="rows">
      <thead>
        <tr><th scope="col">Task</th><th scope="col">Progress</th><th scope="col">Said</th><th scope="col">At</th></tr>
      </thead>
      <tbody>
        ${notes.map(
          (note) => html`<tr key=${note.task_id}>
            <td><a class="row-link" href=${link(["jobs", jobId, "tasks", note.task_id])}>${note.task_id.slice(33)}</a></td>
            <td data-name="Progress"><${Progress} value=${note.progress} label=${`Progress of ${note.task_id.slice(33)}`} /></td>
            <td class="cause" data-name="Said">${note.progress_note ?? ""}</td>
            <td data-name="At"><${Time} at=${note.progress_at} /></td>
          </tr>`,
        )}
      </tbody>
    </table></div>
  </section>`;
}
