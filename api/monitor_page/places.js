// Where the reader is, for eyes and for the keyboard. The browser forgets both when a view is empty until its answer arrives,
// or when a button vanishes with the next answer.

const tops = new Map(); // by entry of the history, whose state is a number of its own
const OWN_SCROLLING = ["wheel", "touchmove", "pointerdown", "keydown"];
let wanted = 0;

history.scrollRestoration = "manual";
enter();
addEventListener("hashchange", enter);
addEventListener("scroll", () => tops.set(history.state, scrollY), { passive: true });

function enter() {
  wanted = tops.get(history.state) ?? 0;
  if (history.state === null) history.replaceState(performance.timeOrigin + performance.now(), "");
}

/**
 * Scrolls to where this entry of the history was left, as soon as the view is that long again and unless the reader scrolls
 * first; to the top of a new entry. Returns how to give up.
 */
export function scrollBack(view) {
  const top = wanted;
  const observer = new ResizeObserver(tryIt);
  function tryIt() {
    scrollTo(0, top);
    if (Math.ceil(scrollY) >= Math.floor(top)) giveUp();
  }
  function giveUp() {
    observer.disconnect();
    OWN_SCROLLING.forEach((kind) => removeEventListener(kind, giveUp));
  }
  OWN_SCROLLING.forEach((kind) => addEventListener(kind, giveUp, { passive: true }));
  observer.observe(view);
  tryIt();
  return giveUp;
}

/** Gives the focus to `view` when what has it is taken out of the page. Returns how to end that. */
export function keepFocus(view) {
  let focused = null;
  const onFocus = ({ target }) => {
    focused = target;
  };
  const observer = new MutationObserver(() => {
    if (!focused || focused.isConnected) return;
    focused = null;
    if (document.activeElement === document.body) view.focus({ preventScroll: true });
  });
  addEventListener("focusin", onFocus);
  observer.observe(document.body, { childList: true, subtree: true });
  return () => {
    removeEventListener("focusin", onFocus);
    observer.disconnect();
  };
}
