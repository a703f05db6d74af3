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
  const reason = live.data?.queues.find((queue) => queue.reason)?.reason;
  return html`
    <h1>Queues</h1>
    ${awaited(live, "the queues", ({ queues }) => html`<${Table} queues=${queues} />`)}
    ${reason ? html`<p class="quiet small">Messages are not counted: ${reason}</p>` : null}
    <${DeadLetters} state=${state} before=${before} />
  `;
}

function Table({ queues }) {
  return html`<div class="table-frame"><table>
    <thead>
      <tr>
        <th scope="col">Queue</th><th scope="col" class="right">Messages</th><th scope="col" class="right">Scheduled</th>
        <th scope="col" class="right">Dead-lettered</th><th scope="col" class="right">Oldest waiting task</th>
      </tr>
    </thead>
    <tbody>
      ${queues.map(
        (queue) => html`<tr key=${queue.queue}>
          <td>${queue.queue}</td>
          <td class="right">${counted(queue.active)}</td>
          <td class="right">${counted(queue.scheduled)}</td>
          <td class="right">${counted(queue.dead_lettered)}</td>
          <td class="right">${duration(queue.oldest_waiting_seconds)}</td>
        </tr>`,
      )}
    </tbody>
  </table></div>`;
}

const counted = (count) => (count === null ? "–" : number(count));
