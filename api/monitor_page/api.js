// Calls the routes of the app, with the function key if they ask for one.

import { learn } from "./clock.js";

export const BASE = location.pathname.replace(/\/(monitor|docs)\/?$/, "");

const STORED = "lockstep-function-key";

let key = sessionStorage.getItem(STORED) ?? "";
let asked = null;

/** What asks the person for the key: called with whether one was refused, returns a promise of the next one. */
export const prompt = { ask: async () => "" };

/** An answer that says why a request was refused. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The app answered ${status}.`);
    this.status = status;
    this.title = body.title || `Error ${status}`;
    this.errors = body.errors || [];
    this.jobId = body.job_id;
  }
}

export function send(path, { method = "GET", body, headers = {}, patience } = {}) {
  const all = body === undefined ? headers : { ...headers, "Content-Type": "application/json" };
  return sendWithKey(BASE + path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), patience });
}

/**
 * Sends a request as `fetch`; asks for the key once when the app wants one, and repeats the request with it. `took` is in
 * milliseconds, as is `patience`: without an answer until then, the request fails as one without a network.
 */
export async function sendWithKey(url, { method, headers, body, patience }) {
  for (;;) {
    const sent = key;
    const sentAt = Date.now();
    const response = await within(patience, async (signal) => {
      const answer = await fetch(url, {
        method,
        headers: sent ? { ...headers, "x-functions-key": sent } : headers,
        body,
        cache: "no-store",
        credentials: "same-origin",
        signal,
      });
      answer.took = Date.now() - sentAt;
      return patience === undefined ? answer : whole(answer);
    });
    learn(response.headers.get("Date"));
    if (response.status !== 401) return response;
    if (sent === key) await replaceKey(sent !== "");
  }
}

/** Returns the JSON of an answer. Throws a Problem if the app refuses the request. */
export async function json(path, options) {
  const response = await send(path, options);
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

export async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy may answer with anything.
  }
  return new Problem(response.status, body);
}

/** Returns a path of the app in which each value is one part: `route`/jobs/${id}``. */
export const route = (texts, ...values) => String.raw({ raw: texts }, ...values.map(partOf));

/** Returns a query without the values that are empty. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** Browsers leave dots out of a path, and no id is made of them. */
const partOf = (value) => encodeURIComponent(value).replace(/^\.\.?$/, "_");

/** Reads an answer to its end: its body may stop on the way. */
async function whole(answer) {
  const text = await answer.text();
  return Object.assign(answer, { text: async () => text, json: async () => JSON.parse(text) });
}

/** Calls with a signal, and rejects when the milliseconds are over; waits for ever without them. */
async function within(milliseconds, call) {
  if (milliseconds === undefined) return call();
  const control = new AbortController();
  let timer = 0;
  const over = new Promise((_, reject) => {
    timer = setTimeout(() => reject(control.abort()), milliseconds);
  });
  try {
    return await Promise.race([call(control.signal), over]);
  } finally {
    clearTimeout(timer);
  }
}

function replaceKey(wasRefused) {
  asked ??= prompt.ask(wasRefused).then((given) => {
    key = given;
    sessionStorage.setItem(STORED, given);
    asked = null;
  });
  return asked;
}
