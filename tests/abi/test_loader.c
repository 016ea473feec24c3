// SPDX-License-Identifier: Apache-2.0
// Promises of the loader: whatever is wrong with a plugin is refused with a text of its own that names path, cause and
// way out; nothing of a refused plugin is called; what is right is loaded once. Every test works on copies in a
// directory of its own, so owners and modes do not depend on how the tree was built.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch.h"
#include "clock.h"
#include "config_values.h"
#include "metrics.h"
#include "plugin_check.h"
#include "plugin_loader.h"
#include "plugin_stage.h"

struct room {
    char directory[64];
    char path[128]; // of the file under test
};

static void copy_file(const char *from, const char *to, mode_t mode)
{
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(in >= 0 && out >= 0);
    ssize_t got;
    while ((got = read(in, buffer, sizeof buffer)) > 0)
        assert_int_equal(write(out, buffer, (size_t)got), got);
    assert_int_equal(got, 0);
    close(in);
    close(out);
    assert_int_equal(chmod(to, mode), 0);
}

static void enter_room(struct room *room, const char *plugin)
{
    strcpy(room->directory, "/tmp/bfr-loader-XXXXXX");
    assert_non_null(mkdtemp(room->directory));
    snprintf(room->path, sizeof room->path, "%s/%s.so", room->directory, plugin);
}

static void copy_plugin(struct room *room, const char *plugin)
{
    char from[512];
    enter_room(room, plugin);
    snprintf(from, sizeof from, "%s/%s.so", BAD_PLUGINS, plugin);
    copy_file(from, room->path, 0644);
}

static void leave_room(struct room *room)
{
    (void)chmod(room->directory, 0700);
    (void)unlink(room->path);
    (void)rmdir(room->path);
    assert_int_equal(rmdir(room->directory), 0);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

// `expected` is what follows "plugin 'PATH': ".
static void assert_refusal(const char *path, const char *got, const char *expected)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "plugin '%s': %s", path, expected);
    assert_string_equal(got, whole);
}

static void assert_refused(const char *path, const char *expected)
{
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    assert_int_not_equal(bfr_plugin_load_file(path, &plugin, &err), BFR_OK);
    assert_null(plugin);
    assert_refusal(path, err.text, expected);
}

// Each of these files is in order; what it says of itself is not.
static const struct fault {
    const char *plugin;
    const char *text;
} faults[] = {
    {"no-entry",
     "it does not export 'bfr_plugin_entry_v1'; define that function with BFR_EXPORT, extern \"C\" in C++, or "
     "remove the file if it is no plugin"},
    {"entry-null", "'bfr_plugin_entry_v1' returned NULL; return the address of a static descriptor"},
    {"wrong-magic", "its descriptor begins with 0x0badcafe, not with the magic 0x52464201; begin the descriptor with "
                    "BFR_PLUGIN_HEAD and build it for this machine's byte order"},
    {"other-major", "it was built for ABI 2.7, this host offers 1.0; rebuild it with the SDK of this host"},
    {"newer-minor",
     "it needs a host of ABI 1.999 or newer, this host offers 1.0; upgrade the daemon or install an older "
     "version of the plugin"},
    {"short-struct", "its descriptor declares 20 bytes, ABI 1.0 has 104; begin the descriptor with BFR_PLUGIN_HEAD and "
                     "rebuild it with the SDK"},
    {"unknown-kind", "it declares kind 9, this host knows auth (1), queue (2), sink (3) and service (4); set the "
                     "descriptor's kind to one of them"},
    {"no-name",
     "its descriptor declares the name ''; a name is 1 to 32 bytes of a-z, 0-9 and '-', as the file is called"},
    {"other-name", "it calls itself 'somebody-else', its file is called 'other-name.so'; rename the file to "
                   "'somebody-else.so'"},
    {"no-version",
     "its descriptor's version is missing, longer than 32 bytes or not one line; set it to something like "
     "\"1.0.0\""},
    {"no-summary",
     "its descriptor's summary is missing, longer than 120 bytes or not one line; say in a few words what the "
     "plugin does"},
    {"stray-flag", "its descriptor sets flags 0x2, which ABI 1.0 does not know for kind sink; clear them"},
    {"no-life", "its descriptor has no table 'struct bfr_life'; point to one that fills 'create'"},
    {"no-destroy",
     "the required slot 'destroy' of its 'struct bfr_life' is missing; fill it, and set the table's size with "
     "sizeof"},
    {"no-table", "its descriptor has no table 'struct bfr_sink_vtable'; point to one that fills 'put'"},
    {"no-put",
     "the required slot 'put' of its 'struct bfr_sink_vtable' is missing; fill it, and set the table's size with "
     "sizeof"},
    {"short-table",
     "the required slot 'put' of its 'struct bfr_sink_vtable' is missing; fill it, and set the table's size "
     "with sizeof"},
    {"queue-no-bury",
     "the required slot 'bury' of its 'struct bfr_queue_vtable' is missing; fill it, and set the table's "
     "size with sizeof"},
    {"queue-no-flag",
     "it is a queue and its descriptor sets none of BFR_FLAG_VOLATILE and BFR_FLAG_STABLE; set exactly "
     "one, the one that is true after SIGKILL"},
    {"queue-two-flags",
     "it is a queue and its descriptor sets both of BFR_FLAG_VOLATILE and BFR_FLAG_STABLE; set exactly "
     "one, the one that is true after SIGKILL"},
    {"queue-half-pair", "its 'struct bfr_queue_vtable' fills 'reserve' without 'release'; fill both or neither"},
    {"bad-option",
     "option 'room' of its table has the fallback '10 megabytes', which is not a size; write it as in YAML"},
    {"short-option", "it declares options of 8 bytes, ABI 1.0 has 72; set option_size to sizeof(struct bfr_option)"},
    {"bad-tool", "its tool 1 is not complete; give it two words of a-z, operands, a summary of at most 120 bytes and a "
                 "function"},
    {"short-tool", "it declares 2 tools of 8 bytes, ABI 1.0 has 32; point to them, and set tool_size to "
                   "sizeof(struct bfr_tool)"},
    {"undefined-symbol", "cannot be loaded: undefined symbol: nobody_defines_this; 'ldd -r' on the file shows what is "
                         "missing"},
};

static void test_each_fault_of_a_plugin_has_its_own_refusal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct room room;
        copy_plugin(&room, faults[i].plugin);
        assert_refused(room.path, faults[i].text);
        assert_refused(room.path, faults[i].text); // and again, once it is mapped
        leave_room(&room);
    }
}

static void test_missing_file_is_named(void **state)
{
    (void)state;
    struct room room;
    enter_room(&room, "absent");
    assert_refused(room.path, "no such file; install the plugin there, or correct its name or 'plugin_dir'");
    leave_room(&room);
}

static void test_missing_directory_is_named(void **state)
{
    (void)state;
    assert_refused("/nonexistent/plugins/fs.so",
                   "cannot open its directory '/nonexistent/plugins/': No such file or directory; set 'plugin_dir' to "
                   "the directory with the plugins");
}

static void test_text_file_is_not_elf(void **state)
{
    (void)state;
    static const char text[] =
        "it is not an ELF file, so it is no shared object; install the built plugin (cc -shared) there";
    struct room room;
    enter_room(&room, "script");
    write_text(room.path, "#!/bin/sh\n");
    assert_refused(room.path, text);
    write_text(room.path, ""); // shorter than the magic
    assert_refused(room.path, text);
    leave_room(&room);
}

static void test_damaged_elf_gives_the_linkers_reason(void **state)
{
    (void)state;
    struct room room;
    enter_room(&room, "damaged");
    write_text(room.path, "\177ELF and no more");
    assert_refused(room.path, "cannot be loaded: file too short; 'ldd -r' on the file shows what is missing");
    leave_room(&room);
}

// What an interrupted copy leaves: the linker itself would die of it (SIGBUS).
static void test_a_plugin_that_is_cut_off_is_refused(void **state)
{
    (void)state;
    static const off_t sizes[] = {100, 4096, 8192};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct room room;
        char text[128];
        copy_plugin(&room, "good");
        assert_int_equal(truncate(room.path, sizes[i]), 0);
        snprintf(text, sizeof text, "it is cut off, %d bytes are not the whole of it; install the file again",
                 (int)sizes[i]);
        assert_refused(room.path, text);
        leave_room(&room);
    }
}

static void test_only_a_regular_file_is_loaded(void **state)
{
    (void)state;
    struct room room;
    enter_room(&room, "odd");
    assert_int_equal(symlink(BAD_PLUGINS "/good.so", room.path), 0);
    assert_refused(room.path, "it is a symbolic link, which could be turned elsewhere; put the file itself there");
    assert_int_equal(unlink(room.path), 0);
    assert_int_equal(mkdir(room.path, 0755), 0);
    assert_refused(room.path, "it is a directory, not a regular file; put the shared object there");
    assert_int_equal(rmdir(room.path), 0);
    assert_int_equal(mkfifo(room.path, 0644), 0);
    assert_refused(room.path, "it is a device, pipe or socket, not a regular file; put the shared object there");
    leave_room(&room);
}

static void test_file_that_others_can_write_is_refused(void **state)
{
    (void)state;
    struct room room;
    copy_plugin(&room, "good");
    assert_int_equal(chmod(room.path, 0664), 0);
    assert_refused(room.path, "the file has mode 0664 and can be written to by its group, who could run code as the "
                              "daemon; 'chmod go-w' it");
    assert_int_equal(chmod(room.path, 0646), 0);
    assert_refused(room.path, "the file has mode 0646 and can be written to by everybody, who could run code as the "
                              "daemon; 'chmod go-w' it");
    leave_room(&room);
}

static void test_directory_that_others_can_write_is_refused(void **state)
{
    (void)state;
    struct room room;
    copy_plugin(&room, "good");
    assert_int_equal(chmod(room.directory, 0770), 0);
    assert_refused(room.path,
                   "its directory has mode 0770 and can be written to by its group, who could run code as the "
                   "daemon; 'chmod go-w' it");
    assert_int_equal(chmod(room.directory, 01777), 0);
    assert_refused(room.path,
                   "its directory has mode 1777 and can be written to by everybody, who could run code as the "
                   "daemon; 'chmod go-w' it");
    leave_room(&room);
}

static void test_foreign_owner_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); // only root can give a file away
    struct room room;
    copy_plugin(&room, "good");
    assert_int_equal(chown(room.path, 12345, 0), 0);
    assert_refused(room.path,
                   "the file belongs to uid 12345, who could run code as the daemon; it must belong to root or "
                   "to the daemon's user (uid 0): chown it");
    assert_int_equal(chown(room.path, 0, 0), 0);
    assert_int_equal(chown(room.directory, 12345, 0), 0);
    assert_refused(room.path, "its directory belongs to uid 12345, who could run code as the daemon; it must belong to "
                              "root or to the daemon's user (uid 0): chown it");
    assert_int_equal(chown(room.directory, 0, 0), 0);
    leave_room(&room);
}

// The service's own user may own its plugins; another than root and that user may not.
static void test_owner_may_be_the_daemons_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct room room;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    copy_plugin(&room, "good");
    assert_int_equal(chown(room.path, 12345, 0), 0);
    assert_int_equal(chown(room.directory, 12345, 0), 0);
    assert_int_equal(seteuid(12345), 0);
    uint32_t status = bfr_plugin_load_file(room.path, &plugin, &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(status, BFR_OK);
    leave_room(&room);
}

static void test_name_is_a_bare_name(void **state)
{
    (void)state;
    static const char *const names[] = {"", "../fs", "a/b", "Fs", "fs.so", "f_s", "0123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct bfr_err err = {.size = sizeof err};
        const struct bfr_plugin *plugin = NULL;
        assert_int_equal(bfr_plugin_load("/plugins", names[i], &plugin, &err), BFR_EINVAL);
        assert_refusal(names[i], err.text,
                       "that is no plugin's name; write the bare name, 1 to 32 bytes of a-z, 0-9 and '-', of a file in "
                       "'/plugins', without directory and '.so'");
    }
}

static void test_file_name_is_a_plugins_name(void **state)
{
    (void)state;
    static const char text[] =
        "a plugin's file is called NAME.so, where NAME is 1 to 32 bytes of a-z, 0-9 and '-'; rename the file";
    assert_refused("/tmp/.so", text);
    assert_refused("/tmp/libfs.so.1", text);
    assert_refused("/tmp/Fs.so", text);
    assert_refused("/tmp/", text);
}

static void test_wrong_kind_for_its_place_is_refused(void **state)
{
    (void)state;
    struct room room;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    copy_plugin(&room, "good");
    assert_int_equal(bfr_plugin_load(room.directory, "good", &plugin, &err), BFR_OK);
    assert_int_equal(bfr_plugin_refuse_kind(room.directory, plugin, BFR_KIND_SERVICE, &err), BFR_EINVAL);
    assert_refusal(room.path, err.text,
                   "its kind is sink, and this place needs service; put it last under 'pipeline:'");
    leave_room(&room);
}

static void test_same_file_twice_gives_the_same_descriptor(void **state)
{
    (void)state;
    struct room room;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *first = NULL, *second = NULL;
    copy_plugin(&room, "good");
    assert_int_equal(bfr_plugin_load(room.directory, "good", &first, &err), BFR_OK);
    assert_int_equal(bfr_plugin_load_file(room.path, &second, &err), BFR_OK);
    assert_ptr_equal(first, second);
    assert_string_equal(first->name, "good");
    leave_room(&room);
}

// The dynamic linker recognises a file by the name it was opened as; the loader's names must never repeat.
static void test_same_name_in_two_directories_gives_two_plugins(void **state)
{
    (void)state;
    struct room left, right;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *first = NULL, *second = NULL;
    copy_plugin(&left, "good");
    copy_plugin(&right, "good");
    assert_int_equal(bfr_plugin_load(left.directory, "good", &first, &err), BFR_OK);
    assert_int_equal(bfr_plugin_load(right.directory, "good", &second, &err), BFR_OK);
    assert_ptr_not_equal(first, second);
    leave_room(&left);
    leave_room(&right);
}

static void test_replaced_file_needs_a_restart(void **state)
{
    (void)state;
    struct room room;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    char next[192];
    copy_plugin(&room, "good");
    assert_int_equal(bfr_plugin_load(room.directory, "good", &plugin, &err), BFR_OK);
    snprintf(next, sizeof next, "%s.new", room.path);
    copy_file(BAD_PLUGINS "/good.so", next, 0644);
    assert_int_equal(rename(next, room.path), 0);
    assert_refused(room.path, "the file was replaced after it had been loaded, and a loaded plugin stays; restart the "
                              "daemon to use the new one");
    leave_room(&room);
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void test_refusal_leaves_no_descriptor_open(void **state)
{
    (void)state;
    struct room room;
    copy_plugin(&room, "good");
    assert_int_equal(chmod(room.path, 0666), 0);
    size_t before = count_descriptors();
    assert_refused(room.path, "the file has mode 0666 and can be written to by everybody, who could run code as the "
                              "daemon; 'chmod go-w' it");
    assert_refused("/tmp/absent.so",
                   "its directory has mode 1777 and can be written to by everybody, who could run code "
                   "as the daemon; 'chmod go-w' it");
    assert_int_equal(count_descriptors(), before);
    leave_room(&room);
}

static void test_failing_create_is_named_and_leaves_nothing(void **state)
{
    (void)state;
    const struct bfr_stage_env env = {.clock = &bfr_clock_system};
    struct room room;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    copy_plugin(&room, "failing-create");
    assert_int_equal(bfr_plugin_load(room.directory, "failing-create", &plugin, &err), BFR_OK);
    struct bfr_stage *stage = bfr_stage_new(plugin, "shop", NULL, &env);
    assert_non_null(stage);
    assert_int_equal(bfr_stage_create(stage, &err), BFR_EFAIL);
    assert_string_equal(err.text,
                        "stage 'shop' (plugin 'failing-create'): create failed: the shop is closed; come back "
                        "tomorrow");
    assert_int_equal(bfr_stage_state(stage), BFR_STAGE_NEW);
    bfr_stage_free(stage); // its destroy would trap
    leave_room(&room);
}

// What the frozen plugin reports, and what it posted.
struct seen {
    size_t completions, readies;
    struct bfr_completion last;
    char text[64];
    void (*fn)(void *arg);
    void *fn_arg;
};

static void on_complete(void *arg, const struct bfr_completion *const *completions, size_t count)
{
    struct seen *seen = arg;
    seen->completions += count;
    seen->last = *completions[0];
    snprintf(seen->text, sizeof seen->text, "%s", completions[0]->text);
}

static void on_ready(void *arg)
{
    ((struct seen *)arg)->readies++;
}

static bool post(void *arg, void (*fn)(void *), void *fn_arg)
{
    struct seen *seen = arg;
    seen->fn = fn;
    seen->fn_arg = fn_arg;
    return true;
}

static void put_one(struct bfr_stage *stage, const struct seen *seen)
{
    const struct bfr_batch source = {.size = sizeof source,
                                     .account = "a",
                                     .tenant = "acme",
                                     .dataset = "fw",
                                     .filename = "f",
                                     .batch_id = "unknown",
                                     .data_hint = "unknown",
                                     .content_type = ""};
    struct bfr_batch *batch = bfr_batch_new(&source, NULL, NULL);
    assert_non_null(batch);
    const struct bfr_delivery delivery = {.size = sizeof delivery, .attempt = 1, .token = 77, .batch = batch};
    const struct bfr_delivery *const list[] = {&delivery, &delivery};
    assert_int_equal(bfr_stage_put(stage, list, 2), 1);
    bfr_batch_release(batch); // the plugin holds another reference until stop
    assert_int_equal(seen->completions, 1);
    assert_int_equal(seen->last.token, 77);
    assert_int_equal(seen->last.outcome, BFR_RETRY);
    assert_int_equal(seen->last.flags, BFR_OUTAGE);
    assert_int_equal(seen->last.retry_after_ms, 1500);
    assert_string_equal(seen->text, "as cold as ever");
}

static void live_a_whole_life(struct bfr_stage *stage, struct seen *seen)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_health health;
    assert_int_equal(bfr_stage_create(stage, &err), BFR_OK);
    assert_int_equal(bfr_stage_sink(stage)->max_in_flight(bfr_stage_self(stage)), 7);
    bfr_stage_hook(stage, &(struct bfr_stage_hooks){.on_complete = on_complete, .on_ready = on_ready, .arg = seen});
    assert_int_equal(bfr_stage_start(stage, &err), BFR_OK);
    assert_int_equal(seen->readies, 1);
    bfr_stage_health(stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_DEGRADED);
    seen->fn(seen->fn_arg);
    bfr_stage_health(stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_OK);
    put_one(stage, seen);
    bfr_stage_stop(stage);
    bfr_stage_destroy(stage);
}

static void test_plugin_of_abi_1_0_works_with_this_host(void **state)
{
    (void)state;
    struct room room;
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    enter_room(&room, "frozen");
    copy_file(FROZEN_PLUGINS "/frozen.so", room.path, 0644);
    assert_int_equal(bfr_plugin_load(room.directory, "frozen", &plugin, &err), BFR_OK);

    struct seen seen = {.completions = 0};
    struct bfr_metrics *metrics = bfr_metrics_new();
    const struct bfr_stage_env env = {
        .clock = &bfr_clock_system, .metrics = metrics, .post = post, .post_arg = &seen, .abort_on_misuse = true};
    struct bfr_values *values = bfr_values_defaults(plugin->options, plugin->option_count, plugin->option_size);
    struct bfr_stage *stage = bfr_stage_new(plugin, "old", values, &env);
    assert_non_null(stage);
    live_a_whole_life(stage, &seen);
    bfr_stage_free(stage);

    size_t size = 0;
    char *page = bfr_metrics_render(metrics, &size);
    assert_non_null(page);
    assert_non_null(strstr(page, "\nbytefreezer_receiver_frozen_puts_total{tenant=\"acme\"} 1\n"));
    free(page);
    bfr_values_free(values);
    bfr_metrics_free(metrics);
    leave_room(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_of_a_plugin_has_its_own_refusal),
        cmocka_unit_test(test_missing_file_is_named),
        cmocka_unit_test(test_missing_directory_is_named),
        cmocka_unit_test(test_text_file_is_not_elf),
        cmocka_unit_test(test_damaged_elf_gives_the_linkers_reason),
        cmocka_unit_test(test_a_plugin_that_is_cut_off_is_refused),
        cmocka_unit_test(test_only_a_regular_file_is_loaded),
        cmocka_unit_test(test_file_that_others_can_write_is_refused),
        cmocka_unit_test(test_directory_that_others_can_write_is_refused),
        cmocka_unit_test(test_foreign_owner_is_refused),
        cmocka_unit_test(test_owner_may_be_the_daemons_user),
        cmocka_unit_test(test_name_is_a_bare_name),
        cmocka_unit_test(test_file_name_is_a_plugins_name),
        cmocka_unit_test(test_wrong_kind_for_its_place_is_refused),
        cmocka_unit_test(test_same_file_twice_gives_the_same_descriptor),
        cmocka_unit_test(test_same_name_in_two_directories_gives_two_plugins),
        cmocka_unit_test(test_replaced_file_needs_a_restart),
        cmocka_unit_test(test_refusal_leaves_no_descriptor_open),
        cmocka_unit_test(test_failing_create_is_named_and_leaves_nothing),
        cmocka_unit_test(test_plugin_of_abi_1_0_works_with_this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
