// The rows of single batches, fetched a hundred at a time when one is pointed at.

import { json, query, route } from "./api.js";
import { useEffect, useRef, useState } from "./lib.js";

const PAGE = 100;
const HOVER = 60;

/** Returns the batch with an index, or undefined until it is known; forgets all when the states have changed. */
export function useBatches(jobId, stage, states, index) {
  const pages = useRef(new Map());
  const [, setVersion] = useState(0);
  useEffect(() => {
    pages.current = new Map();
  }, [jobId, stage, states]);
  const start = index === null ? null : index - (index % PAGE);
  useEffect(() => {
    const known = pages.current;
    if (start === null || known.has(start)) return undefined;
    // A pointer on its way to another batch asks for nothing.
    const timer = setTimeout(async () => {
      known.set(start, []);
      try {
        const { batches } = await json(route`/jobs/${jobId}/batches` + query({ limit: PAGE, after: before(stage, start) }));
        known.set(start, batches.filter((each) => each.stage === stage));
      } catch {
        known.delete(start); // the map itself tells what is wrong
      }
      setVersion((version) => version + 1);
    }, HOVER);
    return () => clearTimeout(timer);
  }, [start, states]);
  return index === null ? undefined : pages.current.get(start)?.find((each) => each.batch_index === index);
}

function before(stage, index) {
  return index ? `${stage}-${index - 1}` : `${stage - 1}-999999999`;
}
