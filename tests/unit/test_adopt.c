// SPDX-License-Identifier: Apache-2.0
// Adoption of the previous product's tree by a disk stage: whole batches are held, dead letters are letters, broken files are
// kept, whatever the metas look like. And its pure parts: names, times, gzip judged to its last byte.
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "disk_stage.h"

#include <zlib.h>

#include "adopt_body.h"
#include "adopt_meta.h"
#include "adopt_name.h"

#define ADOPTED "files of the previous product are adopted"

// This program's come before the C library's, and fail when told to: root can be refused by nothing simpler.
static atomic_bool refuse_access, refuse_unlink; // of batches alone

__attribute__((visibility("default"))) int faccessat(int fd, const char *path, int mode, int flags);
__attribute__((visibility("default"))) int unlinkat(int fd, const char *path, int flags);

int faccessat(int fd, const char *path, int mode, int flags)
{
    if (atomic_load(&refuse_access)) {
        errno = EACCES;
        return -1;
    }
    int (*real)(int, const char *, int, int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "faccessat");
    memcpy(&real, &symbol, sizeof real);
    return real(fd, path, mode, flags);
}

int unlinkat(int fd, const char *path, int flags)
{
    if (atomic_load(&refuse_unlink) && strstr(path, ".gz") != NULL) {
        errno = EPERM;
        return -1;
    }
    int (*real)(int, const char *, int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "unlinkat");
    memcpy(&real, &symbol, sizeof real);
    return real(fd, path, flags);
}

// --- names and times

static void test_names_become_object_names(void **state)
{
    static const struct {
        const char *name, *expected; // NULL: refused
    } cases[] = {
        {"a--b--1--ndjson.gz", "a--b--1--ndjson.gz"},
        {"a--b--1--ndjson", "a--b--1--ndjson.gz"},
        {"batch.ndjson.gz", "batch--ndjson.gz"},
        {"batch.ndjson", "batch--ndjson.gz"},
        {"x--y--1--z.gz", "x--y--1--z.gz"},
        {"a..gz", NULL},
        {"a.", NULL}, // would become a..gz
        {"../a.gz", NULL},
        {"a\\b.gz", NULL},
        {"a\nb.gz", NULL},
        {"a\x7f.gz", NULL},
        {"\xff.gz", NULL},
        {"\xc2\x85.gz", NULL},
        {"\xc3\xa4.gz", "\xc3\xa4.gz"},
        {"", NULL},
    };
    char out[BFR_FILENAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool good = bfr_adopt_filename(cases[i].name, out);
        assert_int_equal(good, cases[i].expected != NULL);
        if (good)
            assert_string_equal(out, cases[i].expected);
    }
}

static void test_a_name_too_long_once_completed_is_refused(void **state)
{
    char name[BFR_FILENAME_MAX + 2], out[BFR_FILENAME_MAX + 1];
    (void)state;
    memset(name, 'a', sizeof name);
    name[BFR_FILENAME_MAX - 3] = '\0';
    assert_true(bfr_adopt_filename(name, out));
    assert_int_equal(strlen(out), BFR_FILENAME_MAX);
    name[BFR_FILENAME_MAX - 3] = 'a';
    name[BFR_FILENAME_MAX - 2] = '\0';
    assert_false(bfr_adopt_filename(name, out));
    memcpy(name + BFR_FILENAME_MAX - 12, ".ndjson.gz", sizeof ".ndjson.gz");
    assert_true(bfr_adopt_filename(name, out)); // one byte longer
    memset(name, 'a', BFR_FILENAME_MAX - 10);
    memcpy(name + BFR_FILENAME_MAX - 10, ".ndjson.gz", sizeof ".ndjson.gz");
    assert_false(bfr_adopt_filename(name, out));
}

static void test_directories_are_ids_as_the_edge_takes_them(void **state)
{
    char out[BFR_ID_MAX + 1], longest[BFR_ID_MAX + 3];
    (void)state;
    assert_true(bfr_adopt_id("fire.wall--1", out));
    assert_true(bfr_adopt_id("acme.", out));
    assert_string_equal(out, "acme");
    memset(longest, 'a', sizeof longest);
    longest[BFR_ID_MAX + 1] = '\0';
    assert_false(bfr_adopt_id(longest, out));
    longest[BFR_ID_MAX] = '.';
    assert_true(bfr_adopt_id(longest, out));
    assert_false(bfr_adopt_id(".bfr", out));
    assert_false(bfr_adopt_id(".", out));
    assert_false(bfr_adopt_id("lost+found", out));
    assert_false(bfr_adopt_id("", out));
}

static void test_the_hint_is_the_fourth_part(void **state)
{
    char out[16];
    (void)state;
    bfr_adopt_hint("a--b--17--csv.gz", "a", "b", out, sizeof out);
    assert_string_equal(out, "csv");
    bfr_adopt_hint("a--x--b.--17--raw.gz", "a--x", "b", out, sizeof out);
    assert_string_equal(out, "raw");
    static const char *const none[] = {"a--b--17--.gz", "batch.gz", "a--c--17--csv.gz", "a--b--17.gz",
                                       "a--b--17--longer-than-there-is-room.gz"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        bfr_adopt_hint(none[i], "a", "b", out, sizeof out);
        assert_string_equal(out, "unknown");
    }
}

static void test_times_are_read_with_offset_and_fraction(void **state)
{
    (void)state;
    assert_true(bfr_adopt_time("1970-01-01T00:00:01Z") == 1000000000);
    assert_true(bfr_adopt_time("2024-05-06T07:08:09+02:00") == INT64_C(1714972089) * 1000000000);
    assert_true(bfr_adopt_time("2024-05-06T05:08:09.25Z") == INT64_C(1714972089) * 1000000000 + 250000000);
    assert_true(bfr_adopt_time("2024-05-06T02:38:09.123456789123-02:30") ==
                INT64_C(1714972089) * 1000000000 + 123456789);
    static const char *const none[] = {"",           "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z",     "yesterday",
                                       "2024-05-06", "2024-05-06T05:08:09",  "2024-05-06T05:08:09+0200", "1714972089",
                                       NULL,         "2024-05-06T05:08:09Zx"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_true(bfr_adopt_time(none[i]) == 0);
}

// --- bodies

static size_t gzip_of(const char *text, size_t size, uint8_t *out, size_t room)
{
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

static enum adopt_judgement judge(const uint8_t *bytes, size_t size, bool (*stop)(void *arg), struct adopt_body *out)
{
    const char *why = NULL;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fflush(file), 0);
    enum adopt_judgement judgement = bfr_adopt_body_read(fileno(file), size, stop, NULL, out, &why);
    fclose(file);
    assert_int_equal(why != NULL, judgement == ADOPT_BODY_BROKEN);
    assert_int_equal(out->bytes != NULL, judgement == ADOPT_BODY_GOOD);
    return judgement;
}

static void test_a_gzip_body_cut_anywhere_is_broken(void **state)
{
    uint8_t bytes[512], digest[32];
    struct adopt_body body;
    (void)state;
    size_t size = gzip_of("{\"a\": 1}\n{\"b\": 2}\n", 18, bytes, sizeof bytes);
    assert_int_equal(judge(bytes, size, never, &body), ADOPT_BODY_GOOD);
    assert_int_equal(body.size, size);
    assert_memory_equal(body.bytes, bytes, size);
    bfr_fake_sha256(bytes, size, digest);
    assert_memory_equal(body.stored_sha256, digest, 32);
    assert_memory_equal(body.source_sha256, digest, 32);
    assert_int_equal(body.crc32c, bfr_fake_crc32c(bytes, size));
    assert_false(body.compressed_here);
    free(body.bytes);
    for (size_t cut = 2; cut < size; cut++) // less is no gzip
        assert_int_equal(judge(bytes, cut, never, &body), ADOPT_BODY_BROKEN);
}

static void test_a_flipped_bit_is_found_wherever_gzip_can_tell(void **state)
{
    uint8_t bytes[512];
    struct adopt_body body;
    (void)state;
    size_t size = gzip_of("{\"a\": 1}\n{\"b\": 2}\n", 18, bytes, sizeof bytes);
    for (size_t bit = 10 * 8; bit < size * 8; bit++) { // the head before has times and systems, which may be anything
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        enum adopt_judgement judgement = judge(bytes, size, never, &body);
        if (judgement == ADOPT_BODY_GOOD) {
            // Bits behind the last block are padding; everything else is covered by length or checksum.
            assert_in_range(bit / 8, size - 9, size - 9);
            free(body.bytes);
        }
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_members_may_follow_one_another_and_nothing_else(void **state)
{
    uint8_t bytes[512];
    struct adopt_body body;
    (void)state;
    size_t first = gzip_of("one\n", 4, bytes, sizeof bytes);
    size_t size = first + gzip_of("two\n", 4, bytes + first, sizeof bytes - first);
    assert_int_equal(judge(bytes, size, never, &body), ADOPT_BODY_GOOD);
    free(body.bytes);
    assert_int_equal(judge(bytes, size - 1, never, &body), ADOPT_BODY_BROKEN);
    assert_int_equal(judge(bytes, first + 1, never, &body), ADOPT_BODY_BROKEN);
    bytes[first] = 0;
    assert_int_equal(judge(bytes, first + 1, never, &body), ADOPT_BODY_BROKEN);
}

static void test_plain_bytes_become_one_gzip_member(void **state)
{
    static const char plain[] = "{\"plain\": true}\n{\"plain\": true}\n";
    char back[256];
    uint8_t digest[32];
    struct adopt_body body;
    z_stream z = {.zalloc = NULL};
    (void)state;
    assert_int_equal(judge((const uint8_t *)plain, strlen(plain), never, &body), ADOPT_BODY_GOOD);
    assert_true(body.compressed_here);
    bfr_fake_sha256(plain, strlen(plain), digest);
    assert_memory_equal(body.source_sha256, digest, 32);
    bfr_fake_sha256(body.bytes, body.size, digest);
    assert_memory_equal(body.stored_sha256, digest, 32);
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = body.bytes;
    z.avail_in = (uInt)body.size;
    z.next_out = (Bytef *)back;
    z.avail_out = sizeof back;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(sizeof back - z.avail_out, strlen(plain));
    assert_memory_equal(back, plain, strlen(plain));
    inflateEnd(&z);
    free(body.bytes);
}

static void test_a_stop_is_heard_while_a_body_is_judged(void **state)
{
    uint8_t bytes[512];
    struct adopt_body body;
    (void)state;
    size_t size = gzip_of("one\n", 4, bytes, sizeof bytes);
    assert_int_equal(judge(bytes, size, always, &body), ADOPT_BODY_STOPPED);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(judge(bytes, sizeof bytes, never, &body), ADOPT_BODY_BROKEN);
}

// --- a stage

static void write_file(const char *part, const char *name, const void *bytes, size_t size)
{
    char path[400];
    static const char *const levels[] = {"/acme", "/web", "/"};
    int used = snprintf(path, sizeof path, "%s", stage_directory);
    for (size_t i = 0; i < 3; i++) {
        used += snprintf(path + used, sizeof path - (size_t)used, "%s%s", levels[i], i == 2 ? part : "");
        assert_true(mkdir(path, 0750) == 0 || errno == EEXIST);
    }
    snprintf(path + used, sizeof path - (size_t)used, "/%s", name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static size_t write_batch(const char *part, const char *name, const char *text, const char *meta)
{
    uint8_t bytes[1024];
    char meta_name[256];
    size_t size = gzip_of(text, strlen(text), bytes, sizeof bytes);
    write_file(part, name, bytes, size);
    snprintf(meta_name, sizeof meta_name, "%s.meta", name);
    if (meta != NULL)
        write_file(part, meta_name, meta, strlen(meta));
    return size;
}

static bool is_over(struct stage *stage)
{
    return plugin_file_logged(stage->fake, ADOPTED);
}

static bool tree_is_there(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/acme", stage_directory);
    return access(path, F_OK) == 0;
}

static void test_adopted_batches_are_held_until_their_sink_has_them(void **state)
{
    (void)state;
    size_t size = write_batch("queue", "a.gz", "one\n", "{\"line_count\": 41, \"data_hint\": \"csv\"}");
    struct stage stage = open_stage(NULL);
    assert_true(eventually(&stage, is_over));
    assert_false(tree_is_there());
    assert_int_equal(stats_of(&stage).held_batches, 1);
    plugin_file_finish(stage.fake); // and over a restart
    stage = open_stage(NULL);
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_string_equal(lease->batch->filename, "a.gz");
    assert_string_equal(lease->batch->data_hint, "csv");
    assert_int_equal(lease->batch->line_count, 41);
    assert_int_equal(lease->batch->body_bytes, size);
    assert_int_equal(lease->attempts, 0); // the previous product's count has outages in it
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
}

static bool has_letter(void *arg, const struct bfr_letter *letter)
{
    unsigned *count = arg;
    (*count)++;
    assert_string_equal(letter->filename, "dead.gz");
    assert_int_equal(letter->reason, BFR_REASON_ADOPTED);
    assert_string_equal(letter->last_error, "S3 upload failed");
    assert_int_equal(letter->attempts, 5);
    return true;
}

static void test_an_adopted_letter_can_be_redriven(void **state)
{
    const struct bfr_filter all = {.size = sizeof all, .tenant = "*", .dataset = "*"};
    unsigned count = 0;
    (void)state;
    write_batch("dlq", "dead.gz", "dead\n",
                "{\"failure_reason\": \"S3 upload failed\", \"retry_count\": 5, \"created_at\": 1714972089000000000}");
    struct stage stage = open_stage(NULL);
    assert_true(eventually(&stage, is_over));
    assert_int_equal(stats_of(&stage).buried_batches, 1);
    assert_string_equal(bfr_fake_key(stage.fake, 0), "buried acme/web/dead.gz");
    assert_false(has_lease(&stage, 0));
    assert_int_equal(stage.table->letters(stage.self, &all, NULL, 10, has_letter, &count), 1);
    assert_int_equal(count, 1);
    assert_int_equal(stage.table->redrive(stage.self, &all, false, NULL, NULL), 1);
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_true(lease->batch->created_ns == INT64_C(1714972089000000000));
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
}

static void test_every_consumer_gets_an_adopted_batch(void **state)
{
    (void)state;
    write_batch("retry", "a.gz", "one\n", "{torn");
    struct stage stage = open_stage_for("main", "archive", NULL);
    struct bfr_lease *first = lease_one(&stage, 0), *second = lease_one(&stage, 1);
    assert_string_equal(bfr_fake_key(stage.fake, 0), "held acme/web/a.gz"); // before it can be leased
    assert_null(bfr_fake_key(stage.fake, 1));
    assert_int_equal(ack_one(&stage, 0, first), BFR_SETTLED_OPEN);
    assert_int_equal(ack_one(&stage, 1, second), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
}

static void test_a_directory_that_cannot_be_written_keeps_its_files(void **state)
{
    (void)state;
    write_batch("queue", "a.gz", "one\n", NULL);
    atomic_store(&refuse_access, true);
    struct stage stage = open_stage(NULL);
    assert_true(eventually(&stage, is_over));
    assert_true(plugin_file_logged(stage.fake, "it could not be removed"));
    assert_true(tree_is_there());
    assert_int_equal(stats_of(&stage).held_batches, 0);
    plugin_file_finish(stage.fake);
    atomic_store(&refuse_access, false);
    stage = open_stage(NULL);
    assert_int_equal(ack_one(&stage, 0, lease_one(&stage, 0)), BFR_SETTLED_STORED);
    assert_true(eventually(&stage, is_over));
    assert_false(tree_is_there());
    plugin_file_finish(stage.fake);
}

static void test_a_file_that_cannot_be_removed_is_adopted_once(void **state)
{
    (void)state;
    write_batch("queue", "a.gz", "one\n", NULL);
    atomic_store(&refuse_unlink, true);
    struct stage stage = open_stage(NULL);
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_string_equal(lease->batch->filename, "a.gz");
    assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    plugin_file_finish(stage.fake);
    assert_true(tree_is_there());
    for (int life = 0; life < 2; life++) {
        stage = open_stage(NULL);
        assert_true(eventually(&stage, is_over));
        assert_int_equal(stats_of(&stage).held_batches, 0);
        assert_int_equal(tree_is_there(), life == 0);
        plugin_file_finish(stage.fake);
        atomic_store(&refuse_unlink, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_become_object_names),
        cmocka_unit_test(test_a_name_too_long_once_completed_is_refused),
        cmocka_unit_test(test_directories_are_ids_as_the_edge_takes_them),
        cmocka_unit_test(test_the_hint_is_the_fourth_part),
        cmocka_unit_test(test_times_are_read_with_offset_and_fraction),
        cmocka_unit_test(test_a_gzip_body_cut_anywhere_is_broken),
        cmocka_unit_test(test_a_flipped_bit_is_found_wherever_gzip_can_tell),
        cmocka_unit_test(test_members_may_follow_one_another_and_nothing_else),
        cmocka_unit_test(test_plain_bytes_become_one_gzip_member),
        cmocka_unit_test(test_a_stop_is_heard_while_a_body_is_judged),
        cmocka_unit_test_setup_teardown(test_adopted_batches_are_held_until_their_sink_has_them, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(test_an_adopted_letter_can_be_redriven, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_every_consumer_gets_an_adopted_batch, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_removed_is_adopted_once, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(test_a_directory_that_cannot_be_written_keeps_its_files, make_directory,
                                        remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
