// Dead letters: messages that cannot be used, until somebody resends or discards them.

import { json, query, route } from "./api.js";
import { pretty } from "./format.js";
import { html, useEffect, useState } from "./lib.js";
import { awaited, Confirm, Fact, Loading, Pager, Refusal, Status, Time } from "./parts.js";
import { refresh, useLive } from "./poller.js";
import { link, replace } from "./router.js";

export function DeadLetters({ state, before }) {
  const wanted = state === "all" ? "" : state;
  const live = useLive(`/dead-letters${query({ state: wanted, before, limit: 50 })}`);
  return html`<section aria-labelledby="letters">
    <div class="section-head">
      <h2 id="letters">Dead letters</h2>
      <label>State
        <select value=${state} onChange=${(event) => replace(["queues"], { state: event.target.value })}>
          ${["kept", "resending", "resent", "discarded", "all"].map((each) => html`<option value=${each}>${each}</option>`)}
        </select>
      </label>
    </div>
    ${awaited(
      live,
      "the dead letters",
      ({ dead_letters: letters, next }) => html`
        <${Letters} letters=${letters} />
        <${Pager}
          isFirst=${!before}
          first=${link(["queues"], { state })}
          next=${next && link(["queues"], { state, before: next })}
        />
      `,
    )}
  </section>`;
}

function Letters({ letters }) {
  if (!letters.length) return html`<p class="quiet">There are none.</p>`;
  return html`<div class="table-frame"><table class="rows">
    <thead>
      <tr>
        <th scope="col">Message</th><th scope="col">State</th><th scope="col">Reason</th>
        <th scope="col">Queue</th><th scope="col">Received</th>
      </tr>
    </thead>
    <tbody>
      ${letters.map(
        (letter) => html`<tr key=${letter.dead_letter_id}>
          <td class="named">
            <a class="row-link" href=${link(["queues", letter.dead_letter_id])}>${letter.message_id ?? `Number ${letter.dead_letter_id}`}</a>
          </td>
          <td><${Status} of=${letter.state} /></td>
          <td class="cause"><strong>${letter.reason}</strong><span class="quiet">${letter.description}</span></td>
          <td class="queue">${letter.queue}</td>
          <td><${Time} at=${letter.received_at} /></td>
        </tr>`,
      )}
    </tbody>
  </table></div>`;
}

const QUESTIONS = {
  resend: {
    title: "Resend this message?",
    text: "Its message is sent again if its task, batch or stage has work left.",
    verb: "Resend",
  },
  discard: {
    title: "Discard this message?",
    text: "It counts as handled and is kept until it is pruned. Nothing is sent.",
    verb: "Discard",
    isDangerous: true,
  },
};

export function DeadLetter({ parts: [id] }) {
  const { data: letter, error } = useLive(route`/dead-letters/${id}`);
  const [asked, setAsked] = useState(null);
  useEffect(() => {
    document.title = `Dead letter ${id} – Lockstep`;
  }, [id]);
  if (!letter) return error ? html`<h1>Dead letter</h1><${Refusal} error=${error} />` : html`<${Loading} what="the dead letter" />`;
  const isOpen = letter.state === "kept" || letter.state === "resending";
  const act = async () => {
    await json(route`/dead-letters/${id}/${asked}`, { method: "POST" });
    refresh();
  };
  return html`
    <div class="head">
      <div>
        <p class="crumbs"><a href="#/queues">Queues</a></p>
        <h1>Dead letter ${letter.dead_letter_id}</h1>
        <span class="id">${letter.message_id ?? ""}</span>
      </div>
      <div class="buttons">
        ${isOpen
          ? html`<button onClick=${() => setAsked("discard")}>Discard</button>
              <button onClick=${() => setAsked("resend")}>Resend</button>`
          : null}
      </div>
    </div>
    <${Refusal} error=${error} />
    <dl class="facts">
      <${Fact} name="State"><${Status} of=${letter.state} /><//>
      <${Fact} name="Queue">${letter.queue}<//>
      <${Fact} name="Received"><${Time} at=${letter.received_at} /><//>
      <${Fact} name="Deliveries">${letter.delivery_count ?? "–"}<//>
      <${Fact} name="Resent">${letter.resends}<//>
      ${letter.handled_at ? html`<${Fact} name="Handled"><${Time} at=${letter.handled_at} /><//>` : null}
    </dl>
    <p class="note"><strong>${letter.reason}</strong> ${letter.description}</p>
    <section aria-labelledby="body">
      <h2 id="body">Body${letter.body_base64 ? " in base64" : ""}</h2>
      <pre tabindex="0">${readable(letter.body ?? letter.body_base64 ?? "")}</pre>
    </section>
    ${asked ? html`<${Confirm} ...${QUESTIONS[asked]} act=${act} onClose=${() => setAsked(null)} />` : null}
  `;
}

function readable(text) {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}
