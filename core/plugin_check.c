// SPDX-License-Identifier: Apache-2.0
// Is this descriptor one the host can live with? Decides from the descriptor alone: no file, no call into the plugin,
// no state, any thread. Members are read in the order in which they guard each other, and never beyond a declared size.
#include "plugin_check.h"

#include <inttypes.h>
#include <string.h>

#include <bfr/text.h>

#include "plugin_loader.h"

#define VERSION_MAX    32  // bytes
#define SUMMARY_MAX    120 // bytes
#define TOOL_WORDS_MAX 40

// Size of the descriptor in ABI 1.0: the least that any plugin has.
#define PLUGIN_SIZE_1_0 (offsetof(struct bfr_plugin, tool_size) + sizeof(uint32_t))

// One function slot of a table; `offset` is where its pointer stands.
struct slot {
    size_t offset;
    const char *name;
};

#define SLOT(table, field) offsetof(struct table, field), #field
#define COUNT(array)       (sizeof(array) / sizeof((array)[0]))

static const struct slot life_slots[] = {{SLOT(bfr_life, create)}, {SLOT(bfr_life, destroy)}};
static const struct slot auth_slots[] = {{SLOT(bfr_auth_vtable, authorize)}};
static const struct slot queue_slots[] = {
    {SLOT(bfr_queue_vtable, consumers)}, {SLOT(bfr_queue_vtable, put)},  {SLOT(bfr_queue_vtable, lease)},
    {SLOT(bfr_queue_vtable, ack)},       {SLOT(bfr_queue_vtable, nack)}, {SLOT(bfr_queue_vtable, bury)},
    {SLOT(bfr_queue_vtable, stats)},
};
static const struct slot sink_slots[] = {{SLOT(bfr_sink_vtable, put)}};

// What a kind needs. A kind without required slots may leave its table out.
struct kind_rule {
    const char *name;
    const char *table;
    const struct slot *required;
    size_t required_count;
    uint64_t flags; // allowed
};

static const struct kind_rule kind_rules[] = {
    [BFR_KIND_AUTH] = {"auth", "bfr_auth_vtable", auth_slots, COUNT(auth_slots), 0},
    [BFR_KIND_QUEUE] = {"queue", "bfr_queue_vtable", queue_slots, COUNT(queue_slots),
                        BFR_FLAG_VOLATILE | BFR_FLAG_STABLE},
    [BFR_KIND_SINK] = {"sink", "bfr_sink_vtable", sink_slots, COUNT(sink_slots), 0},
    [BFR_KIND_SERVICE] = {"service", "bfr_service_vtable", NULL, 0, 0},
};

static bool kind_known(uint32_t kind)
{
    return kind >= BFR_KIND_AUTH && kind < COUNT(kind_rules);
}

const char *bfr_kind_name(uint32_t kind)
{
    return kind_known(kind) ? kind_rules[kind].name : "unknown";
}

bool bfr_plugin_name_valid(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= BFR_PLUGIN_NAME_MAX && name[length] == '\0';
}

static uint32_t check_versions(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err)
{
    if (plugin->magic != BFR_ABI_MAGIC)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': its descriptor begins with 0x%08" PRIx32 ", not with the magic 0x%08" PRIx32
                           "; begin the descriptor with BFR_PLUGIN_HEAD and build it for this machine's byte order",
                           path, plugin->magic, BFR_ABI_MAGIC);
    if (plugin->abi_major != BFR_ABI_MAJOR)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it was built for ABI %" PRIu32 ".%" PRIu32 ", this host offers %" PRIu32
                           ".%" PRIu32 "; rebuild it with the SDK of this host",
                           path, plugin->abi_major, plugin->abi_minor, BFR_ABI_MAJOR, BFR_ABI_MINOR);
    if (plugin->min_host_minor > BFR_ABI_MINOR)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it needs a host of ABI %" PRIu32 ".%" PRIu32
                           " or newer, this host offers %" PRIu32 ".%" PRIu32
                           "; upgrade the daemon or install an older version of the plugin",
                           path, plugin->abi_major, plugin->min_host_minor, BFR_ABI_MAJOR, BFR_ABI_MINOR);
    if (plugin->size < PLUGIN_SIZE_1_0)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': its descriptor declares %" PRIu32 " bytes, ABI %" PRIu32
                           ".0 has %zu; begin the descriptor with BFR_PLUGIN_HEAD and rebuild it with the SDK",
                           path, plugin->size, BFR_ABI_MAJOR, PLUGIN_SIZE_1_0);
    return BFR_OK;
}

// One line of printable text of at most `limit` bytes. Bytes above 0x7f pass: UTF-8 is welcome.
static bool text_valid(const char *text, size_t limit)
{
    if (text == NULL || text[0] == '\0')
        return false;
    size_t length = strnlen(text, limit + 1);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return length <= limit;
}

static uint32_t check_identity(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err)
{
    if (!kind_known(plugin->kind))
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it declares kind %" PRIu32
                           ", this host knows auth (1), queue (2), sink (3) and "
                           "service (4); set the descriptor's kind to one of them",
                           path, plugin->kind);
    if (plugin->name == NULL || !bfr_plugin_name_valid(plugin->name))
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': its descriptor declares the name '%.40s'; a name is 1 to %d bytes of a-z, 0-9 "
                           "and '-', as the file is called",
                           path, plugin->name == NULL ? "" : plugin->name, BFR_PLUGIN_NAME_MAX);
    if (!text_valid(plugin->version, VERSION_MAX))
        return bfr_err_set(
            err, BFR_EINVAL,
            "plugin '%s': its descriptor's version is missing, longer than %d bytes or not one line; set "
            "it to something like \"1.0.0\"",
            path, VERSION_MAX);
    if (!text_valid(plugin->summary, SUMMARY_MAX))
        return bfr_err_set(
            err, BFR_EINVAL,
            "plugin '%s': its descriptor's summary is missing, longer than %d bytes or not one line; say "
            "in a few words what the plugin does",
            path, SUMMARY_MAX);
    return BFR_OK;
}

static uint32_t check_flags(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err)
{
    uint64_t stray = plugin->flags & ~kind_rules[plugin->kind].flags;
    if (stray != 0)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': its descriptor sets flags 0x%" PRIx64 ", which ABI %" PRIu32 ".%" PRIu32
                           " does not know for kind %s; clear them",
                           path, stray, BFR_ABI_MAJOR, BFR_ABI_MINOR, bfr_kind_name(plugin->kind));
    if (plugin->kind != BFR_KIND_QUEUE)
        return BFR_OK;
    if (plugin->flags != BFR_FLAG_VOLATILE && plugin->flags != BFR_FLAG_STABLE)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it is a queue and its descriptor sets %s of BFR_FLAG_VOLATILE and "
                           "BFR_FLAG_STABLE; set exactly one, the one that is true after SIGKILL",
                           path, plugin->flags == 0 ? "none" : "both");
    return BFR_OK;
}

// Every table begins with its size, so one reader serves all: is the slot inside it, and filled?
static bool slot_filled(const void *table, size_t offset)
{
    uint32_t size;
    memcpy(&size, table, sizeof size);
    if (size < offset + sizeof(void (*)(void)))
        return false;
    void (*call)(void);
    memcpy(&call, (const char *)table + offset, sizeof call);
    return call != NULL;
}

static uint32_t check_table(const void *table, const char *table_name, const struct slot *required, size_t count,
                            const char *path, struct bfr_err *err)
{
    if (count == 0)
        return BFR_OK;
    if (table == NULL)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': its descriptor has no table 'struct %s'; point to one that fills '%s'", path,
                           table_name, required[0].name);
    for (size_t i = 0; i < count; i++) {
        if (!slot_filled(table, required[i].offset))
            return bfr_err_set(err, BFR_EINVAL,
                               "plugin '%s': the required slot '%s' of its 'struct %s' is missing; fill it, and set "
                               "the table's size with sizeof",
                               path, required[i].name, table_name);
    }
    return BFR_OK;
}

static uint32_t check_pair(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err)
{
    if (plugin->kind != BFR_KIND_QUEUE)
        return BFR_OK;
    bool reserve = slot_filled(plugin->vtable, offsetof(struct bfr_queue_vtable, reserve));
    bool release = slot_filled(plugin->vtable, offsetof(struct bfr_queue_vtable, release));
    if (reserve != release)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': its 'struct bfr_queue_vtable' fills '%s' without '%s'; fill both or neither",
                           path, reserve ? "reserve" : "release", reserve ? "release" : "reserve");
    return BFR_OK;
}

// "spool ls": two words, so that no tool can take the place of a command or an option.
static bool words_valid(const char *words)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    if (words == NULL)
        return false;
    size_t first = strspn(words, letters);
    if (first == 0 || words[first] != ' ')
        return false;
    size_t second = strspn(words + first + 1, letters);
    return second > 0 && words[first + 1 + second] == '\0' && first + second < TOOL_WORDS_MAX;
}

static uint32_t check_tools(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err)
{
    if (plugin->tool_count == 0)
        return BFR_OK;
    if (plugin->tools == NULL || plugin->tool_size < sizeof(struct bfr_tool))
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it declares %" PRIu32 " tools of %" PRIu32 " bytes, ABI %" PRIu32
                           ".0 has %zu; point to them, and set tool_size to sizeof(struct bfr_tool)",
                           path, plugin->tool_count, plugin->tool_size, BFR_ABI_MAJOR, sizeof(struct bfr_tool));
    for (uint32_t i = 0; i < plugin->tool_count; i++) {
        const struct bfr_tool *tool =
            (const struct bfr_tool *)(const void *)((const char *)plugin->tools + (size_t)i * plugin->tool_size);
        if (!words_valid(tool->words) || tool->operands == NULL || !text_valid(tool->summary, SUMMARY_MAX) ||
            tool->run == NULL)
            return bfr_err_set(err, BFR_EINVAL,
                               "plugin '%s': its tool %" PRIu32
                               " is not complete; give it two words of a-z, operands, a summary of at most %d bytes "
                               "and a function",
                               path, i + 1, SUMMARY_MAX);
    }
    return BFR_OK;
}

uint32_t bfr_plugin_check(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err)
{
    uint32_t status = check_versions(plugin, path, err);
    if (status == BFR_OK)
        status = check_identity(plugin, path, err);
    if (status == BFR_OK)
        status = check_flags(plugin, path, err);
    if (status == BFR_OK)
        status = check_table(plugin->life, "bfr_life", life_slots, COUNT(life_slots), path, err);
    if (status != BFR_OK)
        return status;
    const struct kind_rule *rule = &kind_rules[plugin->kind];
    status = check_table(plugin->vtable, rule->table, rule->required, rule->required_count, path, err);
    if (status == BFR_OK)
        status = check_pair(plugin, path, err);
    if (status == BFR_OK)
        status = bfr_plugin_check_options(plugin, path, err);
    if (status == BFR_OK)
        status = check_tools(plugin, path, err);
    return status;
}

uint32_t bfr_plugin_check_name(const struct bfr_plugin *plugin, const char *path, const char *file_name,
                               struct bfr_err *err)
{
    if (strcmp(plugin->name, file_name) == 0)
        return BFR_OK;
    return bfr_err_set(err, BFR_EINVAL,
                       "plugin '%s': it calls itself '%s', its file is called '%s.so'; rename the file to '%s.so'",
                       path, plugin->name, file_name, plugin->name);
}

static const char *place_of(uint32_t kind)
{
    switch (kind) {
    case BFR_KIND_AUTH:
        return "put it first under 'pipeline:'";
    case BFR_KIND_QUEUE:
        return "put it before the sinks under 'pipeline:'";
    case BFR_KIND_SINK:
        return "put it last under 'pipeline:'";
    default:
        return "put it under 'services:'";
    }
}

uint32_t bfr_plugin_refuse_kind(const char *plugin_dir, const struct bfr_plugin *plugin, uint32_t want,
                                struct bfr_err *err)
{
    return bfr_err_set(err, BFR_EINVAL, "plugin '%s/%s.so': its kind is %s, and this place needs %s; %s", plugin_dir,
                       plugin->name, bfr_kind_name(plugin->kind),
                       want == 0 ? "auth, queue or sink" : bfr_kind_name(want), place_of(plugin->kind));
}
