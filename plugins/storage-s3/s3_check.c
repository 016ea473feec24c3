// SPDX-License-Identifier: Apache-2.0
// See s3_check.h. The row of requests: HEAD of the bucket; if it is missing and create_bucket is set, PUT of the bucket;
// then, with an object of our own, PUT twice with the condition (the second must be refused), HEAD and DELETE. So all
// permissions that are needed later are tried, and what is missing is said with its name.
#include "s3_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "s3_envelope.h"
#include "s3_store.h"

#define PAUSE_LEAST_NS UINT64_C(2000000000)
#define PAUSE_MOST_NS  UINT64_C(300000000000)
#define STEPS          12

enum check_step {
    CHECK_BUCKET = 1,
    CHECK_CREATE = 2,
    CHECK_PUT = 3,
    CHECK_PUT_AGAIN = 4,
    CHECK_READ = 5,
    CHECK_REMOVE = 6
};

static const uint8_t probe_body[] = "This object was made by bytefreezer-receiver to see what the store can do.\n";
static const struct bfr_span probe_span = {probe_body, sizeof probe_body - 1};

static void on_answer(void *arg, const struct s3_answer *answer);

bool bfr_s3_check_init(struct s3_check *check, struct s3_store *store)
{
    char host[100] = "";

    *check = (struct s3_check){.store = store, .call = calloc(1, sizeof *check->call)};
    atomic_init(&check->conditions, S3_CONDITIONS_UNKNOWN);
    atomic_init(&check->ended, false);
    pthread_mutex_init(&check->mutex, NULL);
    if (check->call == NULL)
        return false;
    check->pause_ns = PAUSE_LEAST_NS;
    check->call->session = &store->session;
    check->call->on_answer = on_answer;
    check->call->arg = check;
    // One name for each instance and stage, so that what a crash leaves behind is found by the next start.
    (void)gethostname(host, sizeof host - 1);
    snprintf(check->name, sizeof check->name, "%s-%.50s", host[0] != '\0' ? host : "receiver",
             store->session.host->stage);
    return true;
}

void bfr_s3_check_free(struct s3_check *check)
{
    free(check->call);
    check->call = NULL;
    pthread_mutex_destroy(&check->mutex);
}

bool bfr_s3_check_has_ended(const struct s3_check *check)
{
    return atomic_load(&check->ended);
}

uint32_t bfr_s3_check_conditions(const struct s3_check *check)
{
    return atomic_load_explicit(&check->conditions, memory_order_relaxed);
}

void bfr_s3_check_set_conditions(struct s3_check *check, uint32_t conditions)
{
    const struct bfr_host *host = check->store->session.host;

    if (atomic_exchange(&check->conditions, conditions) == conditions || conditions == S3_CONDITIONS_KEPT)
        return;
    bfr_log(
        host, BFR_LOG_WARN,
        conditions == S3_CONDITIONS_IGNORED
            ? "the store ignores If-None-Match here; another object under a name would be replaced. Each repeated put "
              "is preceded by a look; turn versioning of the bucket off, or use a store that keeps conditions"
            : "the store refuses If-None-Match; puts go without it, and each repeated put is preceded by a look",
        "bucket", check->store->options.bucket_name, NULL);
}

void bfr_s3_check_trouble(struct s3_check *check, char *out, size_t room)
{
    pthread_mutex_lock(&check->mutex);
    snprintf(out, room, "%.*s", (int)room - 1, check->trouble.text);
    pthread_mutex_unlock(&check->mutex);
}

static void set_trouble(struct s3_check *check, const char *what, const char *text)
{
    pthread_mutex_lock(&check->mutex);
    (void)bfr_err_set(&check->trouble, BFR_EFAIL, "%s%s", what, text);
    pthread_mutex_unlock(&check->mutex);
}

static uint64_t now(const struct s3_check *check)
{
    const struct bfr_host *host = check->store->session.host;
    return host->monotonic_ns(host);
}

static void finish(struct s3_check *check, bool done)
{
    check->running = false;
    check->done = done;
    atomic_store(&check->ended, true);
    check->not_before_ns = now(check) + check->pause_ns;
    check->pause_ns = done ? PAUSE_LEAST_NS : check->pause_ns < PAUSE_MOST_NS / 2 ? 2 * check->pause_ns : PAUSE_MOST_NS;
}

static void give_up(struct s3_check *check, const char *what, const struct s3_answer *answer)
{
    set_trouble(check, what, answer->why.text);
    bfr_log(check->store->session.host, BFR_LOG_WARN, "the bucket cannot be used yet; batches wait until it can",
            "cause", check->trouble.text, NULL);
    finish(check, false);
}

// --- the requests

static void send_probe(struct s3_check *check, uint32_t step, const char *method, bool with_body)
{
    const char *segments[] = {".bfr-probe", check->name};
    uint8_t sha256[32];
    unsigned size = 0;

    check->step = step;
    if (with_body && EVP_Digest(probe_span.data, probe_span.size, sha256, &size, EVP_sha256(), NULL) != 1) {
        finish(check, false);
        return;
    }
    bfr_s3_call_begin(check->call, method, "", with_body ? sha256 : NULL, segments, 2);
    if (with_body) {
        check->call->spans = &probe_span;
        check->call->span_count = 1;
        check->call->body_bytes = probe_span.size;
        check->call->has_body = true;
        bfr_s3_request_add(&check->call->request, "content-type", "text/plain");
        if (!check->plain)
            bfr_s3_request_add(&check->call->request, "if-none-match", "*");
        bfr_s3_settings_add(&check->call->request, &check->store->options); // they need permissions, too
    }
    bfr_s3_call_send(check->call);
}

static void send_bucket(struct s3_check *check)
{
    check->step = CHECK_BUCKET;
    bfr_s3_call_begin(check->call, "HEAD", "", NULL, NULL, 0);
    bfr_s3_call_send(check->call);
}

static void create_bucket(struct s3_check *check)
{
    const char *region = check->store->session.region;
    uint8_t sha256[32];
    unsigned size = 0;
    bool named = strcmp(region, "us-east-1") != 0; // the one region that must not be named

    check->step = CHECK_CREATE;
    if (named) {
        snprintf(check->body, sizeof check->body,
                 "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>%s"
                 "</LocationConstraint></CreateBucketConfiguration>",
                 region);
        check->span = (struct bfr_span){(const uint8_t *)check->body, strlen(check->body)};
        (void)EVP_Digest(check->span.data, check->span.size, sha256, &size, EVP_sha256(), NULL);
    }
    bfr_s3_call_begin(check->call, "PUT", "", named ? sha256 : NULL, NULL, 0);
    check->call->has_body = true;
    if (named) {
        check->call->spans = &check->span;
        check->call->span_count = 1;
        check->call->body_bytes = check->span.size;
    }
    bfr_s3_call_send(check->call);
}

// --- the answers

static void on_bucket(struct s3_check *check, const struct s3_answer *answer)
{
    if (answer->status == 404 && check->store->options.create_bucket)
        create_bucket(check);
    else if (answer->ok || answer->status == 403 ||
             answer->status == 400) // the put is another permission, and says why
        send_probe(check, CHECK_PUT, "PUT", true);
    else if (answer->status == 404)
        give_up(check, "the bucket does not exist: ", answer);
    else
        give_up(check, "", answer);
}

static void on_create(struct s3_check *check, const struct s3_answer *answer)
{
    bool ours = strcmp(answer->error.code, "BucketAlreadyOwnedByYou") == 0;

    if (!answer->ok && !ours) {
        give_up(check, "the bucket cannot be created: ", answer);
        return;
    }
    if (answer->ok)
        bfr_log(check->store->session.host, BFR_LOG_INFO, "created the bucket", "bucket",
                check->store->options.bucket_name, NULL);
    send_probe(check, CHECK_PUT, "PUT", true);
}

static bool is_refused_condition(const struct s3_answer *answer)
{
    return answer->meaning != NULL && answer->meaning->action == S3_ACTION_COMPARE;
}

static void on_put(struct s3_check *check, const struct s3_answer *answer)
{
    bool first = check->step == CHECK_PUT;

    bool unknown = answer->meaning != NULL && answer->meaning->action == S3_ACTION_UNCONDITIONAL;

    if (is_refused_condition(answer)) { // also the first time: an earlier life left the object
        bfr_s3_check_set_conditions(check, S3_CONDITIONS_KEPT);
        send_probe(check, CHECK_READ, "HEAD", false);
    } else if (answer->ok && first && !check->plain) {
        send_probe(check, CHECK_PUT_AGAIN, "PUT", true);
    } else if (answer->ok) {
        bfr_s3_check_set_conditions(check, check->plain ? S3_CONDITIONS_REFUSED : S3_CONDITIONS_IGNORED);
        send_probe(check, CHECK_READ, "HEAD", false);
    } else if (unknown && !check->plain) { // the condition, or one of our settings?
        check->plain = true;
        send_probe(check, CHECK_PUT, "PUT", true);
    } else {
        give_up(check, answer->status == 403 ? "missing permission s3:PutObject? " : "", answer);
    }
}

static void on_read(struct s3_check *check, const struct s3_answer *answer)
{
    if (answer->ok || answer->status == 404)
        set_trouble(check, "", "");
    else if (answer->status == 403)
        set_trouble(check, "missing permission s3:GetObject, needed to tell a repeated put from a conflict: ",
                    answer->why.text);
    else
        set_trouble(check, "", answer->why.text);
    if (answer->status == 403)
        bfr_log(check->store->session.host, BFR_LOG_WARN,
                "objects cannot be looked at; allow s3:GetObject on the bucket", "cause", answer->why.text, NULL);
    send_probe(check, CHECK_REMOVE, "DELETE", false);
}

static void on_remove(struct s3_check *check, const struct s3_answer *answer)
{
    if (!answer->ok && answer->status != 404)
        bfr_log(
            check->store->session.host, BFR_LOG_WARN,
            "the probe object stays in the bucket; harmless, allow s3:DeleteObject on .bfr-probe/* to have it removed",
            "cause", answer->why.text, NULL);
    finish(check, check->trouble.text[0] == '\0');
    if (check->trouble.text[0] == '\0')
        bfr_log(check->store->session.host, BFR_LOG_INFO, "the bucket can be used", "bucket",
                check->store->options.bucket_name, "conditions",
                bfr_s3_check_conditions(check) == S3_CONDITIONS_KEPT ? "kept" : "not kept", NULL);
}

static void on_answer(void *arg, const struct s3_answer *answer)
{
    static void (*const on_step[])(struct s3_check *, const struct s3_answer *) = {
        [CHECK_BUCKET] = on_bucket, [CHECK_CREATE] = on_create, [CHECK_PUT] = on_put,
        [CHECK_PUT_AGAIN] = on_put, [CHECK_READ] = on_read,     [CHECK_REMOVE] = on_remove,
    };
    struct s3_check *check = arg;

    if (check->call->stopped || check->steps_left == 0) {
        finish(check, false);
        return;
    }
    check->steps_left--;
    on_step[check->step](check, answer);
}

void bfr_s3_check_go_on(struct s3_check *check)
{
    if (check->done || check->running || now(check) < check->not_before_ns)
        return;
    check->running = true;
    check->plain = false;
    check->steps_left = STEPS;
    send_bucket(check);
}

void bfr_s3_check_forget(struct s3_check *check)
{
    check->done = false;
    bfr_s3_check_go_on(check);
}

void bfr_s3_check_works(struct s3_check *check)
{
    if (!check->done && !check->running)
        set_trouble(check, "", "");
}
