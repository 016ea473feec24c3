// SPDX-License-Identifier: Apache-2.0
// The pages of the dead letters, and the erasure of a tenant. Each is read and checked on the admin thread and done on the
// worker, because queues read and write a disk for it. Field names are those of the previous product; what is new comes
// behind.
#include "http_admin_state.h"

#include <stdio.h>
#include <string.h>

#include "http_admin_input.h"
#include "letter_json.h"
#include "log.h"
#include "pipe_letters.h"

#define COUNTED_LETTERS 10000 // by dataset; more would keep the spool's keeper waiting

static const struct bfr_filter everything = {
    .size = sizeof everything, .tenant = "*", .dataset = "*", .filename = NULL, .id = NULL};

static const char *or_any(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static struct bfr_filter filter_of(const struct bfr_admin_selector *selector)
{
    return (struct bfr_filter){.size = sizeof(struct bfr_filter),
                               .tenant = selector->tenant,
                               .dataset = selector->dataset,
                               .filename = or_any(selector->filename),
                               .id = or_any(selector->id)};
}

static void fail_stopping(struct bfr_admin_job *job)
{
    bfr_admin_job_fail(job, 503, "the daemon is starting or stopping; try again when it is ready");
}

// --- one letter as JSON

static json_t *key_value(const struct bfr_letter *letter)
{
    char text[2 * BFR_ID_MAX + BFR_FILENAME_MAX + 3];
    snprintf(text, sizeof text, "%s/%s/%s", letter->tenant, letter->dataset, letter->filename);
    return bfr_admin_text(text);
}

static json_t *letter_value(const struct bfr_letter *letter)
{
    json_t *root = bfr_letter_json(letter, bfr_admin_text);
    if (json_object_set_new(root, "s3_key", key_value(letter)) == 0)
        return root;
    json_decref(root);
    return NULL;
}

// --- a page of them

struct page {
    json_t *data;
    uint32_t limit;
    char last[BFR_LETTER_ID_MAX + 1]; // the id of the last one on the page
    bool more;
    bool good;
};

static bool add_letter(void *arg, const struct bfr_letter *letter)
{
    struct page *page = arg;
    page->more = json_array_size(page->data) == page->limit;
    if (page->more)
        return false;
    snprintf(page->last, sizeof page->last, "%s", letter->id);
    page->good = json_array_append_new(page->data, letter_value(letter)) == 0 && page->good;
    return page->good;
}

static void list_letters(struct bfr_admin_job *job)
{
    struct page page = {.data = json_array(), .limit = job->limit, .good = true};
    struct bfr_filter filter = filter_of(&job->selector);
    filter.flags = job->retry ? BFR_FILTER_RETRY : 0;
    if (!bfr_pipeline_letters(job->admin->setup.pipeline, &filter, or_any(job->cursor), job->limit + 1, add_letter,
                              &page)) {
        json_decref(page.data);
        fail_stopping(job);
        return;
    }
    job->status = 200;
    job->reply =
        page.good ? json_pack("{s:O, s:o}", "data", page.data, "next", page.more ? json_string(page.last) : json_null())
                  : NULL;
    json_decref(page.data);
}

void bfr_admin_page_letters(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    struct bfr_admin_job job = {.run = list_letters};
    (void)parameter;
    if (bfr_admin_read_page(request, &job))
        bfr_admin_work_order(admin, request, &job);
}

static void show_letter(struct bfr_admin_job *job)
{
    struct page page = {.data = json_array(), .limit = 1, .good = true};
    const struct bfr_filter filter = filter_of(&job->selector);
    if (!bfr_pipeline_letters(job->admin->setup.pipeline, &filter, NULL, 1, add_letter, &page))
        fail_stopping(job);
    else if (json_array_size(page.data) == 0 && page.good)
        bfr_admin_job_fail(job, 404, "there is no dead letter of that id; /api/v1/dlq/files lists them");
    else
        job->reply = json_incref(json_array_get(page.data, 0));
    json_decref(page.data);
}

void bfr_admin_page_letter(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    struct bfr_admin_job job = {.run = show_letter, .status = 200, .selector = {.tenant = "*", .dataset = "*"}};
    snprintf(job.selector.id, sizeof job.selector.id, "%s", parameter);
    bfr_admin_work_order(admin, request, &job);
}

// --- figures

struct figures {
    json_t *by_tenant, *by_dataset;
    struct bfr_ledger_row total;
    uint32_t letters;
    int64_t oldest_letter_ns;
    bool good;
};

static bool add_row(void *arg, const struct bfr_ledger_row *row)
{
    struct figures *figures = arg;
    if (row->tenant == NULL) {
        figures->total = *row;
        return true;
    }
    if (row->held_batches == 0 && row->buried_batches == 0)
        return true;
    json_t *entry = json_pack("{s:I, s:I, s:I, s:I}", "queue_files", (json_int_t)row->held_batches, "queue_bytes",
                              (json_int_t)row->held_bytes, "dlq_files", (json_int_t)row->buried_batches, "dlq_bytes",
                              (json_int_t)row->buried_bytes);
    figures->good = json_object_set_new(figures->by_tenant, row->tenant, entry) == 0 && figures->good;
    return figures->good;
}

static void raise(json_t *object, const char *key, uint64_t by)
{
    json_object_set_new(object, key, json_integer(json_integer_value(json_object_get(object, key)) + (json_int_t)by));
}

static bool count_letter(void *arg, const struct bfr_letter *letter)
{
    struct figures *figures = arg;
    char name[2 * BFR_ID_MAX + 2];
    snprintf(name, sizeof name, "%s/%s", letter->tenant, letter->dataset);
    json_t *entry = json_object_get(figures->by_dataset, name);
    if (entry == NULL) {
        entry = json_pack("{s:i, s:i}", "dlq_files", 0, "dlq_bytes", 0);
        figures->good = json_object_set_new(figures->by_dataset, name, entry) == 0 && figures->good;
    }
    if (!figures->good)
        return false;
    raise(entry, "dlq_files", 1);
    raise(entry, "dlq_bytes", letter->body_bytes);
    if (figures->letters++ == 0)
        figures->oldest_letter_ns = letter->created_ns;
    return true;
}

static bool find_oldest(void *arg, const struct bfr_queue_status *queue)
{
    int64_t *oldest_ns = arg;
    int64_t mine_ns = queue->stats.oldest_received_ns;
    if (mine_ns > 0 && (*oldest_ns == 0 || mine_ns < *oldest_ns))
        *oldest_ns = mine_ns;
    return true;
}

// What is being delivered or tried again is part of the queue: batches do not move to another place for it.
static json_t *figures_value(const struct figures *figures, int64_t oldest_ns)
{
    const struct bfr_ledger_row *total = &figures->total;
    json_int_t files = (json_int_t)total->held_batches + (json_int_t)total->buried_batches;
    json_int_t bytes = (json_int_t)total->held_bytes + (json_int_t)total->buried_bytes;
    bool complete = figures->letters < COUNTED_LETTERS;
    json_t *oldest = oldest_ns > 0 ? bfr_letter_time_value(oldest_ns) : NULL;
    json_t *oldest_letter = figures->oldest_letter_ns > 0 ? bfr_letter_time_value(figures->oldest_letter_ns) : NULL;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:O, s:O, s:b, s:o*, s:o*}", "total_files", files,
                     "total_bytes", bytes, "queue_files", (json_int_t)total->held_batches, "queue_bytes",
                     (json_int_t)total->held_bytes, "dlq_files", (json_int_t)total->buried_batches, "dlq_bytes",
                     (json_int_t)total->buried_bytes, "retry_files", 0, "retry_bytes", 0, "by_tenant",
                     figures->by_tenant, "by_dataset", figures->by_dataset, "by_dataset_complete", complete,
                     "oldest_queue_file", oldest, "oldest_dlq_file", oldest_letter);
}

static void count_letters(struct bfr_admin_job *job)
{
    struct bfr_pipeline *pipeline = job->admin->setup.pipeline;
    struct figures figures = {.by_tenant = json_object(), .by_dataset = json_object(), .good = true};
    int64_t oldest_ns = 0;
    figures.good = figures.by_tenant != NULL && figures.by_dataset != NULL;
    if (figures.good)
        bfr_pipeline_ledger(pipeline, add_row, &figures);
    bfr_pipeline_queues(pipeline, find_oldest, &oldest_ns);
    if (figures.good && !bfr_pipeline_letters(pipeline, &everything, NULL, COUNTED_LETTERS, count_letter, &figures))
        fail_stopping(job);
    else
        job->reply = figures.good ? json_pack("{s:o}", "data", figures_value(&figures, oldest_ns)) : NULL;
    json_decref(figures.by_tenant);
    json_decref(figures.by_dataset);
}

void bfr_admin_page_letters_stats(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    const struct bfr_admin_job job = {.run = count_letters, .status = 200};
    (void)parameter;
    bfr_admin_work_order(admin, request, &job);
}

// --- changes

static void report(struct bfr_admin_job *job, const char *done, const char *would, uint64_t count)
{
    char message[96];
    snprintf(message, sizeof message, "%llu %s", (unsigned long long)count, job->selector.dry_run ? would : done);
    job->reply = json_pack("{s:s, s:I}", "message", message, "count", (json_int_t)count);
}

// Who may ask for it was checked; that it was asked for is worth a line.
static void log_change(const struct bfr_admin_job *job, const char *message, uint64_t count)
{
    if (!job->selector.dry_run)
        bfr_say(BFR_LOG_INFO, "api", message, "tenant", job->selector.tenant, "dataset", job->selector.dataset,
                "filename", job->selector.filename, "id", job->selector.id, "batches", bfr_num((int64_t)count).text,
                NULL);
}

static void retry_letters(struct bfr_admin_job *job)
{
    const struct bfr_filter filter = filter_of(&job->selector);
    uint64_t count = 0;
    if (!bfr_pipeline_redrive(job->admin->setup.pipeline, &filter, job->selector.dry_run, &count)) {
        fail_stopping(job);
        return;
    }
    log_change(job, "dead letters are offered to their sinks again", count);
    report(job, "dead letters are offered to their sinks again", "dead letters would be offered to their sinks again",
           count);
}

static void purge_letters(struct bfr_admin_job *job)
{
    const struct bfr_filter filter = filter_of(&job->selector);
    uint64_t count = 0;
    if (!bfr_pipeline_purge(job->admin->setup.pipeline, &filter, false, job->selector.dry_run, &count)) {
        fail_stopping(job);
        return;
    }
    log_change(job, "dead letters were purged", count);
    report(job, "dead letters were purged", "dead letters would be purged", count);
}

static void purge_tenant(struct bfr_admin_job *job)
{
    const struct bfr_filter filter = filter_of(&job->selector);
    uint64_t count = 0;
    if (!bfr_pipeline_purge(job->admin->setup.pipeline, &filter, true, job->selector.dry_run, &count)) {
        fail_stopping(job);
        return;
    }
    log_change(job, "a tenant's batches and dead letters were purged", count);
    report(job, "batches and dead letters were purged; what is being delivered right now is not among them",
           "batches and dead letters would be purged", count);
}

void bfr_admin_page_retry(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    struct bfr_admin_job job = {.run = retry_letters, .status = 200};
    (void)parameter;
    if (bfr_admin_read_selector(request, &job.selector))
        bfr_admin_work_order(admin, request, &job);
}

void bfr_admin_page_purge(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    struct bfr_admin_job job = {.run = purge_letters, .status = 200};
    (void)parameter;
    if (bfr_admin_read_selector(request, &job.selector))
        bfr_admin_work_order(admin, request, &job);
}

static bool is_id(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return text[0] != '.' && text[strspn(text, allowed)] == '\0';
}

// One tenant by its name: "*" is no name, and an erasure of everybody is not asked for like this.
void bfr_admin_page_purge_tenant(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    struct bfr_admin_job job = {.run = purge_tenant, .status = 200, .selector = {.dataset = "*"}};
    size_t length = strlen(parameter);
    if (length > BFR_ID_MAX || !is_id(parameter)) {
        bfr_admin_reply_error(request, 400, "name one tenant by its id: letters, digits, '.', '_' and '-', at most 64");
        return;
    }
    memcpy(job.selector.tenant, parameter, length + 1);
    if (bfr_admin_read_dry_run(request, &job.selector.dry_run))
        bfr_admin_work_order(admin, request, &job);
}
