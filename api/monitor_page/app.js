// The frame of the page: navigation, the view of the route, what is wrong with the app, and the question for the key.

import { prompt } from "./api.js";
import { DeadLetter } from "./dead_letters.js";
import { Job } from "./job.js";
import { Jobs } from "./jobs.js";
import { html, render, useEffect, useRef, useState } from "./lib.js";
import { Dialog } from "./parts.js";
import { useOutage } from "./poller.js";
import { Queues } from "./queues.js";
import { link, useRoute } from "./router.js";
import { Submit } from "./submit.js";

const VIEWS = { jobs: [Jobs, Job], submit: [Submit, Submit], queues: [Queues, DeadLetter] };
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
  const place = name === "submit" ? name : parts.join("/"); // the choice of a type keeps the focus
  useEffect(() => {
    // As after a page load: a screen reader begins with the new view, and the keyboard too.
    if (!isFirst.current) main.current.focus();
    isFirst.current = false;
    scrollTo(0, 0);
  }, [place]);
  const [All, One] = VIEWS[name] ?? [Missing];
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
      </nav>
    </header>
    <${Outage} />
    <main ref=${main} tabindex="-1"><${View} key=${place} parts=${rest} values=${values} /></main>
    <${KeyQuestion} />
  `;
}

function Missing() {
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
    ${outage ? html`<p>${outage.text} <span aria-hidden="true">Next try in ${seconds} s.</span></p>` : null}
  </div>`;
}

/** Asks for the function key when a route wants one. It stays in this tab until it is closed. */
function KeyQuestion() {
  const [question, setQuestion] = useState(null);
  useEffect(() => {
    prompt.ask = (wasRefused) => new Promise((resolve) => setQuestion({ wasRefused, resolve }));
  }, []);
  if (!question) return null;
  const onSubmit = (event) => {
    event.preventDefault();
    setQuestion(null);
    question.resolve(new FormData(event.target).get("key").trim());
  };
  const askAgain = () => setQuestion({ ...question, turn: (question.turn ?? 0) + 1 });
  return html`<${Dialog} key=${question.turn} title="Function key" onClose=${askAgain}>
    <form onSubmit=${onSubmit}>
      <p>${question.wasRefused ? "The app refuses this key." : "The app asks for a function key."} This tab keeps it until it is closed.</p>
      <label>Key
        <input name="key" type="password" autocomplete="off" required autofocus pattern="[!-~]+" title="letters, digits and signs of ASCII" />
      </label>
      <div class="dialog-buttons"><button class="primary">Continue</button></div>
    </form>
  <//>`;
}

render(html`<${App} />`, document.getElementById("app"));
