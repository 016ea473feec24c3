// SPDX-License-Identifier: Apache-2.0
// The last answers, rates from them, and what is drawn of the last minutes. Kept in this page: nothing is stored, and a reload
// begins anew. An answer may have thousands of series, so no more of them stay than a rate needs.

const KEPT_S = 300;
const RATE_S = 5; // a rate is over so long: calm enough to be read, quick enough to be now
const DRAWN = ["accepted_batches_total", "stored_batches_total"];

const history = {
  samples: [], // {at (s), health, families}; the latest last, the first is what rates are taken from
  points: [], // {at, [name of DRAWN]: its total}, of KEPT_S
  lastIn: undefined, // when the number of accepted batches was last seen to grow

  get latest() {
    return this.samples.at(-1);
  },

  // The sample that is RATE_S old, or else the oldest; undefined with fewer than two.
  get base() {
    return this.samples.length < 2 ? undefined : this.samples[0];
  },

  add(health, families) {
    const at = performance.now() / 1000, point = { at };
    for (const name of DRAWN) point[name] = total(families, name) ?? 0;
    const restarted = this.latest && health.uptime_seconds < this.latest.health.uptime_seconds;
    if (restarted) Object.assign(this, { samples: [], points: [] }); // its counters began anew
    if (point.accepted_batches_total > this.points.at(-1)?.accepted_batches_total) this.lastIn = at;
    this.samples.push({ at, health, families });
    this.points.push(point);
    while (this.samples[0].at < at - KEPT_S || this.samples[1]?.at <= at - RATE_S) this.samples.shift();
    while (this.points[0].at < at - KEPT_S) this.points.shift();
    return restarted;
  },

  // How fast it grew from `then` to `now`, per second. A series that was not there counted 0.
  growth(now, then) {
    return now === undefined ? undefined : Math.max(0, (now - (then ?? 0)) / (this.latest.at - this.base.at));
  },

  rate(read) {
    return this.base && this.growth(read(this.latest), read(this.base));
  },

  rateOf(name, labels) {
    return this.rate((sample) => total(sample.families, name, labels));
  },

  // label value -> rate
  ratesBy(name, label) {
    if (!this.base) return new Map();
    const then = byLabel(this.base.families, name, label);
    return new Map([...byLabel(this.latest.families, name, label)].map(([value, now]) => [value, this.growth(now, then.get(value))]));
  },

  // Of what there is a series for only once it has happened: none is a rate of 0.
  flowOf(name) {
    return this.base && (this.rateOf(name) ?? 0);
  },

  // [{at, value}] of one of DRAWN, one for each pair of neighbours.
  rates(name) {
    return this.points.slice(1).map((point, index) => {
      const before = this.points[index];
      return { at: point.at, value: Math.max(0, (point[name] - before[name]) / Math.max(0.001, point.at - before.at)) };
    });
  },
};
