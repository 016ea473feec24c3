// SPDX-License-Identifier: Apache-2.0
// What the page of figures promises.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin_rig.h"

static void count(struct fixture *fixture, const char *name, const char *const *labels, const char *const *values,
                  double value)
{
    struct bfr_metric *metric = bfr_metrics_register(fixture->metrics, BFR_METRIC_GAUGE, name, "Test.", labels);
    bfr_series_set(bfr_metric_series(metric, values), value);
}

static json_int_t number_at(const json_t *json, const char *object, const char *member)
{
    const json_t *value = json_object_get(json_object_get(json, object), member);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void test_stats_have_the_registrys_figures_and_the_busiest_tenants_first(void **state)
{
    struct fixture *fixture = *state;
    static const char *const by_reason[] = {"reason", NULL}, *const by_outcome[] = {"sink", "outcome", NULL};
    static const char *const full[] = {"spool_full", NULL}, *const never[] = {"quota", NULL},
                             *const retried[] = {"main", "retry", NULL}, *const foreign[] = {"other", "retry", NULL};
    fixture->settings.memory.budget = 1000;
    count(fixture, "bytefreezer_receiver_refused_total", by_reason, full, 7);
    count(fixture, "bytefreezer_receiver_refused_total", by_reason, never, 0);
    count(fixture, "bytefreezer_receiver_memory_used_bytes", NULL, NULL, 12);
    count(fixture, "bytefreezer_receiver_spool_full_seconds", NULL, NULL, -1);
    count(fixture, "bytefreezer_receiver_sink_attempts_total", by_outcome, retried, 3);
    count(fixture, "bytefreezer_receiver_sink_attempts_total", by_outcome, foreign, 4);

    json_t *json = ask_json(fixture, "GET", "/api/v1/stats", "", 200);
    assert_int_equal(number_at(json, "refused", "spool_full"), 7);
    assert_int_equal(json_object_size(json_object_get(json, "refused")), 1); // what did not happen is left out
    assert_int_equal(number_at(json, "memory", "used_bytes"), 12);
    assert_int_equal(number_at(json, "memory", "budget_bytes"), 1000);
    assert_true(number_at(json, "memory", "resident_bytes") > 0);
    assert_true(json_is_null(json_object_get(json_object_get(json, "spool"), "full_seconds")));
    const json_t *sink = json_array_get(json_object_get(json, "sinks"), 0);
    assert_int_equal(number_at(sink, "attempts", "retry"), 3);
    static const char *const order[] = {"large", "alike", "small"};
    const json_t *tenants = json_object_get(json, "tenants");
    assert_int_equal(json_array_size(tenants), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(text_of(json_array_get(tenants, i), "tenant_id"), order[i]);
    assert_true(json_is_true(json_object_get(json, "tenants_complete")));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(test_stats_have_the_registrys_figures_and_the_busiest_tenants_first),
    };
    return cmocka_run_group_tests_name("http_admin_stats", tests, NULL, NULL);
}
