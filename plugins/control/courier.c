// SPDX-License-Identifier: Apache-2.0
// See courier.h. One mutex guards the flags and the ends of calls; it is never held while calling out.
#include "courier.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <bfr/http.h>
#include <bfr/text.h>

#define NS_PER_S           UINT64_C(1000000000)
#define NS_PER_MS          UINT64_C(1000000)
#define REPLY_MAX          65536
#define CONNECT_TIMEOUT_MS 5000
#define FAREWELL_MS        3000 // a far end that does not answer must not use up the whole stop
#define HEADERS_MAX        3

struct courier {
    const struct bfr_host *host;
    struct bfr_http *http;
    void (*run)(void *arg);
    void *arg;
    pthread_t thread;
    bool running; // the main thread's
    char name[16];

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool leaving;  // calls that began before are given up
    bool gone;     // all calls are
    bool finished; // the service's thread is done
    uint64_t deadline_ns;
};

// One call under way. Whoever comes last, the waiting thread or the client's, frees it.
struct errand {
    struct courier *courier;
    char *body;
    struct bfr_span span;
    bool done;      // under the courier's lock
    bool abandoned; // under the courier's lock
    struct courier_result result;
};

struct courier *bfr_courier_new(const struct bfr_host *host, const char *name, struct bfr_err *err)
{
    struct courier *courier = calloc(1, sizeof *courier);
    if (courier == NULL) {
        (void)bfr_err_set(err, BFR_ENOMEM, "out of memory");
        return NULL;
    }
    courier->host = host;
    strncpy(courier->name, name, sizeof courier->name - 1);
    pthread_mutex_init(&courier->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&courier->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    courier->http = bfr_http_new(&(struct bfr_http_settings){.name = courier->name,
                                                             .user_agent = "bytefreezer-receiver",
                                                             .ca_file = host->config_string(host, "ca_file"),
                                                             .max_connections = 2},
                                 err);
    if (courier->http != NULL)
        return courier;
    bfr_courier_free(courier);
    return NULL;
}

static void *run_service(void *arg)
{
    struct courier *courier = arg;
    courier->run(courier->arg);
    pthread_mutex_lock(&courier->lock);
    courier->finished = true;
    pthread_cond_broadcast(&courier->changed);
    pthread_mutex_unlock(&courier->lock);
    return NULL;
}

uint32_t bfr_courier_start(struct courier *courier, void (*run)(void *arg), void *arg, struct bfr_err *err)
{
    sigset_t all, before;
    uint32_t status = bfr_http_start(courier->http, err);
    if (status != BFR_OK)
        return status;
    courier->run = run;
    courier->arg = arg;
    sigfillset(&all); // signals are the daemon's business
    pthread_sigmask(SIG_SETMASK, &all, &before);
    courier->running = pthread_create(&courier->thread, NULL, run_service, courier) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!courier->running)
        return bfr_err_set(err, BFR_EFAIL, "cannot start a thread; raise the limit on threads (TasksMax=)");
    pthread_setname_np(courier->thread, courier->name);
    return BFR_OK;
}

void bfr_courier_leave(struct courier *courier, uint64_t deadline_ns)
{
    pthread_mutex_lock(&courier->lock);
    courier->leaving = true;
    courier->deadline_ns = deadline_ns;
    pthread_cond_broadcast(&courier->changed);
    pthread_mutex_unlock(&courier->lock);
}

// The farewell has had the time of the daemon's own stop; what is left of it until the deadline is still given.
static void wait_farewell(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    uint64_t until_ns = courier->leaving ? courier->deadline_ns : 0;
    while (!courier->finished && bfr_courier_now(courier) < until_ns) {
        struct timespec until = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};
        pthread_cond_timedwait(&courier->changed, &courier->lock, &until);
    }
    courier->leaving = true;
    courier->gone = true;
    pthread_cond_broadcast(&courier->changed);
    pthread_mutex_unlock(&courier->lock);
}

void bfr_courier_stop(struct courier *courier)
{
    if (courier->running) {
        wait_farewell(courier);
        pthread_join(courier->thread, NULL);
        courier->running = false;
    }
    bfr_http_stop(courier->http);
}

void bfr_courier_free(struct courier *courier)
{
    if (courier == NULL)
        return;
    bfr_http_free(courier->http);
    pthread_cond_destroy(&courier->changed);
    pthread_mutex_destroy(&courier->lock);
    free(courier);
}

uint64_t bfr_courier_now(const struct courier *courier)
{
    return courier->host->monotonic_ns(courier->host);
}

bool bfr_courier_wait(struct courier *courier, uint64_t until_ns)
{
    pthread_mutex_lock(&courier->lock);
    while (!courier->leaving && bfr_courier_now(courier) < until_ns) {
        struct timespec until = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};
        pthread_cond_timedwait(&courier->changed, &courier->lock, &until);
    }
    bool stay = !courier->leaving;
    pthread_mutex_unlock(&courier->lock);
    return stay;
}

bool bfr_courier_leaving(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    bool leaving = courier->leaving;
    pthread_mutex_unlock(&courier->lock);
    return leaving;
}

double bfr_courier_jitter(void)
{
    uint16_t random = 0;
    (void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
    return 0.5 + random / 131072.0;
}

static void errand_free(struct errand *errand)
{
    json_decref(errand->result.reply);
    free(errand->body);
    free(errand);
}

static void read_reply(const struct bfr_http_reply *reply, struct courier_result *out)
{
    out->status = reply->status;
    out->taken = reply->end == BFR_HTTP_REPLIED && reply->status >= 200 && reply->status < 300;
    out->refused = reply->status >= 400 && reply->status < 500 && reply->status != 401 && reply->status != 403 &&
                   reply->status != 408 && reply->status != 429;
    if (reply->end != BFR_HTTP_REPLIED)
        snprintf(out->text, sizeof out->text, "%s", reply->text);
    else if (reply->status == 401 || reply->status == 403)
        snprintf(out->text, sizeof out->text, "status %u: it does not accept the api_key", reply->status);
    else
        snprintf(out->text, sizeof out->text, "status %u", reply->status);
    if (out->taken)
        out->reply = json_loadb((const char *)reply->body, reply->body_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (out->reply != NULL && !json_is_object(out->reply)) {
        json_decref(out->reply);
        out->reply = NULL;
    }
}

static void on_done(void *arg, const struct bfr_http_reply *reply)
{
    struct errand *errand = arg;
    struct courier *courier = errand->courier;
    read_reply(reply, &errand->result);
    pthread_mutex_lock(&courier->lock);
    errand->done = true;
    bool abandoned = errand->abandoned;
    pthread_cond_broadcast(&courier->changed);
    pthread_mutex_unlock(&courier->lock);
    if (abandoned)
        errand_free(errand);
}

// A call that begins while the daemon stops has little time.
static uint32_t time_for(struct courier *courier, uint32_t timeout_ms, bool *out_farewell, bool *out_gone)
{
    pthread_mutex_lock(&courier->lock);
    *out_farewell = courier->leaving;
    *out_gone = courier->gone;
    uint64_t deadline_ns = courier->deadline_ns;
    pthread_mutex_unlock(&courier->lock);
    if (!*out_farewell)
        return timeout_ms;
    uint64_t now_ns = bfr_courier_now(courier);
    uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS : 0;
    if (left_ms > FAREWELL_MS)
        left_ms = FAREWELL_MS;
    *out_gone = *out_gone || left_ms == 0;
    return left_ms < timeout_ms ? (uint32_t)left_ms : timeout_ms;
}

static bool submit(struct courier *courier, const struct courier_call *call, struct errand *errand, uint32_t timeout_ms)
{
    const char *headers[HEADERS_MAX] = {"Accept: application/json", "Content-Type: application/json"};
    size_t header_count = 2;
    if (call->authorization != NULL)
        headers[header_count++] = call->authorization;
    return bfr_http_submit(courier->http, &(struct bfr_http_request){
                                              .method = call->method,
                                              .url = call->url,
                                              .headers = headers,
                                              .header_count = header_count,
                                              .body = &errand->span,
                                              .span_count = errand->span.size > 0 ? 1 : 0,
                                              .body_bytes = errand->span.size,
                                              .has_body = call->body != NULL,
                                              .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                              .timeout_ms = timeout_ms,
                                              .reply_max = REPLY_MAX,
                                              .on_done = on_done,
                                              .arg = errand,
                                          }) == BFR_OK;
}

// The errand's result, or why there is none.
static void await(struct courier *courier, struct errand *errand, bool farewell, struct courier_result *out)
{
    pthread_mutex_lock(&courier->lock);
    while (!errand->done && !courier->gone && (farewell || !courier->leaving))
        pthread_cond_wait(&courier->changed, &courier->lock);
    errand->abandoned = !errand->done;
    bool abandoned = errand->abandoned;
    pthread_mutex_unlock(&courier->lock);
    if (abandoned) {
        snprintf(out->text, sizeof out->text, "given up because the daemon stops");
        return;
    }
    *out = errand->result;
    errand->result.reply = NULL;
    errand_free(errand);
}

void bfr_courier_call(struct courier *courier, const struct courier_call *call, struct courier_result *out)
{
    bool farewell, gone;
    *out = (struct courier_result){.taken = false};
    uint32_t timeout_ms = time_for(courier, call->timeout_ms, &farewell, &gone);
    if (gone) {
        snprintf(out->text, sizeof out->text, "given up because the daemon stops");
        return;
    }
    struct errand *errand = calloc(1, sizeof *errand);
    if (errand != NULL) {
        errand->courier = courier;
        errand->body = call->body != NULL ? json_dumps(call->body, JSON_COMPACT) : NULL;
    }
    if (errand == NULL || (call->body != NULL && errand->body == NULL)) {
        snprintf(out->text, sizeof out->text, "out of memory");
        free(errand);
        return;
    }
    if (errand->body != NULL)
        errand->span = (struct bfr_span){(const uint8_t *)errand->body, strlen(errand->body)};
    if (!submit(courier, call, errand, timeout_ms)) {
        snprintf(out->text, sizeof out->text, "the URL cannot be used, or memory is short");
        errand_free(errand);
        return;
    }
    await(courier, errand, farewell, out);
}
