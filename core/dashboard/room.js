// SPDX-License-Identifier: Apache-2.0
// How long until it is full: the last queue that survives a crash, or, without one, the last queue.

const DAY_S = 86400;

// In how many seconds, as the daemon forecasts it; undefined when nothing piles up. A queue whose files have just begun to
// grow is no forecast as long as hardly anything waits in it.
function fullIn(queue) {
  if (!queue?.full_in_seconds || queue.held.bytes < queue.limit_bytes / 100) return undefined;
  return queue.full_in_seconds;
}

function fullText(seconds) {
  if (seconds === undefined) return "not filling";
  return seconds > DAY_S ? "over a day" : aboutText(seconds);
}

function lastQueue(health) {
  const queues = health.queues ?? [];
  return queues.findLast((queue) => !queue.volatile) ?? queues.at(-1);
}

// Full is what refuses: a queue need not be filled to its last byte for that.
function isFull(health) {
  return !health.ready && /full/.test(health.reason);
}

// What is left: of the limit, or of the file system if that is less.
function roomLeft(queue) {
  const left = Math.max(0, queue.limit_bytes - queue.used_bytes);
  return queue.free_bytes === null || queue.free_bytes === undefined ? left : Math.min(left, queue.free_bytes);
}

function showFill(queue) {
  if (!queue || !queue.limit_bytes) {
    say("room-name", queue ? nameText(queue.name) : "No queue");
    say("room-used", queue ? `${bytesText(queue.used_bytes)}, no limit` : "batches go straight to the sinks");
    setBar($("room-bar"), 0, "no limit");
    return;
  }
  const share = queue.used_bytes / queue.limit_bytes;
  const used = `${bytesText(queue.used_bytes)} of ${bytesText(queue.limit_bytes)}`;
  say("room-name", `${queue.volatile ? "Memory" : "Spool"} (${nameText(queue.name)})`);
  say("room-used", `${used}, ${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);
  setBar($("room-bar"), share, used);
}

function showRoom() {
  const { health, families } = history.latest;
  const queue = lastQueue(health), full = isFull(health);
  showFill(queue);
  say("room-full", full ? "full now" : queue ? fullText(fullIn(queue)) : NONE);
  say("room-full-note", queue ? `${bytesText(roomLeft(queue))} left` : "");
  const held = total(families, "held_batches") ?? 0;
  say("room-held", countText(held));
  say("room-held-bytes", `${held === 1 ? "batch" : "batches"}, ${bytesText(total(families, "held_bytes") ?? 0)}`);
  say("room-oldest", held > 0 ? spanText(total(families, "oldest_held_age_seconds")) : "nothing");
  say("room-unsynced", bytesText(total(families, "unsynced_bytes")));
  say("room-unsynced-age", `for ${spanText(total(families, "unsynced_age_seconds"))}; a power cut would take it`);
}
