// Numbers, times and durations for people.

import { now } from "./clock.js";

const NUMBER = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const PARTS = {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
};
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, PARTS);
const WITH_ZONE = new Intl.DateTimeFormat(undefined, { ...PARTS, timeZoneName: "short" });

export const number = (value) => NUMBER.format(value);

export const percent = (fraction) => `${fraction >= 1 ? 100 : Math.floor(fraction * 1000) / 10}%`;

/** A rate in the unit in which it is one task at least. */
export function rate(tasksPerSecond) {
  const units = [
    ["s", 1],
    ["min", 60],
    ["h", 3_600],
  ];
  const [unit, seconds] = units.find(([, size]) => tasksPerSecond * size >= 1 || !tasksPerSecond) ?? units[2];
  const count = tasksPerSecond * seconds;
  return `${number(count >= 10 ? Math.round(count) : Math.round(count * 10) / 10)} tasks/${unit}`;
}

export function time(text) {
  if (!text) return "–";
  const date = new Date(text);
  const isToday = date.toDateString() === new Date(now()).toDateString();
  return (isToday ? TIME : DAY_AND_TIME).format(date);
}

export const fullTime = (text) => (text ? WITH_ZONE.format(new Date(text)) : "");

/** Returns the seconds between two times of the app; until now if there is no second. */
export function secondsBetween(from, to) {
  return Math.max(0, ((to ? Date.parse(to) : now()) - Date.parse(from)) / 1000);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => seconds >= size);
  const [size, name] = units[first];
  const [nextSize, nextName] = units[first + 1];
  const rest = Math.floor((seconds % size) / nextSize);
  return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${nextName}` : ""}`;
}

/** A duration that is not exact, such as a forecast. */
export const about = (seconds) => `about ${duration(seconds < 120 ? seconds : Math.round(seconds / 60) * 60)}`;

export const words = (name) => name.replaceAll("_", " ");

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : word.endsWith("ch") ? "es" : "s"}`;

export const pretty = (value) => JSON.stringify(value, null, 2);
