// The rows of single batches, fetched a hundred at a time when one is pointed at.

import { json, query, route } from "./api.js";
import { useEffect, useRef, useState } from "./lib.js";

const PAGE = 100;
const HOVER = 60;

/** Returns the batch with an index, or undefined until it is known and when its state has changed since. */
export function useBatches(jobId, stage, states, index) {
  const pages = useRef(new Map());
  const [version, setVersion] = useState(0);
  const start = index === null ? null : index - (index % PAGE);
  useEffect(() => {
    const page = pages.current.get(start) ?? { states: null, rows: [], isAsked: false };
    if (start === null || page.isAsked || page.states === states) return undefined;
    const ask = async () => {
      pages.current.set(start, { ...page, isAsked: true });
      const rows = await rowsFrom(jobId, stage, start);
      pages.current.set(start, rows ? { states, rows, isAsked: false } : { ...page, isAsked: false });
      if (rows) setVersion((last) => last + 1); // and asks again if the states have changed meanwhile
    };
    const timer = setTimeout(ask, HOVER); // a pointer on its way to another batch asks for nothing
    return () => clearTimeout(timer);
  }, [start, states, version]);
  const shown = pages.current.get(start);
  if (!shown?.states || shown.states[index] !== states[index]) return undefined;
  return shown.rows.find((each) => each.batch_index === index);
}

/** Returns null if the app refuses: the map itself tells what is wrong, and the next batch that is pointed at asks again. */
async function rowsFrom(jobId, stage, start) {
  try {
    const { batches } = await json(route`/jobs/${jobId}/batches` + query({ limit: PAGE, after: before(stage, start) }));
    return batches.filter((each) => each.stage === stage);
  } catch {
    return null;
  }
}

function before(stage, index) {
  return index ? `${stage}-${index - 1}` : `${stage - 1}-999999999`;
}
