// SPDX-License-Identifier: Apache-2.0
// See control.h: options, life, and the way of a question: first to the directory, without a lock; then to the look-ups.
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "control_call.h"
#include "control_json.h"
#include "decide.h"
#include "lookup.h"
#include "refresh.h"

#define CONNECTIONS 16
#define TOKEN_MAX   4096 // a longer one cannot be one of the service's

// ---- life ----

static bool set_texts(struct control *control, const struct bfr_host *host)
{
    const char *account = host->config_string(host, "account_id");
    const char *key = host->config_string(host, "api_key");

    // These two name no account of their own: all that the key may see are meant.
    if (strcmp(account, "managed") == 0 || strcmp(account, "system") == 0)
        account = "";
    control->url = strdup(host->config_string(host, "control_url"));
    control->account = strdup(account);
    for (size_t n = control->url == NULL ? 0 : strlen(control->url); n > 0 && control->url[n - 1] == '/'; n--)
        control->url[n - 1] = '\0';
    if (key[0] != '\0' && asprintf(&control->authorization, "Authorization: Bearer %s", key) < 0)
        control->authorization = NULL;
    return control->url != NULL && control->account != NULL && (key[0] == '\0' || control->authorization != NULL);
}

// URLs appear in the log, so nothing secret may stand in them.
static bool has_login(const char *url)
{
    const char *authority = strstr(url, "://");
    return authority != NULL && memchr(authority + 3, '@', strcspn(authority + 3, "/?#")) != NULL;
}

static uint32_t check(const struct control *control, struct bfr_err *err)
{
    if (has_login(control->url))
        return bfr_err_set(err, BFR_EINVAL, "control_url must not hold a login; the key belongs into api_key");
    if (control->account[0] != '\0' && !bfr_control_id_is_good(control->account))
        return bfr_err_set(err, BFR_EINVAL, "account_id '%s' is not an id; letters, digits, '.', '_' and '-' make one",
                           control->account);
    if (control->url[0] != '\0' && strncmp(control->url, "http://", 7) != 0 &&
        strncmp(control->url, "https://", 8) != 0)
        return bfr_err_set(err, BFR_EINVAL,
                           "control_url '%s' must begin with http:// or https://, as in https://api.example.com",
                           control->url);
    return BFR_OK;
}

static void add_metrics(struct control *control)
{
    const struct bfr_host *host = control->host;
    static const char *const result[] = {"result", NULL};

    control->metrics = (struct control_metrics){
        .tenants =
            host->metric_register(host, BFR_METRIC_GAUGE, "directory_tenants", "Active tenants in the directory", NULL),
        .datasets = host->metric_register(host, BFR_METRIC_GAUGE, "directory_datasets",
                                          "Active datasets in the directory", NULL),
        .bytes = host->metric_register(host, BFR_METRIC_GAUGE, "directory_bytes",
                                       "Memory of the directory and of what look-ups found", NULL),
        .age = host->metric_register(host, BFR_METRIC_GAUGE, "directory_refreshed_timestamp_seconds",
                                     "Unix time of the last complete refresh", NULL),
        .refreshes = host->metric_register(host, BFR_METRIC_COUNTER, "directory_refreshes_total",
                                           "Refreshes by result: complete, failed", result),
        .lookups = host->metric_register(host, BFR_METRIC_COUNTER, "directory_lookups_total",
                                         "Single look-ups at the control service by result", result),
    };
}

static uint32_t build(struct control *control, struct bfr_err *err)
{
    if (!set_texts(control, control->host))
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    uint32_t status = check(control, err);
    if (status != BFR_OK || control->url[0] == '\0')
        return status;
    control->lookups = bfr_lookups_new();
    control->refresher = bfr_refresher_new(control);
    if (control->lookups == NULL || control->refresher == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    control->http =
        bfr_http_new(&(struct bfr_http_settings){.name = "auth-http",
                                                 .user_agent = "bytefreezer-receiver",
                                                 .ca_file = control->host->config_string(control->host, "ca_file"),
                                                 .max_connections = CONNECTIONS},
                     err);
    return control->http == NULL ? BFR_ENOMEM : BFR_OK;
}

struct control *bfr_control_new(const struct bfr_host *host, const struct hasher *hasher, bool require_token,
                                struct bfr_err *err)
{
    struct control *control = calloc(1, sizeof *control);

    if (control == NULL) {
        (void)bfr_err_set(err, BFR_ENOMEM, "out of memory");
        return NULL;
    }
    control->host = host;
    control->hasher = hasher;
    control->require_token = require_token;
    control->cache_file = host->config_string(host, "cache_file");
    control->timeout_ms = (uint32_t)host->config_integer(host, "timeout");
    control->refresh_ms = (uint32_t)host->config_integer(host, "refresh_interval");
    control->max_stale_ns = (uint64_t)host->config_integer(host, "max_stale") * UINT64_C(1000000);
    bfr_live_init(&control->live, bfr_directory_free_item);
    add_metrics(control);
    if (build(control, err) == BFR_OK)
        return control;
    bfr_control_free(control);
    return NULL;
}

void bfr_control_free(struct control *control)
{
    if (control == NULL)
        return;
    bfr_http_free(control->http);
    bfr_refresher_free(control->refresher);
    bfr_lookups_free(control->lookups);
    bfr_live_free(&control->live);
    if (control->authorization != NULL)
        OPENSSL_cleanse(control->authorization, strlen(control->authorization));
    free(control->authorization);
    free(control->account);
    free(control->url);
    free(control);
}

uint32_t bfr_control_start(struct control *control, struct bfr_err *err)
{
    if (control->http == NULL) {
        bfr_log(control->host, BFR_LOG_ERROR,
                "no batch can be accepted: mode control without control_url; set control_url, or use mode tokens with "
                "a tenants_file",
                NULL);
        return BFR_OK;
    }
    uint32_t status = bfr_http_start(control->http, err);
    return status == BFR_OK ? bfr_refresher_start(control->refresher, err) : status;
}

void bfr_control_stop(struct control *control)
{
    if (control->http == NULL)
        return;
    bfr_lookups_stop(control->lookups);
    bfr_refresher_tell_stop(control->refresher);
    bfr_http_stop(control->http);
    bfr_refresher_join(control->refresher);
}

void bfr_control_health(struct control *control, struct bfr_health *out)
{
    out->state = BFR_HEALTH_OK;
    out->reason[0] = '\0';
    if (control->http != NULL) {
        bfr_refresher_health(control->refresher, out);
        return;
    }
    out->state = BFR_HEALTH_DEGRADED;
    snprintf(out->reason, sizeof out->reason, "mode control without control_url: every batch is answered 503");
}

// ---- questions ----

static struct judge_question question_of(const struct control *control, const struct bfr_request *request,
                                         struct bfr_span *out_token)
{
    struct judge_question question = {.tenant = request->tenant,
                                      .dataset = request->dataset,
                                      .tenant_only = (request->flags & BFR_REQUEST_TENANT_ONLY) != 0,
                                      .require_token = control->require_token};

    *out_token = (struct bfr_span){NULL, 0};
    if (!control->require_token)
        return question;
    question.fault = bfr_bearer_parse(request->authorization, out_token);
    if (question.fault == BEARER_OK && out_token->size > TOKEN_MAX)
        question.fault = BEARER_MALFORMED;
    if (question.fault != BEARER_OK)
        *out_token = (struct bfr_span){NULL, 0};
    return question;
}

uint32_t bfr_control_authorize(struct control *control, const struct bfr_request *request, uint64_t ticket,
                               struct bfr_verdict *out)
{
    uint8_t key[DIRECTORY_HASH_SIZE];
    struct bfr_span token;
    struct fact_subject need;
    bool renew;

    if (control->http == NULL)
        return bfr_decide_unknown(out, "no control_url is configured");
    struct judge_question question = question_of(control, request, &token);
    if (token.size > 0) {
        if (!bfr_hasher_hash(control->hasher, token, key))
            return bfr_decide_unknown(out, "the token cannot be hashed: out of memory");
        question.key = key;
    }
    struct judge_limits limits = bfr_control_limits(control);
    question.asked_ns = limits.now_ns;
    const struct directory *directory = (const struct directory *)bfr_live_enter(&control->live);
    enum judge_need verdict = bfr_judge(directory, NULL, &question, &limits, out, &need, &renew);
    bfr_live_leave(&control->live);
    if (verdict == JUDGE_SETTLED)
        return out->decision;
    return bfr_lookups_ask(control, &question, token, request->peer, ticket, out);
}

void bfr_control_cancel(struct control *control, uint64_t ticket)
{
    if (control->http != NULL)
        bfr_lookups_cancel(control, ticket);
}
