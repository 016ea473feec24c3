// SPDX-License-Identifier: Apache-2.0
// The one sentence on top. The first that is true of this list is said.

function flowVerdict(sample) {
  const into = history.flowOf("accepted_batches_total"), out = history.flowOf("stored_batches_total");
  const held = total(sample.families, "held_batches") ?? 0;
  if (into === undefined) return ["ok", "The receiver is up", "Rates come with the next answer."];
  if (into > 0) return ["ok", "Data is flowing", `${rateText(into)} batches/s in, ${rateText(out)} batches/s stored, ${batchesText(held)} under way.`];
  if (out > 0) return ["ok", "No new batches; what waits is being stored", `${rateText(out)} batches/s stored, ${countText(held)} left.`];
  const last = history.lastIn === undefined ? "None since this page was opened" : `The last one came ${spanText(sample.at - history.lastIn)} ago`;
  return ["ok", "Idle: no batches are coming in", `${last}. The receiver is ready for them.`];
}

function verdictOf(sample) {
  const { health, families } = sample;
  const stages = health.stages.map((stage) => ({ ...stage, state: stageState(stage, health) }));
  const open = (health.sinks ?? []).find((sink) => sink.breaker_open);
  const failed = stages.find((stage) => stage.state === "failed"), degraded = stages.find((stage) => stage.state === "degraded");
  const held = `${batchesText(total(families, "held_batches") ?? 0)} (${bytesText(total(families, "held_bytes") ?? 0)})`;
  if (isFull(health)) return ["failed", "Full: new batches are refused", `${held} wait${open ? ` for ${nameText(open.name)}` : ""}. Senders keep theirs and try again.`];
  if (failed) return ["failed", `${nameText(failed.name)} has failed`, nameText(failed.reason)];
  if (!health.ready) return ["degraded", `Not ready: ${nameText(health.reason)}`, "New batches are refused for now; senders try again."];
  if (open) return ["degraded", `Held up: ${nameText(open.name)} cannot be reached`, `${held} wait safely. Batches are still taken.${roomSentence(health)}`];
  if (degraded) return ["degraded", `${nameText(degraded.name)} is degraded`, nameText(degraded.reason)];
  if (health.status !== "ok") return ["degraded", "The receiver is degraded", "It does not say why; see its log."];
  return flowVerdict(sample);
}

// `key` changes with the state, not with each figure: it is what is announced.
function putVerdict(state, title, detail, wantsAdvice) {
  const section = $("verdict");
  setState(section, state);
  setShape(section.firstElementChild, state);
  say("verdict-title", title);
  say("verdict-detail", detail);
  setHidden($("verdict-link"), !wantsAdvice);
  const name = `${state}: ${title} – ByteFreezer Receiver`;
  if (document.title !== name) document.title = name;
}

function showVerdict() {
  const [state, title, detail] = verdictOf(history.latest);
  putVerdict(state, title, detail, state !== "ok");
  announce(state === "ok" ? "The receiver is well." : title);
}

function showLost(message, seconds) {
  const known = history.latest ? `What follows is ${spanText(Math.max(1, seconds))} old.` : "It has not answered yet.";
  putVerdict("failed", "The receiver does not answer", `${message} (${location.host}). ${known} Is the daemon running, and is this port ` +
    "reachable? It is asked again all the time.", false);
  announce("The receiver does not answer.");
}
