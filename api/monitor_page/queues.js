// The queues of the app with their messages.

import { DeadLetters } from "./dead_letters.js";
import { duration, number } from "./format.js";
import { html, useEffect } from "./lib.js";
import { awaited } from "./parts.js";
import { useLive } from "./poller.js";

const COUNTED_EVERY = 5_000;

export function Queues({ values }) {
  const { state = "kept", before = "" } = values;
  const live = useLive("/queues", COUNTED_EVERY);
  useEffect(() => {
    document.title = "Queues – Lockstep";
  }, []);
  const reasons = new Set(live.data?.queues.map((queue) => queue.reason).filter(Boolean));
  return html`
    <h1>Queues</h1>
    ${awaited(live, "the queues", ({ queues }) => html`<${Table} queues=${queues} />`)}
    ${[...reasons].map((reason) => html`<p key=${reason} class="quiet small">Messages are not counted: ${reason}</p>`)}
    <${DeadLetters} state=${state} before=${before} />
  `;
}

const TRANSPORTS = { service_bus: "Service Bus", storage: "Storage account" };

function Table({ queues }) {
  const both = new Set(queues.map((queue) => queue.transport)).size > 1;
  return html`<div class="table-frame"><table class="rows counts">
    <thead>
      <tr>
        <th scope="col">Queue</th>${both ? html`<th scope="col">Transport</th>` : null}<th scope="col" class="right">Messages</th><th scope="col" class="right">Scheduled</th>
        <th scope="col" class="right">Dead-lettered</th><th scope="col" class="right">Oldest waiting task</th>
      </tr>
    </thead>
    <tbody>
      ${queues.map(
        (queue) => html`<tr key=${queue.queue + queue.transport}>
          <td>${queue.queue}</td>
          ${both ? html`<td data-name="Transport">${TRANSPORTS[queue.transport]}</td>` : null}
          <td class="right" data-name="Messages">${counted(queue.active)}</td>
          <td class="right" data-name="Scheduled">${counted(queue.scheduled)}</td>
          <td class="right" data-name="Dead-lettered">${counted(queue.dead_lettered)}</td>
          <td class="right" data-name="Oldest waiting task">${duration(queue.oldest_waiting_seconds)}</td>
        </tr>`,
      )}
    </tbody>
  </table></div>`;
}

const counted = (count) => (count === null ? "–" : number(count));
