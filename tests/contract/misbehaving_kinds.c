// SPDX-License-Identifier: Apache-2.0
// The other kinds, doing it wrong: a queue that takes everything and lends nothing, an auth stage that shows tokens.
#include <stdio.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

static const struct bfr_host *the_host; // also wrong, but the checks run one stage at a time here

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)err;
    the_host = host;
    *out_self = (void *)(uintptr_t)host;
    return BFR_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct bfr_life life = {.size = sizeof life, .create = create, .destroy = destroy};

#ifdef QUEUE

static uint32_t consumers(void *self, const char *const *names, uint32_t count, struct bfr_err *err)
{
    (void)self, (void)names, (void)count, (void)err;
    return BFR_OK;
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bfr_complete_stored(self, deliveries[i]);
    return count;
}

static uint32_t lease(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                      uint64_t *out_next_ns)
{
    (void)self, (void)request, (void)out;
    *out_next_ns = UINT64_MAX;
    return 0;
}

static void ack(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count, uint32_t *settled)
{
    (void)self, (void)consumer, (void)leases, (void)count, (void)settled;
}

static void nack(void *self, uint32_t consumer, struct bfr_lease *const *leases, const struct bfr_nack *const *nacks,
                 uint32_t count)
{
    (void)self, (void)consumer, (void)leases, (void)nacks, (void)count;
}

static void bury(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                 const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled)
{
    (void)self, (void)consumer, (void)leases, (void)burials, (void)count, (void)settled;
}

static void stats(void *self, struct bfr_queue_stats *out)
{
    (void)self, (void)out;
}

static const struct bfr_queue_vtable table = {
    .size = sizeof table,
    .consumers = consumers,
    .put = put,
    .lease = lease,
    .ack = ack,
    .nack = nack,
    .bury = bury,
    .stats = stats,
};

#define KIND  BFR_KIND_QUEUE
#define FLAGS BFR_FLAG_VOLATILE

#else

static uint32_t authorize(void *self, const struct bfr_request *request, uint64_t ticket, struct bfr_verdict *out)
{
    (void)self, (void)ticket;
    out->decision = BFR_DENY;
    out->deny = BFR_DENY_TOKEN;
    const char *token = request->authorization.data != NULL ? (const char *)request->authorization.data : "none";
    snprintf(out->text, sizeof out->text, "wrong token %.*s", (int)request->authorization.size, token);
    return BFR_DENY;
}

static const struct bfr_auth_vtable table = {.size = sizeof table, .authorize = authorize};

#define KIND  BFR_KIND_AUTH
#define FLAGS 0

#endif

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = KIND,     .name = PLUGIN_NAME, .version = "1", .summary = "breaks a promise of its kind",
    .life = &life,   .vtable = &table, .flags = FLAGS,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
