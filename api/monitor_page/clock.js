// The time of the app: the clock of a browser may be minutes off, and all times in answers are of the app.

const EXACT = 2_000; // the header has whole seconds, and the answer is on its way for some time

let ahead = 0;

/** Returns the milliseconds of the app's clock. */
export const now = () => Date.now() + ahead;

/** Compares the clocks by the header `Date` of an answer. */
export function learn(date) {
  const difference = Date.parse(date) - Date.now();
  if (!Number.isNaN(difference)) ahead = Math.abs(difference) > EXACT ? difference : 0;
}
