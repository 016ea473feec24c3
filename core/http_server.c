// SPDX-License-Identifier: Apache-2.0
// The webhook server as the app sees it: made, started, shed, closed, stopped, freed, in this order, on the main thread.
#include "http_server.h"

#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bug.h"
#include "http_activation.h"
#include "http_descriptors.h"
#include "http_loop.h"
#include "http_socket.h"
#include "log.h"
#include "pipe_wait.h"

struct bfr_http_server {
    struct bfr_http_shared shared;
    struct bfr_quota *quota; // of the rules in force; held
    uint16_t port;
    unsigned loop_count;
    unsigned loops_made;
    struct bfr_http_loop loops[];
};

static unsigned count_cores(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    int count = CPU_COUNT(&cores);
    return count > 0 ? (unsigned)count : 1;
}

// What is to be compressed or comes through TLS is read into buffers of up to 256 KiB. Mapping and unmapping each of them
// would cost more than reading it.
// Few heaps, because what is free in one is of no use to the others, and each keeps its peak: with one for every thread
// twice the budget was resident. Small pieces come from the threads' own caches.
static void tune_heap(unsigned loops)
{
    mallopt(M_ARENA_MAX, (int)(2 + loops / 4));
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

static void nudge_all(void *arg)
{
    struct bfr_http_server *server = arg;
    for (unsigned i = 0; i < server->loops_made; i++)
        bfr_mailbox_nudge(&server->loops[i].mailbox);
}

// One reference.
static struct bfr_budget *take_budget(struct bfr_http_server *server, const struct bfr_http_setup *setup)
{
    uint64_t largest = setup->max_payload_bytes + BFR_BODY_COMPRESSOR_BYTES;
    if (setup->budget == NULL)
        return bfr_budget_new(setup->settings->memory.budget, largest, nudge_all, server);
    bfr_budget_retain(setup->budget);
    bfr_budget_largest(setup->budget, largest);
    bfr_budget_attach(setup->budget, nudge_all, server);
    return setup->budget;
}

static bool init_shared(struct bfr_http_server *server, const struct bfr_http_setup *setup)
{
    struct bfr_http_shared *shared = &server->shared;
    shared->setup = *setup;
    pthread_mutex_init(&shared->lock, NULL);
    bfr_cond_init(&shared->steered);
    shared->budget = take_budget(server, setup);
    shared->connections_max = bfr_descriptors_for_connections(setup->settings->webhook.max_connections);
    shared->peers = bfr_peers_new(setup->settings->webhook.max_connections_per_address);
    shared->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    return shared->budget != NULL && shared->peers != NULL && shared->sha256 != NULL &&
           bfr_quota_new(setup->settings, &server->quota);
}

static uint32_t init_front(struct bfr_http_shared *shared, struct bfr_err *err)
{
    const struct bfr_settings *settings = shared->setup.settings;
    size_t count = settings->webhook.proxy_trusted_count;
    if (count > 0 && (shared->trusted = calloc(count, sizeof *shared->trusted)) == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        bfr_must(bfr_cidr_parse(settings->webhook.proxy_trusted[i], &shared->trusted[i]) == NULL); // checked before
    shared->trusted_count = count;
    return bfr_tls_new(&settings->webhook.tls, "webhook.tls", &shared->tls, err);
}

static uint32_t init_loops(struct bfr_http_server *server, struct bfr_err *err)
{
    for (; server->loops_made < server->loop_count; server->loops_made++) {
        const struct bfr_http_setup *setup = &server->shared.setup;
        struct bfr_rules *rules = bfr_rules_new(setup->settings, setup->max_payload_bytes, server->quota);
        if (rules == NULL)
            return bfr_err_set(err, BFR_ENOMEM, "out of memory");
        uint32_t status = bfr_loop_init(&server->loops[server->loops_made], &server->shared, rules, err);
        if (status != BFR_OK)
            return status;
    }
    return BFR_OK;
}

// Is the address free? Bound once without SO_REUSEPORT, because with it a second daemon of the same user would start
// silently on the same port. Port 0 becomes one that is free.
static uint32_t probe(const char *address, uint16_t *port, struct bfr_err *err)
{
    int fd = -1;
    uint32_t status = bfr_socket_bind(&bfr_socket_webhook, address, port, false, &fd, err);
    if (status == BFR_OK)
        close(fd);
    return status;
}

static uint32_t listen_on(struct bfr_http_server *server, const char *address, struct bfr_err *err)
{
    uint32_t status = probe(address, &server->port, err);
    for (unsigned i = 0; status == BFR_OK && i < server->loop_count; i++)
        status = bfr_listeners_add(&server->loops[i].listeners, address, server->port, err);
    return status;
}

static uint32_t inherit(struct bfr_http_server *server, size_t count, struct bfr_err *err)
{
    uint32_t status = BFR_OK;
    for (size_t i = 0; i < count; i++) {
        for (unsigned k = 0; status == BFR_OK && k < server->loop_count; k++)
            status = bfr_listeners_inherit(&server->loops[k].listeners, i, &server->port, err);
    }
    if (status == BFR_OK)
        bfr_say(BFR_LOG_INFO, "http", "sockets were handed over; webhook.bind and webhook.port are not used", "sockets",
                bfr_num((int64_t)count).text, NULL);
    return status;
}

// All addresses share one port. An address family the machine does not have is no reason to fail while another works: the
// default is both wildcards.
static uint32_t listen_everywhere(struct bfr_http_server *server, struct bfr_err *err)
{
    const struct bfr_settings *settings = server->shared.setup.settings;
    size_t inherited = bfr_activation_count(bfr_socket_webhook.name);
    if (inherited > 0)
        return inherit(server, inherited, err);
    uint32_t status = BFR_EINVAL;
    bool any = false;
    server->port = settings->webhook.port;
    bfr_err_set(err, status, "webhook.bind names no address");
    for (size_t i = 0; i < settings->webhook.bind_count; i++) {
        const char *address = settings->webhook.bind[i];
        status = listen_on(server, address, err);
        if (status == BFR_OK)
            any = true;
        else if (status == BFR_ENOTSUP)
            bfr_say(BFR_LOG_WARN, "http", "address not available on this machine, not listening there", "address",
                    address, NULL);
        else
            return status;
    }
    if (!any)
        return status == BFR_OK ? BFR_EFAIL : status;
    err->text[0] = '\0';
    return BFR_OK;
}

uint32_t bfr_http_server_new(const struct bfr_http_setup *setup, struct bfr_http_server **out, struct bfr_err *err)
{
    unsigned threads = setup->settings->webhook.threads > 0 ? setup->settings->webhook.threads : count_cores();
    uint32_t status = BFR_ENOMEM;
    struct bfr_http_server *server = calloc(1, sizeof *server + threads * sizeof server->loops[0]);
    if (server == NULL)
        return bfr_err_set(err, status, "out of memory");
    server->loop_count = threads;
    tune_heap(threads);
    if (!init_shared(server, setup)) {
        bfr_err_set(err, status, "cannot set up the webhook server: out of memory");
        goto out;
    }
    status = init_front(&server->shared, err);
    if (status == BFR_OK)
        status = init_loops(server, err);
    if (status == BFR_OK)
        status = listen_everywhere(server, err);
    if (status != BFR_OK)
        goto out;
    // Last, because it cannot be undone: from now on a scrape looks at this server.
    if (!bfr_figures_init(&server->shared.figures, setup->metrics, &server->shared)) {
        status = bfr_err_set(err, BFR_ENOMEM, "cannot register the webhook server's metrics");
        goto out;
    }
    *out = server;
    server = NULL;
out:
    bfr_http_server_free(server);
    return status;
}

uint32_t bfr_http_server_start(struct bfr_http_server *server, struct bfr_err *err)
{
    for (unsigned i = 0; i < server->loop_count; i++) {
        uint32_t status = bfr_loop_start(&server->loops[i], i, err);
        if (status != BFR_OK)
            return status;
        pthread_mutex_lock(&server->shared.lock);
        server->shared.listening++;
        pthread_mutex_unlock(&server->shared.lock);
    }
    bfr_say(BFR_LOG_INFO, "http", "listening", "port", bfr_num(server->port).text, "threads",
            bfr_num(server->loop_count).text, NULL);
    return BFR_OK;
}

uint16_t bfr_http_server_port(const struct bfr_http_server *server)
{
    return server->port;
}

// ---- change ----

struct bfr_http_change {
    SSL_CTX *context; // NULL without TLS
    struct bfr_quota *quota;
    uint64_t max_payload_bytes;
    uint32_t max_connections;
    uint32_t per_address;
    unsigned loop_count;
    struct bfr_rules *rules[]; // one for each loop
};

void bfr_http_server_abandon(struct bfr_http_change *change)
{
    if (change == NULL)
        return;
    for (unsigned i = 0; i < change->loop_count; i++)
        bfr_rules_leave(change->rules[i]);
    bfr_quota_free(change->quota);
    SSL_CTX_free(change->context);
    free(change);
}

static bool make_rules(struct bfr_http_change *change, const struct bfr_settings *settings)
{
    if (!bfr_quota_new(settings, &change->quota))
        return false;
    bool good = true;
    for (unsigned i = 0; good && i < change->loop_count; i++) {
        change->rules[i] = bfr_rules_new(settings, change->max_payload_bytes, change->quota);
        good = change->rules[i] != NULL;
    }
    return good;
}

uint32_t bfr_http_server_prepare(struct bfr_http_server *server, const struct bfr_settings *settings,
                                 uint64_t max_payload_bytes, struct bfr_http_change **out, struct bfr_err *err)
{
    *out = NULL;
    struct bfr_http_change *change = calloc(1, sizeof *change + server->loop_count * sizeof(struct bfr_rules *));
    if (change == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    change->loop_count = server->loop_count;
    change->max_payload_bytes = max_payload_bytes;
    change->max_connections = settings->webhook.max_connections;
    change->per_address = settings->webhook.max_connections_per_address;
    uint32_t status = bfr_tls_prepare(server->shared.tls, &settings->webhook.tls, &change->context, err);
    if (status == BFR_OK && !make_rules(change, settings))
        status = bfr_err_set(err, BFR_ENOMEM, "out of memory");
    if (status == BFR_OK)
        *out = change;
    else
        bfr_http_server_abandon(change);
    return status;
}

// A loop that does not turn would have to be reported by a watchdog; nobody waits for it for ever.
#define ADOPT_WAIT_NS (5 * BFR_NS_PER_S)

static unsigned count_late(struct bfr_http_server *server)
{
    unsigned late = 0;
    for (unsigned i = 0; i < server->loop_count; i++)
        late += atomic_load(&server->loops[i].incoming) != NULL;
    return late;
}

static void await_loops(struct bfr_http_server *server)
{
    struct bfr_http_shared *shared = &server->shared;
    const uint64_t until_ns = bfr_clock_now(&bfr_clock_system) + ADOPT_WAIT_NS;
    unsigned late;
    pthread_mutex_lock(&shared->lock);
    while ((late = count_late(server)) > 0 && bfr_clock_now(&bfr_clock_system) < until_ns)
        bfr_cond_wait_until(&shared->steered, &shared->lock, &bfr_clock_system, until_ns);
    pthread_mutex_unlock(&shared->lock);
    if (late > 0)
        bfr_say(BFR_LOG_WARN, "http", "a loop is busy and takes the new limits when it turns again", "loops",
                bfr_num(late).text, NULL);
}

// Every loop finds its own rules at its next turn, which a nudge brings about. What one has not taken since the last change
// is dropped: it goes from the rules before that to these.
void bfr_http_server_adopt(struct bfr_http_server *server, struct bfr_http_change *change)
{
    struct bfr_http_shared *shared = &server->shared;
    bfr_quota_succeed(change->quota, server->quota, bfr_shared_now(shared));
    bfr_quota_free(server->quota);
    server->quota = change->quota;
    change->quota = NULL;
    bfr_budget_largest(shared->budget, change->max_payload_bytes + BFR_BODY_COMPRESSOR_BYTES);
    atomic_store(&shared->connections_max, bfr_descriptors_for_connections(change->max_connections));
    bfr_peers_limit(shared->peers, change->per_address);
    bfr_tls_exchange(shared->tls, change->context);
    change->context = NULL;
    for (unsigned i = 0; i < server->loop_count; i++) {
        bfr_rules_leave(bfr_loop_change(&server->loops[i], change->rules[i]));
        change->rules[i] = NULL;
    }
    bfr_http_server_abandon(change);
    await_loops(server);
}

bool bfr_http_server_turns(struct bfr_http_server *server)
{
    bool all = true;
    for (unsigned i = 0; i < server->loops_made; i++)
        all = all && atomic_load(&server->loops[i].turned);
    for (unsigned i = 0; all && i < server->loops_made; i++)
        atomic_store(&server->loops[i].turned, false);
    nudge_all(server);
    return all;
}

void bfr_http_server_shed(struct bfr_http_server *server)
{
    atomic_store(&server->shared.shedding, true);
}

void bfr_http_server_close(struct bfr_http_server *server)
{
    struct bfr_http_shared *shared = &server->shared;
    atomic_store(&shared->closing, true);
    nudge_all(server);
    pthread_mutex_lock(&shared->lock);
    while (shared->listening > 0)
        pthread_cond_wait(&shared->steered, &shared->lock);
    pthread_mutex_unlock(&shared->lock);
}

uint32_t bfr_http_server_stop(struct bfr_http_server *server, uint64_t deadline_ns)
{
    uint32_t cut_off = 0;
    bfr_http_server_close(server);
    atomic_store(&server->shared.finish_by_ns, deadline_ns);
    atomic_store(&server->shared.finishing, true);
    nudge_all(server);
    for (unsigned i = 0; i < server->loop_count; i++) {
        bfr_loop_join(&server->loops[i]);
        cut_off += server->loops[i].cut_off;
    }
    return cut_off;
}

void bfr_http_server_free(struct bfr_http_server *server)
{
    if (server == NULL)
        return;
    for (unsigned i = 0; i < server->loops_made; i++)
        bfr_must(!server->loops[i].running); // stop comes first
    // Bodies may outlive the server in queues; they must not wake loops that are gone.
    if (server->shared.budget != NULL)
        bfr_budget_mute(server->shared.budget);
    for (unsigned i = 0; i < server->loops_made; i++)
        bfr_loop_fini(&server->loops[i]);
    bfr_budget_release(server->shared.budget);
    bfr_quota_free(server->quota);
    bfr_peers_free(server->shared.peers);
    bfr_tls_free(server->shared.tls);
    free(server->shared.trusted);
    EVP_MD_free(server->shared.sha256);
    pthread_cond_destroy(&server->shared.steered);
    pthread_mutex_destroy(&server->shared.lock);
    free(server);
}
