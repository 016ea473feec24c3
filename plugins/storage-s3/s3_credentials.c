// SPDX-License-Identifier: Apache-2.0
// See s3_credentials.h.
#include "s3_credentials.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <bfr/text.h>

#include "s3_fetch.h"

#define NS_PER_S     INT64_C(1000000000)
#define EARLY_MOST_S 300 // before their end keys are refreshed, or a quarter of their life if that is shorter
#define PAUSE_S      1   // between searches without good keys
#define PAUSE_LONG_S 15  // between searches while the old ones are still good
#define DOUBT_MOST_S 64
#define GRACE_S      60 // keys that are over by our clock when they arrive: perhaps it is our clock

struct s3_credentials {
    const struct bfr_host *host;
    bool fixed; // from the options
    bool refused;
    bool doubted;              // refused for a doubt only
    uint64_t doubt_pause_ns;   // doubled each time that a doubt was in vain
    uint64_t doubt_not_before; // monotonic
    struct s3_keys keys;
    int64_t refresh_ns; // Unix time
    uint64_t not_before_ns;
    struct s3_waiter *waiters;
    struct s3_fetch fetch;

    pthread_mutex_t mutex; // guards trouble
    char trouble[256];
};

static void set_trouble(struct s3_credentials *credentials, const char *text)
{
    pthread_mutex_lock(&credentials->mutex);
    snprintf(credentials->trouble, sizeof credentials->trouble, "%.255s", text);
    pthread_mutex_unlock(&credentials->mutex);
}

void bfr_s3_credentials_trouble(struct s3_credentials *credentials, char *out, size_t room)
{
    pthread_mutex_lock(&credentials->mutex);
    snprintf(out, room, "%s", credentials->trouble);
    pthread_mutex_unlock(&credentials->mutex);
}

static int64_t wall(const struct s3_credentials *credentials)
{
    return credentials->host->wall_ns(credentials->host);
}

static bool is_good(const struct s3_credentials *credentials)
{
    return credentials->keys.access_key[0] != '\0' && !credentials->refused &&
           wall(credentials) < credentials->keys.expires_ns;
}

static void call_waiters(struct s3_credentials *credentials)
{
    struct s3_waiter *list = credentials->waiters;

    credentials->waiters = NULL;
    while (list != NULL) {
        struct s3_waiter *waiter = list;
        list = waiter->next;
        waiter->on_keys(waiter);
    }
}

static void take_keys(struct s3_credentials *credentials)
{
    struct s3_keys *keys = &credentials->keys;
    int64_t now_ns = wall(credentials);

    if (strcmp(keys->access_key, credentials->fetch.keys.access_key) != 0)
        credentials->doubt_pause_ns = PAUSE_S * NS_PER_S;
    *keys = credentials->fetch.keys;
    if (keys->expires_ns <= now_ns)
        keys->expires_ns = now_ns + GRACE_S * NS_PER_S;
    int64_t early_ns = (keys->expires_ns - now_ns) / 4;
    if (early_ns > EARLY_MOST_S * NS_PER_S)
        early_ns = EARLY_MOST_S * NS_PER_S;
    credentials->refresh_ns = keys->expires_ns - early_ns;
    credentials->refused = false;
    credentials->doubted = false;
    set_trouble(credentials, "");
    bfr_log(credentials->host, BFR_LOG_INFO, "got credentials", "source", bfr_s3_fetch_source(&credentials->fetch),
            "good_for_s", keys->expires_ns == INT64_MAX ? "ever" : bfr_num((keys->expires_ns - now_ns) / NS_PER_S).text,
            NULL);
}

static void on_end(void *arg, bool found)
{
    struct s3_credentials *credentials = arg;
    if (credentials->doubted)
        credentials->refused = credentials->doubted = false;
    bool good = is_good(credentials);
    uint64_t pause_s = !found && good ? PAUSE_LONG_S : PAUSE_S;

    credentials->not_before_ns = credentials->host->monotonic_ns(credentials->host) + pause_s * (uint64_t)NS_PER_S;
    if (found) {
        take_keys(credentials);
    } else {
        set_trouble(credentials, credentials->fetch.why.text);
        bfr_log(credentials->host, BFR_LOG_WARN,
                good ? "cannot refresh the credentials; the old ones are used while they last"
                     : "cannot get credentials; batches wait until they can be had",
                "source", bfr_s3_fetch_source(&credentials->fetch), "cause", credentials->fetch.why.text, NULL);
    }
    bfr_s3_keys_clear(&credentials->fetch.keys);
    call_waiters(credentials);
}

struct s3_credentials *bfr_s3_credentials_new(const struct bfr_host *host, const struct s3_options *options,
                                              struct bfr_err *err)
{
    struct s3_credentials *credentials = calloc(1, sizeof *credentials);

    if (credentials == NULL) {
        (void)bfr_err_set(err, BFR_ENOMEM, "out of memory");
        return NULL;
    }
    credentials->host = host;
    pthread_mutex_init(&credentials->mutex, NULL);
    credentials->fetch.host = host;
    credentials->fetch.options = options;
    credentials->fetch.on_end = on_end;
    credentials->fetch.arg = credentials;
    credentials->fixed = options->access_key[0] != '\0';
    credentials->refresh_ns = INT64_MAX;
    credentials->doubt_pause_ns = PAUSE_S * NS_PER_S;
    if (credentials->fixed && !bfr_s3_keys_set(&credentials->keys, options->access_key, options->secret_key,
                                               options->session_token, INT64_MAX)) {
        bfr_s3_credentials_free(credentials);
        (void)bfr_err_set(err, BFR_EINVAL,
                          "access_key, secret_key or session_token is too long; check what was pasted");
        return NULL;
    }
    return credentials;
}

void bfr_s3_credentials_use(struct s3_credentials *credentials, struct bfr_http *http)
{
    credentials->fetch.http = http;
}

void bfr_s3_credentials_free(struct s3_credentials *credentials)
{
    if (credentials == NULL)
        return;
    pthread_mutex_destroy(&credentials->mutex);
    OPENSSL_cleanse(credentials, sizeof *credentials);
    free(credentials);
}

// Begin a search if it is time for one. True when one is under way afterwards.
static bool search(struct s3_credentials *credentials)
{
    const struct bfr_host *host = credentials->host;

    if (credentials->fixed)
        return false;
    if (!credentials->fetch.running && host->monotonic_ns(host) >= credentials->not_before_ns)
        bfr_s3_fetch_begin(&credentials->fetch); // may end at once
    return credentials->fetch.running;
}

const struct s3_keys *bfr_s3_credentials_get(struct s3_credentials *credentials, struct s3_waiter *waiter,
                                             bool *out_waiting)
{
    bool searching = false;

    *out_waiting = false;
    if (!is_good(credentials) || wall(credentials) >= credentials->refresh_ns)
        searching = search(credentials);
    if (is_good(credentials))
        return &credentials->keys;
    if (searching && waiter != NULL) {
        waiter->next = credentials->waiters;
        credentials->waiters = waiter;
        *out_waiting = true;
    }
    return NULL;
}

// Has somebody else seen to it since this request was signed?
static bool is_seen_to(const struct s3_credentials *credentials, const char *access_key)
{
    return strcmp(credentials->keys.access_key, access_key) != 0 || credentials->refused;
}

bool bfr_s3_credentials_refuse(struct s3_credentials *credentials, const char *access_key)
{
    const struct bfr_host *host = credentials->host;

    if (credentials->fixed)
        return false;
    if (is_seen_to(credentials, access_key))
        return is_good(credentials) || credentials->fetch.running;
    if (!credentials->fetch.running && host->monotonic_ns(host) < credentials->not_before_ns)
        return false;
    credentials->refused = true;
    return true;
}

bool bfr_s3_credentials_doubt(struct s3_credentials *credentials, const char *access_key)
{
    const struct bfr_host *host = credentials->host;
    uint64_t now_ns = host->monotonic_ns(host);

    if (credentials->fixed)
        return false;
    if (is_seen_to(credentials, access_key))
        return is_good(credentials) || credentials->fetch.running;
    if (now_ns < credentials->doubt_not_before || now_ns < credentials->not_before_ns)
        return false;
    credentials->doubt_not_before = now_ns + credentials->doubt_pause_ns;
    if (credentials->doubt_pause_ns < DOUBT_MOST_S * NS_PER_S)
        credentials->doubt_pause_ns *= 2;
    credentials->refused = credentials->doubted = true;
    return true;
}
