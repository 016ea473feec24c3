// SPDX-License-Identifier: Apache-2.0
// Reads a page of metrics (Prometheus text format 0.0.4) as far as this page uses it. Pure.

const PREFIX = "bytefreezer_receiver_";
const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES = { n: "\n", '"': '"', "\\": "\\" };

function readLabels(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(LABEL))
    labels[name] = value.replace(/\\(.)/g, (all, letter) => ESCAPES[letter] ?? all);
  return labels;
}

// name without the prefix -> list of {labels, value}. Buckets of histograms are the most of a page and not used here.
function readMetrics(page) {
  const families = new Map();
  for (const line of page.split("\n")) {
    if (!line.startsWith(PREFIX)) continue;
    const match = SAMPLE.exec(line);
    if (!match || match[1].endsWith("_bucket")) continue;
    const name = match[1].slice(PREFIX.length);
    if (!families.has(name)) families.set(name, []);
    families.get(name).push({ labels: match[2] ? readLabels(match[2]) : {}, value: Number(match[3]) });
  }
  return families;
}

// The sum over all series with these labels; undefined when there is none.
function total(families, name, wanted = {}) {
  let sum;
  for (const { labels, value } of families.get(name) ?? []) {
    if (Object.entries(wanted).every(([key, text]) => labels[key] === text)) sum = (sum ?? 0) + value;
  }
  return sum;
}

// label value -> sum
function byLabel(families, name, label) {
  const sums = new Map();
  for (const { labels, value } of families.get(name) ?? []) sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value);
  return sums;
}
