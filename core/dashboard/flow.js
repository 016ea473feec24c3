// SPDX-License-Identifier: Apache-2.0
// Is data flowing: rates now, and the last minutes as two lines.

const CHART_W = 300, CHART_H = 72;

function chartPath(points, now, span, top) {
  return points.map(({ at, value }, index) => {
    const x = CHART_W * (1 - (now - at) / span);
    const y = CHART_H - 1 - (CHART_H - 4) * (value / top);
    return `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}

// A mean of neighbours: a second's rate jumps with the moment at which it was asked for.
function smooth(points) {
  return points.map(({ at }, index) => {
    const around = points.slice(Math.max(0, index - 2), index + 3);
    return { at, value: around.reduce((sum, point) => sum + point.value, 0) / around.length };
  });
}

// The next number with one digit that matters, so that the scale seldom moves.
function roundTop(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return Math.max(1, Math.ceil(value / power) * power);
}

function showChart() {
  const into = smooth(history.rates("accepted_batches_total")), out = smooth(history.rates("stored_batches_total"));
  if (into.length < 2) return;
  const now = history.latest.at;
  const span = Math.min(KEPT_S, Math.max(30, now - into[0].at));
  const top = roundTop(Math.max(...into.map((point) => point.value), ...out.map((point) => point.value)));
  const line = chartPath(into, now, span, top);
  const first = CHART_W * (1 - (now - into[0].at) / span);
  $("flow-line-in").setAttribute("d", line);
  $("flow-line-out").setAttribute("d", chartPath(out, now, span, top));
  $("flow-area").setAttribute("d", `${line}V${CHART_H}H${first.toFixed(1)}Z`);
  say("flow-from", `${spanText(span)} ago`);
  say("flow-top", `top of the scale: ${rateText(top)} batches/s`);
  $("flow-chart").setAttribute("aria-label", `Batches per second over the last ${spanText(span)}: accepted now ` +
    `${rateText(into.at(-1).value)}, stored now ${rateText(out.at(-1).value)}, top of the scale ${rateText(top)}`);
}

function showFlow() {
  const families = history.latest.families;
  say("flow-in", rateText(history.flowOf("accepted_batches_total")));
  say("flow-in-bytes", `${bytesText(history.flowOf("accepted_bytes_total") ?? 0)}/s`);
  say("flow-out", rateText(history.flowOf("stored_batches_total")));
  say("flow-out-bytes", `${bytesText(history.flowOf("stored_bytes_total") ?? 0)}/s`);
  say("flow-refused", rateText(history.flowOf("refused_total")));
  say("flow-refused-total", `${countText(total(families, "refused_total") ?? 0)} since the start`);
  showChart();
}
