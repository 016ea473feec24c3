// SPDX-License-Identifier: Apache-2.0
// The test kit itself: digests, options, clock, and that each breach of the contract is seen.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bfr/ext/activity.h>
#include <bfr/ext/metrics.h>
#include <bfr/ext/settings.h>
#include <bfr/ext/status.h>
#include <bfr/testkit.h>
#include <bfr/text.h>

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)err;
    *out_self = (void *)(uintptr_t)host;
    return BFR_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    (void)self, (void)deliveries; // completions are made by the tests
    return count < 2 ? count : 2;
}

static const struct bfr_option options[] = {
    {.name = "path", .type = BFR_OPTION_PATH, .flags = BFR_OPTION_REQUIRED, .help = "h"},
    {.name = "limit", .type = BFR_OPTION_SIZE, .fallback = "1KiB", .max = "1MiB", .help = "h"},
    {.name = "age", .type = BFR_OPTION_DURATION, .fallback = "2m", .unit = "h", .help = "h"},
    {.name = "names", .type = BFR_OPTION_LIST, .help = "h"},
    {.name = "mode", .type = BFR_OPTION_STRING, .fallback = "a", .choices = "a|bc", .help = "h"},
    {.name = "on", .type = BFR_OPTION_BOOL, .fallback = "false", .help = "h"},
    {.name = "share", .type = BFR_OPTION_NUMBER, .fallback = "0.5", .max = "1", .help = "h"},
};

static const struct bfr_life life = {.size = sizeof life, .create = create, .destroy = destroy};
static const struct bfr_sink_vtable sink = {sizeof sink, put, NULL};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = BFR_KIND_SINK, .name = "test",    .version = "1",
    .summary = "s",  .options = options,    .option_count = 7, .option_size = sizeof *options,
    .life = &life,   .vtable = &sink,
};

static struct bfr_fake *make(const char *second_pair)
{
    const char *pairs[] = {"path=/p", second_pair};
    struct bfr_err err = {.size = sizeof err};
    return bfr_fake_new(&plugin, "test", pairs, second_pair != NULL ? 2 : 1, &err);
}

static struct bfr_fake *started(void)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_fake *fake = make(NULL);
    assert_int_equal(bfr_fake_create(fake, &err), BFR_OK);
    assert_int_equal(bfr_fake_start(fake, &err), BFR_OK);
    return fake;
}

static void test_digests_are_the_standards(void **state)
{
    (void)state;
    uint8_t sha256[32];
    char hex[65];
    bfr_fake_sha256("abc", 3, sha256); // FIPS 180-4, example B.1
    bfr_hex(sha256, sizeof sha256, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    bfr_fake_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, sha256); // B.2
    bfr_hex(sha256, sizeof sha256, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_int_equal(bfr_fake_crc32c("123456789", 9), 0xe3069283); // RFC 3720 appendix B.4
    const uint8_t zeros[32] = {0};
    assert_int_equal(bfr_fake_crc32c(zeros, sizeof zeros), 0x8a9136aa);
}

static void test_options_are_typed(void **state)
{
    (void)state;
    struct bfr_fake *fake = make("names=x,yy");
    assert_non_null(fake);
    const struct bfr_host *host = bfr_fake_host(fake);
    size_t count;
    assert_string_equal(host->config_string(host, "path"), "/p");
    assert_int_equal(host->config_integer(host, "limit"), 1024);
    assert_int_equal(host->config_integer(host, "age"), 120000);
    const char *const *names = host->config_list(host, "names", &count);
    assert_int_equal(count, 2);
    assert_string_equal(names[1], "yy");
    assert_false(host->config_bool(host, "on"));
    assert_true(host->config_number(host, "share") == 0.5);
    assert_true(host->config_has(host, "limit"));
    assert_null(bfr_fake_misuse(fake, 0));
    bfr_fake_free(fake);
}

static void test_options_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"limit=2MiB", "limit=ten", "limit=1XB", "age=1y", "mode=b",
                                      "on=yes",     "share=2",   "nothing=1", "path",   "limit=99999999999TiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(make(bad[i]));
    struct bfr_err err = {.size = sizeof err};
    assert_null(bfr_fake_new(&plugin, "test", NULL, 0, &err));
    assert_string_equal(err.text, "option path: required and not given; add path=...");
}

static void test_clock_moves_by_hand(void **state)
{
    (void)state;
    struct bfr_fake *fake = make(NULL);
    const struct bfr_host *host = bfr_fake_host(fake);
    bfr_fake_clock_set(fake, 5);
    assert_int_equal(host->monotonic_ns(host), 5);
    bfr_fake_clock_advance(fake, 7);
    assert_int_equal(host->monotonic_ns(host), 12);
    bfr_fake_free(fake);
}

static void expect_breach(struct bfr_fake *fake, const char *part)
{
    const char *breach = bfr_fake_misuse(fake, 0);
    assert_non_null(breach);
    if (strstr(breach, part) == NULL)
        fail_msg("'%s' does not say '%s'", breach, part);
}

static uint64_t put_one(struct bfr_fake *fake)
{
    uint64_t token;
    const struct bfr_batch *batch = bfr_fake_batch(fake, "t", "d", "f", "x", 1);
    assert_int_equal(bfr_fake_put(fake, &batch, 1, &token), 1);
    bfr_fake_batch_release(fake, batch);
    return token;
}

static void complete(struct bfr_fake *fake, uint64_t token)
{
    const struct bfr_delivery delivery = {.token = token};
    bfr_complete_stored(bfr_fake_host(fake), &delivery);
}

static void test_sees_a_second_completion(void **state)
{
    (void)state;
    struct bfr_fake *fake = started();
    uint64_t token = put_one(fake);
    complete(fake, token);
    assert_null(bfr_fake_misuse(fake, 0));
    assert_int_equal(bfr_fake_live_batches(fake), 0);
    complete(fake, token);
    expect_breach(fake, "twice");
    bfr_fake_free(fake);
}

static void test_sees_a_completion_of_what_was_refused(void **state)
{
    (void)state;
    struct bfr_fake *fake = started();
    const struct bfr_batch *batch = bfr_fake_batch(fake, "t", "d", "f", "x", 1);
    const struct bfr_batch *const batches[] = {batch, batch, batch};
    uint64_t tokens[3];
    assert_int_equal(bfr_fake_put(fake, batches, 3, tokens), 2);
    complete(fake, tokens[1] + 1);
    expect_breach(fake, "refused");
    complete(fake, tokens[0]);
    complete(fake, tokens[1]);
    bfr_fake_batch_release(fake, batch);
    bfr_fake_free(fake);
}

static void test_sees_an_open_delivery_at_stop_and_a_late_completion(void **state)
{
    (void)state;
    struct bfr_fake *fake = started();
    uint64_t token = put_one(fake);
    assert_int_equal(bfr_fake_open(fake), 1);
    bfr_fake_stop(fake);
    expect_breach(fake, "before every delivery was completed");
    complete(fake, token);
    assert_non_null(strstr(bfr_fake_misuse(fake, 1), "not running"));
    bfr_fake_destroy(fake);
    assert_int_equal(bfr_fake_live_batches(fake), 1); // the delivery that never ended
    bfr_fake_free(fake);
}

static void test_sees_wrong_questions(void **state)
{
    (void)state;
    static const char *const expected[] = {"not in its table", "another type", "outside create", "not registered"};
    for (int i = 0; i < 4; i++) {
        struct bfr_fake *fake = started();
        const struct bfr_host *host = bfr_fake_host(fake);
        if (i == 0)
            host->config_bool(host, "nothing");
        if (i == 1)
            host->config_bool(host, "limit");
        if (i == 2)
            host->metric_register(host, BFR_METRIC_COUNTER, "m", "h", NULL);
        if (i == 3)
            host->metric_add(host, NULL, NULL, 1);
        expect_breach(fake, expected[i]);
        bfr_fake_free(fake);
    }
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void test_posted_functions_run_on_the_waiting_thread(void **state)
{
    (void)state;
    struct bfr_fake *fake = started();
    const struct bfr_host *host = bfr_fake_host(fake);
    bool ran = false;
    assert_true(host->post(host, set_flag, &ran));
    assert_false(ran);
    bfr_fake_wait_ready(fake, 0);
    assert_true(ran);
    bfr_fake_stop(fake);
    assert_false(host->post(host, set_flag, &ran));
    bfr_fake_free(fake);
}

static void test_logs_are_kept_and_extensions_offered(void **state)
{
    (void)state;
    struct bfr_fake *fake = started();
    const struct bfr_host *host = bfr_fake_host(fake);
    bfr_log(host, BFR_LOG_WARN, "upload failed", "batch", "a", NULL);
    assert_string_equal(bfr_fake_log(fake, 0), "warn upload failed batch=a");
    assert_null(bfr_fake_log(fake, 1));
    assert_non_null(host->get_extension(host, BFR_EXT_STATUS_1));
    assert_non_null(host->get_extension(host, BFR_EXT_ACTIVITY_1));
    assert_non_null(host->get_extension(host, BFR_EXT_METRICS_1));
    assert_null(host->get_extension(host, "status/2"));
    char text[8] = "before";
    const struct bfr_settings_1 *settings = host->get_extension(host, BFR_EXT_SETTINGS_1);
    assert_int_equal(settings->text(host, "s3.bucket_name", text, sizeof text), BFR_EINVAL);
    assert_string_equal(text, "");
    bfr_fake_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_are_the_standards),
        cmocka_unit_test(test_options_are_typed),
        cmocka_unit_test(test_options_are_refused),
        cmocka_unit_test(test_clock_moves_by_hand),
        cmocka_unit_test(test_sees_a_second_completion),
        cmocka_unit_test(test_sees_a_completion_of_what_was_refused),
        cmocka_unit_test(test_sees_an_open_delivery_at_stop_and_a_late_completion),
        cmocka_unit_test(test_sees_wrong_questions),
        cmocka_unit_test(test_posted_functions_run_on_the_waiting_thread),
        cmocka_unit_test(test_logs_are_kept_and_extensions_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
