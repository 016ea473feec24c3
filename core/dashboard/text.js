// SPDX-License-Identifier: Apache-2.0
// Figures and names as people read them. Pure.

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const countText = (value) => (Number.isFinite(value) ? whole.format(value) : NONE);
const pluralText = (value, one, many) => `${countText(value)} ${value === 1 ? one : many}`;
const batchesText = (value) => pluralText(value, "batch", "batches");

// One decimal below ten, so that a slow flow is not a row of zeros; "<0.1" rather than a 0 that is not true.
function rateText(value) {
  if (!Number.isFinite(value)) return NONE;
  if (value > 0 && value < 0.1) return "<0.1";
  return value > 0 && value < 9.95 ? value.toFixed(1) : whole.format(value);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function bytesText(value) {
  if (!Number.isFinite(value)) return NONE;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

// Two parts at most: "2 h 10 min".
function spanText(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 1) return seconds > 0 ? "<1 s" : "0 s";
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  let rest = Math.floor(seconds);
  const first = parts.findIndex(([size]) => rest >= size);
  const words = [];
  for (const [size, word] of parts.slice(first, first + 2)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) words.push(`${n} ${word}`);
  }
  return words.join(" ");
}

// For what is not known to the second: "34 min", "12 h".
function aboutText(seconds) {
  const step = seconds >= 36000 ? 3600 : seconds >= 600 ? 60 : 1;
  return spanText(Math.round(seconds / step) * step);
}

// A time of the daemon, in the reader's zone; what is no time is shown as it came.
function timeText(text) {
  const time = new Date(text ?? "");
  if (Number.isNaN(time.getTime())) return text ? nameText(text) : NONE;
  const today = time.toDateString() === new Date().toDateString();
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return time.toLocaleString("en-GB", today ? options : { day: "numeric", month: "short", ...options });
}

// Names and errors are written by strangers. Markup is no danger here, because nothing is ever parsed; controls and the
// characters that turn the direction of text or take no room are, because they make one name look like another.
function nameText(text) {
  return String(text ?? "").replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu,
    (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);
}
