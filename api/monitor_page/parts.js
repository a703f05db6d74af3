// Small parts that several views share.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { capital, duration, fullTime, percent, secondsBetween, time, words } from "./format.js";

export const JOB_ENDS = new Set(["completed", "completed_with_errors", "failed", "cancelled"]);

/** The status of anything, with its colour. */
export function Status({ of }) {
  return html`<span class=${`status status-${of}`}>${capital(words(of))}</span>`;
}

export function Progress({ value, label }) {
  const shown = percent(value);
  return html`<span class="progress">
    <progress max="1" value=${value} aria-label=${label}></progress>
    <span aria-hidden="true">${shown}</span>
  </span>`;
}

export function Time({ at }) {
  return at ? html`<time datetime=${at} title=${fullTime(at)}>${time(at)}</time>` : html`<span>–</span>`;
}

/** A duration that grows by the second until it ends. */
export function Duration({ from, to }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!from || to) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [from, to]);
  return html`<span>${from ? duration(secondsBetween(from, to)) : "–"}</span>`;
}

export function Fact({ name, children }) {
  return html`<div class="fact"><dt>${name}</dt><dd>${children}</dd></div>`;
}

export function Refusal({ error }) {
  return error ? html`<p class="note note-error" role="alert">${error.message}</p>` : null;
}

export function Loading({ what }) {
  return html`<p class="quiet" aria-busy="true">Loading ${what}…</p>`;
}

/** What `show` makes of an answer, why there is none, or that it is on its way. */
export function awaited({ data, error }, what, show) {
  const isComing = data === undefined && !error;
  return html`
    <${Refusal} error=${error} />
    ${isComing ? html`<${Loading} what=${what} />` : null} ${data === undefined ? null : show(data)}
  `;
}

/** What a page of rows leads to. */
export function Pager({ first, next, isFirst }) {
  if (isFirst && !next) return null;
  return html`<nav class="pager" aria-label="Pages">
    ${isFirst ? null : html`<a href=${first}>First page</a>`} ${next ? html`<a href=${next}>Next page</a>` : null}
  </nav>`;
}

/** A modal dialog with a form: the browser keeps the focus inside. */
export function Dialog({ title, children, onClose }) {
  const ref = useRef(null);
  const isShown = useRef(true);
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog.showModal();
    return () => {
      isShown.current = false;
      dialog.close(); // which gives the focus to what had it before
    };
  }, []);
  const onEnd = () => isShown.current && onClose(); // the second Escape cannot be prevented
  const onCancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${ref} aria-labelledby="dialog-title" onCancel=${onCancel} onClose=${onEnd}>
    <h2 id="dialog-title">${title}</h2>
    ${children}
  </dialog>`;
}

/** Asks before something is changed; `act` does it, and the dialog stays with the reason if the app refuses. */
export function Confirm({ title, text, verb, isDangerous, act, onClose }) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const onSubmit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await act();
      onClose();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${onSubmit}>
      <p>${text}</p>
      <${Refusal} error=${error} />
      <div class="dialog-buttons">
        <button type="button" onClick=${onClose}>Close</button>
        <button class=${isDangerous ? "danger" : "primary"} disabled=${isBusy}>${verb}</button>
      </div>
    </form>
  <//>`;
}
