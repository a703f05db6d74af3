// The view library: everything that the page shows goes through `html`, which makes text of all values.

import htm from "./vendor/htm.js";
import { h } from "./vendor/preact-htm.js";

export {
  render,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "./vendor/preact-htm.js";

/**
 * Makes the elements of a template. Those without values are made anew each time: htm would keep the first ones, Preact keeps
 * in each the parent that it was shown in, and so every row that was ever shown would stay in memory.
 */
export const html = htm.bind(function make(...given) {
  this[0] = 3; // as the README of htm says
  return h(...given);
});
