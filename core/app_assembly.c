// SPDX-License-Identifier: Apache-2.0
// Builds the stages that a configuration names. Runs on the main thread before anything is started; never opens a socket
// or a spool.
#include "app_assembly.h"

#include <string.h>

#include "http_tls_context.h"
#include "plugin_check.h"
#include "plugin_loader.h"

// What one entry of the configuration came to.
struct part {
    const struct bfr_stage_entry *entry;
    const struct bfr_plugin *plugin;
    const struct bfr_values *values;
};

struct parts {
    struct part list[BFR_STAGES_MAX];
    size_t count;
};

// Calls `visit` for every stage until it returns true; that stage, or NULL.
static struct bfr_stage *find_stage(const struct bfr_assembly *assembly,
                                    bool (*visit)(const struct bfr_stage *stage, const char *name), const char *name)
{
    struct bfr_stage *const *const lists[] = {&assembly->auth, assembly->queues, assembly->sinks, assembly->services};
    const size_t counts[] = {assembly->auth != NULL, assembly->queue_count, assembly->sink_count,
                             assembly->service_count};
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (size_t i = 0; i < counts[l]; i++) {
            if (visit(lists[l][i], name))
                return lists[l][i];
        }
    }
    return NULL;
}

static bool has_name(const struct bfr_stage *stage, const char *name)
{
    return strcmp(bfr_stage_name(stage), name) == 0;
}

static bool has_plugin(const struct bfr_stage *stage, const char *name)
{
    return strcmp(bfr_stage_plugin(stage)->name, name) == 0;
}

struct bfr_stage *bfr_assembly_stage(const struct bfr_assembly *assembly, const char *name)
{
    return find_stage(assembly, has_name, name);
}

// A plugin that runs is not loaded once more: its file may be another one by now.
static void load_part(struct bfr_config *config, size_t index, const struct bfr_assembly *running, struct part *part,
                      struct bfr_diag *diag)
{
    struct bfr_err err = {.size = sizeof err};
    part->entry = bfr_config_stage(config, index);
    const char *plugin_dir = bfr_config_settings(config)->plugin_dir;
    const struct bfr_stage *stage = find_stage(running, has_plugin, part->entry->plugin);
    if (stage != NULL) {
        part->plugin = bfr_stage_plugin(stage);
    } else if (bfr_plugin_load(plugin_dir, part->entry->plugin, &part->plugin, &err) != BFR_OK) {
        bfr_diag_error(diag, part->entry->place, "%s", err.text);
        return;
    }
    part->values = bfr_config_bind(config, index, part->plugin, diag);
}

// The rank of a kind in `pipeline:`; the entries' ranks must not fall.
static unsigned rank_of(uint32_t kind)
{
    return kind == BFR_KIND_AUTH ? 1 : kind == BFR_KIND_QUEUE ? 2 : 3;
}

static const char *kind_rule(uint32_t kind)
{
    switch (kind) {
    case BFR_KIND_AUTH:
        return "an auth stage stands first, and there is at most one";
    case BFR_KIND_QUEUE:
        return "queues stand after the auth stage and before the sinks";
    default:
        return "sinks stand last";
    }
}

static void check_place(const char *plugin_dir, const struct part *part, unsigned *last_rank, struct bfr_diag *diag)
{
    const struct bfr_stage_entry *entry = part->entry;
    uint32_t kind = part->plugin->kind;
    if (entry->service != (kind == BFR_KIND_SERVICE)) {
        struct bfr_err err = {.size = sizeof err};
        if (bfr_plugin_refuse_kind(plugin_dir, part->plugin, entry->service ? BFR_KIND_SERVICE : 0, &err) != BFR_OK)
            bfr_diag_error(diag, entry->place, "%s", err.text);
        return;
    }
    if (entry->service)
        return;
    unsigned rank = rank_of(kind);
    if (rank < *last_rank || (rank == 1 && *last_rank == 1))
        bfr_diag_error(diag, entry->place, "stage '%s' (%s) is out of place: %s", entry->name, bfr_kind_name(kind),
                       kind_rule(kind));
    else
        *last_rank = rank;
}

// The rules of the pipeline's shape that need only kinds and flags.
static void check_shape(const struct bfr_config *config, const struct parts *parts, struct bfr_diag *diag)
{
    unsigned last_rank = 0;
    size_t auths = 0, queues = 0, stable = 0, sinks = 0;
    for (size_t i = 0; i < parts->count; i++) {
        const struct part *part = &parts->list[i];
        check_place(bfr_config_settings(config)->plugin_dir, part, &last_rank, diag);
        auths += part->plugin->kind == BFR_KIND_AUTH;
        queues += part->plugin->kind == BFR_KIND_QUEUE;
        stable += part->plugin->kind == BFR_KIND_QUEUE && (part->plugin->flags & BFR_FLAG_STABLE) != 0;
        sinks += part->plugin->kind == BFR_KIND_SINK;
    }
    const struct bfr_place file = {bfr_config_path(config), 0, 0};
    uint32_t ack = bfr_config_settings(config)->ack;
    if (sinks == 0)
        bfr_diag_error(diag, file, "the pipeline ends without a sink; add one, e.g. '- {plugin: fs, directory: data}'");
    if (ack == BFR_ACK_MEMORY && queues == 0)
        bfr_diag_error(diag, file,
                       "'ack: memory' needs a queue; add '- {plugin: memory}' before the sinks or write 'ack: sink'");
    if (ack == BFR_ACK_DISK && stable == 0)
        bfr_diag_error(
            diag, file,
            "'ack: disk' needs a queue that survives a crash, and the pipeline has none; write 'ack: memory' "
            "or 'ack: sink', or add a stable queue");
    if (auths == 0)
        bfr_diag_warning(diag, file, "no auth stage: ids are checked for their syntax only and anyone may send");
    if (queues > 0 && stable == 0)
        bfr_diag_warning(diag, file,
                         "no queue of the pipeline survives a crash: what is acknowledged and not yet in a "
                         "sink, dead letters too, is lost with the process");
}

// `running` has the stages that were created before, if any.
static uint32_t read_parts(struct bfr_config **config, struct parts *parts, const char *path,
                           const struct bfr_assembly *running, const struct bfr_config_flags *flags,
                           struct bfr_diag *diag)
{
    *config = bfr_config_read(path, flags, diag);
    if (*config == NULL)
        return BFR_ENOMEM;
    size_t count = bfr_config_stage_count(*config);
    if (count > BFR_STAGES_MAX) {
        bfr_diag_error(diag, bfr_config_stage(*config, BFR_STAGES_MAX)->place,
                       "more than %d stages; a pipeline that long is not supported", BFR_STAGES_MAX);
        return BFR_EINVAL;
    }
    bool all_loaded = true;
    for (size_t i = 0; i < count; i++) {
        load_part(*config, i, running, &parts->list[i], diag);
        all_loaded = all_loaded && parts->list[i].plugin != NULL;
    }
    parts->count = count;
    if (all_loaded && count > 0)
        check_shape(*config, parts, diag);
    return bfr_diag_errors(diag) == 0 ? BFR_OK : BFR_EINVAL;
}

static void keep_stage(struct bfr_assembly *assembly, struct bfr_stage *stage)
{
    switch (bfr_stage_kind(stage)) {
    case BFR_KIND_AUTH:
        assembly->auth = stage;
        break;
    case BFR_KIND_QUEUE:
        assembly->queues[assembly->queue_count++] = stage;
        break;
    case BFR_KIND_SINK:
        assembly->sinks[assembly->sink_count++] = stage;
        break;
    default:
        assembly->services[assembly->service_count++] = stage;
        break;
    }
}

static uint32_t create_part(struct bfr_assembly *assembly, const struct part *part, const struct bfr_stage_env *env,
                            struct bfr_diag *diag)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_stage *stage = bfr_stage_new(part->plugin, part->entry->name, part->values, env);
    if (stage == NULL)
        return BFR_ENOMEM;
    if (bfr_stage_create(stage, &err) != BFR_OK) {
        bfr_diag_error(diag, part->entry->place, "%s", err.text);
        bfr_stage_free(stage);
        return BFR_OK; // the others are tried as well: all errors in one run
    }
    keep_stage(assembly, stage);
    return BFR_OK;
}

static void check_tls(const struct bfr_config *config, const struct bfr_tls_settings *settings, const char *section,
                      struct bfr_diag *diag)
{
    const struct bfr_place places[] = {bfr_config_place(config, section, "certificate"),
                                       bfr_config_place(config, section, "key"),
                                       bfr_config_place(config, section, "client_ca")};
    bfr_tls_check(settings, section, places, diag);
}

static void check_certificates(const struct bfr_config *config, struct bfr_diag *diag)
{
    const struct bfr_settings *settings = bfr_config_settings(config);
    check_tls(config, &settings->webhook.tls, "webhook.tls", diag);
    check_tls(config, &settings->server.tls, "server.tls", diag);
}

uint32_t bfr_assembly_build(struct bfr_assembly *assembly, const char *config_path,
                            const struct bfr_config_flags *flags, const struct bfr_stage_env *env,
                            struct bfr_diag *diag)
{
    memset(assembly, 0, sizeof *assembly);
    struct parts parts = {.count = 0};
    uint32_t status = read_parts(&assembly->config, &parts, config_path, assembly, flags, diag);
    if (assembly->config != NULL)
        check_certificates(assembly->config, diag);
    for (size_t i = 0; i < parts.count && status == BFR_OK; i++)
        status = create_part(assembly, &parts.list[i], env, diag);
    if (status == BFR_OK && bfr_diag_errors(diag) > 0)
        status = BFR_EINVAL;
    if (status != BFR_OK)
        bfr_assembly_clear(assembly);
    return status;
}

uint32_t bfr_assembly_read(struct bfr_assembly *assembly, const char *config_path, const struct bfr_config_flags *flags,
                           struct bfr_diag *diag)
{
    memset(assembly, 0, sizeof *assembly);
    struct parts parts = {.count = 0};
    uint32_t status = read_parts(&assembly->config, &parts, config_path, assembly, flags, diag);
    if (status != BFR_OK)
        bfr_assembly_clear(assembly);
    return status;
}

struct bfr_config *bfr_assembly_reread(const struct bfr_assembly *running, const char *config_path,
                                       const struct bfr_config_flags *flags, struct bfr_diag *diag)
{
    struct parts parts = {.count = 0};
    struct bfr_config *config = NULL;
    if (read_parts(&config, &parts, config_path, running, flags, diag) != BFR_OK && config == NULL)
        return NULL;
    check_certificates(config, diag);
    if (bfr_diag_errors(diag) == 0)
        (void)bfr_config_refuse_masks(config, diag);
    return config;
}

static void free_stages(struct bfr_stage **stages, size_t *count)
{
    while (*count > 0)
        bfr_stage_free(stages[--*count]);
}

void bfr_assembly_clear(struct bfr_assembly *assembly)
{
    free_stages(assembly->services, &assembly->service_count);
    bfr_stage_free(assembly->auth);
    assembly->auth = NULL;
    free_stages(assembly->queues, &assembly->queue_count);
    free_stages(assembly->sinks, &assembly->sink_count);
    bfr_config_free(assembly->config);
    assembly->config = NULL;
}
