// Submits a job: a form made from the JSON Schema of its type.

import { json, query, route } from "./api.js";
import { words } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { awaited, Refusal } from "./parts.js";
import { useLive } from "./poller.js";
import { link, go } from "./router.js";
import { Field } from "./schema_field.js";
import { fieldsOf, parametersOf } from "./schema_values.js";

const TYPES = 60_000;

export function Submit({ parts: [chosen] }) {
  const live = useLive("/job-types", TYPES);
  useEffect(() => {
    document.title = "Submit a job – Lockstep";
  }, []);
  const type = live.data?.job_types.find((each) => each.name === chosen);
  return html`
    <h1>Submit a job</h1>
    ${awaited(
      live,
      "the job types",
      ({ job_types: types }) => html`<div class="form field">
        <label>Type
          <select value=${chosen ?? ""} onChange=${(event) => go(["submit", event.target.value])}>
            <option value="" disabled>Choose</option>
            ${types.map(({ name }) => html`<option value=${name}>${name}</option>`)}
          </select>
        </label>
        ${type?.description ? html`<p class="hint">${type.description}</p>` : null}
      </div>`,
    )}
    ${type ? html`<${Form} key=${type.name} type=${type} />` : null}
  `;
}

function Form({ type }) {
  const fields = fieldsOf(type.parameters);
  const [key] = useState(randomKey);
  const [error, setError] = useState(null);
  const [faults, setFaults] = useState(new Map());
  const [isBusy, setBusy] = useState(false);
  const form = useRef(null);
  useLayoutEffect(() => {
    form.current.querySelector("[aria-invalid=true]")?.focus();
  }, [faults]);

  const refuse = (all, refused) => {
    setFaults(all);
    const known = fields.some(({ name }) => all.has(name));
    setError(known ? null : refused);
    setBusy(false);
  };
  const onSubmit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const given = new FormData(form.current);
    const { parameters, faults: wrong } = parametersOf(fields, given);
    if (wrong.size) return refuse(wrong, null);
    const startAt = given.get(":start_at");
    const values = { urgent: given.get(":urgent") ? "true" : "", start_at: startAt && new Date(startAt).toISOString() };
    try {
      const path = route`/jobs/${type.name}` + query(values);
      const job = await json(path, { method: "POST", body: parameters, headers: { "Idempotency-Key": key } });
      go(["jobs", job.job_id]);
    } catch (refused) {
      const all = (refused.errors ?? []).map(({ field, message }) => [field.split(".")[0], message]);
      refuse(new Map(all.reverse()), refused); // the first of a field is told
    }
    return undefined;
  };
  return html`<form class="form" ref=${form} onSubmit=${onSubmit} noValidate>
    ${fields.map((field) => html`<${Field} key=${field.name} field=${field} fault=${faults.get(field.name)} />`)}
    <details class="field">
      <summary>When and how it runs</summary>
      <div class="field"><label>Start at <input type="datetime-local" name=":start_at" /></label></div>
      <label class="check"><input type="checkbox" name=":urgent" /> Urgent: its short tasks overtake those of other jobs</label>
    </details>
    <${Refusal} error=${error} />
    ${error?.jobId ? html`<p><a href=${link(["jobs", error.jobId])}>That job</a></p>` : null}
    <button class="primary" disabled=${isBusy}>Submit ${words(type.name)}</button>
  </form>`;
}

/** The key of one filled form: sent twice, it makes one job. */
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

