// SPDX-License-Identifier: Apache-2.0
// See lookup_call.h. Only what an answer says about the very thing that was asked for counts; anything else is a failure.
#include "lookup_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "control_json.h"

#define CALL_TIMEOUT_MS 5000 // three in a row end before the sender gives up; the daemon answers 503 before that

// ---- asking ----

static bool set_path(struct lookup_call *call, const char *account)
{
    const struct fact_subject *subject = &call->subject;

    if (subject->kind == FACT_DATASET) {
        snprintf(call->path, sizeof call->path, "/api/v1/tenants/%s/datasets/%s", subject->tenant, subject->dataset);
    } else if (subject->kind == FACT_TENANT && call->control->account[0] == '\0') {
        snprintf(call->path, sizeof call->path, "/api/v1/tenants/%s", subject->tenant);
    } else {
        if (account == NULL)
            return false;
        snprintf(call->path, sizeof call->path, "/api/v1/accounts/%s/tenants/%s", account, subject->tenant);
        snprintf(call->under, sizeof call->under, "%s", account);
    }
    return true;
}

struct lookup_call *bfr_lookup_call_new(struct control *control, const struct fact_subject *subject,
                                        const char *account, struct bfr_span token)
{
    struct lookup_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return NULL;
    call->control = control;
    call->subject = *subject;
    if (!set_path(call, account)) {
        free(call);
        return NULL;
    }
    if (subject->kind == FACT_KEY)
        snprintf(call->authorization, sizeof call->authorization, "Authorization: Bearer %.*s", (int)token.size,
                 (const char *)token.data);
    return call;
}

void bfr_lookup_call_free(struct lookup_call *call)
{
    OPENSSL_cleanse(call, sizeof *call);
    free(call);
}

static void on_reply(void *arg, const struct bfr_http_reply *reply);

void bfr_lookup_call_begin(struct lookup_call *call)
{
    const struct control *control = call->control;
    const char *authorization = call->subject.kind == FACT_KEY ? call->authorization : control->authorization;
    uint32_t timeout_ms = control->timeout_ms < CALL_TIMEOUT_MS ? control->timeout_ms : CALL_TIMEOUT_MS;

    if (bfr_control_get(control, call->path, authorization, timeout_ms, on_reply, call) != BFR_OK)
        call->on_end(call, FACT_FAILED);
}

// ---- the answer ----

static bool keep_tenant(void *arg, const struct tenant_record *record)
{
    struct lookup_call *call = arg;
    const char *account = record->account[0] != '\0' ? record->account : call->control->account;

    bool elsewhere = call->control->account[0] != '\0' && strcmp(account, call->control->account) != 0;

    if (strcmp(record->id, call->subject.tenant) != 0 || elsewhere)
        return true;
    if (account[0] == '\0' && call->subject.kind == FACT_KEY)
        account = "-"; // it was named in the question
    snprintf(call->account, sizeof call->account, "%s", account);
    call->active = record->active;
    call->has_token = record->has_token;
    memcpy(call->token, record->token, sizeof call->token);
    return true;
}

static bool keep_dataset(void *arg, const struct dataset_record *record)
{
    struct lookup_call *call = arg;

    if (strcmp(record->id, call->subject.dataset) == 0) {
        call->active = record->active;
        call->account[0] = '-'; // found
    }
    return true;
}

static bool keep_account(void *arg, const struct account_record *record)
{
    struct lookup_call *call = arg;

    call->active = record->active;
    if (strcmp(record->id, call->account) != 0)
        call->account[0] = '\0'; // not what was asked for
    return true;
}

// False: what came says nothing about what was asked.
static bool read_reply(struct lookup_call *call, const struct bfr_http_reply *reply)
{
    struct control_reader reader = {.arg = call};
    const char *why = NULL;

    if (call->second)
        reader.on_account = keep_account;
    else if (call->subject.kind == FACT_DATASET)
        reader.on_dataset = keep_dataset;
    else
        reader.on_tenant = keep_tenant;
    return bfr_control_read_one(reply->body, reply->body_bytes, &reader, &why) == CONTROL_READ_OK &&
           call->account[0] != '\0';
}

// Is the account known as active? That it was inactive proves nothing: it may have been activated since.
static bool is_active_account(struct control *control, const char *account)
{
    const struct directory *directory = (const struct directory *)bfr_live_enter(&control->live);
    uint32_t number = directory == NULL ? DIRECTORY_NONE : bfr_directory_account(directory, account);
    bool active = number != DIRECTORY_NONE && directory->accounts[number].active;

    bfr_live_leave(&control->live);
    return active;
}

// A tenant is there; whether it counts depends on its account, which may be as new as the tenant.
static void end_tenant(struct lookup_call *call)
{
    if (!call->active || call->second || is_active_account(call->control, call->account)) {
        call->on_end(call, call->active ? FACT_GOOD : FACT_GONE);
        return;
    }
    call->second = true;
    snprintf(call->path, sizeof call->path, "/api/v1/accounts/%s", call->account);
    bfr_lookup_call_begin(call);
}

static enum fact_state state_of_key(const struct lookup_call *call, enum control_answer answer)
{
    if (answer == CONTROL_OK)
        return call->active ? FACT_GOOD : FACT_FOREIGN;
    if (answer == CONTROL_NO_KEY)
        return FACT_WRONG;
    return answer == CONTROL_FORBIDDEN || answer == CONTROL_GONE ? FACT_FOREIGN : FACT_FAILED;
}

static void on_reply(void *arg, const struct bfr_http_reply *reply)
{
    struct lookup_call *call = arg;
    enum control_answer answer = bfr_control_answer(reply);

    // Until lists have come, a 404 may be that of a wrong address.
    if ((answer == CONTROL_OK && !read_reply(call, reply)) ||
        (answer == CONTROL_GONE && !atomic_load(&call->control->answered)))
        answer = CONTROL_FAILED;
    if (call->subject.kind == FACT_KEY)
        call->on_end(call, state_of_key(call, answer));
    else if (answer != CONTROL_OK)
        call->on_end(call, answer == CONTROL_GONE ? FACT_GONE : FACT_FAILED);
    else if (call->subject.kind == FACT_TENANT)
        end_tenant(call);
    else
        call->on_end(call, call->active ? FACT_GOOD : FACT_GONE);
}
