// SPDX-License-Identifier: Apache-2.0
// The pipeline that an older form means: auth, memory, disk, s3; and the services: control, otlp, soc. Decides which stages there are; their keys come from the
// table. Used on the thread that reads the configuration.
#include "config_legacy.h"

#include <string.h>

struct composer {
    struct bfr_arena *arena;
    struct bfr_node *root;
    const struct bfr_legacy_found *found;
    struct bfr_diag *diag;
    struct bfr_place file;
    struct bfr_node *stages[BFR_LEGACY_PLACES]; // the mappings made so far
};

static struct bfr_node *scalar(const struct composer *composer, struct bfr_place place, const char *text)
{
    struct bfr_node *node = bfr_node_new(composer->arena, BFR_NODE_SCALAR, place);
    if (node != NULL)
        node->text = text;
    return node;
}

static void put_text(const struct composer *composer, struct bfr_node *map, const char *key, const char *text)
{
    struct bfr_node *node = scalar(composer, composer->file, text);
    if (map != NULL && node != NULL)
        bfr_node_put(map, key, node);
}

// One node cannot stand in two places, so each gets a copy.
static void put_copy(const struct composer *composer, struct bfr_node *map, const char *key,
                     const struct bfr_node *node)
{
    struct bfr_node *copy = bfr_node_new(composer->arena, node->kind, node->place);
    if (map == NULL || copy == NULL)
        return;
    *copy = *node;
    copy->next = NULL;
    copy->plain = false; // the text "null" is a text here
    bfr_node_put(map, key, copy);
}

// The list under `key` of the root, made when it is missing.
static struct bfr_node *list_of(const struct composer *composer, const char *key)
{
    struct bfr_node *list = bfr_node_find(composer->root, key);
    if (list == NULL) {
        list = bfr_node_new(composer->arena, BFR_NODE_LIST, composer->file);
        if (list != NULL)
            bfr_node_put(composer->root, key, list);
    }
    return list;
}

static struct bfr_node *add_entry(const struct composer *composer, const char *list_key, const char *plugin)
{
    struct bfr_node *list = list_of(composer, list_key);
    struct bfr_node *map = bfr_node_new(composer->arena, BFR_NODE_MAP, composer->file);
    if (list == NULL || list->kind != BFR_NODE_LIST || map == NULL)
        return NULL;
    put_text(composer, map, "plugin", plugin);
    bfr_node_append(list, map);
    return map;
}

// One that the file names itself, in the native way, stays the only one.
static bool is_named(const struct composer *composer, const char *plugin)
{
    const struct bfr_node *list = bfr_node_find(composer->root, "services");
    for (const struct bfr_node *entry = list == NULL ? NULL : list->children; entry != NULL; entry = entry->next) {
        const struct bfr_node *name = entry->kind == BFR_NODE_MAP ? bfr_node_find(entry, "plugin") : NULL;
        if (name != NULL && name->kind == BFR_NODE_SCALAR && strcmp(name->text, plugin) == 0)
            return true;
    }
    return false;
}

static void add_service(struct composer *composer, uint32_t place)
{
    const char *plugin = bfr_legacy_plugin(place);
    if (!is_named(composer, plugin))
        composer->stages[place] = add_entry(composer, "services", plugin);
}

static void add_stage(struct composer *composer, uint32_t place)
{
    composer->stages[place] = add_entry(composer, "pipeline", bfr_legacy_plugin(place));
}

static bool is_on(const struct composer *composer, uint32_t index, bool fallback)
{
    return bfr_legacy_is_on(composer->found, index, fallback);
}

static bool has_text(const struct composer *composer, uint32_t index)
{
    return bfr_legacy_text(composer->found, index)[0] != '\0';
}

// Without a word about `enabled`: whoever gives a key or an account of the control service means to use it, so that
// leaving out the URL alone does not open the receiver to everyone.
static bool wants_control(const struct composer *composer)
{
    bool meant = has_text(composer, BFR_LEGACY_CONTROL_URL) || has_text(composer, BFR_LEGACY_CONTROL_KEY) ||
                 has_text(composer, BFR_LEGACY_CONTROL_ACCOUNT);
    return is_on(composer, BFR_LEGACY_CONTROL_ENABLED, meant);
}

// What is known of the tenants is kept in the spool, the one place that is sure to be writable and to stay.
static void put_cache(const struct composer *composer)
{
    const char *directory = bfr_legacy_text(composer->found, BFR_LEGACY_SPOOL);
    const char *path = bfr_arena_format(composer->arena, "%s/.bfr/directory.cache", directory);
    if (is_on(composer, BFR_LEGACY_SPOOLING, true) && path != NULL)
        put_text(composer, composer->stages[BFR_LEGACY_AUTH], "cache_file", path);
}

static void compose_control(struct composer *composer)
{
    add_stage(composer, BFR_LEGACY_AUTH);
    put_text(composer, composer->stages[BFR_LEGACY_AUTH], "mode", "control");
    put_cache(composer);
    if (has_text(composer, BFR_LEGACY_TENANTS_FILE))
        bfr_diag_warning(composer->diag, composer->found[BFR_LEGACY_TENANTS_FILE].node->place,
                         "authentication.tenants_file is ignored: the control service says which tenants there are");
    if (!has_text(composer, BFR_LEGACY_CONTROL_URL))
        bfr_diag_warning(composer->diag, composer->file,
                         "control_service is enabled and has no control_url: every batch is answered 503 until it has "
                         "one; set control_service.control_url or RECEIVER_CONTROL_SERVICE_URL");
}

// Tenants come from the control service, else from a file, else everyone is let in.
static void compose_auth(struct composer *composer)
{
    const struct bfr_node *tokens = composer->found[BFR_LEGACY_AUTHENTICATION].node;
    struct bfr_node *stage = NULL;
    if (wants_control(composer)) {
        compose_control(composer);
    } else if (has_text(composer, BFR_LEGACY_TENANTS_FILE)) {
        stage = add_entry(composer, "pipeline", "auth");
        put_text(composer, stage, "mode", "tokens");
        put_copy(composer, stage, "tenants_file", composer->found[BFR_LEGACY_TENANTS_FILE].node);
        put_text(composer, stage, "require_token", bfr_legacy_text(composer->found, BFR_LEGACY_AUTHENTICATION));
    } else {
        stage = add_entry(composer, "pipeline", "auth");
        put_text(composer, stage, "mode", "open");
        if (is_on(composer, BFR_LEGACY_AUTHENTICATION, false))
            bfr_diag_error(composer->diag, tokens->place,
                           "authentication.enabled needs to know the tokens; set control_service.control_url, or name "
                           "a file of tenants under authentication.tenants_file");
    }
}

static void compose_s3(struct composer *composer)
{
    add_stage(composer, BFR_LEGACY_S3);
    if (composer->found[BFR_LEGACY_BUCKET_NAME].node != NULL)
        return;
    bfr_diag_error(composer->diag, composer->file,
                   "no bucket is given; write  s3: {bucket_name: NAME}  or set RECEIVER_S3_BUCKET_NAME (a file in the "
                   "native form has a 'pipeline', the smallest is  pipeline: [{plugin: memory}, {plugin: fs, "
                   "directory: /srv/batches}])");
    struct bfr_node *reported = bfr_node_new(composer->arena, BFR_NODE_BROKEN, composer->file);
    if (reported != NULL && composer->stages[BFR_LEGACY_S3] != NULL)
        bfr_node_put(composer->stages[BFR_LEGACY_S3], "bucket_name", reported);
}

// The mapping of a core section, made when it is missing; NULL when something else stands there, which is an error that
// the check finds.
static struct bfr_node *section_of(const struct composer *composer, const char *name)
{
    struct bfr_node *map = bfr_node_find(composer->root, name);
    if (map == NULL) {
        map = bfr_node_new(composer->arena, BFR_NODE_MAP, composer->file);
        if (map != NULL)
            bfr_node_put(composer->root, name, map);
    }
    return map != NULL && map->kind == BFR_NODE_MAP ? map : NULL;
}

// A core key "section.key" of the native form that stands there already is newer than what an older key says.
static void put_core(const struct composer *composer, const char *path, uint32_t index)
{
    const char *dot = strchr(path, '.');
    char *name = bfr_arena_copy(composer->arena, path, (size_t)(dot - path));
    struct bfr_node *section = name == NULL ? NULL : section_of(composer, name);
    if (section == NULL || bfr_node_find(section, dot + 1) != NULL)
        return;
    if (composer->found[index].node != NULL)
        put_copy(composer, section, dot + 1, composer->found[index].node);
    else
        put_text(composer, section, dot + 1, bfr_legacy_text(composer->found, index));
}

static void compose_metrics(struct composer *composer)
{
    const char *mode = bfr_legacy_text(composer->found, BFR_LEGACY_OTEL_MODE);
    if (!is_on(composer, BFR_LEGACY_OTEL, false))
        return;
    bool pull = mode[0] != '\0'
                    ? strcmp(mode, "prometheus") == 0
                    : is_on(composer, BFR_LEGACY_OTEL_PULL, false) || !has_text(composer, BFR_LEGACY_OTEL_ENDPOINT);
    if (!pull) {
        add_service(composer, BFR_LEGACY_OTLP);
        return;
    }
    put_core(composer, "metrics.port", BFR_LEGACY_METRICS_PORT);
    put_core(composer, "metrics.bind", BFR_LEGACY_METRICS_HOST);
}

// Without a URL there is nobody to talk to, which compose_control has warned about.
static void compose_services(struct composer *composer)
{
    if (wants_control(composer) && has_text(composer, BFR_LEGACY_CONTROL_URL))
        add_service(composer, BFR_LEGACY_CONTROL);
    if (is_on(composer, BFR_LEGACY_SOC_ENABLED, false))
        add_service(composer, BFR_LEGACY_SOC);
}

static void warn_idle(const struct composer *composer)
{
    if (is_on(composer, BFR_LEGACY_DEV, false))
        bfr_diag_warning(composer->diag, composer->found[BFR_LEGACY_DEV].node->place,
                         "dev has no effect: there are no made-up tenants; for an open receiver leave out "
                         "control_service");
}

static void put_setting(const struct composer *composer, uint32_t index)
{
    const struct bfr_legacy_setting *setting = &bfr_legacy_settings[index];
    const struct bfr_node *node = composer->found[index].node;
    for (size_t i = 0; i < BFR_LEGACY_TARGETS && setting->targets[i].place != BFR_LEGACY_NOWHERE; i++) {
        const struct bfr_legacy_target *target = &setting->targets[i];
        if (node == NULL && setting->fallback == NULL)
            continue;
        if (target->place == BFR_LEGACY_CORE)
            put_core(composer, target->key, index);
        else if (node != NULL)
            put_copy(composer, composer->stages[target->place], target->key, node);
        else
            put_text(composer, composer->stages[target->place], target->key, setting->fallback);
    }
}

void bfr_legacy_compose(struct bfr_arena *arena, struct bfr_node *root, const struct bfr_legacy_found *found,
                        struct bfr_diag *diag)
{
    struct composer composer = {.arena = arena, .root = root, .found = found, .diag = diag};
    composer.file = (struct bfr_place){root->place.file, 0, 0};
    compose_auth(&composer);
    (void)add_entry(&composer, "pipeline", "memory");
    if (is_on(&composer, BFR_LEGACY_SPOOLING, true))
        add_stage(&composer, BFR_LEGACY_DISK);
    compose_s3(&composer);
    compose_metrics(&composer);
    compose_services(&composer);
    warn_idle(&composer);
    for (uint32_t i = 0; i < bfr_legacy_count; i++)
        put_setting(&composer, i);
}
