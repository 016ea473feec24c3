// SPDX-License-Identifier: Apache-2.0
// What `top` draws of fixed replies: nothing wider than the terminal, nothing of a name that a terminal would obey, rates from two
// looks.
#include "cli_top_view.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "cli_text.h"

static const char health_text[] =
    "{\"status\": \"degraded\", \"version\": \"1.2.3\", \"uptime_seconds\": 100000, \"ready\": true, \"reason\": \"\","
    "\"stages\": [{\"name\": \"main\", \"plugin\": \"s3\", \"kind\": \"sink\", \"status\": \"degraded\","
    "\"reason\": \"unreachable \\u001b]0;owned\\u0007\\u009b31m\\u202e\"}]}";

#define STATS(ACCEPTED, BYTES, REFUSED)                                                                                \
    "{\"totals\": {\"accepted\": {\"batches\": " ACCEPTED ", \"bytes\": " BYTES                                        \
    "}, \"stored\": {\"batches\": 5, \"bytes\": 5},"                                                                   \
    "\"buried\": {\"batches\": 2, \"bytes\": 2048}}, \"refused\": {\"spool_full\": " REFUSED "}, \"duplicates\": 0,"   \
    "\"unaccounted_batches\": 0, \"connections\": 9, \"queues\": [{\"name\": \"disk\", \"held\": {\"batches\": "       \
    "9223372036854775807,"                                                                                             \
    "\"bytes\": 9223372036854775807}, \"buried\": {\"batches\": 2}, \"used_bytes\": 512, \"limit_bytes\": 1024,"       \
    "\"oldest_age_seconds\": 7300}], \"sinks\": [{\"name\": \"main\", \"in_flight\": 3, \"breaker_open\": true,"       \
    "\"attempts\": {\"stored\": 1, \"outage\": " REFUSED                                                               \
    "}}], \"spool\": {\"used_bytes\": 512, \"limit_bytes\": 1024,"                                                     \
    "\"free_bytes\": 1048576, \"full_seconds\": 7800}, \"memory\": {\"used_bytes\": 1, \"budget_bytes\": 2,"           \
    "\"resident_bytes\": 3}, \"tenants\": [{\"tenant_id\": \"quiet\", \"accepted\": {\"batches\": 9, \"bytes\": 9},"   \
    "\"held\": {\"batches\": 1}, \"buried\": {\"batches\": 0}}, {\"tenant_id\": \"busy-\\u4e2d\\u6587-"                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "a\\n\","                                                                                                          \
    "\"accepted\": {\"batches\": " ACCEPTED ", \"bytes\": " BYTES                                                      \
    "}, \"held\": {\"batches\": 1}, \"buried\": {\"batches\": 0}}]}"

struct fixture {
    json_t *health, *stats, *earlier;
    struct bfr_top_view view;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->health = json_loads(health_text, 0, NULL);
    fixture->earlier = json_loads(STATS("100", "1000", "10"), 0, NULL);
    fixture->stats = json_loads(STATS("300", "205800", "14"), 0, NULL);
    fixture->view = (struct bfr_top_view){.place = "http://127.0.0.1:8081",
                                          .health = fixture->health,
                                          .stats = fixture->stats,
                                          .earlier = fixture->earlier,
                                          .seconds = 2,
                                          .width = 100};
    *state = fixture;
    return fixture->health == NULL || fixture->earlier == NULL || fixture->stats == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    json_decref(fixture->health);
    json_decref(fixture->stats);
    json_decref(fixture->earlier);
    free(fixture);
    return 0;
}

static unsigned columns_of(const char *line, size_t size)
{
    wchar_t wide[4096];
    char text[4096];
    memcpy(text, line, size);
    text[size] = '\0';
    size_t count = mbstowcs(wide, text, sizeof wide / sizeof wide[0]);
    assert_true(count != (size_t)-1);
    int columns = wcswidth(wide, count);
    assert_true(columns >= 0); // negative: a control is among them
    return (unsigned)columns;
}

static void test_no_line_is_wider_or_has_a_control(void **state)
{
    struct fixture *fixture = *state;
    static const unsigned widths[] = {20, 40, 80, 200};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        fixture->view.width = widths[i];
        char *text = bfr_top_view_draw(&fixture->view);
        unsigned widest = 0;
        for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            unsigned columns = columns_of(line, (size_t)(end - line));
            assert_true(columns <= widths[i]);
            widest = columns > widest ? columns : widest;
        }
        assert_true(widest == widths[i] || widths[i] == 200); // something is cut, and not more than needed
        free(text);
    }
}

static void test_rates_come_from_two_looks(void **state)
{
    struct fixture *fixture = *state;
    char *text = bfr_top_view_draw(&fixture->view);
    assert_non_null(strstr(text, "accepted 100/s 100 KiB/s"));
    assert_non_null(strstr(text, "refused: spool_full 2/s, 14 in all"));
    assert_non_null(strstr(text, "full in 2 h 10 min"));
    assert_non_null(strstr(text, "OPEN: unreachable, probed"));
    assert_non_null(strstr(text, "unreachable ?]0;owned??31m?"));
    assert_non_null(strstr(text, "dead letters: 2, 2.0 KiB"));
    const char *busy = strstr(text, "busy-"), *quiet = strstr(text, "quiet");
    assert_true(busy != NULL && quiet != NULL && busy < quiet);
    free(text);

    fixture->view.earlier = fixture->stats; // counters that fell: it was started again
    fixture->view.stats = fixture->earlier;
    text = bfr_top_view_draw(&fixture->view);
    assert_non_null(strstr(text, "accepted 0/s 0 B/s"));
    free(text);
    fixture->view.earlier = NULL;
    text = bfr_top_view_draw(&fixture->view);
    assert_non_null(strstr(text, "accepted 0/s 0 B/s"));
    free(text);
}

static unsigned lines_of(const char *text)
{
    unsigned lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void test_it_is_no_higher_than_the_terminal_and_keeps_the_line_about_keys(void **state)
{
    struct fixture *fixture = *state;
    fixture->view.live = true;
    for (unsigned height = 5; height < 40; height++) {
        fixture->view.height = height;
        char *text = bfr_top_view_draw(&fixture->view);
        assert_true(lines_of(text) <= height);
        assert_string_equal(text + strlen(text) - strlen("q quits\n"), "q quits\n");
        free(text);
    }
}

static void test_trouble_comes_first_and_old_figures_say_their_age(void **state)
{
    struct fixture *fixture = *state;
    fixture->view.trouble = "cannot ask the daemon";
    fixture->view.age_s = 12;
    char *text = bfr_top_view_draw(&fixture->view);
    static const char first[] =
        "cannot ask the daemon\nWhat follows is 12 s old; trying again.\nbytefreezer-receiver 1.2.3 ";
    assert_int_equal(strncmp(text, first, strlen(first)), 0);
    free(text);
    fixture->view.health = fixture->view.stats = fixture->view.earlier = NULL;
    text = bfr_top_view_draw(&fixture->view);
    assert_string_equal(text, "cannot ask the daemon\nbytefreezer-receiver at http://127.0.0.1:8081\n");
    free(text);
}

static void test_colour_is_only_there_when_it_is_wanted(void **state)
{
    struct fixture *fixture = *state;
    char *text = bfr_top_view_draw(&fixture->view);
    assert_null(strchr(text, '\x1b'));
    free(text);
    fixture->view.color = true;
    text = bfr_top_view_draw(&fixture->view);
    assert_non_null(strstr(text, "\x1b[31m"));
    free(text);
}

static void test_without_utf8_only_ascii_is_sent(void **state)
{
    struct fixture *fixture = *state;
    assert_non_null(setlocale(LC_CTYPE, "C"));
    char *text = bfr_top_view_draw(&fixture->view);
    for (const char *at = text; *at != '\0'; at++)
        assert_true((*at >= 0x20 && *at < 0x7f) || *at == '\n');
    assert_non_null(strstr(text, "busy-?"
                                 "?-"));
    free(text);
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
}

#define drawn(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        drawn(test_no_line_is_wider_or_has_a_control),
        drawn(test_rates_come_from_two_looks),
        drawn(test_it_is_no_higher_than_the_terminal_and_keeps_the_line_about_keys),
        drawn(test_trouble_comes_first_and_old_figures_say_their_age),
        drawn(test_colour_is_only_there_when_it_is_wanted),
        drawn(test_without_utf8_only_ascii_is_sent),
    };
    setenv("LC_ALL", "C.UTF-8", 1);
    if (!bfr_cli_text_init())
        return 1;
    return cmocka_run_group_tests_name("cli_top_view", tests, NULL, NULL);
}
