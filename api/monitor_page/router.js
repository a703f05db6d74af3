// Routes in the hash of the URL, `#/jobs/ID?status=failed`: no request leaves the page for them.

import { useEffect, useState } from "./lib.js";

export function useRoute() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const onChange = () => setHash(location.hash);
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decoded), values: Object.fromEntries(new URLSearchParams(search)) };
}

/** Returns the hash of a path and of the values that are not empty. */
export function link(parts, values = {}) {
  const search = new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

export function go(parts, values) {
  location.hash = link(parts, values);
}

/** Changes the values of the URL without a new entry in the history. */
export function replace(parts, values) {
  history.replaceState(history.state, "", link(parts, values));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
