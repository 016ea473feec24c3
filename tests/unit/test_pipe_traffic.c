// SPDX-License-Identifier: Apache-2.0
// What the metrics under the previous product's names promise: every request and delivery is counted once, under labels
// that strangers cannot use up, also while many threads count.
#include "pipe_traffic.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipe_delivery.h"

struct fixture {
    struct bfr_metrics *metrics;
    struct bfr_traffic *traffic;
};

static struct fixture begin(uint32_t tenants_max, uint32_t datasets_max)
{
    struct fixture f = {.metrics = bfr_metrics_new()};
    assert_non_null(f.metrics);
    f.traffic = bfr_traffic_new(f.metrics, tenants_max, datasets_max);
    assert_non_null(f.traffic);
    return f;
}

static void end(struct fixture *f)
{
    bfr_traffic_free(f->traffic);
    bfr_metrics_free(f->metrics);
}

static char *page_of(struct fixture *f)
{
    size_t size = 0;
    char *page = bfr_metrics_render(f->metrics, &size);
    assert_non_null(page);
    return page;
}

static void assert_shows(struct fixture *f, const char *line)
{
    char *page = page_of(f);
    if (strstr(page, line) == NULL)
        fail_msg("no '%s' in:\n%s", line, page);
    free(page);
}

static void assert_lacks(struct fixture *f, const char *text)
{
    char *page = page_of(f);
    assert_null(strstr(page, text));
    free(page);
}

static void answer(struct fixture *f, const char *tenant, const char *dataset, bool authorised, bool success)
{
    bfr_traffic_answered(f->traffic,
                         &(struct bfr_traffic_request){.tenant = tenant,
                                                       .dataset = dataset,
                                                       .authorised = authorised,
                                                       .success = success,
                                                       .bytes_received = 100,
                                                       .lines_received = 7,
                                                       .bytes_processed = success ? 60 : 0,
                                                       .lines_processed = success ? 7 : 0,
                                                       .duration_ns = 2000000},
                         NULL);
}

static void test_requests_bytes_and_lines_are_counted_per_dataset_and_success(void **state)
{
    (void)state;
    struct fixture f = begin(10, 10);
    answer(&f, "acme", "fw", true, true);
    answer(&f, "acme", "fw", true, true);
    answer(&f, "acme", "fw", true, false);
    static const char *const lines[] = {
        "\nbytefreezer_requests_total{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\"} 2\n",
        "\nbytefreezer_requests_total{tenant_id=\"acme\",dataset_id=\"fw\",success=\"false\"} 1\n",
        "\nbytefreezer_bytes_received_total{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\"} 200\n",
        "\nbytefreezer_bytes_processed_total{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\"} 120\n",
        "\nbytefreezer_bytes_processed_total{tenant_id=\"acme\",dataset_id=\"fw\",success=\"false\"} 0\n",
        "\nbytefreezer_lines_received_total{tenant_id=\"acme\",dataset_id=\"fw\",success=\"false\"} 7\n",
        "\nbytefreezer_lines_processed_total{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\"} 14\n",
        "\nbytefreezer_processing_duration_seconds_bucket{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\",le=\"0."
        "001\"} 0\n",
        "\nbytefreezer_processing_duration_seconds_bucket{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\",le=\"0."
        "0025\"} 2\n",
        "\nbytefreezer_processing_duration_seconds_sum{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\"} 0.004\n",
        "\nbytefreezer_processing_duration_seconds_count{tenant_id=\"acme\",dataset_id=\"fw\",success=\"true\"} 2\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_shows(&f, lines[i]);
    end(&f);
}

static void test_who_was_not_authorised_gets_no_label(void **state)
{
    (void)state;
    struct fixture f = begin(10, 10);
    answer(&f, "stranger", "x", false, false);
    answer(&f, "", "", false, false);
    answer(&f, "acme", "fw", true, true);
    answer(&f, "acme", "invented", false, false);
    answer(&f, "acme", "", true, true); // a test of the connection
    assert_lacks(&f, "stranger");
    assert_lacks(&f, "invented");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"other\",dataset_id=\"other\",success=\"false\"} 2\n");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"acme\",dataset_id=\"other\",success=\"false\"} 1\n");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"acme\",dataset_id=\"other\",success=\"true\"} 1\n");
    end(&f);
}

static void test_tenants_and_datasets_beyond_the_limits_are_other(void **state)
{
    (void)state;
    struct fixture f = begin(2, 3);
    static const char *const names[][2] = {{"a", "1"}, {"a", "2"}, {"b", "1"}, {"b", "2"}, {"c", "1"}, {"c", "1"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        answer(&f, names[i][0], names[i][1], true, true);
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"b\",dataset_id=\"1\",success=\"true\"} 1\n");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"b\",dataset_id=\"other\",success=\"true\"} 1\n");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"other\",dataset_id=\"other\",success=\"true\"} 2\n");
    bfr_traffic_set_limits(f.traffic, 3, 4);
    answer(&f, "c", "1", true, true);
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"c\",dataset_id=\"1\",success=\"true\"} 1\n");
    end(&f);
}

static void test_names_that_are_other_share_what_other_is(void **state)
{
    (void)state;
    struct fixture f = begin(5, 5);
    answer(&f, "other", "fw", true, true);
    answer(&f, "other", "other", true, true);
    answer(&f, "a", "other", true, true);
    answer(&f, "a", "other", true, true);
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"other\",dataset_id=\"other\",success=\"true\"} 2\n");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"a\",dataset_id=\"other\",success=\"true\"} 2\n");
    assert_lacks(&f, "dataset_id=\"fw\"");
    end(&f);
}

static void test_a_hint_never_counts_for_another_dataset(void **state)
{
    (void)state;
    struct fixture f = begin(2, 2);
    struct bfr_traffic_row *hint = NULL;
    static const char *const datasets[] = {"1", "1", "2", "3", "3", "1", ""};
    for (size_t i = 0; i < sizeof datasets / sizeof datasets[0]; i++)
        bfr_traffic_answered(
            f.traffic,
            &(struct bfr_traffic_request){.tenant = "a", .dataset = datasets[i], .authorised = true, .success = true},
            &hint);
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"a\",dataset_id=\"1\",success=\"true\"} 3\n");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"a\",dataset_id=\"2\",success=\"true\"} 1\n");
    assert_shows(&f, "\nbytefreezer_requests_total{tenant_id=\"a\",dataset_id=\"other\",success=\"true\"} 3\n");
    end(&f);
}

static void deliver(struct fixture *f, uint32_t batch_flags, uint32_t outcome, uint32_t flags, uint32_t reason)
{
    const struct bfr_batch batch = {
        .size = sizeof batch, .flags = batch_flags, .account = "", .tenant = "acme", .dataset = "fw", .filename = "n"};
    const struct bfr_slot slot = {.view = {.batch = &batch}, .outcome = outcome, .flags = flags, .reason = reason};
    bfr_traffic_uploaded(f->traffic, &slot, 30000000);
}

static void test_uploads_tell_what_came_from_memory_and_why_they_failed(void **state)
{
    (void)state;
    struct fixture f = begin(5, 5);
    deliver(&f, 0, BFR_STORED, 0, 0);
    deliver(&f, 0, BFR_STORED, 0, 0);
    deliver(&f, BFR_BATCH_READ_BACK, BFR_STORED, 0, 0);
    deliver(&f, BFR_BATCH_READ_BACK, BFR_RETRY, BFR_OUTAGE, 0);
    deliver(&f, 0, BFR_RETRY, 0, 0);
    deliver(&f, 0, BFR_REJECT, 0, BFR_REASON_CONFLICT);
    deliver(&f, 0, BFR_REJECT, 0, 999);
    deliver(&f, 0, BFR_FATAL, 0, 0);
#define OF "{tenant_id=\"acme\",dataset_id=\"fw\",cached="
    static const char *const lines[] = {
        "\nbytefreezer_cache_hits_total" OF "\"true\"} 2\n",
        "\nbytefreezer_upload_duration_seconds_count" OF "\"true\"} 2\n",
        "\nbytefreezer_upload_duration_seconds_count" OF "\"false\"} 1\n",
        "\nbytefreezer_upload_duration_seconds_bucket" OF "\"false\",le=\"0.05\"} 1\n",
        "\nbytefreezer_upload_failures_total" OF "\"false\",reason=\"outage\"} 1\n",
        "\nbytefreezer_upload_failures_total" OF "\"true\",reason=\"retry\"} 1\n",
        "\nbytefreezer_upload_failures_total" OF "\"true\",reason=\"conflict\"} 1\n",
        "\nbytefreezer_upload_failures_total" OF "\"true\",reason=\"rejected\"} 1\n",
        "\nbytefreezer_upload_failures_total" OF "\"true\",reason=\"fatal\"} 1\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_shows(&f, lines[i]);
    end(&f);
}

static void test_auth_failures_name_a_tenant_that_was_let_in_before(void **state)
{
    (void)state;
    struct fixture f = begin(5, 5);
    bfr_traffic_auth_failed(f.traffic, "acme", BFR_AUTH_FAILURE_TOKEN);
    answer(&f, "acme", "fw", true, true);
    bfr_traffic_auth_failed(f.traffic, "acme", BFR_AUTH_FAILURE_UNKNOWN);
    assert_shows(&f, "\nbytefreezer_auth_failures_total{tenant_id=\"other\",reason=\"token\"} 1\n");
    assert_shows(&f, "\nbytefreezer_auth_failures_total{tenant_id=\"acme\",reason=\"auth_unknown\"} 1\n");
    end(&f);
}

#define ROUNDS  3000
#define THREADS 4

static void *count_and_add(void *arg)
{
    struct fixture *f = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char dataset[] = {(char)('a' + i % 20), '\0'};
        answer(f, i % 3 == 0 ? "t" : "u", dataset, true, true);
    }
    return NULL;
}

static void test_many_threads_lose_no_count_and_make_no_row_twice(void **state)
{
    (void)state;
    struct fixture f = begin(5, 30);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_and_add, &f), 0);
    free(page_of(&f)); // meanwhile
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *page = page_of(&f);
    unsigned long sum = 0, rows = 0;
    for (const char *at = page; (at = strstr(at, "\nbytefreezer_requests_total{")) != NULL; at++) {
        const char *value = strchr(at, '}');
        assert_non_null(value);
        sum += strtoul(value + 1, NULL, 10);
        rows++;
    }
    free(page);
    assert_int_equal(sum, ROUNDS * THREADS);
    assert_int_equal(rows, 30 + 2); // the limit, and what came after it of both tenants
    end(&f);
}

static void test_without_a_table_nothing_is_kept(void **state)
{
    (void)state;
    struct fixture f = {.traffic = NULL};
    answer(&f, "a", "b", true, true);
    deliver(&f, 0, BFR_STORED, 0, 0);
    bfr_traffic_auth_failed(NULL, "a", BFR_AUTH_FAILURE_TOKEN);
    bfr_traffic_set_limits(NULL, 1, 1);
    bfr_traffic_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_bytes_and_lines_are_counted_per_dataset_and_success),
        cmocka_unit_test(test_who_was_not_authorised_gets_no_label),
        cmocka_unit_test(test_tenants_and_datasets_beyond_the_limits_are_other),
        cmocka_unit_test(test_names_that_are_other_share_what_other_is),
        cmocka_unit_test(test_a_hint_never_counts_for_another_dataset),
        cmocka_unit_test(test_uploads_tell_what_came_from_memory_and_why_they_failed),
        cmocka_unit_test(test_auth_failures_name_a_tenant_that_was_let_in_before),
        cmocka_unit_test(test_many_threads_lose_no_count_and_make_no_row_twice),
        cmocka_unit_test(test_without_a_table_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
