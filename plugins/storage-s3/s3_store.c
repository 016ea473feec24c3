// SPDX-License-Identifier: Apache-2.0
// See s3_store.h.
#include "s3_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/text.h>

#define NS_PER_S UINT64_C(1000000000)

static void free_uploads(struct s3_store *store)
{
    free(store->uploads);
    store->uploads = NULL;
}

static bool make_uploads(struct s3_store *store)
{
    store->uploads = calloc(store->options.workers, sizeof *store->uploads);
    if (store->uploads == NULL)
        return false;
    for (uint32_t i = 0; i < store->options.workers; i++) {
        struct s3_upload *upload = &store->uploads[i];
        upload->store = store;
        upload->call.session = &store->session;
        upload->next = store->idle;
        store->idle = upload;
    }
    return true;
}

static uint32_t begin_session(struct s3_store *store, const struct bfr_host *host, struct bfr_err *err)
{
    struct s3_session *session = &store->session;
    const struct s3_options *options = &store->options;

    session->host = host;
    session->options = options;
    snprintf(session->region, sizeof session->region, "%s", options->region);
    uint32_t status = bfr_s3_endpoint_make(options->endpoint, options->ssl, options->path_style, options->region,
                                           options->bucket_name, &session->endpoint, err);
    if (status != BFR_OK)
        return status;
    session->credentials = bfr_s3_credentials_new(host, options, err);
    return session->credentials != NULL ? BFR_OK : BFR_ENOMEM;
}

// --- on the client's thread

// Begin what was put. The check, when it has something left to find out, goes along with the puts: then the store is known
// to be wanted, and no timer is needed.
static void on_wake(void *arg)
{
    struct s3_store *store = arg;

    bfr_s3_check_go_on(&store->check);
    pthread_mutex_lock(&store->mutex);
    struct s3_upload *list = store->incoming;
    store->incoming = NULL;
    store->incoming_end = &store->incoming;
    pthread_mutex_unlock(&store->mutex);
    while (list != NULL) {
        struct s3_upload *upload = list;
        list = upload->next;
        bfr_s3_upload_begin(upload);
    }
}

static bool begin_client(struct s3_store *store, struct bfr_err *err)
{
    store->session.http = bfr_http_new(
        &(struct bfr_http_settings){
            .name = store->session.host->stage,
            .user_agent = "bytefreezer-receiver",
            .ca_file = store->options.ca_file,
            .proxy = store->options.proxy,
            .max_connections = store->options.workers + 1, // the check's
            .on_wake = on_wake,
            .arg = store,
        },
        err);
    if (store->session.http == NULL)
        return false;
    bfr_s3_credentials_use(store->session.credentials, store->session.http);
    return true;
}

struct s3_store *bfr_s3_store_new(const struct bfr_host *host, struct bfr_err *err)
{
    struct s3_store *store = calloc(1, sizeof *store);
    pthread_condattr_t clock;

    if (store == NULL) {
        (void)bfr_err_set(err, BFR_ENOMEM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&store->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&store->news, &clock);
    pthread_condattr_destroy(&clock);
    store->incoming_end = &store->incoming;
    store->session.host = host;
    bool checked = bfr_s3_check_init(&store->check, store);
    if (bfr_s3_options_read(host, &store->options, err) != BFR_OK || begin_session(store, host, err) != BFR_OK ||
        !begin_client(store, err)) {
        bfr_s3_store_free(store);
        return NULL;
    }
    if (!checked || !make_uploads(store)) {
        (void)bfr_err_set(err, BFR_ENOMEM, "out of memory");
        bfr_s3_store_free(store);
        return NULL;
    }
    return store;
}

// --- from outside

uint32_t bfr_s3_store_start(struct s3_store *store, struct bfr_err *err)
{
    store->started_ns = store->session.host->wall_ns(store->session.host);
    uint32_t status = bfr_http_start(store->session.http, err);
    if (status == BFR_OK)
        bfr_http_wake(store->session.http); // looks at the bucket
    return status;
}

size_t bfr_s3_store_put(struct s3_store *store, const struct bfr_delivery *const *deliveries, size_t count)
{
    size_t taken = 0;

    pthread_mutex_lock(&store->mutex);
    for (; taken < count && store->idle != NULL; taken++) {
        struct s3_upload *upload = store->idle;
        store->idle = upload->next;
        upload->next = NULL;
        upload->delivery = deliveries[taken];
        *store->incoming_end = upload;
        store->incoming_end = &upload->next;
        store->open++;
    }
    if (taken < count)
        store->refused = true;
    pthread_mutex_unlock(&store->mutex);
    if (taken > 0)
        bfr_http_wake(store->session.http);
    return taken;
}

// The slot is free before the host hears of it: what it then puts at once finds room.
void bfr_s3_store_complete(struct s3_store *store, struct s3_upload *upload, const struct bfr_completion *completion)
{
    const struct bfr_host *host = store->session.host;
    struct bfr_completion end = *completion;
    const struct bfr_completion *list[] = {&end};
    char text[512]; // what the completion points to may be in the slot

    end.token = upload->delivery->token;
    if (completion->text != NULL) {
        snprintf(text, sizeof text, "%.511s", completion->text);
        end.text = text;
    }
    pthread_mutex_lock(&store->mutex);
    upload->delivery = NULL;
    upload->next = store->idle;
    store->idle = upload;
    bool wake = store->refused;
    store->refused = false;
    if (end.outcome == BFR_STORED)
        store->trouble[0] = '\0';
    else if ((end.flags & BFR_OUTAGE) != 0)
        snprintf(store->trouble, sizeof store->trouble, "%.255s", text);
    pthread_mutex_unlock(&store->mutex);

    host->complete(host, list, 1);
    if (wake)
        host->ready(host);
    pthread_mutex_lock(&store->mutex);
    store->open--;
    pthread_cond_broadcast(&store->news);
    pthread_mutex_unlock(&store->mutex);
}

void bfr_s3_store_drain(struct s3_store *store, uint64_t deadline_ns)
{
    const struct bfr_host *host = store->session.host;
    struct timespec until;

    uint64_t now_ns = host->monotonic_ns(host);
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    left_ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(left_ns / NS_PER_S);
    until.tv_nsec = (long)(left_ns % NS_PER_S);
    pthread_mutex_lock(&store->mutex);
    while (store->open > 0 && pthread_cond_timedwait(&store->news, &store->mutex, &until) == 0)
        continue;
    pthread_mutex_unlock(&store->mutex);
}

// The client completes all that it was given; what it was not, and what waited for keys, is completed here.
void bfr_s3_store_stop(struct s3_store *store)
{
    bfr_http_stop(store->session.http);
    for (uint32_t i = 0; i < store->options.workers; i++) {
        struct s3_upload *upload = &store->uploads[i];
        if (upload->delivery == NULL)
            continue;
        bfr_s3_store_complete(
            store, upload,
            &(struct bfr_completion){.size = sizeof(struct bfr_completion),
                                     .outcome = BFR_RETRY,
                                     .flags = BFR_OUTAGE,
                                     .text = "the sink was stopped before the upload; the batch is kept"});
    }
    store->incoming = NULL;
    store->incoming_end = &store->incoming;
}

void bfr_s3_store_free(struct s3_store *store)
{
    if (store == NULL)
        return;
    bfr_http_free(store->session.http);
    bfr_s3_credentials_free(store->session.credentials);
    bfr_s3_signer_clear(&store->session.signer);
    bfr_s3_check_free(&store->check);
    free_uploads(store);
    pthread_cond_destroy(&store->news);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

void bfr_s3_store_health(struct s3_store *store, struct bfr_health *out)
{
    char text[256];

    bfr_s3_credentials_trouble(store->session.credentials, text, sizeof text);
    if (text[0] == '\0') {
        pthread_mutex_lock(&store->mutex);
        snprintf(text, sizeof text, "%s", store->trouble);
        pthread_mutex_unlock(&store->mutex);
    }
    if (text[0] == '\0')
        bfr_s3_check_trouble(&store->check, text, sizeof text);
    if (text[0] == '\0' && bfr_s3_check_conditions(&store->check) == S3_CONDITIONS_IGNORED)
        snprintf(text, sizeof text,
                 "the store ignores If-None-Match in this bucket: another object under a name would be replaced");
    out->state = text[0] == '\0' ? BFR_HEALTH_OK : BFR_HEALTH_DEGRADED;
    snprintf(out->reason, sizeof out->reason, "%s", text);
}

// --- doubts

// FNV-1a over the parts of the name.
static uint32_t hash_name(const struct bfr_batch *batch)
{
    const char *const parts[] = {batch->tenant, batch->dataset, batch->filename};
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < 3; i++)
        for (const char *at = parts[i]; at == parts[i] || at[-1] != '\0'; at++)
            hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash % S3_DOUBTS;
}

bool bfr_s3_store_doubts(const struct s3_store *store, const struct bfr_delivery *delivery)
{
    uint32_t bit = hash_name(delivery->batch);

    return delivery->attempt > 1 || delivery->batch->received_ns < store->started_ns ||
           (store->doubts[bit / 8] >> bit % 8 & 1) != 0;
}

void bfr_s3_store_doubt(struct s3_store *store, const struct bfr_batch *batch)
{
    uint32_t bit = hash_name(batch);

    store->doubts[bit / 8] |= (uint8_t)(1u << bit % 8);
}
