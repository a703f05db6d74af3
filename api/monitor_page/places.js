// Where the reader is, for eyes and for the keyboard. The browser forgets both when a view is empty until its answer arrives,
// or when a button vanishes with the next answer.

const OWN_SCROLLING = ["wheel", "touchmove", "pointerdown", "keydown"];
const tops = new Map(); // by entry of the history
let entry = null;
let wanted = null;
let shown = null;
let isSettling = false;

history.scrollRestoration = "manual";
enter();
addEventListener("hashchange", enter);

/** The entry of the history that is shown: a number of its own. */
export function currentEntry() {
  return entry;
}

function enter() {
  if (history.state === null) history.replaceState(performance.timeOrigin + performance.now(), "");
  if (entry !== null && !isSettling) tops.set(entry, scrollY);
  entry = history.state;
  wanted = tops.get(entry) ?? null;
}

/**
 * Scrolls to where this entry of the history was left, as soon as the view is that long again and unless the reader scrolls
 * first; to the top of a place that is new. Returns how to give up.
 */
export function scrollBack(view, place) {
  const isNew = place !== shown;
  shown = place;
  if (wanted === null) {
    if (isNew) scrollTo(0, 0);
    return undefined;
  }
  const top = wanted;
  const observer = new MutationObserver(settle);
  function settle() {
    scrollTo(0, top);
    if (Math.ceil(scrollY) >= Math.floor(top) || !view.querySelector('[aria-busy="true"]')) giveUp();
  }
  function giveUp() {
    isSettling = false;
    observer.disconnect();
    OWN_SCROLLING.forEach((kind) => removeEventListener(kind, giveUp));
  }
  isSettling = true;
  OWN_SCROLLING.forEach((kind) => addEventListener(kind, giveUp, { passive: true }));
  observer.observe(view, { childList: true, subtree: true });
  settle();
  return giveUp;
}

/** Gives the focus to `view` when what has it is taken out of the page. Returns how to end that. */
export function keepFocus(view) {
  let focused = null;
  const onFocus = ({ target }) => {
    focused = target;
  };
  const onLeave = ({ target }) => {
    // The event comes before the element is gone, too. Another window leaves the focus where it is.
    queueMicrotask(() => {
      if (target === focused && target.isConnected && document.hasFocus()) focused = null;
    });
  };
  const observer = new MutationObserver(() => {
    if (!focused || focused.isConnected) return;
    focused = null;
    if (document.activeElement === document.body) view.focus({ preventScroll: true });
  });
  addEventListener("focusin", onFocus);
  addEventListener("focusout", onLeave);
  observer.observe(document.body, { childList: true, subtree: true });
  return () => {
    removeEventListener("focusin", onFocus);
    removeEventListener("focusout", onLeave);
    observer.disconnect();
  };
}
