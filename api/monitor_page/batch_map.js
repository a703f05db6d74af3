// Draws one cell a batch on a canvas. With the keyboard it is a slider: arrows move, Enter opens.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";

const LARGEST = 18;
const SMALLEST = 5;
const HEIGHT = 260;

export function BatchMap({ states, current, onCurrent, onOpen, tell }) {
  const frame = useRef(null);
  const canvas = useRef(null);
  const drawn = useRef(null);
  const width = useWidth(frame);
  const scheme = useScheme();
  const grid = layOut(states.length, width);

  useLayoutEffect(() => {
    if (width) drawn.current = draw(canvas.current, states, grid, scheme, drawn.current);
  }, [states, width, scheme]);

  const indexAt = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / grid.step);
    const row = Math.floor((event.clientY - box.top) / grid.step);
    const index = row * grid.columns + column;
    return column >= 0 && column < grid.columns && index >= 0 && index < states.length ? index : null;
  };
  const onClick = (event) => {
    const index = indexAt(event);
    if (index !== null) onOpen(index);
  };
  const onKeyDown = (event) => {
    const next = moved(event.key, current ?? 0, grid.columns, states.length);
    if (event.key === "Enter" || event.key === " ") onOpen(current ?? 0);
    else if (next === null) return;
    else onCurrent(next);
    event.preventDefault();
  };
  return html`<div
    class="map"
    ref=${frame}
    tabindex="0"
    role="slider"
    aria-label="Map of the batches"
    aria-orientation="horizontal"
    aria-valuemin="0"
    aria-valuemax=${states.length - 1}
    aria-valuenow=${current ?? 0}
    aria-valuetext=${tell(current ?? 0)}
    onKeyDown=${onKeyDown}
    onFocus=${() => current === null && onCurrent(0)}
    onMouseMove=${(event) => onCurrent(indexAt(event))}
    onMouseLeave=${() => document.activeElement !== frame.current && onCurrent(null)}
    onClick=${onClick}
  >
    <canvas ref=${canvas}></canvas>
    ${current === null ? null : html`<${Cursor} index=${current} grid=${grid} frame=${frame} />`}
  </div>`;
}

function Cursor({ index, grid, frame }) {
  const left = (index % grid.columns) * grid.step;
  const top = Math.floor(index / grid.columns) * grid.step;
  useLayoutEffect(() => {
    const { scrollTop, clientHeight } = frame.current;
    if (top < scrollTop) frame.current.scrollTop = top;
    else if (top + grid.step > scrollTop + clientHeight) frame.current.scrollTop = top + grid.step - clientHeight;
  }, [top]);
  const size = grid.step + 1;
  return html`<div
    class="map-cursor"
    style=${{ left: `${left - 1}px`, top: `${top - 1}px`, width: `${size}px`, height: `${size}px` }}
  ></div>`;
}

/** The largest cells that fit; a map of very many batches scrolls. */
function layOut(count, width) {
  const fitting = Math.floor(Math.sqrt((width * HEIGHT) / Math.max(1, count)));
  const step = Math.min(LARGEST, Math.max(SMALLEST, fitting));
  const columns = Math.max(1, Math.floor(width / step));
  return { step, columns, rows: Math.ceil(count / columns), width };
}

/** Draws the cells that have changed since the last time, all if the layout or the colours have. */
function draw(canvas, states, grid, scheme, last) {
  const ratio = devicePixelRatio || 1;
  const isNew = !last || last.scheme !== scheme || last.grid.width !== grid.width || last.states.length !== states.length;
  const context = canvas.getContext("2d");
  if (isNew) {
    canvas.width = grid.columns * grid.step * ratio;
    canvas.height = grid.rows * grid.step * ratio;
    canvas.style.width = `${grid.columns * grid.step}px`;
    canvas.style.height = `${grid.rows * grid.step}px`;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const style = getComputedStyle(document.documentElement);
  const colours = {};
  for (const letter of "pqbecfx") colours[letter] = style.getPropertyValue(`--cell-${letter}`).trim();
  const side = grid.step - (grid.step > 7 ? 2 : 1);
  for (let index = 0; index < states.length; index += 1) {
    if (!isNew && last.states[index] === states[index]) continue;
    context.fillStyle = colours[states[index]];
    context.fillRect((index % grid.columns) * grid.step, Math.floor(index / grid.columns) * grid.step, side, side);
  }
  return { states, grid, scheme };
}

function moved(key, index, columns, count) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -10 * columns, PageDown: 10 * columns };
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (!(key in steps)) return null;
  return Math.min(count - 1, Math.max(0, index + steps[key]));
}

function useWidth(ref) {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    setWidth(ref.current.clientWidth);
    const observer = new ResizeObserver(() => setWidth(ref.current?.clientWidth ?? 0));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

function useScheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const [isDark, setDark] = useState(dark.matches);
  useEffect(() => {
    const onChange = () => setDark(dark.matches);
    dark.addEventListener("change", onChange);
    return () => dark.removeEventListener("change", onChange);
  }, []);
  return isDark;
}
