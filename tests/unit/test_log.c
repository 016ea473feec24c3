// SPDX-License-Identifier: Apache-2.0
// What the log promises: whole and well-formed lines whatever goes in, repeats folded without losing count, and no
// waiting for a reader that does not read. Time is moved by hand where it matters.
#include "log.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <jansson.h>

#include "capture.h"
#include "log_fold.h"
#include "utf8.h"

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int failed = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    if (failed != 0)
        fail_msg("'%s' does not match '%s'", text, pattern);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

// One line by way of stderr.
static char *write_one(enum bfr_log_format format, uint32_t level, const char *message, const char *const *fields)
{
    bfr_log_configure(BFR_LOG_DEBUG, format);
    struct capture capture = capture_begin();
    bfr_log_write(level, "s3", message, fields);
    char *text = capture_end(&capture);
    bfr_log_configure(BFR_LOG_INFO, BFR_LOG_LOGFMT);
    return text;
}

static void test_logfmt_line_has_time_level_inst_message_fields(void **state)
{
    (void)state;
    const char *const fields[] = {"batch", "b.ndjson.gz", "attempt", "3", NULL};
    char *text = write_one(BFR_LOG_LOGFMT, BFR_LOG_WARN, "upload failed", fields);
    assert_matches(text, "^ts=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z level=warn inst=s3 "
                         "msg=\"upload failed\" batch=b\\.ndjson\\.gz attempt=3\n$");
    free(text);
}

static void test_time_is_utc_with_milliseconds(void **state)
{
    (void)state;
    struct bfr_log_line line;
    bfr_log_line_begin(&line, BFR_LOG_LOGFMT, INT64_C(1767323045678999999), BFR_LOG_INFO, "main", "m", NULL);
    bfr_log_line_end(&line, 1);
    line.text[line.size] = '\0';
    assert_string_equal(line.text, "ts=2026-01-02T03:04:05.678Z level=info inst=main msg=\"m\"\n");
}

static void test_values_are_quoted_where_a_reader_would_stumble(void **state)
{
    (void)state;
    static const struct {
        const char *value, *shown;
    } cases[] = {
        {"plain", " v=plain\n"},
        {"/a/b:1,2", " v=/a/b:1,2\n"},
        {"", " v=\"\"\n"},
        {"two words", " v=\"two words\"\n"},
        {"a=b", " v=\"a=b\"\n"},
        {"say \"hi\"", " v=\"say \\\"hi\\\"\"\n"},
        {"back\\slash", " v=\"back\\\\slash\"\n"},
        {"line\nbreak\ttab\rcr", " v=\"line\\nbreak\\ttab\\rcr\"\n"},
        {"\x1b[31mred", " v=\"\\u001b[31mred\"\n"},
        {"\x7f", " v=\"\\u007f\"\n"},
        {"c1\xc2\x9b", " v=\"c1\\u009b\"\n"},
        {"bidi\xe2\x80\xae", " v=\"bidi\\u202e\"\n"},
        {"gr\xc3\xbc\xc3\x9f\x65", " v=gr\xc3\xbc\xc3\x9f\x65\n"},
        {"bad\xff", " v=\"bad\xef\xbf\xbd\"\n"},
        {"cut\xe2\x82", " v=\"cut\xef\xbf\xbd\xef\xbf\xbd\"\n"},
        {"overlong\xc0\xaf", " v=\"overlong\xef\xbf\xbd\xef\xbf\xbd\"\n"},
        {"surrogate\xed\xa0\x80", " v=\"surrogate\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const fields[] = {"v", cases[i].value, NULL};
        char *text = write_one(BFR_LOG_LOGFMT, BFR_LOG_DEBUG, "quoting", fields);
        assert_non_null(strstr(text, "msg=\"quoting\""));
        assert_string_equal(strstr(text, " v="), cases[i].shown);
        free(text);
    }
}

static void test_fields_cannot_pass_for_our_own(void **state)
{
    (void)state;
    const char *const fields[] = {"level", "info", "k v=\"", "x", "", "y", NULL};
    char *text = write_one(BFR_LOG_LOGFMT, BFR_LOG_ERROR, "own keys", fields);
    assert_non_null(strstr(text, "level=error inst=s3 msg=\"own keys\" level_=info k_v__=x _=y\n"));
    free(text);
}

static void test_json_gives_back_what_went_in(void **state)
{
    (void)state;
    const char *const fields[] = {"path", "C:\\x \"y\"", "text", "a\nb\x01\xe2\x82\xac\xf0\x9f\x98\x80", NULL};
    char *text = write_one(BFR_LOG_JSON, BFR_LOG_ERROR, "json fields", fields);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(json, "inst")), "s3");
    assert_string_equal(json_string_value(json_object_get(json, "msg")), "json fields");
    assert_string_equal(json_string_value(json_object_get(json, "path")), fields[1]);
    assert_string_equal(json_string_value(json_object_get(json, "text")), fields[3]);
    json_decref(json);
    free(text);
}

// Fixed seed: the same bytes in every run.
static void fill_with_noise(char *out, size_t size, unsigned *seed)
{
    static const char spicy[] = "\"\\=\n\x1b\xc3\xa9\xe2\x80\xae\xff {}";
    for (size_t i = 0; i < size; i++) {
        int pick = rand_r(seed);
        char byte = (char)(pick % 3 == 0 ? spicy[pick / 3 % (int)(sizeof spicy - 1)] : pick / 3 % 256);
        out[i] = byte != '\0' ? byte : ' ';
    }
    out[size] = '\0';
}

static void assert_clean(const struct bfr_log_line *line)
{
    size_t at = 0;
    while (at < line->size - 1) {
        uint32_t code = 0;
        size_t bytes = bfr_utf8_read(line->text + at, &code);
        assert_true(bytes > 0);
        assert_true(code >= 0x20 && code != 0x7f);
        at += bytes;
    }
    assert_int_equal(line->text[at], '\n');
}

static void test_noise_of_any_length_makes_one_well_formed_line(void **state)
{
    (void)state;
    unsigned seed = 20260102;
    for (unsigned round = 0; round < 3000; round++) {
        static char noise[4][6000];
        for (size_t i = 0; i < 4; i++)
            fill_with_noise(noise[i], (size_t)rand_r(&seed) % (round % 7 == 0 ? sizeof noise[i] : 120), &seed);
        const char *const fields[] = {noise[0], noise[1], "k", noise[2], noise[3], noise[0], "z", noise[1], NULL};
        enum bfr_log_format format = round % 2 == 0 ? BFR_LOG_JSON : BFR_LOG_LOGFMT;
        struct bfr_log_line line;
        bfr_log_line_begin(&line, format, 0, BFR_LOG_INFO, noise[1], noise[2], fields);
        bfr_log_line_end(&line, round % 3 == 0 ? INT64_MAX : 1);
        assert_clean(&line);
        if (format != BFR_LOG_JSON)
            continue;
        json_t *json = json_loadb(line.text, line.size, 0, NULL);
        assert_true(json_is_object(json));
        json_decref(json);
    }
}

static void test_long_value_is_cut_and_leaves_room_for_the_next(void **state)
{
    (void)state;
    char *value = calloc(20001, 1);
    memset(value, 'x', 20000);
    const char *const fields[] = {"long", value, "after", "seen", NULL};
    char *text = write_one(BFR_LOG_LOGFMT, BFR_LOG_INFO, "long value", fields);
    assert_non_null(strstr(text, "xxx...\" after=seen\n"));
    assert_in_range(strlen(text), 1000, BFR_LOG_LINE_MAX);
    free(text);
    free(value);
}

static void test_below_the_level_nothing_is_written(void **state)
{
    (void)state;
    bfr_log_configure(BFR_LOG_WARN, BFR_LOG_LOGFMT);
    struct capture capture = capture_begin();
    bfr_say(BFR_LOG_INFO, "main", "level info", NULL);
    bfr_say(BFR_LOG_WARN, "main", "level warn", "n", bfr_num(-7).text, NULL);
    char *text = capture_end(&capture);
    bfr_log_configure(BFR_LOG_INFO, BFR_LOG_LOGFMT);
    assert_false(bfr_log_enabled(BFR_LOG_DEBUG));
    assert_null(strstr(text, "level info"));
    assert_non_null(strstr(text, "msg=\"level warn\" n=-7\n"));
    free(text);
}

static void test_debug_lines_are_never_folded(void **state)
{
    (void)state;
    bfr_log_configure(BFR_LOG_DEBUG, BFR_LOG_LOGFMT);
    struct capture capture = capture_begin();
    for (int i = 0; i < 5; i++)
        bfr_say(BFR_LOG_DEBUG, "main", "per batch", NULL);
    char *text = capture_end(&capture);
    bfr_log_configure(BFR_LOG_INFO, BFR_LOG_LOGFMT);
    assert_int_equal(count_of(text, "per batch"), 5);
    free(text);
}

// Folding by hand: what was emitted, one line an event kind, "message field xN".
static char emitted[65536];

static void note_line(struct bfr_log_line *line, uint64_t events)
{
    bfr_log_line_end(line, events);
    size_t size = strlen(emitted);
    assert_true(size + line->size < sizeof emitted);
    memcpy(emitted + size, line->text, line->size);
    emitted[size + line->size] = '\0';
}

static void fold_event(struct bfr_log_fold *fold, uint64_t now_ms, const char *message, const char *value)
{
    const char *const fields[] = {"v", value, NULL};
    struct bfr_log_line line;
    bfr_log_line_begin(&line, BFR_LOG_LOGFMT, 0, BFR_LOG_WARN, "s3", message, fields);
    bfr_log_fold_add(fold, now_ms * 1000000, BFR_LOG_WARN, "s3", message, NULL, &line);
}

static struct bfr_log_fold *fold_new(void)
{
    struct bfr_log_fold *fold = calloc(1, sizeof *fold);
    assert_non_null(fold);
    fold->emit = note_line;
    emitted[0] = '\0';
    return fold;
}

static void test_repeats_within_a_second_become_one_line_with_a_count(void **state)
{
    (void)state;
    struct bfr_log_fold *fold = fold_new();
    for (uint64_t i = 0; i < 10; i++)
        fold_event(fold, 5000 + i * 10, "failed", bfr_num((int64_t)i).text);
    assert_int_equal(count_of(emitted, "msg=\"failed\""), 1);
    assert_non_null(strstr(emitted, "v=0\n"));

    bfr_log_fold_sweep(fold, UINT64_C(5999) * 1000000);
    assert_int_equal(count_of(emitted, "msg=\"failed\""), 1); // the second is not over
    bfr_log_fold_sweep(fold, UINT64_C(6000) * 1000000);
    assert_int_equal(count_of(emitted, "msg=\"failed\""), 2);
    assert_non_null(strstr(emitted, "v=9 repeated=9\n"));
    bfr_log_fold_sweep(fold, UINT64_C(9000) * 1000000);
    assert_int_equal(count_of(emitted, "msg=\"failed\""), 2);
    free(fold);
}

static void test_later_event_carries_the_count_of_those_before(void **state)
{
    (void)state;
    struct bfr_log_fold *fold = fold_new();
    fold_event(fold, 0, "failed", "a");
    fold_event(fold, 1, "failed", "b");
    fold_event(fold, 2, "failed", "c");
    fold_event(fold, 60000, "failed", "d");
    assert_int_equal(count_of(emitted, "msg=\"failed\""), 2);
    assert_non_null(strstr(emitted, "v=d repeated=3\n")); // b, c and d itself
    free(fold);
}

static void test_other_kinds_are_not_held_up(void **state)
{
    (void)state;
    struct bfr_log_fold *fold = fold_new();
    fold_event(fold, 0, "failed", "a");
    fold_event(fold, 1, "failed", "b");
    fold_event(fold, 2, "other", "c");
    assert_non_null(strstr(emitted, "msg=\"other\" v=c\n"));
    assert_int_equal(count_of(emitted, "msg=\"failed\""), 1);
    fold_event(fold, 1500, "third", "d");                     // its coming sweeps the table
    assert_non_null(strstr(emitted, "msg=\"failed\" v=b\n")); // one event: no count
    free(fold);
}

static uint64_t events_shown(void)
{
    uint64_t sum = 0;
    char *rest = emitted;
    for (char *line = strtok_r(rest, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        const char *repeated = strstr(line, "repeated=");
        sum += repeated != NULL ? strtoull(repeated + strlen("repeated="), NULL, 10) : 1;
    }
    return sum;
}

static void test_no_event_goes_uncounted_when_the_table_overflows(void **state)
{
    (void)state;
    struct bfr_log_fold *fold = fold_new();
    uint64_t events = 0;
    for (uint64_t turn = 0; turn < 2; turn++) {
        for (uint64_t kind = 0; kind < BFR_LOG_FOLD_SLOTS + 3; kind++) {
            char message[16];
            snprintf(message, sizeof message, "kind %d", (int)kind);
            for (int repeat = 0; repeat < 3; repeat++, events++)
                fold_event(fold, turn * 100 + kind, message, "x");
        }
    }
    bfr_log_fold_empty(fold);
    assert_int_equal(events_shown(), events);
    free(fold);
}

static void test_message_too_long_for_the_table_is_still_written(void **state)
{
    (void)state;
    struct bfr_log_fold *fold = fold_new();
    char message[300];
    memset(message, 'm', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    fold_event(fold, 0, message, "1");
    fold_event(fold, 1, message, "2");
    assert_int_equal(count_of(emitted, "mmm\" v="), 2);
    free(fold);
}

static void test_every_thing_put_aside_is_named(void **state)
{
    (void)state;
    struct capture capture = capture_begin();
    static const char *const names[] = {"a.bin", "b.bin", "b.bin", "b.bin", "c.bin", "a.bin"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        bfr_say(BFR_LOG_ERROR, "disk", "set aside", "n", bfr_num((int64_t)i).text, "kept", names[i], NULL);
    char *text = capture_end(&capture);
    assert_int_equal(count_of(text, "msg=\"set aside\""), 5);
    assert_non_null(strstr(text, "n=0 kept=a.bin\n"));
    assert_non_null(strstr(text, "n=1 kept=b.bin\n"));
    assert_non_null(strstr(text, "n=3 kept=b.bin repeated=2\n")); // what is the same is folded all the same
    assert_non_null(strstr(text, "n=4 kept=c.bin\n"));
    assert_non_null(strstr(text, "n=5 kept=a.bin\n"));
    free(text);
}

static void test_every_mistake_in_a_file_is_named(void **state)
{
    (void)state;
    struct capture capture = capture_begin();
    for (int i = 0; i < 4; i++)
        bfr_say(BFR_LOG_ERROR, "config", "a mistake", "at", "c.yaml", "finding", bfr_num(i / 2).text, NULL);
    char *text = capture_end(&capture);
    assert_int_equal(count_of(text, "msg=\"a mistake\""), 3); // 0, 0 again when 1 comes, 1; the last is still kept
    assert_int_equal(count_of(text, "finding=0\n"), 2);
    assert_int_equal(count_of(text, "finding=1\n"), 1);
    free(text);
}

static void test_counts_still_held_are_written_at_exit(void **state)
{
    (void)state;
    fflush(NULL);
    struct capture capture = capture_begin();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 4; i++)
            bfr_say(BFR_LOG_WARN, "main", "at exit", NULL);
        exit(0);
    }
    int status = -1;
    pid_t ended = waitpid(child, &status, 0);
    char *text = capture_end(&capture);
    assert_int_equal(ended, child);
    assert_int_equal(status, 0);
    assert_int_equal(count_of(text, "msg=\"at exit\""), 2);
    assert_non_null(strstr(text, "msg=\"at exit\" repeated=3\n"));
    free(text);
}

#define FULL_LINES 40

// stderr is a small pipe that nobody reads for a while.
static void check_full_pipe(int flags)
{
    static char filler[700], got[65536];
    memset(filler, 'f', sizeof filler - 1);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 16384) > 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
    int saved = dup(STDERR_FILENO);
    bfr_log_configure(BFR_LOG_DEBUG, BFR_LOG_LOGFMT);

    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < FULL_LINES; i++)
        bfr_say(BFR_LOG_DEBUG, "main", "into the pipe", "filler", filler, NULL);
    ssize_t first = read(ends[0], got, sizeof got / 2);
    bfr_say(BFR_LOG_DEBUG, "main", "after the pipe", NULL);
    ssize_t second = first >= 0 ? read(ends[0], got + first, sizeof got / 2) : -1;
    dup2(saved, STDERR_FILENO);

    bfr_log_configure(BFR_LOG_INFO, BFR_LOG_LOGFMT);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    assert_true(first > 0 && second > 0);
    got[first + second] = '\0';
    const char *report = strstr(got, "msg=\"log lines were dropped\" lines=");
    assert_non_null(report);
    size_t dropped = strtoul(strstr(report, "lines=") + strlen("lines="), NULL, 10);
    assert_true(dropped > 0);
    assert_int_equal(count_of(got, "into the pipe") + dropped, FULL_LINES);
    assert_int_equal(count_of(got, "after the pipe"), 1);
}

static void test_full_pipe_costs_lines_never_the_daemon(void **state)
{
    (void)state;
    check_full_pipe(O_NONBLOCK);
}

static void test_full_pipe_in_blocking_mode_does_not_block_either(void **state)
{
    (void)state;
    check_full_pipe(0);
}

// A file that may not grow takes a part of the line, as a full file system does.
static void test_torn_line_harms_only_itself(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct capture capture = capture_begin();
    bfr_say(BFR_LOG_WARN, "main", "torn first", NULL);
    const struct rlimit tight = {(rlim_t)lseek(STDERR_FILENO, 0, SEEK_CUR) + 20, before.rlim_max};
    int limited = setrlimit(RLIMIT_FSIZE, &tight);
    bfr_say(BFR_LOG_WARN, "main", "torn second", NULL);
    bfr_say(BFR_LOG_WARN, "main", "torn third", NULL);
    int restored = setrlimit(RLIMIT_FSIZE, &before);
    bfr_say(BFR_LOG_WARN, "main", "torn fourth", NULL);
    char *text = capture_end(&capture);
    signal(SIGXFSZ, SIG_DFL);
    assert_true(limited == 0 && restored == 0);
    assert_matches(text, "^ts=[^\n]*msg=\"torn first\"\n"
                         "ts=[0-9T:.-]{17}\n"
                         "ts=[^\n]*msg=\"log lines were dropped\" lines=2 [^\n]*\n"
                         "ts=[^\n]*msg=\"torn fourth\"\n$");
    free(text);
}

#define THREADS    4
#define LINES_EACH 400

static void *say_many(void *arg)
{
    for (int i = 0; i < LINES_EACH; i++) {
        bfr_say(BFR_LOG_DEBUG, arg, "from a thread", "i", bfr_num(i).text, "tail", "end", NULL);
        bfr_say(BFR_LOG_WARN, arg, "folded from a thread", NULL);
    }
    return NULL;
}

static void test_lines_of_many_threads_never_mix(void **state)
{
    (void)state;
    static char names[THREADS][4] = {"t0", "t1", "t2", "t3"};
    pthread_t threads[THREADS];
    bfr_log_configure(BFR_LOG_DEBUG, BFR_LOG_LOGFMT);
    struct capture capture = capture_begin();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, say_many, names[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *text = capture_end(&capture);
    bfr_log_configure(BFR_LOG_INFO, BFR_LOG_LOGFMT);

    size_t whole = 0;
    char *rest = text;
    for (char *line = strtok_r(rest, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, "folded") != NULL)
            continue;
        assert_matches(line, "^ts=[^ ]+Z level=debug inst=t[0-3] msg=\"from a thread\" i=[0-9]+ tail=end$");
        whole++;
    }
    assert_int_equal(whole, THREADS * LINES_EACH);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_thing_put_aside_is_named),
        cmocka_unit_test(test_every_mistake_in_a_file_is_named),
        cmocka_unit_test(test_counts_still_held_are_written_at_exit), // forks: before any thread exists
        cmocka_unit_test(test_logfmt_line_has_time_level_inst_message_fields),
        cmocka_unit_test(test_time_is_utc_with_milliseconds),
        cmocka_unit_test(test_values_are_quoted_where_a_reader_would_stumble),
        cmocka_unit_test(test_fields_cannot_pass_for_our_own),
        cmocka_unit_test(test_json_gives_back_what_went_in),
        cmocka_unit_test(test_noise_of_any_length_makes_one_well_formed_line),
        cmocka_unit_test(test_long_value_is_cut_and_leaves_room_for_the_next),
        cmocka_unit_test(test_below_the_level_nothing_is_written),
        cmocka_unit_test(test_debug_lines_are_never_folded),
        cmocka_unit_test(test_repeats_within_a_second_become_one_line_with_a_count),
        cmocka_unit_test(test_later_event_carries_the_count_of_those_before),
        cmocka_unit_test(test_other_kinds_are_not_held_up),
        cmocka_unit_test(test_no_event_goes_uncounted_when_the_table_overflows),
        cmocka_unit_test(test_message_too_long_for_the_table_is_still_written),
        cmocka_unit_test(test_full_pipe_costs_lines_never_the_daemon),
        cmocka_unit_test(test_full_pipe_in_blocking_mode_does_not_block_either),
        cmocka_unit_test(test_torn_line_harms_only_itself),
        cmocka_unit_test(test_lines_of_many_threads_never_mix),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
