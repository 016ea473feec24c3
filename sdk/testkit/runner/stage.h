// SPDX-License-Identifier: Apache-2.0
// A stage under check: opened with the command line's options, closed with every promise of the life cycle looked at.
#ifndef BFR_RUNNER_STAGE_H
#define BFR_RUNNER_STAGE_H

#include "check.h"

// New host, stage name unique in this process and among the checks. Fails the check when the options are refused.
struct bfr_fake *stage_new(const struct subject *subject);

// A second host with the same stage name, hence the same {stage} directory: a restart.
struct bfr_fake *stage_again(const struct subject *subject);

struct bfr_fake *stage_created(const struct subject *subject);
struct bfr_fake *stage_started(const struct subject *subject); // queues: consumers told, `consumers` of them
void stage_consumers(struct bfr_fake *fake, const struct bfr_plugin *plugin, uint32_t count);

// Drain, stop, destroy, free; fails the check on any breach and on a batch still held.
void stage_close(const struct subject *subject, struct bfr_fake *fake);

// The same for a stage that is stopped, or created and not started.
void stage_finish(struct bfr_fake *fake);

// The first breach so far fails the check.
void stage_no_breach(struct bfr_fake *fake);

// A fresh batch: a gzip member of some `size` bytes under a name never used before.
const struct bfr_batch *stage_batch(struct bfr_fake *fake, const char *tenant, size_t size);

uint64_t stage_deadline(struct bfr_fake *fake, uint64_t from_now_ms); // on the host's clock

#endif
