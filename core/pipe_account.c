// SPDX-License-Identifier: Apache-2.0
// What a queue did by itself, entered into the books and the duplicate memory: batches it found on its disk, dead letters it
// made or forgot. Any thread; one lock of the ledger, or of the memory, a call.
#include "pipe_chain.h"

void bfr_pipeline_on_account(void *arg, uint32_t entry, const char *tenant, uint64_t batches, uint64_t body_bytes)
{
    static const uint32_t moves[] = {
        [BFR_ACCOUNT_FOUND_HELD] = BFR_MOVE_RECOVERED_HELD,
        [BFR_ACCOUNT_FOUND_BURIED] = BFR_MOVE_RECOVERED_BURIED,
        [BFR_ACCOUNT_BURIED] = BFR_MOVE_BURIED,
        [BFR_ACCOUNT_PURGED_HELD] = BFR_MOVE_PURGED_HELD,
        [BFR_ACCOUNT_PURGED_BURIED] = BFR_MOVE_PURGED_BURIED,
    };
    const struct bfr_port *port = arg;
    if (batches == 0)
        return;
    // Without memory for a row of its own the tenant is counted with the others that have none.
    (void)bfr_ledger_admit(port->pipeline->ledger, tenant);
    const struct bfr_booking booking = {
        .move = moves[entry], .tenant = tenant, .bytes = body_bytes, .batches = batches};
    bfr_ledger_book(port->pipeline->ledger, &booking, 1);
    bfr_pipeline_note_progress(port->pipeline);
}

bool bfr_pipeline_on_remember(void *arg, uint32_t state, const struct bfr_recent *recent)
{
    const struct bfr_port *port = arg;
    struct bfr_dedup *dedup = port->pipeline->dedup;
    if (state != BFR_KEY_FREE)
        return bfr_dedup_meet(dedup, recent, BFR_ACK_DISK, state == BFR_KEY_BURIED);
    bfr_dedup_release(dedup, recent);
    return false;
}
