// SPDX-License-Identifier: Apache-2.0
// Which of several places gives a setting of the older forms, and what its value is in the native form. The order is that
// of the environment's names, then of the table's paths. Used on the thread that reads the configuration.
#include "config_legacy.h"

#include <ctype.h>
#include <string.h>

#include "config_env.h"

struct search {
    struct bfr_arena *arena;
    struct bfr_node *root;
    const char *const *environment;
    struct bfr_diag *diag;
};

// Walk to the mapping that holds the last part of `path`, and that part. NULL when there is none.
static struct bfr_node *find_parent(struct bfr_node *root, const char *path, const char **out_key)
{
    struct bfr_node *map = root;
    for (const char *dot; map != NULL && map->kind == BFR_NODE_MAP && (dot = strchr(path, '.')) != NULL;
         path = dot + 1) {
        char section[64];
        size_t length = (size_t)(dot - path);
        if (length >= sizeof section)
            return NULL;
        memcpy(section, path, length);
        section[length] = '\0';
        map = bfr_node_find(map, section);
    }
    *out_key = path;
    return map != NULL && map->kind == BFR_NODE_MAP ? map : NULL;
}

static struct bfr_node *take(const struct search *search, const char *path)
{
    const char *key = NULL;
    struct bfr_node *map = find_parent(search->root, path, &key);
    return map == NULL ? NULL : bfr_node_take(map, key);
}

const char *bfr_legacy_variable(struct bfr_arena *arena, const char *path)
{
    char *name = bfr_arena_format(arena, BFR_ENV_PREFIX "%s", path);
    for (char *at = name; at != NULL && *at != '\0'; at++)
        *at = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
    return name;
}

static struct bfr_node *scalar(struct bfr_arena *arena, struct bfr_place place, const char *text)
{
    struct bfr_node *node = bfr_node_new(arena, BFR_NODE_SCALAR, place);
    if (node != NULL)
        node->text = text;
    return node;
}

static struct bfr_node *from_variable(const struct search *search, const char *name)
{
    const char *text = name == NULL ? NULL : bfr_env_value(search->environment, name, search->diag);
    return text == NULL ? NULL : scalar(search->arena, (struct bfr_place){name, 0, 0}, text);
}

static struct bfr_node *from_environment(const struct search *search, const struct bfr_legacy_setting *setting)
{
    struct bfr_node *node = NULL;
    for (size_t i = 0; i < BFR_LEGACY_PATHS && setting->paths[i] != NULL && node == NULL; i++)
        node = from_variable(search, bfr_legacy_variable(search->arena, setting->paths[i]));
    for (size_t i = 0; i < BFR_LEGACY_VARIABLES && setting->variables[i] != NULL && node == NULL; i++)
        node = from_variable(search, setting->variables[i]);
    return node;
}

static bool is_given(const struct bfr_legacy_setting *setting, const struct bfr_node *node)
{
    if (node == NULL || node->kind != BFR_NODE_SCALAR)
        return node != NULL;
    if (node->text[0] == '\0' || bfr_node_is_null(node))
        return false;
    return setting->convert != BFR_LEGACY_POSITIVE || node->text[strspn(node->text, "0")] != '\0';
}

// The first of the file's keys that gives something; the others are taken out all the same, so that nothing is left over.
static struct bfr_node *from_file(const struct search *search, const struct bfr_legacy_setting *setting,
                                  const char **out_path)
{
    struct bfr_node *winner = NULL;
    for (size_t i = 0; i < BFR_LEGACY_PATHS && setting->paths[i] != NULL; i++) {
        struct bfr_node *node = take(search, setting->paths[i]);
        if (!is_given(setting, node))
            continue;
        if (winner == NULL) {
            winner = node;
            *out_path = setting->paths[i];
        } else {
            bfr_diag_warning(search->diag, node->key_place, "%s is ignored: %s gives the same setting, and wins",
                             setting->paths[i], *out_path);
        }
    }
    return winner;
}

// The words for true and false that the previous product understood.
static const char *read_bool(const char *text)
{
    static const char *const yes[] = {"true", "True", "TRUE", "1", "t", "T", NULL};
    static const char *const no[] = {"false", "False", "FALSE", "0", "f", "F", NULL};
    for (size_t i = 0; yes[i] != NULL; i++) {
        if (strcmp(text, yes[i]) == 0)
            return "true";
        if (strcmp(text, no[i]) == 0)
            return "false";
    }
    return NULL;
}

static const char *read_level(struct bfr_arena *arena, const char *text)
{
    char *level = bfr_arena_copy(arena, text, strlen(text));
    for (char *at = level; at != NULL && *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    return level != NULL && strcmp(level, "warning") == 0 ? "warn" : level;
}

// The native text of a scalar; NULL after an error, which has been reported.
static const char *convert_text(const struct search *search, const struct bfr_legacy_setting *setting,
                                const struct bfr_node *node, const char *path)
{
    const char *text = node->text;
    switch (setting->convert) {
    case BFR_LEGACY_BOOL:
        text = read_bool(node->text);
        if (text == NULL)
            bfr_diag_error(search->diag, node->place, "%s: %s is neither true nor false", path,
                           bfr_quote(node->source != NULL ? node->source : node->text).text);
        return text;
    case BFR_LEGACY_LEVEL:
        return read_level(search->arena, text);
    case BFR_LEGACY_ENCODING:
        return strcmp(text, "json") == 0 ? "json" : "logfmt";
    case BFR_LEGACY_BUCKET:
        if (strchr(text, '/') == NULL)
            return text;
        bfr_diag_error(search->diag, node->place,
                       "%s: %s holds a '/', so it is a path and not a bucket; give the name of the bucket alone", path,
                       bfr_quote(text).text);
        return NULL;
    default:
        return text;
    }
}

// Lists and mappings pass as they are: what is no scalar is an error of the native key, or kept for reports.
static const struct bfr_node *convert(const struct search *search, const struct bfr_legacy_setting *setting,
                                      struct bfr_node *node, const char *path)
{
    if (node->kind != BFR_NODE_SCALAR)
        return node;
    const char *text = convert_text(search, setting, node, path);
    if (text == NULL)
        node->kind = BFR_NODE_BROKEN;
    else
        node->text = text;
    return node;
}

static void resolve_one(const struct search *search, uint32_t index, struct bfr_legacy_found *out)
{
    const struct bfr_legacy_setting *setting = &bfr_legacy_settings[index];
    out->path = setting->paths[0];
    struct bfr_node *given = from_environment(search, setting);
    struct bfr_node *written = from_file(search, setting, &out->path);
    struct bfr_node *node = given != NULL ? given : written;
    if (is_given(setting, node))
        out->node = convert(search, setting, node, given != NULL ? node->place.file : out->path);
}

const struct bfr_legacy_found *bfr_legacy_resolve(struct bfr_arena *arena, struct bfr_node *root,
                                                  const char *const *environment, struct bfr_diag *diag)
{
    const struct search search = {arena, root, environment, diag};
    struct bfr_legacy_found *found = bfr_arena_alloc(arena, bfr_legacy_count * sizeof *found);
    for (uint32_t i = 0; i < bfr_legacy_count && found != NULL; i++)
        resolve_one(&search, i, &found[i]);
    return found;
}

const char *bfr_legacy_text(const struct bfr_legacy_found *found, uint32_t index)
{
    const struct bfr_node *node = found[index].node;
    if (node != NULL && node->kind == BFR_NODE_SCALAR)
        return node->text;
    const char *fallback = bfr_legacy_settings[index].fallback;
    return fallback == NULL ? "" : fallback;
}

bool bfr_legacy_is_on(const struct bfr_legacy_found *found, uint32_t index, bool fallback)
{
    const char *text = bfr_legacy_text(found, index);
    return text[0] == '\0' ? fallback : strcmp(text, "true") == 0;
}
