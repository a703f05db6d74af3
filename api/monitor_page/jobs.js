// The list of jobs, the newest first, with their progress.

import { query } from "./api.js";
import { capital, number, words } from "./format.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { awaited, Duration, JOB_ENDS, Pager, Progress, Status, Time } from "./parts.js";
import { useLive } from "./poller.js";
import { link, replace } from "./router.js";

const PAGE = 50;
const TYPING = 300;
const SEARCH = 5_000;
const TYPES = 60_000;
const STATUSES = ["waiting", "pending_queue", "queued", "processing", ...JOB_ENDS];

export function Jobs({ values }) {
  const { status = "", type = "", text = "", after = "" } = values;
  const live = useLive(`/jobs${query({ limit: PAGE, status, type, text, after })}`, text ? SEARCH : 0);
  const types = useLive("/job-types", TYPES).data?.job_types ?? []; // the list tells what is wrong
  useEffect(() => {
    document.title = "Jobs – Lockstep";
  }, []);
  const filter = (changed) => replace(["jobs"], { status, type, text, ...changed });
  return html`
    <h1>Jobs</h1>
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Type
        <select value=${type} onChange=${(event) => filter({ type: event.target.value })}>
          <option value="">All</option>
          ${types.map(({ name }) => html`<option key=${name} value=${name} selected=${name === type}>${name}</option>`)}
        </select>
      </label>
      <label>Status
        <select value=${status} onChange=${(event) => filter({ status: event.target.value })}>
          <option value="">All</option>
          ${STATUSES.map((each) => html`<option value=${each}>${capital(words(each))}</option>`)}
        </select>
      </label>
      <${Search} text=${text} onSearch=${(found) => filter({ text: found })} />
    </form>
    ${awaited(
      live,
      "jobs",
      ({ jobs, next }) => html`
        <${List} jobs=${jobs} isFiltered=${status || type || text || after} hasMore=${next} />
        <${Pager}
          isFirst=${!after}
          first=${link(["jobs"], { status, type, text })}
          next=${next && link(["jobs"], { status, type, text, after: next })}
        />
      `,
    )}
  `;
}

function Search({ text, onSearch }) {
  const [typed, setTyped] = useState(text);
  const searched = useRef(text);
  const search = useRef(onSearch);
  search.current = onSearch; // which keeps what has been chosen since
  useEffect(() => {
    if (text !== searched.current) setTyped(text); // by a link, or the way back
    searched.current = text;
  }, [text]);
  useEffect(() => {
    if (typed === searched.current) return undefined;
    const timer = setTimeout(() => {
      searched.current = typed;
      search.current(typed);
    }, TYPING);
    return () => clearTimeout(timer);
  }, [typed]);
  return html`<label class="grows">Text in parameters
    <input type="search" value=${typed} maxlength="200" onInput=${(event) => setTyped(event.target.value)} />
  </label>`;
}

function List({ jobs, isFiltered, hasMore }) {
  if (!jobs.length && hasMore) return html`<p class="quiet">None of the jobs on this page has this text.</p>`;
  if (!jobs.length) {
    return html`<p class="quiet">${isFiltered ? "No job is like this." : "There are no jobs yet."}</p>`;
  }
  return html`<div class="table-frame"><table class="rows" aria-label="Jobs">
    <thead>
      <tr>
        <th scope="col">Job</th><th scope="col">Status</th><th scope="col">Progress</th>
        <th scope="col" class="right">Failed tasks</th><th scope="col" class="after-right">Created</th>
        <th scope="col" class="right">Duration</th>
      </tr>
    </thead>
    <tbody>${jobs.map((job) => html`<${Row} key=${job.job_id} job=${job} />`)}</tbody>
  </table></div>`;
}

function Row({ job }) {
  const isEnded = JOB_ENDS.has(job.status);
  return html`<tr>
    <td class="named">
      <a class="row-link" href=${link(["jobs", job.job_id])}>${job.job_type}</a>
      ${job.urgent ? html` <span class="tag">urgent</span>` : null}
      <span class="id">${job.job_id.slice(0, 8)}</span>
    </td>
    <td><${Status} of=${job.status} /></td>
    <td class="named">
      ${isEnded || !job.stage
        ? html`<span class="quiet">${isEnded ? "" : "Not begun"}</span>`
        : html`<${Progress} value=${job.progress} label=${`Progress of ${job.job_type} ${job.job_id.slice(0, 8)}`} />
            <span class="quiet small">${job.stage_name}, stage ${job.stage} of ${job.total_stages}</span>`}
    </td>
    <td class="right failed-tasks">${job.failed_tasks ? html`<span class="bad">${number(job.failed_tasks)}</span>` : ""}</td>
    <td class="after-right"><${Time} at=${job.created_at} /></td>
    <td class="right"><${Duration} from=${job.started_at} to=${job.finished_at} /></td>
  </tr>`;
}
