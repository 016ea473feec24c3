// SPDX-License-Identifier: Apache-2.0
// The page's life: ask, show, wait. A second between two turns while somebody looks, more when the tab is hidden or nobody
// answers; how old the figures are is said all the time.

const TURN_MS = 1000;
const HIDDEN_MS = 15000;
const LOST_MAX_MS = 8000;
const STALE_S = 3;

const turns = { timer: 0, running: false, paused: false, failures: 0, answeredAt: undefined, error: "" };

function waitMs() {
  if (document.hidden) return HIDDEN_MS;
  return turns.failures === 0 ? TURN_MS : Math.min(LOST_MAX_MS, TURN_MS * 2 ** (turns.failures - 1));
}

function showSample() {
  const { health } = history.latest;
  setText($("instance"), `${location.host}, version ${nameText(health.version)}, up ${spanText(health.uptime_seconds)}`);
  showVerdict();
  showFlow();
  showPipeline();
  showRoom();
  showAdvice();
  showRefusals();
  showTenants();
}

async function askAndShow() {
  const health = await client.json("/api/v1/health");
  const families = readMetrics(await client.ask("/metrics"));
  const restarted = history.add(health, families);
  Object.assign(turns, { failures: 0, answeredAt: performance.now(), error: "" });
  showSample();
  if (restarted) announce("The receiver has been restarted.");
  showFreshness();
  await turnLetters();
}

async function turn() {
  if (turns.running || turns.paused) return;
  clearTimeout(turns.timer);
  turns.running = true;
  try {
    await askAndShow();
  } catch (error) {
    turns.failures += 1;
    turns.error = error instanceof ApiError ? `${error.status || "No answer"}: ${error.message}` : `This page failed: ${error.message}`;
    if (!(error instanceof ApiError)) console.error(error);
    showFreshness();
  }
  turns.running = false;
  if (!turns.paused) turns.timer = setTimeout(turn, waitMs());
}

// One failed turn may be a restart of a proxy in between; two are said.
function showFreshness() {
  const age = turns.answeredAt === undefined ? undefined : (performance.now() - turns.answeredAt) / 1000;
  const lost = turns.failures > 1 || (turns.failures > 0 && turns.answeredAt === undefined);
  setState($("freshness"), lost || age > STALE_S && !turns.paused && !document.hidden ? "failed" : "ok");
  if (lost) showLost(turns.error, age);
  document.body.classList.toggle("stale", lost);
  if (age === undefined) say("freshness", lost ? "No answer yet" : "Waiting for the first answer");
  else if (turns.paused) say("freshness", `Paused; answer of ${spanText(Math.max(1, age))} ago`);
  else say("freshness", age < STALE_S ? "Live" : `Last answer ${spanText(age)} ago`);
}

$("pause").addEventListener("click", () => {
  turns.paused = !turns.paused;
  say("pause", turns.paused ? "Go on" : "Pause");
  showFreshness();
  turn();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) turn();
});

$("verdict-link").addEventListener("click", () => $("attention").focus());

setInterval(showFreshness, 1000);
turn();
