// SPDX-License-Identifier: Apache-2.0
// Promises of the descriptor check: it never reads beyond what a plugin declares, accepts what is newer and compatible,
// and names the option and the mistake of a bad table.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin_check.h"
#include "plugin_loader.h"

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)host;
    (void)out_self;
    (void)err;
    return BFR_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    (void)self;
    (void)deliveries;
    return count;
}

static const struct bfr_life life = {.size = sizeof life, .create = create, .destroy = destroy};
static const struct bfr_sink_vtable sink = {.size = sizeof sink, .put = put};

static struct bfr_plugin good_plugin(void)
{
    return (struct bfr_plugin){BFR_PLUGIN_HEAD,   .kind = BFR_KIND_SINK, .name = "good", .version = "1.0",
                               .summary = "Good", .life = &life,         .vtable = &sink};
}

static void assert_accepted(const struct bfr_plugin *plugin)
{
    struct bfr_err err = {.size = sizeof err};
    if (bfr_plugin_check(plugin, "p.so", &err) != BFR_OK)
        fail_msg("refused: %s", err.text);
}

static void assert_refused(const struct bfr_plugin *plugin, const char *text)
{
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_plugin_check(plugin, "p.so", &err), BFR_EINVAL);
    assert_string_equal(err.text, text);
}

// Memory of `size` bytes that ends where the address space has a hole.
static void *at_the_edge(const void *source, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory + page, page, PROT_NONE), 0);
    return memcpy(memory + page - size, source, size);
}

static void free_the_edge(void *at)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(munmap((void *)((uintptr_t)at & ~(page - 1)), 2 * page), 0);
}

static void test_nothing_is_read_beyond_the_declared_size(void **state)
{
    (void)state;
    const uint32_t head[6] = {BFR_ABI_MAGIC, BFR_ABI_MAJOR, BFR_ABI_MINOR, 0, sizeof head}; // aligned as a descriptor
    void *short_plugin = at_the_edge(head, sizeof head);
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_plugin_check(short_plugin, "p.so", &err), BFR_EINVAL);
    free_the_edge(short_plugin);

    const uint32_t table_size[2] = {sizeof table_size, 0}; // a table that ends before its first slot
    struct bfr_plugin plugin = good_plugin();
    void *table = at_the_edge(table_size, sizeof table_size);
    plugin.vtable = table;
    assert_refused(&plugin,
                   "plugin 'p.so': the required slot 'put' of its 'struct bfr_sink_vtable' is missing; fill it, "
                   "and set the table's size with sizeof");
    plugin = good_plugin();
    plugin.life = table;
    assert_refused(&plugin,
                   "plugin 'p.so': the required slot 'create' of its 'struct bfr_life' is missing; fill it, and "
                   "set the table's size with sizeof");
    free_the_edge(table);
}

static void test_wrong_magic_is_refused_before_anything_else_is_read(void **state)
{
    (void)state;
    const uint32_t magic[2] = {7};
    void *one_word = at_the_edge(magic, sizeof magic);
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_plugin_check(one_word, "p.so", &err), BFR_EINVAL);
    free_the_edge(one_word);
}

static void test_newer_plugin_that_can_live_with_this_host_is_accepted(void **state)
{
    (void)state;
    struct {
        struct bfr_plugin plugin;
        void *added_later[4];
    } newer = {.plugin = good_plugin()};
    newer.plugin.abi_minor = BFR_ABI_MINOR + 5;
    newer.plugin.size = sizeof newer;
    assert_accepted(&newer.plugin);
}

static void test_every_kind_has_its_required_slots(void **state)
{
    (void)state;
    struct bfr_plugin plugin = good_plugin();
    const struct bfr_auth_vtable auth = {.size = sizeof auth};
    const struct bfr_queue_vtable queue = {.size = sizeof queue};
    plugin.kind = BFR_KIND_AUTH;
    plugin.vtable = &auth;
    assert_refused(&plugin,
                   "plugin 'p.so': the required slot 'authorize' of its 'struct bfr_auth_vtable' is missing; fill "
                   "it, and set the table's size with sizeof");
    plugin.kind = BFR_KIND_QUEUE;
    plugin.flags = BFR_FLAG_STABLE;
    plugin.vtable = &queue;
    assert_refused(&plugin, "plugin 'p.so': the required slot 'consumers' of its 'struct bfr_queue_vtable' is missing; "
                            "fill it, and set the table's size with sizeof");
    plugin.kind = BFR_KIND_SERVICE;
    plugin.flags = 0;
    plugin.vtable = NULL; // a service needs no table
    assert_accepted(&plugin);
}

static void test_name_has_limits(void **state)
{
    (void)state;
    struct bfr_plugin plugin = good_plugin();
    plugin.name = "abcdefghijklmnopqrstuvwxyz-01234"; // 32 bytes
    assert_accepted(&plugin);
    plugin.name = "abcdefghijklmnopqrstuvwxyz-012345";
    assert_refused(&plugin,
                   "plugin 'p.so': its descriptor declares the name 'abcdefghijklmnopqrstuvwxyz-012345'; a name is "
                   "1 to 32 bytes of a-z, 0-9 and '-', as the file is called");
}

// One option and what is wrong with it; NULL: nothing.
static const struct table_case {
    struct bfr_option option;
    const char *text; // after "plugin 'p.so': "
} table_cases[] = {
    {{.name = "a", .type = BFR_OPTION_STRING, .help = "h"}, NULL},
    {{.name = "a", .type = BFR_OPTION_SIZE, .fallback = "64KiB", .min = "1", .max = "1TiB", .help = "h"}, NULL},
    {{.name = "a", .type = BFR_OPTION_DURATION, .fallback = "90", .unit = "m", .max = "2h", .help = "h"}, NULL},
    {{.name = "a",
      .type = BFR_OPTION_INTEGER,
      .fallback = "-3",
      .min = "-3",
      .max = "9223372036854775807",
      .help = "h"},
     NULL},
    {{.name = "a", .type = BFR_OPTION_NUMBER, .fallback = "0.5", .max = "1", .help = "h"}, NULL},
    {{.name = "a", .type = BFR_OPTION_STRING, .fallback = "no", .choices = "yes|no", .help = "h"}, NULL},
    {{.name = "a", .type = BFR_OPTION_LIST, .fallback = "x", .help = "h"}, NULL},
    {{.name = NULL, .type = BFR_OPTION_STRING, .help = "h"},
     "option 0 of its table has the name ''; a name is 1 to 64 bytes of a-z, 0-9 and '_' and begins with a letter"},
    {{.name = "Max-Bytes", .type = BFR_OPTION_STRING, .help = "h"},
     "option 0 of its table has the name 'Max-Bytes'; a name is 1 to 64 bytes of a-z, 0-9 and '_' and begins with a "
     "letter"},
    {{.name = "plugin", .type = BFR_OPTION_STRING, .help = "h"},
     "option 'plugin' of its table has a name that every stage uses already; choose another"},
    {{.name = "a", .type = 0, .help = "h"},
     "option 'a' of its table has type 0, this host knows 1 (string) to 9 (map); use one of them"},
    {{.name = "a", .type = 10, .help = "h"},
     "option 'a' of its table has type 10, this host knows 1 (string) to 9 (map); use one of them"},
    {{.name = "a", .type = BFR_OPTION_STRING, .flags = 8, .help = "h"},
     "option 'a' of its table sets flags 0x8, which this host does not know; clear them"},
    {{.name = "a", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_REQUIRED, .fallback = "x", .help = "h"},
     "option 'a' of its table is REQUIRED and has a fallback; drop one of the two"},
    {{.name = "a", .type = BFR_OPTION_STRING, .help = ""},
     "option 'a' of its table has no help of one line; say what it is for"},
    {{.name = "a", .type = BFR_OPTION_STRING, .help = "one\ntwo"},
     "option 'a' of its table has no help of one line; say what it is for"},
    {{.name = "a", .type = BFR_OPTION_BOOL, .fallback = "yes", .help = "h"},
     "option 'a' of its table has the fallback 'yes'; a BOOL is true or false"},
    {{.name = "a", .type = BFR_OPTION_INTEGER, .fallback = "12x", .help = "h"},
     "option 'a' of its table has the fallback '12x', which is not a whole number; write it as in YAML"},
    {{.name = "a", .type = BFR_OPTION_SIZE, .fallback = "1", .min = "1 KiB", .help = "h"},
     "option 'a' of its table has the min '1 KiB', which is not a size; write it as in YAML"},
    {{.name = "a", .type = BFR_OPTION_DURATION, .fallback = "1s", .max = "1y", .help = "h"},
     "option 'a' of its table has the max '1y', which is not a duration; write it as in YAML"},
    {{.name = "a", .type = BFR_OPTION_INTEGER, .fallback = "-1", .help = "h"},
     "option 'a' of its table has the fallback '-1', which is outside its own min and max; adjust one"},
    {{.name = "a", .type = BFR_OPTION_SIZE, .fallback = "2KiB", .max = "2047", .help = "h"},
     "option 'a' of its table has the fallback '2KiB', which is outside its own min and max; adjust one"},
    {{.name = "a", .type = BFR_OPTION_DURATION, .min = "1m", .max = "59s", .help = "h"},
     "option 'a' of its table has a min '1m' above its max '59s'; no value could be right"},
    {{.name = "a", .type = BFR_OPTION_STRING, .min = "1", .help = "h"},
     "option 'a' of its table has a min or max, and its type has no order; drop them"},
    {{.name = "a", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_LIVE, .help = "h"},
     "option 'a' of its table may change by a reload, and its 'struct bfr_life' has no 'reload'; fill it, or clear "
     "BFR_OPTION_LIVE"},
    {{.name = "a", .type = BFR_OPTION_INTEGER, .unit = "s", .help = "h"},
     "option 'a' of its table has the unit 's'; only a DURATION has one: ms, s, m, h or d"},
    {{.name = "a", .type = BFR_OPTION_DURATION, .unit = "week", .help = "h"},
     "option 'a' of its table has the unit 'week'; only a DURATION has one: ms, s, m, h or d"},
    {{.name = "a", .type = BFR_OPTION_STRING, .choices = "yes||no", .help = "h"},
     "option 'a' of its table has the choices 'yes||no'; give a STRING some non-empty values separated by '|'"},
    {{.name = "a", .type = BFR_OPTION_INTEGER, .choices = "1|2", .help = "h"},
     "option 'a' of its table has the choices '1|2'; give a STRING some non-empty values separated by '|'"},
    {{.name = "a", .type = BFR_OPTION_STRING, .fallback = "ye", .choices = "yes|no", .help = "h"},
     "option 'a' of its table has the fallback 'ye', which is not among its choices 'yes|no'; add it"},
};

static void test_each_mistake_in_an_option_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table_cases / sizeof table_cases[0]; i++) {
        struct bfr_plugin plugin = good_plugin();
        plugin.options = &table_cases[i].option;
        plugin.option_count = 1;
        plugin.option_size = sizeof(struct bfr_option);
        if (table_cases[i].text == NULL) {
            assert_accepted(&plugin);
            continue;
        }
        char whole[512] = "plugin 'p.so': ";
        assert_refused(&plugin, strcat(whole, table_cases[i].text));
    }
}

static void test_two_options_never_share_a_key(void **state)
{
    (void)state;
    struct bfr_option options[] = {
        {.name = "key", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_SECRET, .help = "h"},
        {.name = "key", .type = BFR_OPTION_STRING, .help = "h"},
    };
    struct bfr_plugin plugin = good_plugin();
    plugin.options = options;
    plugin.option_count = 2;
    plugin.option_size = sizeof options[0];
    assert_refused(&plugin, "plugin 'p.so': option 'key' of its table is there twice; drop one");
    options[1].name = "key_file";
    assert_refused(&plugin, "plugin 'p.so': option 'key_file' of its table is what the host makes of the secret 'key'; "
                            "rename it");
    options[1].name = "key_files";
    assert_accepted(&plugin);
}

static void test_count_and_size_of_a_table_are_checked(void **state)
{
    (void)state;
    const struct bfr_option option = {.name = "a", .type = BFR_OPTION_STRING, .help = "h"};
    struct bfr_plugin plugin = good_plugin();
    plugin.option_count = 1;
    plugin.option_size = sizeof option;
    assert_refused(&plugin,
                   "plugin 'p.so': it declares 1 options and no table, at most 256 are allowed; fix option_count");
    plugin.options = &option;
    plugin.option_count = 257;
    assert_refused(&plugin, "plugin 'p.so': it declares 257 options, at most 256 are allowed; fix option_count");
    plugin.option_count = 1;
    plugin.option_size = sizeof option + 1;
    assert_refused(&plugin, "plugin 'p.so': it declares options of 73 bytes, ABI 1.0 has 72; set option_size to "
                            "sizeof(struct bfr_option)");
}

// A plugin of a later minor has longer rows; they are found by the plugin's own stride.
static void test_longer_options_are_found(void **state)
{
    (void)state;
    const struct {
        struct bfr_option option;
        const char *added_later;
    } options[] = {
        {{.name = "first", .type = BFR_OPTION_BOOL, .help = "h"}, "new"},
        {{.name = "second", .type = BFR_OPTION_PATH, .help = "h"}, "new"},
    };
    struct bfr_plugin plugin = good_plugin();
    plugin.options = &options[0].option;
    plugin.option_count = 2;
    plugin.option_size = sizeof options[0];
    assert_accepted(&plugin);
    assert_ptr_equal(bfr_plugin_option_find(&plugin, "second"), &options[1].option);
    assert_null(bfr_plugin_option_find(&plugin, "third"));
}

static void test_wrong_place_names_the_right_one(void **state)
{
    (void)state;
    static const struct {
        uint32_t have, want;
        const char *text;
    } cases[] = {
        {BFR_KIND_SERVICE, 0,
         "plugin '/p/good.so': its kind is service, and this place needs auth, queue or sink; put it under "
         "'services:'"},
        {BFR_KIND_AUTH, BFR_KIND_SINK,
         "plugin '/p/good.so': its kind is auth, and this place needs sink; put it first under 'pipeline:'"},
        {BFR_KIND_QUEUE, BFR_KIND_SERVICE,
         "plugin '/p/good.so': its kind is queue, and this place needs service; put it before the sinks under "
         "'pipeline:'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bfr_err err = {.size = sizeof err};
        struct bfr_plugin plugin = good_plugin();
        plugin.kind = cases[i].have;
        assert_int_equal(bfr_plugin_refuse_kind("/p", &plugin, cases[i].want, &err), BFR_EINVAL);
        assert_string_equal(err.text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_read_beyond_the_declared_size),
        cmocka_unit_test(test_wrong_magic_is_refused_before_anything_else_is_read),
        cmocka_unit_test(test_newer_plugin_that_can_live_with_this_host_is_accepted),
        cmocka_unit_test(test_every_kind_has_its_required_slots),
        cmocka_unit_test(test_name_has_limits),
        cmocka_unit_test(test_each_mistake_in_an_option_is_named),
        cmocka_unit_test(test_two_options_never_share_a_key),
        cmocka_unit_test(test_count_and_size_of_a_table_are_checked),
        cmocka_unit_test(test_longer_options_are_found),
        cmocka_unit_test(test_wrong_place_names_the_right_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
