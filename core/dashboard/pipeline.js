// SPDX-License-Identifier: Apache-2.0
// Where it stands: the stages as they are configured, in the data's way. Sinks stand side by side, so they share a place.

const AUTH_REASONS = ["token", "foreign", "tenant_gone", "dataset_gone", "auth_unknown"];

function queueOf(health, name) {
  return (health.queues ?? []).find((queue) => queue.name === name);
}

function sinkOf(health, name) {
  return (health.sinks ?? []).find((sink) => sink.name === name);
}

// What may be seen of an auth stage: how many are asked for, and how many it turned away.
function authFacts() {
  const refused = (sample) => AUTH_REASONS.reduce((sum, reason) => sum + (total(sample.families, "refused_total", { reason }) ?? 0), 0);
  return [["requests", `${rateText(history.rateOf("requests_total"))}/s`], ["turned away", `${rateText(history.rate(refused))}/s`]];
}

// The books know what the first queue takes; what goes on to the disk is known from its commits.
function queueFacts(health, queue) {
  const isFirst = health.queues[0] === queue;
  const rate = isFirst ? history.flowOf("accepted_batches_total") : history.rateOf("commit_batches_sum");
  const facts = [["holds", batchesText(queue.held.batches)], ["size", bytesText(queue.held.bytes)]];
  if (rate !== undefined) facts.push(["takes", `${rateText(rate)}/s`]);
  if (queue.buried.batches > 0) facts.push(["dead letters", countText(queue.buried.batches)]);
  return facts;
}

function sinkFacts(sink) {
  const stored = history.rateOf("sink_attempts_total", { sink: sink.name, outcome: "stored" });
  const all = history.rateOf("sink_attempts_total", { sink: sink.name });
  const facts = [["stores", `${rateText(stored)}/s`], ["in flight", countText(sink.in_flight)]];
  facts.push(["fails", `${rateText(all === undefined ? undefined : Math.max(0, all - stored))}/s`]);
  return facts;
}

function factsOf(stage, health) {
  const queue = queueOf(health, stage.name), sink = sinkOf(health, stage.name);
  if (stage.kind === "auth") return authFacts();
  if (stage.kind === "queue" && queue) return queueFacts(health, queue);
  return stage.kind === "sink" && sink ? sinkFacts(sink) : [];
}

function makeCard() {
  const state = make("span", { class: "state" }, makeShape(), make("span"));
  const bar = make("div", { class: "bar", role: "meter", "aria-label": "full", "aria-valuemin": "0", "aria-valuemax": "100" }, make("i"));
  return make("article", { class: "card" }, make("header", {}, make("h3"), state), make("p", { class: "role" }), make("dl"), bar);
}

function makeFact() {
  const row = document.createDocumentFragment();
  row.append(make("dt"), make("dd"));
  return row;
}

function showFacts(list, facts) {
  while (list.children.length > 2 * facts.length) list.lastElementChild.remove();
  while (list.children.length < 2 * facts.length) list.append(makeFact());
  facts.forEach(([name, value], index) => {
    setText(list.children[2 * index], name);
    setText(list.children[2 * index + 1], value);
  });
}

function showState(node, state) {
  setShape(node.firstElementChild, state);
  setText(node.lastElementChild, nameText(state));
}

function stageState(stage, health) {
  return stage.status === "ok" && sinkOf(health, stage.name)?.breaker_open ? "degraded" : stage.status;
}

function showCard(card, stage, health) {
  const state = stageState(stage, health), queue = queueOf(health, stage.name);
  setState(card, state);
  setText(card.querySelector("h3"), nameText(stage.name));
  showState(card.querySelector(".state"), state);
  const role = stage.plugin === stage.name ? stage.kind : `${stage.kind}, ${stage.plugin}`;
  setText(card.querySelector(".role"), nameText(role));
  showFacts(card.querySelector("dl"), factsOf(stage, health));
  const bar = card.querySelector(".bar");
  setHidden(bar, !queue?.limit_bytes);
  if (queue?.limit_bytes) setBar(bar, queue.used_bytes / queue.limit_bytes, `${bytesText(queue.used_bytes)} of ${bytesText(queue.limit_bytes)}`);
}

// Places in the data's way: each holds one stage, the last one all sinks.
function placesOf(stages) {
  const places = stages.filter((stage) => stage.kind === "auth" || stage.kind === "queue").map((stage) => [stage]);
  const sinks = stages.filter((stage) => stage.kind === "sink");
  if (sinks.length > 0) places.push(sinks);
  return places;
}

function showService(node, stage) {
  setState(node, stage.status);
  setText(node.firstElementChild, nameText(stage.name));
  showState(node.lastElementChild, stage.status);
}

function showPipeline() {
  const { health } = history.latest;
  const places = placesOf(health.stages), services = health.stages.filter((stage) => stage.kind === "service");
  showList($("stages"), places, (place) => place[0].name, () => make("li", { class: "stage" }), (node, place) =>
    showList(node, place, (stage) => stage.name, makeCard, (card, stage) => showCard(card, stage, health)));
  setHidden($("stages-empty"), places.length > 0);
  setHidden($("services-part"), services.length === 0);
  showList($("services"), services, (stage) => stage.name,
    () => make("li", {}, make("span"), make("span", { class: "state" }, makeShape(), make("span"))), showService);
}
