// The failed tasks of a job by their cause; a cause can be retried alone.

import { change } from "./actions.js";
import { json, query, route } from "./api.js";
import { number, plural } from "./format.js";
import { html, useEffect, useState } from "./lib.js";
import { awaited, Confirm } from "./parts.js";
import { whenShown } from "./poller.js";
import { link } from "./router.js";

const REREAD = 5_000;

export function Failures({ job }) {
  const failed = job.stages.reduce((sum, stage) => sum + stage.tasks.failed, 0);
  const { groups, next, total, read, error, more } = useFailures(job.job_id, failed, job.status);
  const [asked, setAsked] = useState(null);
  if (!failed && !groups?.length) return null;
  const canRetry = job.status === "failed" || job.status === "completed_with_errors";
  return html`<section aria-labelledby="failures">
    <h2 id="failures">Failures by cause</h2>
    ${awaited(
      { data: groups ?? undefined, error },
      "the failures",
      () => html`<${Groups} jobId=${job.job_id} groups=${groups} canRetry=${canRetry} onRetry=${setAsked} />`,
    )}
    ${next
      ? html`<p>
          <span class="quiet">${number(read)} of ${number(total)} failed tasks read. </span>
          <button onClick=${more}>Read more</button>
        </p>`
      : null}
    ${canRetry || !groups?.length ? null : html`<p class="quiet small">A cause can be retried when the job has ended.</p>`}
    ${asked
      ? html`<${Confirm}
          title="Retry these tasks?"
          text=${`The tasks that failed with “${asked.type}: ${asked.message}” run again. Others stay as they are.`}
          verb="Retry these"
          act=${() => change(job.job_id, "retry", { error: asked.error })}
          onClose=${() => setAsked(null)}
        />`
      : null}
  </section>`;
}

function Groups({ jobId, groups, canRetry, onRetry }) {
  if (!groups.length) return html`<p class="quiet">No task counts as failed now.</p>`;
  return html`<div class="table-frame"><table class="rows">
    <thead>
      <tr>
        <th scope="col">Cause</th><th scope="col" class="right">Tasks</th>
        <th scope="col" class="after-right">Example</th><th scope="col" class="right">Retry</th>
      </tr>
    </thead>
    <tbody>
      ${groups.map(
        (group) => html`<tr key=${group.error}>
          <td class="cause"><strong>${group.type}</strong><span class="quiet">${group.message}</span></td>
          <td class="right"><a href=${link(["jobs", jobId, "failures", group.error])}>${plural(group.tasks, "task")}</a></td>
          <td class="after-right"><a href=${link(["jobs", jobId, "tasks", group.example_task_id])}>Example</a></td>
          <td class="right"><button disabled=${!canRetry} onClick=${() => onRetry(group)}>Retry these</button></td>
        </tr>`,
      )}
    </tbody>
  </table></div>`;
}

/** Reads the first page when the number of failed tasks has changed or it could not be read, at most every few seconds. */
function useFailures(jobId, failed, status) {
  const [state, setState] = useState({ groups: null, next: null, read: 0, total: 0, error: null });
  const [readAt, setReadAt] = useState(0);
  const [refusals, setRefusals] = useState(0);
  const load = async (after, known) => {
    try {
      const page = await json(route`/jobs/${jobId}/failures` + query({ after }));
      const groups = merged(known, page.groups);
      const read = groups.reduce((sum, group) => sum + group.tasks, 0);
      setState({ groups, next: page.next, read, total: page.failed_tasks, error: null });
      return true;
    } catch (error) {
      setState((before) => ({ ...before, error }));
      return false;
    }
  };
  useEffect(() => {
    const timer = setTimeout(async () => {
      setReadAt(Date.now());
      const isRead = await load("", []);
      if (!isRead) whenShown(() => setRefusals((count) => count + 1));
    }, Math.max(0, readAt + REREAD - Date.now()));
    return () => clearTimeout(timer);
  }, [jobId, failed, status, refusals]);
  return { ...state, more: () => load(state.next, state.groups) };
}

function merged(known, found) {
  const groups = new Map(known.map((group) => [group.error, group]));
  for (const group of found) {
    const before = groups.get(group.error);
    groups.set(group.error, before ? { ...before, tasks: before.tasks + group.tasks } : group);
  }
  return [...groups.values()].sort((one, other) => other.tasks - one.tasks);
}
