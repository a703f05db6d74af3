// The batches of a stage: what their states are, the map, and what one of them is.

import { query, route } from "./api.js";
import { BatchMap } from "./batch_map.js";
import { useBatches } from "./batch_pages.js";
import { duration, number, plural, secondsBetween, time } from "./format.js";
import { html, useMemo, useState } from "./lib.js";
import { awaited } from "./parts.js";
import { useLive } from "./poller.js";
import { go, link } from "./router.js";

export const STATES = {
  p: "waiting to be queued",
  q: "queued",
  b: "running",
  e: "running, with failures",
  c: "completed",
  f: "ended with failures",
  x: "cancelled",
};

const MOST_LINKS = 200;

export function Batches({ jobId, stage }) {
  const chosen = stage?.stage ?? 1;
  const live = useLive(route`/jobs/${jobId}/batch-map` + query({ stage: chosen }));
  return html`<section aria-labelledby="batches">
    <h2 id="batches">Batches${stage ? ` of ${stage.name}` : ""}</h2>
    ${awaited(live, "the batches", ({ states }) => html`<${Shown} jobId=${jobId} stage=${chosen} states=${states} />`)}
  </section>`;
}

function Shown({ jobId, stage, states }) {
  const [current, setCurrent] = useState(null);
  const details = useBatches(jobId, stage, states, current);
  const counts = useMemo(() => counted(states), [states]);
  if (!states) return html`<p class="quiet">No batch has been written yet.</p>`;
  const open = (index) => go(["jobs", jobId, "batches", `${jobId}-s${stage}-b${index}`]);
  const tell = (index) => `Batch ${number(index)}: ${STATES[states[index]]}${details ? `, ${told(details)}` : ""}`;
  return html`
    <ul class="legend">
      ${Object.entries(counts).map(
        ([letter, count]) =>
          html`<li key=${letter}><span class=${`swatch cell-${letter}`}></span>${number(count)} ${STATES[letter]}</li>`,
      )}
    </ul>
    <${BatchMap} states=${states} current=${current} onCurrent=${setCurrent} onOpen=${open} tell=${tell} />
    <p class="map-told quiet">
      ${current === null
        ? `${plural(states.length, "batch")}. Point at one for its counts and times, choose it for its tasks.`
        : tell(current)}
    </p>
    <${Failed} jobId=${jobId} stage=${stage} states=${states} />
  `;
}

/** The batches with failures as links, for those who cannot use the map. */
function Failed({ jobId, stage, states }) {
  const found = [];
  for (let index = 0; index < states.length && found.length < MOST_LINKS; index += 1) {
    if (states[index] === "f" || states[index] === "e") found.push(index);
  }
  if (!found.length) return null;
  return html`<details>
    <summary>Batches with failures as a list</summary>
    <p>
      ${found.map((index) => html`<a key=${index} href=${link(["jobs", jobId, "batches", `${jobId}-s${stage}-b${index}`])}>${index}</a> `)}
      ${found.length === MOST_LINKS ? html`<span class="quiet">The first ${MOST_LINKS}.</span>` : null}
    </p>
  </details>`;
}

function told(batch) {
  const completed = batch.task_count - batch.open_tasks - batch.failed_tasks - batch.cancelled_tasks;
  const parts = [`${completed} of ${plural(batch.task_count, "task")} completed`];
  if (batch.failed_tasks) parts.push(`${batch.failed_tasks} failed`);
  if (batch.cancelled_tasks) parts.push(`${batch.cancelled_tasks} cancelled`);
  if (batch.open_tasks) parts.push(`${batch.open_tasks} open`);
  if (batch.queued_at) parts.push(`queued at ${time(batch.queued_at)}`);
  if (batch.finished_at) {
    const took = duration(secondsBetween(batch.queued_at ?? batch.created_at, batch.finished_at));
    parts.push(`ended at ${time(batch.finished_at)} after ${took}`);
  }
  if (batch.send_attempts > 1) parts.push(`sent ${batch.send_attempts} times`);
  return parts.join(", ");
}

function counted(states) {
  const counts = {};
  for (const letter of Object.keys(STATES)) {
    const count = states.split(letter).length - 1;
    if (count) counts[letter] = count;
  }
  return counts;
}
