// The frame of the page: navigation, the view of the route, what is wrong with the app, and the question for the key.

import { DeadLetter } from "./dead_letters.js";
import { Job } from "./job.js";
import { Jobs } from "./jobs.js";
import { KeyQuestion } from "./key_question.js";
import { html, render, useEffect, useRef, useState } from "./lib.js";
import { currentEntry, keepFocus, scrollBack } from "./places.js";
import { useOutage } from "./poller.js";
import { Queues } from "./queues.js";
import { link, useRoute } from "./router.js";
import { Submit } from "./submit.js";

const VIEWS = new Map([
  ["jobs", [Jobs, Job]],
  ["submit", [Submit, Submit]],
  ["queues", [Queues, DeadLetter]],
]);
const LINKS = [
  ["jobs", "Jobs"],
  ["queues", "Queues"],
  ["submit", "Submit a job"],
];

function App() {
  const { parts, values } = useRoute();
  const [name = "jobs", ...rest] = parts;
  const main = useRef(null);
  const isFirst = useRef(true);
  const place = name === "submit" ? name : [name, ...rest].join("/"); // the choice of a type keeps the focus
  useEffect(() => {
    // As after a page load: a screen reader begins with the new view, and the keyboard too.
    if (!isFirst.current) main.current.focus({ preventScroll: true });
    isFirst.current = false;
  }, [place]);
  useEffect(() => scrollBack(main.current, place), [currentEntry()]);
  useEffect(() => keepFocus(main.current), []);
  const [All, One] = VIEWS.get(name) ?? [Missing];
  const View = rest.length && One ? One : All;
  const skip = () => main.current.focus();
  return html`
    <button class="skip" onClick=${skip}>Skip to the content</button>
    <header class="frame">
      <a class="brand" href="#/jobs">Lockstep</a>
      <nav aria-label="Main">
        ${LINKS.map(
          ([path, text]) =>
            html`<a href=${link([path])} aria-current=${path === name ? "page" : undefined}>${text}</a>`,
        )}
        <a href="docs">API</a>
      </nav>
    </header>
    <${Outage} />
    <main ref=${main} tabindex="-1"><${View} key=${place} parts=${rest} values=${values} /></main>
    <${KeyQuestion} />
  `;
}

function Missing() {
  useEffect(() => {
    document.title = "No such page – Lockstep";
  }, []);
  return html`<h1>No such page</h1><p><a href="#/jobs">Jobs</a></p>`;
}

function Outage() {
  const outage = useOutage();
  const [, tick] = useState(0);
  useEffect(() => {
    if (!outage) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [outage]);
  const seconds = outage && Math.max(0, Math.ceil((outage.until - Date.now()) / 1000));
  return html`<div class="outage" role="status">
    ${outage ? html`<p>${outage.text} <span aria-hidden="true">${seconds ? `Next try in ${seconds} s.` : "Trying again."}</span></p>` : null}
  </div>`;
}

render(html`<${App} />`, document.getElementById("app"));
