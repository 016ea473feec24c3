// SPDX-License-Identifier: Apache-2.0
// Checks on the descriptor and the option table: constant data, so nothing of the plugin runs but its entry.
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "../src/option_values.h"

// 0: end of text reached within `most` bytes, and only one line.
static bool is_line(const char *text, size_t most)
{
    return text != NULL && text[0] != '\0' && strnlen(text, most + 1) <= most && strpbrk(text, "\r\n") == NULL;
}

static void identity_is_sound(const struct subject *subject)
{
    const struct bfr_plugin *plugin = subject->plugin;
    must(is_line(plugin->name, 32), "its name is missing, too long or has a line break");
    must(strspn(plugin->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(plugin->name),
         "name '%s': only a-z, 0-9 and - are allowed", plugin->name);
    const char *slash = strrchr(subject->path, '/');
    const char *file = slash != NULL ? slash + 1 : subject->path;
    size_t length = strlen(plugin->name);
    must(strncmp(file, plugin->name, length) == 0 && strcmp(file + length, ".so") == 0,
         "it calls itself %s, so the file must be called %s.so: the daemon finds it by that", plugin->name,
         plugin->name);
    must(is_line(plugin->version, 32), "its version is missing, too long or has a line break");
    must(is_line(plugin->summary, 120), "its summary is missing, longer than 120 bytes or more than one line");
}

static void flags_fit_the_kind(const struct subject *subject)
{
    const struct bfr_plugin *plugin = subject->plugin;
    const uint64_t levels = BFR_FLAG_VOLATILE | BFR_FLAG_STABLE;
    must((plugin->flags & ~levels) == 0, "flags %#llx has bits that 1.%u does not know",
         (unsigned long long)plugin->flags, BFR_ABI_MINOR);
    if (plugin->kind == BFR_KIND_QUEUE)
        must(plugin->flags == BFR_FLAG_VOLATILE || plugin->flags == BFR_FLAG_STABLE,
             "a queue sets exactly one of BFR_FLAG_VOLATILE and BFR_FLAG_STABLE");
    else
        must(plugin->flags == 0, "VOLATILE and STABLE are for queues");
}

static void queue_slots(const struct bfr_queue_vtable *queue)
{
    must(BFR_HAS_CALL(queue, consumers) && BFR_HAS_CALL(queue, put) && BFR_HAS_CALL(queue, lease) &&
             BFR_HAS_CALL(queue, ack) && BFR_HAS_CALL(queue, nack) && BFR_HAS_CALL(queue, bury) &&
             BFR_HAS_CALL(queue, stats),
         "consumers, put, lease, ack, nack, bury and stats are required");
    must(BFR_HAS_CALL(queue, reserve) == BFR_HAS_CALL(queue, release), "reserve and release: both or neither");
}

static void slots_are_filled(const struct subject *subject)
{
    const struct bfr_plugin *plugin = subject->plugin;
    const struct bfr_life *life = plugin->life;
    must(life != NULL && BFR_HAS_CALL(life, create) && BFR_HAS_CALL(life, destroy),
         "life.create and life.destroy are required");
    must(plugin->vtable != NULL || plugin->kind == BFR_KIND_SERVICE, "its kind needs a vtable");
    if (plugin->kind == BFR_KIND_SINK)
        must(BFR_HAS_CALL((const struct bfr_sink_vtable *)plugin->vtable, put), "put is required");
    if (plugin->kind == BFR_KIND_AUTH)
        must(BFR_HAS_CALL((const struct bfr_auth_vtable *)plugin->vtable, authorize), "authorize is required");
    if (plugin->kind == BFR_KIND_QUEUE)
        queue_slots(plugin->vtable);
}

static void option_name(const struct subject *subject, uint32_t index, const struct bfr_option *option)
{
    must(option->name != NULL && option->name[0] >= 'a' && option->name[0] <= 'z' &&
             strspn(option->name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(option->name),
         "option %u: '%s' is no [a-z][a-z0-9_]*", index, option->name != NULL ? option->name : "(null)");
    must(strcmp(option->name, "plugin") != 0 && strcmp(option->name, "name") != 0,
         "option %s: the key belongs to the daemon", option->name);
    for (uint32_t i = 0; i < index; i++)
        must(strcmp(bfr_fake_option(subject->plugin, i)->name, option->name) != 0, "option %s is there twice",
             option->name);
}

static void option_form(const struct subject *subject, const struct bfr_option *option)
{
    const uint32_t known = BFR_OPTION_REQUIRED | BFR_OPTION_SECRET | BFR_OPTION_LIVE;
    const char *name = option->name;
    must(option->type >= BFR_OPTION_STRING && option->type <= BFR_OPTION_MAP, "option %s: type %u is none of %s", name,
         option->type, "enum bfr_option_type");
    must((option->flags & ~known) == 0, "option %s: unknown flags %#x", name, option->flags);
    must(is_line(option->help, 400), "option %s: its help is missing or more than one line", name);
    must(option->choices == NULL || option->type == BFR_OPTION_STRING, "option %s: only a STRING has choices", name);
    must(option->unit == NULL || option->type == BFR_OPTION_DURATION, "option %s: only a DURATION has a unit", name);
    must(option->unit == NULL || (option->unit[0] != '\0' && strstr("|ms|s|m|h|d|", option->unit) != NULL),
         "option %s: unit '%s' is none of ms, s, m, h, d", name, option->unit);
    must((option->flags & BFR_OPTION_REQUIRED) == 0 || option->fallback == NULL,
         "option %s: a required option has no fallback", name);
    must((option->flags & BFR_OPTION_LIVE) == 0 || BFR_HAS_CALL(subject->plugin->life, reload),
         "option %s is LIVE, and life.reload is missing", name);
    struct bfr_err err = {.size = sizeof err};
    if (option->fallback != NULL)
        must(bfr_fake_value_check(option, option->fallback, &err) == BFR_OK, "fallback of %s", err.text);
}

static void options_are_sound(const struct subject *subject)
{
    const struct bfr_plugin *plugin = subject->plugin;
    if (plugin->option_count == 0)
        return;
    must(plugin->options != NULL && plugin->option_size >= sizeof(struct bfr_option),
         "option_size is %u; set it to sizeof(struct bfr_option)", plugin->option_size);
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        option_name(subject, i, bfr_fake_option(plugin, i));
        option_form(subject, bfr_fake_option(plugin, i));
    }
}

const struct check descriptor_checks[] = {
    {"descriptor: name, version and summary", identity_is_sound},
    {"descriptor: flags fit the kind", flags_fit_the_kind},
    {"descriptor: required slots are filled", slots_are_filled},
    {"descriptor: option table", options_are_sound},
    {NULL, NULL},
};
