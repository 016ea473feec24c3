// SPDX-License-Identifier: Apache-2.0
// Who may use the guarded pages of the API, and who must not: a table of requests.
#include "http_admin_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct bfr_admin_claim local_claim(void)
{
    return (struct bfr_admin_claim){
        .host = "localhost:8081", .peer_known = true, .peer = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
}

static int judge(const char *token, const struct bfr_admin_claim *claim)
{
    const struct bfr_admin_verdict verdict = bfr_admin_guard(token, claim);
    assert_true((verdict.status == 0) == (verdict.error == NULL));
    return verdict.status;
}

static void test_without_a_token_only_this_machine_is_let_in(void **state)
{
    (void)state;
    static const struct {
        uint8_t peer[16];
        int status;
    } cases[] = {
        {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, 0},
        {{[10] = 0xff, [11] = 0xff, [12] = 127, [13] = 9, [15] = 200}, 0},
        {{[15] = 1}, 0},
        {{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}, 403},
        {{[12] = 127, [15] = 1}, 403}, // ::127.0.0.1 is no loopback
        {{0}, 403},
        {{[0] = 0xfe, [1] = 0x80, [15] = 1}, 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_admin_claim claim = local_claim();
        memcpy(claim.peer, cases[i].peer, sizeof claim.peer);
        assert_int_equal(judge("", &claim), cases[i].status);
    }
    struct bfr_admin_claim claim = local_claim();
    claim.peer_known = false;
    assert_int_equal(judge("", &claim), 403);
    claim.authorization = "Bearer "; // an empty token is none
    assert_int_equal(judge("", &claim), 403);
}

static void test_a_token_lets_in_from_anywhere_and_nothing_else_does(void **state)
{
    (void)state;
    static const struct {
        const char *authorization;
        int status;
    } cases[] = {{"Bearer secret", 0},
                 {"bearer secret", 0},
                 {"BEARER   secret", 0},
                 {"Bearer secre", 401},
                 {"Bearer secrets", 401},
                 {"Bearer Secret", 401},
                 {"Bearer ", 401},
                 {"Bearer", 401},
                 {"Basic secret", 401},
                 {"secret", 401},
                 {"", 401},
                 {NULL, 401},
                 {"Bearersecret", 401},
                 {"Bearer secret ", 401}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_admin_claim claim = {.authorization = cases[i].authorization, .host = "receiver:8081"};
        if (judge("secret", &claim) != cases[i].status)
            fail_msg("'%s' gave %d", cases[i].authorization, judge("secret", &claim));
    }
}

static void test_without_a_token_a_name_that_dns_gives_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int status;
    } cases[] = {{"localhost", 0},
                 {"LocalHost:8081", 0},
                 {"127.0.0.1:8081", 0},
                 {"[::1]:8081", 0},
                 {"[fe80::1]", 0},
                 {NULL, 0},
                 {"evil.example", 403},
                 {"localhost.evil.example", 403},
                 {"127.0.0.1.evil", 403},
                 {"", 403},
                 {"[::1", 403},
                 {"[::1].evil.example", 403},
                 {"localhost:8081@evil.example", 403},
                 {"localhost:", 0},
                 {"1.2.3", 403}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_admin_claim claim = local_claim();
        claim.host = cases[i].host;
        if (judge("", &claim) != cases[i].status)
            fail_msg("'%s' gave %d", cases[i].host, judge("", &claim));
    }
    char long_host[300];
    memset(long_host, '1', sizeof long_host);
    long_host[sizeof long_host - 1] = '\0';
    struct bfr_admin_claim claim = local_claim();
    claim.host = long_host;
    assert_int_equal(judge("", &claim), 403);
}

static void test_pages_of_other_sites_may_not_change_anything(void **state)
{
    (void)state;
    static const struct {
        const char *origin, *fetch_site;
        int status;
    } cases[] = {{NULL, NULL, 0},
                 {"http://localhost:8081", NULL, 0},
                 {"https://LOCALHOST:8081", "same-origin", 0},
                 {NULL, "none", 0},
                 {"http://localhost:8080", NULL, 403},
                 {"http://localhost", NULL, 403},
                 {"http://localhost:8081.evil.example", NULL, 403},
                 {"http://evil.example", NULL, 403},
                 {"null", NULL, 403},
                 {"", NULL, 403},
                 {"http://localhost:8081", "cross-site", 403},
                 {NULL, "same-site", 403},
                 {NULL, "cross-site", 403}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_admin_claim claim = local_claim();
        claim.authorization = "Bearer secret";
        claim.origin = cases[i].origin;
        claim.fetch_site = cases[i].fetch_site;
        assert_int_equal(judge("", &claim), 0); // reading is another matter: browsers keep what they read to themselves
        claim.changes = true;
        assert_int_equal(judge("", &claim), cases[i].status);
        assert_int_equal(judge("secret", &claim), cases[i].status);
    }
}

static void test_a_body_that_changes_something_is_json(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int status;
    } cases[] = {{"application/json", 0},
                 {"Application/JSON; charset=utf-8", 0},
                 {NULL, 0},
                 {"text/plain", 415},
                 {"application/x-www-form-urlencoded", 415},
                 {"application/jsonp", 415},
                 {"", 415}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_admin_claim claim = local_claim();
        claim.changes = true;
        claim.content_type = cases[i].type;
        assert_int_equal(judge("", &claim), 0);
        claim.has_body = true;
        assert_int_equal(judge("", &claim), cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_token_only_this_machine_is_let_in),
        cmocka_unit_test(test_a_token_lets_in_from_anywhere_and_nothing_else_does),
        cmocka_unit_test(test_without_a_token_a_name_that_dns_gives_is_refused),
        cmocka_unit_test(test_pages_of_other_sites_may_not_change_anything),
        cmocka_unit_test(test_a_body_that_changes_something_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
