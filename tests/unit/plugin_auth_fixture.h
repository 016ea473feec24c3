// SPDX-License-Identifier: Apache-2.0
// For the tests of the tickets: a stage whose auth plugin is linked in and does what each test sets it to, and one that asks.
#ifndef BFR_TEST_PLUGIN_AUTH_FIXTURE_H
#define BFR_TEST_PLUGIN_AUTH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugin_auth.h"
#include "test_plugin_support.h"

static struct script {
    const struct bfr_host *host;
    uint32_t decision;           // returned by authorize
    struct bfr_verdict out;      // written by authorize unless its size is 0
    struct bfr_verdict early;    // given through host->verdict from within authorize unless its size is 0
    atomic_uint_fast64_t ticket; // of the last question
    atomic_uint_fast64_t cancelled;
    void (*pass_on)(uint64_t ticket); // if set, all that authorize does: the answer comes later
} script;

static inline uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)err;
    script.host = host;
    *out_self = &script;
    return BFR_OK;
}

static inline void destroy(void *self)
{
    (void)self;
}

static inline uint32_t authorize(void *self, const struct bfr_request *request, uint64_t ticket,
                                 struct bfr_verdict *out)
{
    (void)self;
    (void)request;
    if (script.pass_on != NULL) {
        script.pass_on(ticket);
        return BFR_LATER;
    }
    script.ticket = ticket;
    if (script.out.size != 0)
        memcpy(out, &script.out, script.out.size);
    if (script.early.size != 0)
        script.host->verdict(script.host, ticket, &script.early);
    return script.decision;
}

static inline void cancel(void *self, uint64_t ticket)
{
    (void)self;
    script.cancelled = ticket;
}

static const struct bfr_life life = {.size = sizeof life, .create = create, .destroy = destroy};
static const struct bfr_auth_vtable table = {.size = sizeof table, .authorize = authorize, .cancel = cancel};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = BFR_KIND_AUTH, .name = "doorman", .version = "1.0", .summary = "Says what it is told",
    .life = &life,   .vtable = &table};

// One asker, and what it was told.
struct asker {
    struct bfr_question question; // first
    atomic_uint answers;
    struct bfr_verdict verdict;
};

static inline void on_verdict(struct bfr_question *question, const struct bfr_verdict *verdict)
{
    struct asker *asker = (struct asker *)question;
    asker->verdict = *verdict;
    asker->answers++;
}

struct bench {
    struct bfr_stage_env env;
    struct bfr_stage *stage;
    struct bfr_auth *auth;
    struct asker asker;
    struct bfr_verdict out;
    struct capture log;
};

static inline void set_up_with(struct bench *bench, const char *name, const struct bfr_plugin *with)
{
    struct bfr_err err = {.size = sizeof err};
    memset(bench, 0, sizeof *bench);
    memset(&script, 0, sizeof script);
    bench->env.clock = &bfr_clock_system;
    bench->stage = bfr_stage_new(with, name, NULL, &bench->env);
    assert_non_null(bench->stage);
    bench->auth = bfr_auth_new(bench->stage);
    assert_non_null(bench->auth);
    assert_int_equal(bfr_stage_create(bench->stage, &err), BFR_OK);
    assert_int_equal(bfr_stage_start(bench->stage, &err), BFR_OK);
    bench->asker.question.on_verdict = on_verdict;
}

static inline void set_up(struct bench *bench, const char *name)
{
    set_up_with(bench, name, &plugin);
}

static inline void tear_down(struct bench *bench)
{
    bfr_stage_stop(bench->stage);
    bfr_auth_free(bench->auth);
    bfr_stage_free(bench->stage);
}

static const struct bfr_request request = {
    .size = sizeof request, .tenant = "acme", .dataset = "fw", .authorization = {NULL, 0}, .peer = "192.0.2.1"};

static inline uint32_t ask(struct bench *bench)
{
    return bfr_auth_ask(bench->auth, &request, &bench->asker.question, &bench->out);
}

static inline struct bfr_verdict verdict_of(uint32_t decision)
{
    struct bfr_verdict verdict = {.size = sizeof verdict, .decision = decision};
    if (decision == BFR_DENY)
        verdict.deny = BFR_DENY_FOREIGN;
    if (decision == BFR_ALLOW)
        strcpy(verdict.account, "a1");
    return verdict;
}

static inline void answer(uint64_t ticket, uint32_t decision)
{
    const struct bfr_verdict verdict = verdict_of(decision);
    script.host->verdict(script.host, ticket, &verdict);
}

#endif
