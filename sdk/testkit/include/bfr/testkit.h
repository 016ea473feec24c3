/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for tests: it lends one plugin stage the whole host table, calls the stage as the daemon would, records what
 * the plugin says and names every breach of the contract. In the static library libbfr-testkit; needs no daemon.
 *
 *     struct bfr_fake *fake = bfr_fake_new(bfr_plugin_entry_v1(), "s", (const char *[]){"directory=/tmp/x"}, 1, &err);
 *     bfr_fake_create(fake, &err); bfr_fake_start(fake, &err);
 *     const struct bfr_batch *batch = bfr_fake_batch(fake, "acme", "fw", "a.ndjson.gz", body, size);
 *     bfr_fake_put(fake, &batch, 1, &token);
 *     bfr_fake_wait(fake, token, 5000, &end);          end.outcome == BFR_STORED
 *     bfr_fake_drain(fake, ...); bfr_fake_stop(fake); bfr_fake_destroy(fake);
 *     bfr_fake_misuse(fake, 0) == NULL
 *
 * The functions here are for one test thread, the plugin may call the host table from any thread. Timeouts are only
 * how long a test waits before it gives up.
 */
#ifndef BFR_TESTKIT_H
#define BFR_TESTKIT_H

#include <bfr/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bfr_fake;

/* A host for one stage of `plugin`. `pairs` are "key=value" options, checked against the plugin's table as the daemon
 * would check them; a list takes its elements separated by commas. Returns NULL with err->text written. */
struct bfr_fake *bfr_fake_new(const struct bfr_plugin *plugin, const char *stage, const char *const *pairs,
                              size_t pair_count, struct bfr_err *err);

/* Stops and destroys the stage if the test has not, and frees everything. NULL is allowed. */
void bfr_fake_free(struct bfr_fake *fake);

const struct bfr_host *bfr_fake_host(struct bfr_fake *fake);
void *bfr_fake_self(struct bfr_fake *fake);

/* The life cycle, as the daemon calls it. Optional slots that are empty succeed. */
uint32_t bfr_fake_create(struct bfr_fake *fake, struct bfr_err *err);
uint32_t bfr_fake_start(struct bfr_fake *fake, struct bfr_err *err);
void bfr_fake_drain(struct bfr_fake *fake, uint64_t deadline_ns);
void bfr_fake_stop(struct bfr_fake *fake);
void bfr_fake_destroy(struct bfr_fake *fake);
uint32_t bfr_fake_reload(struct bfr_fake *fake, struct bfr_err *err);
bool bfr_fake_health(struct bfr_fake *fake, struct bfr_health *out); /* false: the plugin has no such slot */

/* Time: the machine's, until the first call of clock_set; from then on it moves only by clock_advance. */
void bfr_fake_clock_set(struct bfr_fake *fake, uint64_t monotonic_ns);
void bfr_fake_clock_advance(struct bfr_fake *fake, uint64_t ns);

/* A batch with correct lengths and digests over a copy of `body`. The caller holds one reference. NULL when memory is
 * short. */
const struct bfr_batch *bfr_fake_batch(struct bfr_fake *fake, const char *tenant, const char *dataset,
                                       const char *filename, const void *body, size_t size);

/* The same, with a body made here: one gzip member of about `size` bytes that names the batch. */
const struct bfr_batch *bfr_fake_gzip_batch(struct bfr_fake *fake, const char *tenant, const char *dataset,
                                            const char *filename, size_t size);
void bfr_fake_batch_release(struct bfr_fake *fake, const struct bfr_batch *batch);

/* Batches that somebody still holds, the test included. */
size_t bfr_fake_live_batches(struct bfr_fake *fake);

/* What became of a delivery. */
struct bfr_fake_end {
    uint32_t outcome; /* enum bfr_outcome */
    uint32_t flags;
    uint32_t reason;
    uint64_t retry_after_ms;
    char text[512];
};

/* Hand `count` batches to the sink or queue, one delivery each; returns how many it took and writes their tokens. The
 * delivery is freed at its completion, and the batch unless somebody holds it: a late look at either is caught by
 * AddressSanitizer or Valgrind. */
size_t bfr_fake_put(struct bfr_fake *fake, const struct bfr_batch *const *batches, size_t count, uint64_t *out_tokens);

/* Wait for one completion, or all of them. False when `timeout_ms` passed without. Posted functions run in here. */
bool bfr_fake_wait(struct bfr_fake *fake, uint64_t token, uint32_t timeout_ms, struct bfr_fake_end *out);
bool bfr_fake_wait_all(struct bfr_fake *fake, uint32_t timeout_ms);
size_t bfr_fake_open(struct bfr_fake *fake); /* taken and not completed */

/* Wait for host->ready; forgets all calls so far. */
bool bfr_fake_wait_ready(struct bfr_fake *fake, uint32_t timeout_ms);

/* Ask an auth stage; with BFR_LATER wait for the verdict by its ticket, or cancel. */
uint32_t bfr_fake_ask(struct bfr_fake *fake, const struct bfr_request *request, uint64_t *out_ticket,
                      struct bfr_verdict *out);
bool bfr_fake_wait_verdict(struct bfr_fake *fake, uint64_t ticket, uint32_t timeout_ms, struct bfr_verdict *out);
void bfr_fake_cancel(struct bfr_fake *fake, uint64_t ticket);

/* What was recorded: breaches of the contract, log lines ("warn upload failed batch=a"), and what a queue told of keys
 * ("held tenant/dataset/filename", "buried ...", "free ..."), in order; NULL past the end. Valid until free. */
const char *bfr_fake_misuse(struct bfr_fake *fake, size_t index);
const char *bfr_fake_log(struct bfr_fake *fake, size_t index);
const char *bfr_fake_key(struct bfr_fake *fake, size_t index);

/* Digests as the daemon computes them, for tests that compare. */
void bfr_fake_sha256(const void *data, size_t size, uint8_t out[32]);
uint32_t bfr_fake_crc32c(const void *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
