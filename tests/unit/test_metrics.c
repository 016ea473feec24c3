// SPDX-License-Identifier: Apache-2.0
// What the metrics promise: a page that Prometheus reads as it is meant, no update lost, clashes refused.
#include "metrics.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"

static char *render(struct bfr_metrics *metrics)
{
    size_t size = 0;
    char *page = bfr_metrics_render(metrics, &size);
    assert_non_null(page);
    assert_int_equal(strlen(page), size);
    assert_int_equal(page[size - 1], '\n');
    return page;
}

// Everything before the process figures, which come after the registered metrics.
static char *render_registered(struct bfr_metrics *metrics)
{
    char *page = render(metrics);
    char *process = strstr(page, "# HELP process_");
    assert_non_null(process);
    *process = '\0';
    return page;
}

// The value on the line that begins with `series` and a blank.
static double value_in(const char *page, const char *series)
{
    char start[200];
    snprintf(start, sizeof start, "\n%s ", series);
    const char *at = strstr(page, start);
    if (at == NULL) {
        fail_msg("no '%s' in:\n%s", series, page);
        return 0; // not reached
    }
    return strtod(at + strlen(start), NULL);
}

static double value_of(struct bfr_metrics *metrics, const char *series)
{
    char *page = render(metrics);
    double value = value_in(page, series);
    free(page);
    return value;
}

static void test_page_has_help_type_and_samples_in_order_of_registration(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    const char *const code[] = {"code", "method", NULL};
    struct bfr_metric *requests =
        bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_requests_total", "Requests.", code);
    struct bfr_metric *depth = bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_depth", "Depth\\of\nit.", NULL);
    struct bfr_metric *unused = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_unused_total", "No.", code);
    assert_true(requests != NULL && depth != NULL && unused != NULL);
    const char *const ok[] = {"200", "POST"}, *const bad[] = {"400", "POST"};
    bfr_series_add(bfr_metric_series(requests, ok), 2);
    bfr_series_add(bfr_metric_series(requests, bad), 1);
    bfr_series_add(bfr_metric_series(requests, ok), 40);

    char *page = render_registered(metrics);
    assert_string_equal(page, "# HELP t_requests_total Requests.\n"
                              "# TYPE t_requests_total counter\n"
                              "t_requests_total{code=\"200\",method=\"POST\"} 42\n"
                              "t_requests_total{code=\"400\",method=\"POST\"} 1\n"
                              "# HELP t_depth Depth\\\\of\\nit.\n"
                              "# TYPE t_depth gauge\n"
                              "t_depth 0\n");
    free(page);
    bfr_metrics_free(metrics);
}

static void test_label_values_are_escaped_and_valid_utf8(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    const char *const names[] = {"tenant_id", NULL};
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_x", "X", names);
    const char *const values[] = {"a\"b\\c\nd\xffz\xc3\xbc"};
    bfr_series_set(bfr_metric_series(metric, values), 1);
    char *page = render_registered(metrics);
    assert_non_null(strstr(page, "t_x{tenant_id=\"a\\\"b\\\\c\\nd\xef\xbf\xbdz\xc3\xbc\"} 1\n"));
    free(page);
    bfr_metrics_free(metrics);
}

static void test_numbers_read_back_as_they_were(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "t_v 0\n"},
        {-3, "t_v -3\n"},
        {0.1, "t_v 0.1\n"},
        {1.0 / 3, "t_v 0.33333333333333331\n"},
        {1e15, "t_v 1000000000000000\n"},
        {9007199254740993e3, "t_v 9.007199254740993e+18\n"},
        {1e300, "t_v 1e+300\n"},
        {(double)INFINITY, "t_v +Inf\n"},
        {-(double)INFINITY, "t_v -Inf\n"},
        {(double)NAN, "t_v NaN\n"},
    };
    struct bfr_metrics *metrics = bfr_metrics_new();
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_v", "V", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bfr_series_set(bfr_metric_series(metric, NULL), cases[i].value);
        char *page = render_registered(metrics);
        char *sample = strstr(page, "\nt_v ");
        assert_non_null(sample);
        assert_string_equal(sample + 1, cases[i].text);
        free(page);
    }
    bfr_metrics_free(metrics);
}

static void test_histogram_is_cumulative_and_ends_in_inf(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, "t_batches", "B", NULL);
    struct bfr_series *series = bfr_metric_series(metric, NULL);
    const double seen[] = {1, 2, 3, 4096, 5000};
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        bfr_series_observe(series, seen[i]);
    char *page = render_registered(metrics);
    assert_non_null(strstr(page, "# TYPE t_batches histogram\n"
                                 "t_batches_bucket{le=\"1\"} 1\n"
                                 "t_batches_bucket{le=\"2\"} 2\n"
                                 "t_batches_bucket{le=\"4\"} 3\n"));
    assert_non_null(strstr(page, "t_batches_bucket{le=\"4096\"} 4\n"
                                 "t_batches_bucket{le=\"+Inf\"} 5\n"
                                 "t_batches_sum 9102\n"
                                 "t_batches_count 5\n"));
    free(page);
    bfr_metrics_free(metrics);
}

static void test_histogram_of_seconds_reaches_from_half_a_millisecond_to_a_minute(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    const char *const names[] = {"sink", NULL}, *const values[] = {"s3"};
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, "t_took_seconds", "T", names);
    bfr_series_observe(bfr_metric_series(metric, values), 0.0004);
    bfr_series_observe(bfr_metric_series(metric, values), 61);
    assert_int_equal(value_of(metrics, "t_took_seconds_bucket{sink=\"s3\",le=\"0.0005\"}"), 1);
    assert_int_equal(value_of(metrics, "t_took_seconds_bucket{sink=\"s3\",le=\"60\"}"), 1);
    assert_int_equal(value_of(metrics, "t_took_seconds_bucket{sink=\"s3\",le=\"+Inf\"}"), 2);
    assert_int_equal(value_of(metrics, "t_took_seconds_count{sink=\"s3\"}"), 2);
    bfr_metrics_free(metrics);
}

static void test_same_registration_gives_the_same_metric_and_series(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    const char *const names[] = {"a", "b", NULL}, *const again[] = {"a", "b", NULL};
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "T", names);
    assert_non_null(metric);
    assert_ptr_equal(bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "other help", again), metric);
    const char *const one[] = {"x", "y"}, *const same[] = {"x", "y"}, *const other[] = {"xy", ""};
    struct bfr_series *series = bfr_metric_series(metric, one);
    assert_non_null(series);
    assert_ptr_equal(bfr_metric_series(metric, same), series);
    assert_ptr_not_equal(bfr_metric_series(metric, other), series);
    bfr_metrics_free(metrics);
}

static void test_clashes_and_bad_names_are_refused(void **state)
{
    (void)state;
    static const char *const none[] = {NULL}, *const a[] = {"a", NULL}, *const b[] = {"b", NULL},
                             *const twice[] = {"a", "a", NULL}, *const le[] = {"le", NULL},
                             *const reserved[] = {"__name", NULL}, *const dash[] = {"a-b", NULL};
    static const struct {
        uint32_t type;
        const char *name;
        const char *const *labels;
    } cases[] = {
        {BFR_METRIC_GAUGE, "t_total", a},           // other type
        {BFR_METRIC_COUNTER, "t_total", b},         // other label
        {BFR_METRIC_COUNTER, "t_total", none},      // no label
        {BFR_METRIC_COUNTER, "h_bucket", none},     // what histogram h writes
        {BFR_METRIC_GAUGE, "h_sum", none},          // the same
        {BFR_METRIC_HISTOGRAM, "g", none},          // would write g_count, which is taken
        {BFR_METRIC_COUNTER, "9lives_total", none}, // bad names
        {BFR_METRIC_COUNTER, "", none},
        {BFR_METRIC_COUNTER, "t-total", none},
        {BFR_METRIC_COUNTER, "t2_total", twice},
        {BFR_METRIC_COUNTER, "t2_total", reserved},
        {BFR_METRIC_COUNTER, "t2_total", dash},
        {BFR_METRIC_HISTOGRAM, "t2", le},
        {BFR_METRIC_GAUGE, "process_open_fds", none}, // ours
        {0, "t2_total", none},                        // no such type
        {4, "t2_total", none},
    };
    struct bfr_metrics *metrics = bfr_metrics_new();
    assert_non_null(bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "T", a));
    assert_non_null(bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, "h", "H", NULL));
    assert_non_null(bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "g_count", "G", NULL));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_null(bfr_metrics_register(metrics, cases[i].type, cases[i].name, "X", cases[i].labels));
    assert_non_null(bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t2_total", "T", le)); // le is free elsewhere
    bfr_metrics_free(metrics);
}

static void test_counter_never_goes_back(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "T", NULL);
    struct bfr_series *series = bfr_metric_series(metric, NULL);
    bfr_series_add(series, 2.5);
    bfr_series_add(series, -1);
    bfr_series_add(series, (double)NAN);
    bfr_series_add(series, 1);
    assert_true(value_of(metrics, "t_total") == 3.5);
    bfr_metrics_free(metrics);
}

static void test_gauge_is_set_raised_and_lowered(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_depth", "T", NULL);
    struct bfr_series *series = bfr_metric_series(metric, NULL);
    bfr_series_set(series, 10);
    bfr_series_add(series, 2);
    bfr_series_add(series, -15);
    assert_true(value_of(metrics, "t_depth") == -3);
    bfr_metrics_free(metrics);
}

static void test_update_of_another_type_is_ignored_and_logged(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "T", NULL);
    struct bfr_metric *sizes = bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, "t_sizes", "T", NULL);
    struct capture capture = capture_begin();
    bfr_series_set(bfr_metric_series(metric, NULL), 7);
    bfr_series_observe(bfr_metric_series(metric, NULL), 7);
    bfr_series_add(bfr_metric_series(sizes, NULL), 7);
    bfr_series_add(NULL, 1); // memory was short: accepted everywhere
    bfr_series_set(NULL, 1);
    bfr_series_observe(NULL, 1);
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, "metric=t_total"));
    assert_true(value_of(metrics, "t_total") == 0);
    assert_true(value_of(metrics, "t_sizes_count") == 0);
    free(log);
    bfr_metrics_free(metrics);
}

static void test_missing_label_values_give_no_series(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    const char *const names[] = {"a", "b", NULL}, *const one[] = {"x", NULL};
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "T", names);
    assert_null(bfr_metric_series(metric, NULL));
    assert_null(bfr_metric_series(metric, one));
    assert_null(bfr_metric_series(NULL, one));
    bfr_metrics_free(metrics);
}

static void write_ledger(void *arg, struct bfr_metrics_writer *writer)
{
    struct bfr_metrics *metrics = arg;
    // A collector may use the registry: no lock of it is held.
    assert_non_null(bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_seen", "Seen.", NULL));
    const char *const labels[] = {"tenant_id", "a\"b", "x", "", NULL};
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, "t_held", "Held.");
    bfr_metrics_write_value(writer, "t_held", NULL, 3);
    bfr_metrics_write_value(writer, "t_held", labels, 2);
}

static void write_second(void *arg, struct bfr_metrics_writer *writer)
{
    (void)arg;
    bfr_metrics_write_family(writer, BFR_METRIC_COUNTER, "t_second_total", "Second.");
    bfr_metrics_write_value(writer, "t_second_total", NULL, 1);
}

static void test_collectors_write_at_each_scrape_in_order_after_the_registered(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    bfr_metrics_collect(metrics, write_ledger, metrics);
    bfr_metrics_collect(metrics, write_second, NULL);
    struct bfr_metric *metric = bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_first", "First.", NULL);
    assert_non_null(metric);
    for (int scrape = 0; scrape < 2; scrape++) {
        char *page = render(metrics);
        const char *first = strstr(page, "\nt_first 0\n");
        const char *collected = strstr(page, "# HELP t_held Held.\n"
                                             "# TYPE t_held gauge\n"
                                             "t_held 3\n"
                                             "t_held{tenant_id=\"a\\\"b\",x=\"\"} 2\n"
                                             "# HELP t_second_total Second.\n"
                                             "# TYPE t_second_total counter\n"
                                             "t_second_total 1\n");
        assert_true(first != NULL && collected > first);
        free(page);
    }
    bfr_metrics_free(metrics);
}

static void test_process_figures_are_true(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    double fds = value_of(metrics, "process_open_fds");
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(spare >= 0);
    assert_true(value_of(metrics, "process_open_fds") == fds + 1);
    close(spare);

    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(value_of(metrics, "process_max_fds") == (double)limit.rlim_cur);
    assert_true(value_of(metrics, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(metrics, "process_cpu_seconds_total") > 0);
    double start = value_of(metrics, "process_start_time_seconds");
    assert_true(start <= (double)time(NULL) + 1 && start > (double)time(NULL) - 3600);
    assert_true(value_of(metrics, "process_start_time_seconds") == start); // a change would mean a restart
    bfr_metrics_free(metrics);
}

#define THREADS 4
#define TURNS   5000

#define HOT_TURNS 100000

struct worker {
    struct bfr_metric *counter, *gauge, *histogram;
    pthread_barrier_t start;
};

// Nothing but updates, as close together as they can be.
static void *update_at_once(void *arg)
{
    struct worker *worker = arg;
    const char *const label[] = {"even"};
    struct bfr_series *counter = bfr_metric_series(worker->counter, label);
    struct bfr_series *gauge = bfr_metric_series(worker->gauge, NULL);
    struct bfr_series *histogram = bfr_metric_series(worker->histogram, NULL);
    pthread_barrier_wait(&worker->start);
    for (int i = 0; i < HOT_TURNS; i++) {
        bfr_series_add(counter, 1);
        bfr_series_add(counter, 0.5);
        bfr_series_add(gauge, 1);
        bfr_series_observe(histogram, i % 4);
    }
    return NULL;
}

static void test_updates_that_collide_are_all_counted(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    const char *const names[] = {"parity", NULL};
    struct worker worker = {
        .counter = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "T", names),
        .gauge = bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_gauge", "T", NULL),
        .histogram = bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, "t_sizes", "T", NULL),
    };
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&worker.start, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, update_at_once, &worker), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&worker.start);
    assert_true(value_of(metrics, "t_total{parity=\"even\"}") == 1.5 * THREADS * HOT_TURNS);
    assert_true(value_of(metrics, "t_gauge") == 1.0 * THREADS * HOT_TURNS);
    assert_true(value_of(metrics, "t_sizes_count") == 1.0 * THREADS * HOT_TURNS);
    bfr_metrics_free(metrics);
}

static void *update_many(void *arg)
{
    const struct worker *worker = arg;
    for (int i = 0; i < TURNS; i++) {
        const char *const label[] = {i % 2 == 0 ? "even" : "odd"};
        struct bfr_series *counter = bfr_metric_series(worker->counter, label);
        bfr_series_add(counter, 1);
        bfr_series_add(counter, 0.5);
        bfr_series_add(bfr_metric_series(worker->gauge, NULL), 1);
        bfr_series_add(bfr_metric_series(worker->gauge, NULL), -1);
        bfr_series_observe(bfr_metric_series(worker->histogram, NULL), i % 4);
    }
    return NULL;
}

static void test_updates_of_many_threads_are_all_counted_while_scraped(void **state)
{
    (void)state;
    struct bfr_metrics *metrics = bfr_metrics_new();
    const char *const names[] = {"parity", NULL};
    struct worker worker = {
        .counter = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "t_total", "T", names),
        .gauge = bfr_metrics_register(metrics, BFR_METRIC_GAUGE, "t_gauge", "T", NULL),
        .histogram = bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, "t_sizes", "T", NULL),
    };
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, update_many, &worker), 0);
    int disagreed = 0;
    for (int i = 0; i < 20; i++) {
        char *page = render(metrics);
        // The page agrees with itself at any moment: the last bucket is the count.
        if (value_in(page, "t_sizes_bucket{le=\"+Inf\"}") != value_in(page, "t_sizes_count"))
            disagreed++;
        free(page);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(disagreed, 0);
    assert_true(value_of(metrics, "t_total{parity=\"even\"}") == 0.5 * THREADS * TURNS * 1.5);
    assert_true(value_of(metrics, "t_total{parity=\"odd\"}") == 0.5 * THREADS * TURNS * 1.5);
    assert_true(value_of(metrics, "t_gauge") == 0);
    assert_true(value_of(metrics, "t_sizes_count") == THREADS * TURNS);
    assert_true(value_of(metrics, "t_sizes_sum") == 0.25 * THREADS * TURNS * (0 + 1 + 2 + 3));
    bfr_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_has_help_type_and_samples_in_order_of_registration),
        cmocka_unit_test(test_label_values_are_escaped_and_valid_utf8),
        cmocka_unit_test(test_numbers_read_back_as_they_were),
        cmocka_unit_test(test_histogram_is_cumulative_and_ends_in_inf),
        cmocka_unit_test(test_histogram_of_seconds_reaches_from_half_a_millisecond_to_a_minute),
        cmocka_unit_test(test_same_registration_gives_the_same_metric_and_series),
        cmocka_unit_test(test_clashes_and_bad_names_are_refused),
        cmocka_unit_test(test_counter_never_goes_back),
        cmocka_unit_test(test_gauge_is_set_raised_and_lowered),
        cmocka_unit_test(test_update_of_another_type_is_ignored_and_logged),
        cmocka_unit_test(test_missing_label_values_give_no_series),
        cmocka_unit_test(test_collectors_write_at_each_scrape_in_order_after_the_registered),
        cmocka_unit_test(test_process_figures_are_true),
        cmocka_unit_test(test_updates_of_many_threads_are_all_counted_while_scraped),
        cmocka_unit_test(test_updates_that_collide_are_all_counted),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
