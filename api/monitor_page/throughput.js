// The tasks that ended over time, as a chart.

import { BASE, route } from "./api.js";
import { number, rate } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { JOB_ENDS, Refusal } from "./parts.js";
import { useLive } from "./poller.js";

const HEIGHT = 160;
const EVERY = 3_000;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
let library = null;

export function Throughput({ job }) {
  const { data: all, error } = useLive(route`/jobs/${job.job_id}/throughput`, EVERY);
  const data = all && (JOB_ENDS.has(job.status) ? all : withoutLast(all));
  const isShown = data && data.completed.length > 1;
  if (!isShown && !error) return null;
  return html`<section aria-labelledby="throughput">
    <h2 id="throughput">Tasks over time</h2>
    <${Refusal} error=${error} />
    ${isShown ? html`<${Chart} data=${data} />` : null}
  </section>`;
}

/** Of a running job, the last bucket is not full yet. */
function withoutLast(all) {
  const [completed, failed, cancelled] = [all.completed, all.failed, all.cancelled].map((counts) => counts.slice(0, -1));
  return { ...all, completed, failed, cancelled };
}

function Chart({ data }) {
  const frame = useRef(null);
  const latest = useRef(data);
  latest.current = data;
  const chart = useRef(null);
  const [isLoaded, setLoaded] = useState(Boolean(globalThis.uPlot));
  useEffect(() => {
    load().then(() => setLoaded(true));
  }, []);
  useLayoutEffect(() => {
    if (!isLoaded) return undefined;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const make = () => {
      chart.current?.destroy();
      chart.current = new uPlot(options(frame.current.clientWidth), columns(latest.current), frame.current);
    };
    make();
    const observer = new ResizeObserver(() => {
      chart.current?.setSize({ width: frame.current.clientWidth, height: HEIGHT });
    });
    observer.observe(frame.current);
    dark.addEventListener("change", make);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", make);
      chart.current.destroy();
      chart.current = null;
    };
  }, [isLoaded]);
  useEffect(() => chart.current?.setData(columns(data)), [data]);
  return html`
    <div ref=${frame} aria-hidden="true"></div>
    <p class="quiet small">${summary(data)}</p>
  `;
}

/** The same in words, for those who cannot see the chart. */
function summary({ completed, failed, bucket_seconds: width }) {
  const best = Math.max(...completed.map((count, index) => count + failed[index]));
  const all = completed.reduce((sum, count) => sum + count, 0);
  const bad = failed.reduce((sum, count) => sum + count, 0);
  const counts = `${number(all)} completed and ${number(bad)} failed tasks in steps of ${width} s`;
  return `${counts}, at most ${rate(best / width)}. Tasks count when their batch has ended.`;
}

function columns({ first_at: first, bucket_seconds: width, completed, failed }) {
  const start = Date.parse(first) / 1000;
  return [
    completed.map((_, index) => start + index * width),
    completed.map((count) => count / width),
    failed.map((count) => (failed.some(Boolean) ? count / width : null)),
  ];
}

function options(width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--quiet"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${style.fontFamily || "sans-serif"}`,
  };
  const clocks = (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step));
  const line = (label, name) => ({
    label,
    stroke: colour(name),
    fill: `color-mix(in srgb, ${colour(name)} 16%, transparent)`,
    width: 1.5,
    points: { show: false },
    value: (_, value) => (value === null ? "–" : rate(value)),
  });
  return {
    width,
    height: HEIGHT,
    cursor: { y: false, points: { size: 6 } },
    legend: { show: true, markers: { width: 0 } },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, grid: { show: false }, size: 32, incrs: TIME_STEPS, space: 90, values: clocks },
      { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => number(tick)) },
    ],
    series: [
      { label: "Time", value: (_, seconds) => (seconds === null ? "–" : clock(seconds, 1)) },
      line("Completed", "--accent"),
      line("Failed", "--bad"),
    ],
  };
}

function clock(seconds, step) {
  const date = new Date(seconds * 1000);
  if (step >= 86_400) return date.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  const shown = { hour: "2-digit", minute: "2-digit", ...(step < 60 ? { second: "2-digit" } : {}) };
  return date.toLocaleTimeString(undefined, shown);
}

/** Loads the library when the first chart is shown. */
function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${BASE}/monitor/vendor/uPlot.js`;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
  return library;
}
