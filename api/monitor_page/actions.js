// What can be done with a job, each after a question: cancel, retry and resume.

import { json, route } from "./api.js";
import { html, useState } from "./lib.js";
import { Confirm, JOB_ENDS } from "./parts.js";
import { refresh } from "./poller.js";

/** Sends a change of a job, with an optional part of it, and shows what follows. */
export async function change(jobId, verb, body) {
  await json(route`/jobs/${jobId}/${verb}`, { method: "POST", body });
  refresh();
}

const QUESTIONS = {
  cancel: {
    title: "Cancel this job?",
    text: "No further task starts. Tasks that run end first. A cancelled job can be resumed.",
    verb: "Cancel the job",
    isDangerous: true,
  },
  retry: {
    title: "Retry the failed tasks?",
    text: "All failed tasks of the job run again; the tasks that have completed do not.",
    verb: "Retry",
  },
  resume: {
    title: "Resume this job?",
    text: "The job goes on where it was cancelled.",
    verb: "Resume the job",
  },
};

export function Actions({ job }) {
  const [asked, setAsked] = useState(null);
  const verbs = [];
  if (!JOB_ENDS.has(job.status)) verbs.push(["cancel", "Cancel"]);
  if (job.status === "failed" || job.status === "completed_with_errors") verbs.push(["retry", "Retry failed tasks"]);
  if (job.status === "cancelled") verbs.push(["resume", "Resume"]);
  return html`<div class="buttons">
    ${verbs.map(([verb, text]) => html`<button key=${verb} onClick=${() => setAsked(verb)}>${text}</button>`)}
    ${asked
      ? html`<${Confirm} ...${QUESTIONS[asked]} act=${() => change(job.job_id, asked)} onClose=${() => setAsked(null)} />`
      : null}
  </div>`;
}
