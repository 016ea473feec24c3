// SPDX-License-Identifier: Apache-2.0
// The client of bfr/http.h: its thread, the hand-over to it, the handles that are used again. The multi handle belongs to
// the thread; the mutex guards the lists of submitted and free transfers and the flags, and is never held in a callback.
#include <bfr/http.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "http_transfer.h"

#define IDLE_MS 60000 // libcurl's own timers wake it earlier

struct bfr_http {
    struct bfr_http_settings settings; // its texts are owned
    CURLM *multi;
    pthread_t thread;
    bool global; // curl_global_init was called
    bool joined_to;

    struct bfr_http_transfer *open; // in the multi handle; the thread's

    pthread_mutex_t mutex;
    struct bfr_http_transfer *submitted; // newest first
    struct bfr_http_transfer *free;
    bool running;
    bool stopping;
    bool woken;
};

static void free_texts(struct bfr_http_settings *settings)
{
    free((char *)(uintptr_t)settings->name);
    free((char *)(uintptr_t)settings->user_agent);
    free((char *)(uintptr_t)settings->ca_file);
    free((char *)(uintptr_t)settings->proxy);
}

// False when memory is short. Nothing was given: nothing is kept.
static bool copy_text(const char **text)
{
    if (*text == NULL)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

// libcurl would find out at the first request, and say so with the whole URL, password and all. Never in our texts.
static bool proxy_is_good(const char *proxy)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL;
    bool ok = parsed != NULL &&
              curl_url_set(parsed, CURLUPART_URL, proxy, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) == CURLUE_OK &&
              curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    curl_url_cleanup(parsed);
    return ok;
}

struct bfr_http *bfr_http_new(const struct bfr_http_settings *settings, struct bfr_err *err)
{
    if (settings->proxy != NULL && settings->proxy[0] != '\0' && !proxy_is_good(settings->proxy)) {
        (void)bfr_err_set(err, BFR_EINVAL,
                          "proxy is no URL of an HTTP proxy; write it as http://host:port or "
                          "http://user:password@host:port, with the characters @ : / ? # %% in a password as %%40 %%3A "
                          "%%2F %%3F %%23 %%25");
        return NULL;
    }
    struct bfr_http *http = calloc(1, sizeof *http);

    if (http == NULL)
        goto no_memory;
    http->settings = *settings;
    bool ok = copy_text(&http->settings.name);
    ok = copy_text(&http->settings.user_agent) && ok;
    ok = copy_text(&http->settings.ca_file) && ok;
    ok = copy_text(&http->settings.proxy) && ok;
    if (!ok) {
        free_texts(&http->settings);
        free(http);
        goto no_memory;
    }
    pthread_mutex_init(&http->mutex, NULL);
    return http;

no_memory:
    (void)bfr_err_set(err, BFR_ENOMEM, "out of memory");
    return NULL;
}

// --- on the client's thread

// In the order of submission. Returns what was submitted, and whether a wake is due.
static struct bfr_http_transfer *take_submitted(struct bfr_http *http, bool *out_woken, bool *out_stopping)
{
    struct bfr_http_transfer *list = NULL;

    pthread_mutex_lock(&http->mutex);
    while (http->submitted != NULL) {
        struct bfr_http_transfer *transfer = http->submitted;
        http->submitted = transfer->next;
        transfer->next = list;
        list = transfer;
    }
    *out_woken = http->woken;
    *out_stopping = http->stopping;
    http->woken = false;
    pthread_mutex_unlock(&http->mutex);
    return list;
}

static void recycle(struct bfr_http *http, struct bfr_http_transfer *transfer)
{
    pthread_mutex_lock(&http->mutex);
    transfer->next = http->free;
    http->free = transfer;
    pthread_mutex_unlock(&http->mutex);
}

static void unlink_open(struct bfr_http *http, struct bfr_http_transfer *transfer)
{
    struct bfr_http_transfer **at = &http->open;

    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
}

static void end_transfer(struct bfr_http *http, struct bfr_http_transfer *transfer, CURLcode code, bool stopped)
{
    bfr_http_transfer_end(transfer, code, stopped);
    recycle(http, transfer);
}

static void begin_transfers(struct bfr_http *http, struct bfr_http_transfer *list, bool stopping)
{
    while (list != NULL) {
        struct bfr_http_transfer *transfer = list;
        list = transfer->next;
        if (stopping) {
            end_transfer(http, transfer, CURLE_OK, true);
        } else if (curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK) {
            transfer->next = http->open;
            http->open = transfer;
        } else {
            end_transfer(http, transfer, CURLE_OUT_OF_MEMORY, false);
        }
    }
}

static void finish_transfers(struct bfr_http *http)
{
    int left;
    const CURLMsg *message;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; // the message is gone once the handle is removed
        char *private = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        struct bfr_http_transfer *transfer = (struct bfr_http_transfer *)(void *)private;
        curl_multi_remove_handle(http->multi, easy);
        unlink_open(http, transfer);
        end_transfer(http, transfer, code, false);
    }
}

static void cut_off(struct bfr_http *http)
{
    while (http->open != NULL) {
        struct bfr_http_transfer *transfer = http->open;
        http->open = transfer->next;
        curl_multi_remove_handle(http->multi, transfer->easy);
        end_transfer(http, transfer, CURLE_OK, true);
    }
}

static void *run(void *arg)
{
    struct bfr_http *http = arg;
    bool woken, stopping;
    int running;

    for (;;) {
        struct bfr_http_transfer *list = take_submitted(http, &woken, &stopping);
        begin_transfers(http, list, stopping);
        if (stopping)
            break;
        if (woken && http->settings.on_wake != NULL)
            http->settings.on_wake(http->settings.arg);
        curl_multi_perform(http->multi, &running);
        finish_transfers(http);
        // Whatever was submitted since then has made the multi handle's wake-up readable: this returns at once.
        curl_multi_poll(http->multi, NULL, 0, IDLE_MS, NULL);
    }
    cut_off(http);
    return NULL;
}

// --- from outside

static bool start_thread(struct bfr_http *http)
{
    sigset_t all, before;

    sigfillset(&all); // signals are the daemon's business: the thread, and those that libcurl starts, inherit this mask
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&http->thread, NULL, run, http);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0 && http->settings.name != NULL) {
        char name[16] = "";
        strncpy(name, http->settings.name, sizeof name - 1);
        pthread_setname_np(http->thread, name);
    }
    return error == 0;
}

uint32_t bfr_http_start(struct bfr_http *http, struct bfr_err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return bfr_err_set(err, BFR_EFAIL, "cannot initialise libcurl; check that its libraries fit together");
    http->global = true;
    http->multi = curl_multi_init();
    if (http->multi == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)http->settings.max_connections);
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    http->running = true;
    if (!start_thread(http)) {
        http->running = false;
        return bfr_err_set(err, BFR_EFAIL, "cannot start a thread; raise the limit on threads (TasksMax=)");
    }
    http->joined_to = true;
    return BFR_OK;
}

void bfr_http_wake(struct bfr_http *http)
{
    pthread_mutex_lock(&http->mutex);
    bool first = !http->woken && http->running;
    http->woken = true;
    pthread_mutex_unlock(&http->mutex);
    if (first)
        curl_multi_wakeup(http->multi);
}

// A handle that was used before, or a new one.
static struct bfr_http_transfer *get_transfer(struct bfr_http *http)
{
    pthread_mutex_lock(&http->mutex);
    struct bfr_http_transfer *transfer = http->free;
    if (transfer != NULL)
        http->free = transfer->next;
    pthread_mutex_unlock(&http->mutex);
    return transfer != NULL ? transfer : bfr_http_transfer_new();
}

uint32_t bfr_http_submit(struct bfr_http *http, const struct bfr_http_request *request)
{
    struct bfr_http_transfer *transfer = get_transfer(http);

    if (transfer == NULL)
        return BFR_ENOMEM;
    uint32_t status = bfr_http_transfer_begin(transfer, &http->settings, request);
    if (status != BFR_OK) {
        recycle(http, transfer);
        return status;
    }
    pthread_mutex_lock(&http->mutex);
    bool refused = !http->running || http->stopping;
    bool first = http->submitted == NULL;
    if (!refused) {
        transfer->next = http->submitted;
        http->submitted = transfer;
    }
    pthread_mutex_unlock(&http->mutex);
    if (refused) {
        bfr_http_transfer_reset(transfer);
        recycle(http, transfer);
        return BFR_EFAIL;
    }
    if (first)
        curl_multi_wakeup(http->multi);
    return BFR_OK;
}

void bfr_http_stop(struct bfr_http *http)
{
    pthread_mutex_lock(&http->mutex);
    http->stopping = true;
    pthread_mutex_unlock(&http->mutex);
    if (!http->joined_to)
        return;
    curl_multi_wakeup(http->multi);
    pthread_join(http->thread, NULL);
    http->joined_to = false;
    pthread_mutex_lock(&http->mutex);
    http->running = false;
    pthread_mutex_unlock(&http->mutex);
}

void bfr_http_free(struct bfr_http *http)
{
    if (http == NULL)
        return;
    bfr_http_stop(http);
    while (http->free != NULL) {
        struct bfr_http_transfer *transfer = http->free;
        http->free = transfer->next;
        bfr_http_transfer_free(transfer);
    }
    curl_multi_cleanup(http->multi);
    if (http->global)
        curl_global_cleanup();
    pthread_mutex_destroy(&http->mutex);
    free_texts(&http->settings);
    free(http);
}
