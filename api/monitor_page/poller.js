// The one poller of the page: asks for all that is shown, less often while nothing changes or answers take long, and not while
// it is hidden.

import { problemOf, send } from "./api.js";
import { useEffect, useState } from "./lib.js";

const SHORTEST = 1_000;
const LONGEST = 15_000;
const GROWTH = 1.5;
const PATIENCE = 10;
const DEFAULT_PAUSE = 5_000;
const PATIENCE_FOR_ONE = 60_000;

const watched = new Map();
const outageListeners = new Set();
let interval = SHORTEST;
let timer = 0;
let isRunning = false;
let isAwaited = false;
let pausedUntil = 0;
let slowest = 0;
let outage = null;

/**
 * Returns the newest answer of a path, `{ data, error }`, and asks again as long as the component is shown, though not
 * more often than every `least` milliseconds, except when `version` has changed.
 */
export function useLive(path, least = 0, version = "") {
  const [state, setState] = useState({ path, data: undefined, error: null });
  useEffect(() => watch(path, least, (data, error) => setState({ path, data, error })), [path, version]);
  return state.path === path ? state : { path, data: undefined, error: null };
}

/** Returns why the app does not answer, or null. */
export function useOutage() {
  const [state, setState] = useState(outage);
  useEffect(() => {
    outageListeners.add(setState);
    return () => outageListeners.delete(setState);
  }, []);
  return state;
}

/** Calls at once, or when the page is shown again. */
export function whenShown(act) {
  if (document.hidden) document.addEventListener("visibilitychange", act, { once: true });
  else act();
}

/** Asks at once: something has been changed. */
export function refresh() {
  watched.forEach((entry) => {
    entry.dueAt = 0;
  });
  askSoon();
}

function watch(path, least, listener) {
  let entry = watched.get(path);
  if (!entry) {
    entry = { path, least, dueAt: 0, listeners: new Set(), etag: null, text: null, data: undefined, error: null };
    watched.set(path, entry);
  } else if (entry.data !== undefined || entry.error) listener(entry.data, entry.error);
  entry.listeners.add(listener);
  askSoon();
  return () => {
    entry.listeners.delete(listener);
    if (!entry.listeners.size && watched.get(path) === entry) watched.delete(path);
  };
}

function askSoon() {
  interval = SHORTEST;
  isAwaited = true; // also after a round that runs
  schedule(0);
}

function schedule(delay) {
  clearTimeout(timer);
  if (document.hidden || isRunning) return;
  timer = setTimeout(round, Math.max(delay, pausedUntil - Date.now()));
}

async function round() {
  isRunning = true;
  isAwaited = false;
  slowest = 0;
  const due = [...watched.values()].filter((entry) => entry.dueAt <= Date.now());
  const answers = await Promise.allSettled(due.map(ask));
  answers.forEach(({ status }, index) => {
    if (status === "rejected") due[index].dueAt = 0;
  });
  isRunning = false;
  interval = answers.some(({ value }) => value) ? SHORTEST : Math.min(LONGEST, interval * GROWTH);
  const delay = isAwaited ? 0 : Math.max(interval, Math.min(LONGEST, slowest * PATIENCE));
  const isReached = answers.every(({ status }) => status === "fulfilled");
  if (!isReached) setOutage({ text: "The app cannot be reached.", until: Date.now() + delay });
  else if (Date.now() >= pausedUntil) setOutage(null);
  schedule(delay);
}

async function ask(entry) {
  entry.dueAt = Date.now() + entry.least;
  const headers = entry.etag ? { "If-None-Match": entry.etag } : {};
  const response = await send(entry.path, { headers, patience: PATIENCE_FOR_ONE });
  slowest = Math.max(slowest, response.took);
  if (response.status === 304) return tell(entry, entry.data, null);
  if (response.status === 429 || response.status === 503) {
    entry.dueAt = 0; // it has no answer yet
    pause(Number(response.headers.get("Retry-After")) * 1000 || DEFAULT_PAUSE);
    return false;
  }
  if (!response.ok) return refuse(entry, await problemOf(response));
  const text = await response.text();
  entry.etag = response.headers.get("ETag");
  if (text === entry.text && !entry.error) return false;
  entry.text = text;
  return tell(entry, JSON.parse(text), null);
}

/** Keeps what was known, unless it exists no longer. */
function refuse(entry, problem) {
  if (problem.status !== 404) return tell(entry, entry.data, problem);
  entry.etag = null;
  entry.text = null;
  return tell(entry, undefined, problem);
}

function tell(entry, data, error) {
  const isSame = data === entry.data && error?.message === entry.error?.message;
  entry.data = data;
  entry.error = error;
  if (!isSame) entry.listeners.forEach((listener) => listener(data, error));
  return !isSame;
}

function pause(milliseconds) {
  pausedUntil = Math.max(pausedUntil, Date.now() + milliseconds);
  setOutage({ text: "The app is busy, or waits for its database or broker.", until: pausedUntil });
}

function setOutage(next) {
  outage = next;
  outageListeners.forEach((listener) => listener(next));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else schedule(0);
});
