// SPDX-License-Identifier: Apache-2.0
// What is broken and what to do about it. A reason comes from the daemon, which names its own cause and way out; what is
// added here is what it means for the data, and the next step of the person who reads it.

const SOON_S = 3600;

function roomSentence(health) {
  const queue = lastQueue(health);
  if (!queue?.limit_bytes) return "";
  const name = `The queue ${nameText(queue.name)}`, seconds = fullIn(queue);
  if (isFull(health)) return ` ${name} is full: until then new batches are refused; senders keep them and try again.`;
  if (seconds === undefined || seconds > DAY_S) return ` ${name} has ${bytesText(roomLeft(queue))} left.`;
  return ` ${name} has ${bytesText(roomLeft(queue))} left and will be full in about ${aboutText(seconds)}.`;
}

const CHECK = {
  s3: "Check from this machine: is the store up, does its name resolve, is the network open, are credentials and bucket right?",
  fs: "Check on this machine: is the file system mounted, writable, and not full, and does nothing stand in the way?",
  other: "Check from this machine whether it is up, can be reached, and lets this daemon in.",
};

const WAY_OUT = {
  outage: (health, plugin) => "Batches wait and nothing is lost; the sink is tried again all the time, and delivery goes on by itself." +
    `${roomSentence(health)} ${CHECK[plugin] ?? CHECK.other} No restart is needed.`,
  sinkFailed: (health) => "It takes nothing more until the configuration is reloaded. Correct what the cause names, then reload " +
    `(systemctl reload, SIGHUP, or POST /api/v1/reload). Batches wait meanwhile.${roomSentence(health)}`,
  sinkDegraded: (health) => `Batches wait longer than they should and are tried again by themselves.${roomSentence(health)} ` +
    "Look at the store's own figures, and at this daemon's log for the batches that fail.",
  queueFailed: () => "New batches are refused with 503 and senders try again. Look at the disk under the spool's directory: free " +
    "space, permissions, errors in the kernel's log. When it is mended, restart the daemon.",
  queueDegraded: () => "Batches are still taken. Do what the cause says before it becomes a stop.",
  auth: () => "Senders that cannot be checked are answered 503 and try again; those already known are served. Check that the " +
    "control service is reachable from here and that its URL and key are right, or that the tenants file can be read.",
  service: () => "Batches flow on; only reports are missing. Check the service's address and credentials.",
};

function wayOutOf(stage, health) {
  const failed = stage.status === "failed";
  if (stage.kind === "sink") {
    if (failed) return WAY_OUT.sinkFailed(health);
    return (sinkOf(health, stage.name)?.breaker_open ? WAY_OUT.outage : WAY_OUT.sinkDegraded)(health, stage.plugin);
  }
  if (stage.kind === "queue") return (failed ? WAY_OUT.queueFailed : WAY_OUT.queueDegraded)(health);
  return stage.kind === "auth" ? WAY_OUT.auth(health) : WAY_OUT.service(health);
}

const KINDS = { auth: "Auth stage", queue: "Queue", sink: "Sink", service: "Service" };

function stageAdvice(health) {
  return health.stages.filter((stage) => stageState(stage, health) !== "ok").map((stage) => {
    const state = stageState(stage, health), open = sinkOf(health, stage.name)?.breaker_open;
    const what = state === "failed" ? "has failed" : open ? "cannot be reached" : "is degraded";
    return { key: `stage ${stage.name}`, state, title: `${KINDS[stage.kind] ?? "Stage"} ${nameText(stage.name)} ${what}`,
      cause: nameText(stage.reason), wayOut: wayOutOf(stage, health) };
  });
}

function readyAdvice(health) {
  if (health.ready) return [];
  if (isFull(health)) {
    const queue = lastQueue(health);
    return [{ key: "full", state: "failed", title: "There is no room: new batches are refused", cause: nameText(health.reason),
      wayOut: "Senders are answered 503, keep their batches and try again, so nothing is lost as long as they have room. Get the " +
        "sink to take batches again, retry or purge dead letters below, or raise max_size_bytes" +
        `${queue ? ` of ${nameText(queue.name)}` : ""} and restart.` }];
  }
  return [{ key: "unready", state: "degraded", title: "Not ready: new batches are refused for now", cause: nameText(health.reason),
    wayOut: "A daemon that starts or stops is unready for a moment. If it stays so, its log says what it waits for." }];
}

function forecastAdvice(health) {
  const queue = lastQueue(health), seconds = fullIn(queue);
  if (isFull(health) || seconds === undefined || seconds > SOON_S) return [];
  if (health.sinks.some((sink) => sink.breaker_open)) return []; // said with the outage
  return [{ key: "forecast", state: "degraded", title: `The queue ${nameText(queue.name)} will be full in about ${aboutText(seconds)}`, cause: "",
    wayOut: "More comes in than goes out. If a sink fails, see above; if it is too slow, give it more workers, or " +
      "limit what tenants may send (quotas)." }];
}

function bookAdvice(sample) {
  const advice = [], wrong = total(sample.families, "unaccounted_batches") ?? 0;
  const dead = total(sample.families, "buried_batches") ?? 0;
  if (wrong !== 0)
    advice.push({ key: "books", state: "failed", title: `The books are off by ${batchesText(Math.abs(wrong))}`, cause: "",
      wayOut: "This is a defect of the daemon. Keep its log, its spool directory and a copy of /metrics, and report it." });
  if (!sample.health.database_healthy)
    advice.push({ key: "directory", state: "degraded", title: "Tenants are not known yet", cause: "",
      wayOut: "Until they are, senders are answered 503 and try again. Check that the control service is reachable from here." });
  if (dead > 0)
    advice.push({ key: "letters", state: "note", title: dead === 1 ? "1 dead letter waits for a decision" : `${countText(dead)} dead letters wait for a decision`,
      cause: "", wayOut: "They keep their room in the spool. Read the reason below, mend the cause, then retry them; purge what nobody needs." });
  return advice;
}

const RANK = { failed: 0, degraded: 1, note: 2 };

function adviceOf(sample) {
  const { health } = sample;
  return [...readyAdvice(health), ...stageAdvice(health), ...forecastAdvice(health), ...bookAdvice(sample)]
    .sort((left, right) => RANK[left.state] - RANK[right.state]);
}

const adviceSince = new Map(); // key -> when it was first seen, s

function makeAdvice() {
  return make("li", {}, makeShape(), make("h3"), make("div", { class: "cause" }), make("div", { class: "way-out" }), make("div", { class: "since" }));
}

function fillAdvice(node, item) {
  const [shape, title, cause, wayOut, since] = node.children;
  setState(node, item.state);
  setShape(shape, item.state);
  setText(title, item.title);
  setText(cause, item.cause);
  setHidden(cause, item.cause === "");
  setText(wayOut, item.wayOut);
  setHidden(since, item.state === "note");
  setText(since, `seen by this page for ${spanText(Math.max(1, history.latest.at - adviceSince.get(item.key)))}`);
}

function showAdvice() {
  const items = adviceOf(history.latest);
  for (const item of items) if (!adviceSince.has(item.key)) adviceSince.set(item.key, history.latest.at);
  for (const key of adviceSince.keys()) if (!items.some((item) => item.key === key)) adviceSince.delete(key);
  showList($("advice"), items, (item) => item.key, makeAdvice, fillAdvice);
  say("advice-empty", "Nothing. Every stage is well.");
  setHidden($("advice-empty"), items.length > 0);
}
