// SPDX-License-Identifier: Apache-2.0
// The fake pipeline, the fixture and its questions. What the fake tells of dead letters and tenants is the same each time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin_rig.h"
#include "pipe_letters.h"

bool bfr_pipeline_ready(struct bfr_pipeline *pipeline, const char **out_reason)
{
    const char *reason = atomic_load(&pipeline->unready);
    if (reason != NULL)
        *out_reason = reason;
    return reason == NULL;
}

static struct bfr_letter letter_of(uint32_t number, char id[9])
{
    snprintf(id, 9, "%08x", number);
    return (struct bfr_letter){.size = sizeof(struct bfr_letter),
                               .reason = BFR_REASON_REJECTED,
                               .id = id,
                               .account = "",
                               .tenant = "acme",
                               .dataset = "web",
                               .filename = "not UTF-8: \xff",
                               .body_bytes = 7,
                               .first_error = "",
                               .last_error = "http 400"};
}

bool bfr_pipeline_letters(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, const char *cursor,
                          uint32_t limit, bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg)
{
    uint32_t number = cursor == NULL ? 0 : (uint32_t)strtoul(cursor, NULL, 16);
    (void)filter;
    bool more = !atomic_load(&pipeline->stopped);
    while (more && limit-- > 0 && ++number <= atomic_load(&pipeline->letters)) {
        char id[9];
        const struct bfr_letter letter = letter_of(number, id);
        more = visit(arg, &letter);
    }
    return !atomic_load(&pipeline->stopped);
}

bool bfr_pipeline_redrive(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool dry_run,
                          uint64_t *out_count)
{
    (void)filter, (void)dry_run;
    *out_count = atomic_load(&pipeline->letters);
    return !atomic_load(&pipeline->stopped);
}

bool bfr_pipeline_purge(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool held, bool dry_run,
                        uint64_t *out_count)
{
    (void)held;
    return bfr_pipeline_redrive(pipeline, filter, dry_run, out_count);
}

void bfr_pipeline_ledger(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_ledger_row *row),
                         void *arg)
{
    const struct bfr_ledger_row rows[] = {{.size = sizeof rows[0], .buried_batches = atomic_load(&pipeline->letters)},
                                          {.size = sizeof rows[0], .tenant = "small", .accepted_bytes = 5},
                                          {.size = sizeof rows[0], .tenant = "large", .accepted_bytes = 6},
                                          {.size = sizeof rows[0], .tenant = "alike", .accepted_bytes = 5}};
    bool more = true;
    for (size_t i = 0; more && i < sizeof rows / sizeof rows[0]; i++)
        more = visit(arg, &rows[i]);
}

int64_t bfr_pipeline_unaccounted(struct bfr_pipeline *pipeline)
{
    (void)pipeline;
    return 0;
}

void bfr_pipeline_queues(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_queue_status *queue),
                         void *arg)
{
    (void)pipeline;
    const struct bfr_queue_status queue = {.name = "memory", .plugin = "memory", .is_volatile = true};
    (void)visit(arg, &queue);
}

void bfr_pipeline_sinks(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_sink_status *sink),
                        void *arg)
{
    (void)pipeline;
    const struct bfr_sink_status sink = {.name = "main", .plugin = "s3", .in_flight = 2, .breaker_open = true};
    (void)visit(arg, &sink);
}

static void visit_stages(void *arg, bool (*visit)(void *visit_arg, const struct bfr_stage_status *stage),
                         void *visit_arg)
{
    const struct fixture *fixture = arg;
    const struct bfr_stage_status queue = {sizeof queue, BFR_KIND_QUEUE, "memory", "memory", BFR_HEALTH_OK, ""};
    if (visit(visit_arg, &queue))
        (void)visit(visit_arg, &fixture->sink);
}

static const char *const loopback[] = {"127.0.0.1"};

struct bfr_admin_setup setup_of(struct fixture *fixture)
{
    return (struct bfr_admin_setup){.settings = &fixture->settings,
                                    .metrics = fixture->metrics,
                                    .pipeline = &fixture->pipeline,
                                    .stages = visit_stages,
                                    .stages_arg = fixture,
                                    .version = "1.2.3"};
}

int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->settings.server.bind = loopback;
    fixture->settings.server.bind_count = 1;
    fixture->settings.server.admin_token = "";
    fixture->settings.server.tls = (struct bfr_tls_settings){"", "", ""};
    fixture->metrics = bfr_metrics_new();
    fixture->sink = (struct bfr_stage_status){sizeof fixture->sink, BFR_KIND_SINK, "main", "s3", BFR_HEALTH_OK, ""};
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_admin_setup setup = setup_of(fixture);
    if (bfr_http_admin_new(&setup, &fixture->admin, &err) != BFR_OK ||
        bfr_http_admin_start(fixture->admin, &err) != BFR_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    fixture->port = bfr_http_admin_port(fixture->admin);
    *state = fixture;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *fixture = *state;
    bfr_http_admin_stop(fixture->admin);
    bfr_http_admin_free(fixture->admin);
    bfr_metrics_free(fixture->metrics);
    free(fixture);
    return 0;
}

struct raw_reply reply; // too large for the stack

void ask(const struct fixture *fixture, const char *method, const char *target)
{
    int fd = raw_dial(fixture->port);
    assert_true(fd >= 0);
    raw_ask(fd, &reply, method, target);
    close(fd);
}

bool has_header(const char *line)
{
    const char *at = strstr(reply.text, line);
    return at != NULL && reply.body != NULL && at < reply.body && strncmp(at + strlen(line), "\r\n", 2) == 0;
}

const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "(none)";
}

json_t *ask_json(const struct fixture *fixture, const char *method, const char *target, const char *body, int status)
{
    char text[512];
    int fd = raw_dial(fixture->port);
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", method, target,
             strlen(body), body);
    raw_send(fd, text);
    raw_receive(fd, &reply, true);
    close(fd);
    assert_int_equal(reply.status, status);
    json_t *json = json_loads(reply.body, 0, NULL);
    assert_non_null(json);
    return json;
}
