// SPDX-License-Identifier: Apache-2.0
// The answers of the last minutes, and rates from them. Kept in this page: nothing is stored, and a reload begins anew.

const KEPT_S = 300;
const RATE_S = 5; // a rate is over so long: calm enough to be read, quick enough to be now

const history = {
  samples: [], // {at (s), health, families}; the latest last
  lastIn: undefined, // when the number of accepted batches was last seen to grow

  get latest() {
    return this.samples.at(-1);
  },

  add(health, families) {
    const at = performance.now() / 1000;
    const before = this.latest;
    const restarted = before && health.uptime_seconds < before.health.uptime_seconds;
    if (restarted) this.samples = []; // its counters began anew
    if (before && !restarted && total(families, "accepted_batches_total") > (total(before.families, "accepted_batches_total") ?? 0))
      this.lastIn = at;
    this.samples.push({ at, health, families });
    while (this.samples[0].at < at - KEPT_S) this.samples.shift();
    return restarted;
  },

  // The sample that is so old, or the oldest that is not older than twice that; undefined with fewer than two.
  before(seconds) {
    if (this.samples.length < 2) return undefined;
    const at = this.latest.at - seconds;
    return this.samples.slice(0, -1).findLast((sample) => sample.at <= at) ?? this.samples[0];
  },

  // How fast `read(sample)` grows, per second. A series that was not there counted 0.
  rate(read) {
    const then = this.before(RATE_S);
    if (!then) return undefined;
    const now = read(this.latest);
    return now === undefined ? undefined : Math.max(0, (now - (read(then) ?? 0)) / (this.latest.at - then.at));
  },

  rateOf(name, labels) {
    return this.rate((sample) => total(sample.families, name, labels));
  },

  // Of what there is a series for only once it has happened: none is a rate of 0.
  flowOf(name) {
    return this.samples.length < 2 ? undefined : (this.rateOf(name) ?? 0);
  },

  // [{at, value}] of a counter, one for each pair of neighbours.
  rates(name) {
    return this.samples.slice(1).map((sample, index) => {
      const before = this.samples[index];
      const grown = (total(sample.families, name) ?? 0) - (total(before.families, name) ?? 0);
      return { at: sample.at, value: Math.max(0, grown / Math.max(0.001, sample.at - before.at)) };
    });
  },
};
