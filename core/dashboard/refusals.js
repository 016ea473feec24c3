// SPDX-License-Identifier: Apache-2.0
// What is turned away at the door, by reason, the busiest first.

// What a sender makes of the answer: 503 and 429 are tried again, the rest is set aside (README).
const TRIED_AGAIN = new Set(["draining", "spool_full", "tenant_share", "request_rate", "byte_rate", "memory", "digest",
  "auth_unknown", "ack_timeout", "busy", "not_stored"]);

function refusalsOf(sample) {
  const rows = [], rates = history.ratesBy("refused_total", "reason");
  for (const [reason, count] of byLabel(sample.families, "refused_total", "reason"))
    if (count > 0) rows.push({ reason, count, rate: rates.get(reason) });
  return rows.sort((left, right) => (right.rate ?? 0) - (left.rate ?? 0) || right.count - left.count || left.reason.localeCompare(right.reason));
}

function makeRefusal() {
  return make("tr", {}, make("th", { scope: "row" }), make("td", { class: "wide" }), make("td", { class: "number" }), make("td", { class: "number" }));
}

function fillRefusal(row, { reason, count, rate }) {
  const [name, sender, now, all] = row.children;
  setText(name, nameText(reason).replaceAll("_", " "));
  setText(sender, TRIED_AGAIN.has(reason) ? "tries again" : "sets it aside");
  setText(now, rateText(rate));
  setText(all, countText(count));
}

function showRefusals() {
  const rows = refusalsOf(history.latest);
  showList($("refusals"), rows, (row) => row.reason, makeRefusal, fillRefusal);
  setHidden($("refusals-table"), rows.length === 0);
  setHidden($("refusals-empty"), rows.length > 0);
  say("refusals-empty", "Nothing has been refused since the start.");
}
