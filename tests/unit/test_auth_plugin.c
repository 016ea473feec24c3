// SPDX-License-Identifier: Apache-2.0
// The auth stage as the edge asks it: requests and verdicts, modes, reload while loops ask.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include <bfr/text.h>

#include "plugin_file.h"

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/bfr-test-auth-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static const char *hash_of(const char *token)
{
    static char texts[4][80];
    static int next;
    char *text = texts[next++ % 4];
    uint8_t sha256[32];
    char hex[65];

    bfr_fake_sha256(token, strlen(token), sha256);
    bfr_hex(sha256, 32, hex);
    snprintf(text, sizeof texts[0], "sha256:%s", hex);
    return text;
}

// acme (account a1): datasets web and fw, two tokens; globex: any dataset, one token; both know "shared".
static void write_tenants(const char *acme_token)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "tenants:\n- {account: a1, tenant: acme, datasets: [web, fw], tokens: [\"%s\", \"%s\"]}\n",
            hash_of(acme_token), hash_of("shared"));
    fprintf(file, "- {tenant: globex, datasets: '*', tokens: [\"%s\", \"%s\"]}\n", hash_of("globex-token"),
            hash_of("shared"));
    assert_int_equal(fclose(file), 0);
}

static struct bfr_fake *open_tokens(const char *more)
{
    char pair[128];
    const char *pairs[] = {"mode=tokens", pair, more};

    snprintf(pair, sizeof pair, "tenants_file=%s", path);
    struct bfr_fake *fake = plugin_file_create(pairs, more == NULL ? 2 : 3);
    plugin_file_start(fake);
    return fake;
}

static struct bfr_request request_for(const char *tenant, const char *dataset, const char *authorization)
{
    struct bfr_request request = {.size = sizeof request, .tenant = tenant, .dataset = dataset, .peer = "192.0.2.1"};
    if (authorization != NULL)
        request.authorization = (struct bfr_span){(const uint8_t *)authorization, strlen(authorization)};
    return request;
}

static uint32_t ask(struct bfr_fake *fake, const struct bfr_request *request, struct bfr_verdict *verdict)
{
    uint64_t ticket;
    *verdict = (struct bfr_verdict){.size = sizeof *verdict};
    return bfr_fake_ask(fake, request, &ticket, verdict);
}

#define ALLOWED 0

struct question {
    const char *tenant;
    const char *dataset;
    const char *authorization;
    uint32_t deny; // enum bfr_deny, or ALLOWED
};

static void assert_answers(struct bfr_fake *fake, const struct question *questions, size_t count)
{
    struct bfr_verdict verdict;

    for (size_t i = 0; i < count; i++) {
        const struct question *question = &questions[i];
        struct bfr_request request = request_for(question->tenant, question->dataset, question->authorization);
        uint32_t decision = ask(fake, &request, &verdict);
        if (decision != (question->deny == ALLOWED ? BFR_ALLOW : BFR_DENY) || verdict.decision != decision ||
            (decision == BFR_DENY && verdict.deny != question->deny))
            fail_msg("%s/%s '%s': decision %u deny %u (%s)", question->tenant, question->dataset,
                     question->authorization == NULL ? "-" : question->authorization, decision, verdict.deny,
                     verdict.text);
        if (decision == BFR_DENY)
            assert_true(verdict.text[0] != '\0');
    }
}

static const struct question token_questions[] = {
    {"acme", "web", "Bearer acme-token", ALLOWED},
    {"acme", "fw", "Bearer shared", ALLOWED},
    {"globex", "x", "Bearer shared", ALLOWED},
    {"globex", "anything", "Bearer globex-token", ALLOWED},
    {"acme", "web", "bearer acme-token", ALLOWED},
    {"acme", "web", "BEARER acme-token", ALLOWED},
    {"acme", "web", "Bearer   acme-token", ALLOWED}, // RFC 9110: one or more spaces
    {"acme", "web", NULL, BFR_DENY_TOKEN},
    {"acme", "web", "", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer ", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer  ", BFR_DENY_TOKEN},
    {"acme", "web", "Beare", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer\tacme-token", BFR_DENY_TOKEN},
    {"acme", "web", "Beareracme-token", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer=acme-token", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer acme-token x", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer acme-token\t", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer acme-token\x7f", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer acme-t\xc3\xb6ken", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer Acme-token", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer acme-toke", BFR_DENY_TOKEN},
    {"acme", "web", "Basic acme-token", BFR_DENY_TOKEN},
    {"acme", "web", "acme-token", BFR_DENY_TOKEN},
    {"acme", "web", "Bearer globex-token", BFR_DENY_FOREIGN},
    {"globex", "web", "Bearer acme-token", BFR_DENY_FOREIGN},
    {"acme", "nosuch", "Bearer acme-token", BFR_DENY_DATASET_GONE},
    {"acme", "nosuch", "Bearer wrong", BFR_DENY_TOKEN}, // a wrong token learns nothing about datasets
    {"acme", "nosuch", "Bearer globex-token", BFR_DENY_FOREIGN},
    {"acme", "WEB", "Bearer acme-token", BFR_DENY_DATASET_GONE},
    {"initech", "web", "Bearer wrong", BFR_DENY_TOKEN},
    {"initech", "web", "Bearer acme-token", BFR_DENY_TOKEN},
    {"initech", "web", NULL, BFR_DENY_TOKEN},
    {"ACME", "web", "Bearer acme-token", BFR_DENY_TOKEN},
};

static void test_each_request_gets_its_verdict(void **state)
{
    (void)state;
    write_tenants("acme-token");
    struct bfr_fake *fake = open_tokens(NULL);
    assert_answers(fake, token_questions, sizeof token_questions / sizeof token_questions[0]);
    plugin_file_finish(fake);
}

static void test_an_allowed_sender_gets_its_account(void **state)
{
    struct bfr_verdict verdict;
    (void)state;

    write_tenants("acme-token");
    struct bfr_fake *fake = open_tokens(NULL);
    struct bfr_request request = request_for("acme", "web", "Bearer acme-token");
    assert_int_equal(ask(fake, &request, &verdict), BFR_ALLOW);
    assert_string_equal(verdict.account, "a1");
    request = request_for("globex", "web", "Bearer globex-token");
    assert_int_equal(ask(fake, &request, &verdict), BFR_ALLOW);
    assert_string_equal(verdict.account, "");
    plugin_file_finish(fake);
}

static void test_an_unknown_tenant_and_a_wrong_token_differ_in_the_log_alone(void **state)
{
    struct bfr_verdict unknown, wrong;
    (void)state;

    write_tenants("acme-token");
    struct bfr_fake *fake = open_tokens(NULL);
    struct bfr_request request = request_for("initech", "web", "Bearer wrong");
    assert_int_equal(ask(fake, &request, &unknown), BFR_DENY);
    request = request_for("acme", "web", "Bearer wrong");
    assert_int_equal(ask(fake, &request, &wrong), BFR_DENY);
    assert_int_equal(unknown.deny, wrong.deny);
    assert_string_equal(unknown.account, wrong.account);
    assert_null(strstr(unknown.text, "wrong"));
    plugin_file_finish(fake);
}

static void test_a_connectivity_test_asks_about_the_tenant_only(void **state)
{
    struct bfr_verdict verdict;
    (void)state;

    write_tenants("acme-token");
    struct bfr_fake *fake = open_tokens(NULL);
    struct bfr_request request = request_for("acme", "unknown", "Bearer acme-token");
    request.flags = BFR_REQUEST_TENANT_ONLY;
    assert_int_equal(ask(fake, &request, &verdict), BFR_ALLOW);
    request = request_for("acme", "unknown", "Bearer wrong");
    request.flags = BFR_REQUEST_TENANT_ONLY;
    assert_int_equal(ask(fake, &request, &verdict), BFR_DENY);
    plugin_file_finish(fake);
}

static void test_without_require_token_tenant_and_dataset_still_count(void **state)
{
    static const struct question questions[] = {
        {"acme", "web", NULL, ALLOWED},        {"acme", "web", "Bearer wrong", ALLOWED},
        {"acme", "web", "nonsense", ALLOWED},  {"acme", "nosuch", NULL, BFR_DENY_DATASET_GONE},
        {"globex", "anything", NULL, ALLOWED}, {"initech", "web", "Bearer acme-token", BFR_DENY_TENANT_GONE},
    };
    (void)state;
    write_tenants("acme-token");
    struct bfr_fake *fake = open_tokens("require_token=false");
    assert_answers(fake, questions, sizeof questions / sizeof questions[0]);
    assert_true(plugin_file_logged(fake, "warn tokens are not checked"));
    plugin_file_finish(fake);
}

static void test_mode_open_lets_everyone_in_and_says_so(void **state)
{
    const char *const pairs[] = {"mode=open"};
    struct bfr_verdict verdict;
    (void)state;

    struct bfr_fake *fake = plugin_file_create(pairs, 1);
    plugin_file_start(fake);
    struct bfr_request request = request_for("anyone", "anything", NULL);
    assert_int_equal(ask(fake, &request, &verdict), BFR_ALLOW);
    assert_string_equal(verdict.account, "");
    assert_true(plugin_file_logged(fake, "warn anyone who reaches the port may send"));
    plugin_file_finish(fake);
}

static void test_create_says_what_is_wrong(void **state)
{
    struct bfr_err err = {.size = sizeof err};
    const char *const pairs[] = {"mode=tokens"};
    (void)state;

    struct bfr_fake *fake = bfr_fake_new(plugin_file_load(), "auth", pairs, 1, &err);
    assert_int_equal(bfr_fake_create(fake, &err), BFR_EINVAL);
    assert_string_equal(err.text, "mode 'tokens' needs tenants_file; name the YAML file that lists tenants and token "
                                  "hashes");
    bfr_fake_free(fake);

    assert_null(bfr_fake_new(plugin_file_load(), "auth", NULL, 0, &err)); // mode is required
}

static void test_a_reload_changes_tokens_and_a_bad_file_changes_nothing(void **state)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_verdict verdict;
    struct bfr_request old = request_for("acme", "web", "Bearer acme-token");
    struct bfr_request new = request_for("acme", "web", "Bearer second-token");
    (void)state;

    write_tenants("acme-token");
    struct bfr_fake *fake = open_tokens(NULL);
    write_tenants("second-token");
    assert_int_equal(ask(fake, &new, &verdict), BFR_DENY); // nothing changes by itself
    assert_int_equal(bfr_fake_reload(fake, &err), BFR_OK);
    assert_int_equal(ask(fake, &new, &verdict), BFR_ALLOW);
    assert_int_equal(ask(fake, &old, &verdict), BFR_DENY);

    FILE *file = fopen(path, "w");
    fputs("tenants: 7\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(bfr_fake_reload(fake, &err), BFR_EINVAL);
    assert_non_null(strstr(err.text, ":1:10: tenants must be a list"));
    assert_int_equal(ask(fake, &new, &verdict), BFR_ALLOW);
    plugin_file_finish(fake);
}

// Loops ask while the main thread reloads. "shared" is in every version of the file, so it is always let in.
struct askers {
    const struct bfr_auth_vtable *table;
    void *self;
    atomic_bool done;
    atomic_int asked;
    atomic_int refused;
};

static void *keep_asking(void *arg)
{
    struct askers *askers = arg;
    const struct bfr_request request = request_for("acme", "web", "Bearer shared");

    while (!atomic_load(&askers->done)) {
        struct bfr_verdict verdict = {.size = sizeof verdict};
        if (askers->table->authorize(askers->self, &request, 1, &verdict) != BFR_ALLOW)
            atomic_fetch_add(&askers->refused, 1);
        atomic_fetch_add(&askers->asked, 1);
        sched_yield(); // as loops pause between requests; without it the reload seldom meets a moment without readers
    }
    return NULL;
}

static void test_reloads_disturb_no_request(void **state)
{
    struct bfr_err err = {.size = sizeof err};
    pthread_t threads[3];
    (void)state;

    write_tenants("token-0");
    struct bfr_fake *fake = open_tokens(NULL);
    struct askers askers = {.table = plugin_file_load()->vtable, .self = bfr_fake_self(fake)};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_asking, &askers), 0);
    for (int round = 0; round < 200 || atomic_load(&askers.asked) < 1000; round++) {
        write_tenants(round % 2 == 0 ? "token-1" : "token-2");
        assert_int_equal(bfr_fake_reload(fake, &err), BFR_OK);
    }
    atomic_store(&askers.done, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&askers.refused), 0);
    plugin_file_finish(fake);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_path, remove_path)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(test_each_request_gets_its_verdict),
        WITH_FILE(test_an_allowed_sender_gets_its_account),
        WITH_FILE(test_an_unknown_tenant_and_a_wrong_token_differ_in_the_log_alone),
        WITH_FILE(test_a_connectivity_test_asks_about_the_tenant_only),
        WITH_FILE(test_without_require_token_tenant_and_dataset_still_count),
        cmocka_unit_test(test_mode_open_lets_everyone_in_and_says_so),
        cmocka_unit_test(test_create_says_what_is_wrong),
        WITH_FILE(test_a_reload_changes_tokens_and_a_bad_file_changes_nothing),
        WITH_FILE(test_reloads_disturb_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
