// SPDX-License-Identifier: Apache-2.0
// Lays the environment over the tree before it is checked, so that one check serves both. Reads the list it is given,
// never getenv. What a variable says is never expanded again.
#include "config_env.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config_core.h"

struct alias {
    const char *variable;
    const char *section;
    const char *key;
};

static const struct alias aliases[] = {
    {"RECEIVER_WEBHOOK_PORT", "webhook", "port"},
    {"RECEIVER_API_PORT", "server", "api_port"},
    {"RECEIVER_ADMIN_TOKEN", "server", "admin_token"},
    {"LOG_LEVEL", "logging", "level"},
};

const char *bfr_env_get(const char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    }
    return NULL;
}

// The mapping under `key`, made when it is not there. NULL: memory is short, or `parent` is no mapping.
static struct bfr_node *enter_map(struct bfr_arena *arena, struct bfr_node *parent, const char *key,
                                  struct bfr_place place)
{
    if (parent->kind != BFR_NODE_MAP || key == NULL)
        return NULL;
    struct bfr_node *map = bfr_node_find(parent, key);
    if (map != NULL && !bfr_node_is_null(map))
        return map;
    map = bfr_node_new(arena, BFR_NODE_MAP, place);
    if (map == NULL)
        return NULL;
    bfr_node_put(parent, key, map);
    return bfr_node_find(parent, key);
}

void bfr_env_put(struct bfr_arena *arena, struct bfr_node *root, const char *section, const char *key,
                 const char *source, const char *text)
{
    struct bfr_place place = {source, 0, 0};
    struct bfr_node *map = root;
    for (const char *at = section; map != NULL && *at != '\0';) {
        size_t length = strcspn(at, ".");
        map = enter_map(arena, map, bfr_arena_copy(arena, at, length), place);
        at += at[length] == '.' ? length + 1 : length;
    }
    if (map == NULL)
        return;
    struct bfr_node *node = bfr_node_new(arena, BFR_NODE_SCALAR, place);
    if (map->kind != BFR_NODE_MAP || node == NULL) // a section that is no mapping is an error found later
        return;
    node->text = text;
    char *twin = bfr_arena_format(arena, "%s_file", key);
    if (twin != NULL) // of a secret: what names it later wins over the file that is named here
        (void)bfr_node_take(map, twin);
    bfr_node_put(map, key, node);
}

// Kubernetes puts NAME_PORT=tcp://10.0.0.1:80 into the environment of every pod for a service called NAME, and a service
// called bytefreezer-receiver-webhook is a likely thing to have. It is no setting of ours.
static bool is_service_link(const char *text)
{
    return strncmp(text, "tcp://", 6) == 0 || strncmp(text, "udp://", 6) == 0 || strncmp(text, "sctp://", 7) == 0;
}

const char *bfr_env_value(const char *const *environment, const char *name, struct bfr_diag *diag)
{
    const struct bfr_place place = {name, 0, 0};
    const char *text = bfr_env_get(environment, name);
    if (text == NULL || text[0] == '\0')
        return NULL;
    if (is_service_link(text)) {
        bfr_diag_warning(diag, place,
                         "ignored: this is a Kubernetes service link, not a setting; set "
                         "'enableServiceLinks: false' in the pod to be rid of it");
        return NULL;
    }
    if (bfr_utf8_check(text, strlen(text)) < strlen(text)) {
        bfr_diag_error(diag, place, "holds bytes that are not UTF-8");
        return NULL;
    }
    return text;
}

const char *bfr_env_name(struct bfr_arena *arena, const char *section, const char *key)
{
    char *name = bfr_arena_format(arena, BFR_ENV_PREFIX "%s%s%s", section, section[0] == '\0' ? "" : "_", key);
    for (char *at = name; at != NULL && *at != '\0'; at++)
        *at = (char)(*at == '.' ? '_' : toupper((unsigned char)*at));
    return name;
}

// Did a variable with the long name, of this key or of an older one, set the key already?
static bool is_settled(const struct bfr_node *root, const struct alias *key)
{
    const struct bfr_node *map = key->section[0] == '\0' ? root : bfr_node_find(root, key->section);
    const struct bfr_node *node = map == NULL || map->kind != BFR_NODE_MAP ? NULL : bfr_node_find(map, key->key);
    return node != NULL && strncmp(node->place.file, BFR_ENV_PREFIX, strlen(BFR_ENV_PREFIX)) == 0;
}

// True when the variable sets the key.
static bool apply_variable(struct bfr_arena *arena, struct bfr_node *root, const char *const *environment,
                           const char *variable, const struct alias *key, struct bfr_diag *diag)
{
    const char *text = variable == NULL ? NULL : bfr_env_value(environment, variable, diag);
    if (text != NULL)
        bfr_env_put(arena, root, key->section, key->key, variable, text);
    return text != NULL;
}

static void apply_key(struct bfr_arena *arena, struct bfr_node *root, const char *const *environment,
                      const struct alias *key, struct bfr_diag *diag)
{
    if (apply_variable(arena, root, environment, bfr_env_name(arena, key->section, key->key), key, diag) ||
        is_settled(root, key))
        return;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strcmp(aliases[i].section, key->section) == 0 && strcmp(aliases[i].key, key->key) == 0 &&
            apply_variable(arena, root, environment, aliases[i].variable, key, diag))
            return;
    }
}

void bfr_env_apply(struct bfr_arena *arena, struct bfr_node *root, const char *const *environment,
                   struct bfr_diag *diag)
{
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const struct bfr_core_section *section = &bfr_core_sections[s];
        for (uint32_t i = 0; i < section->count; i++) {
            struct alias key = {NULL, section->name, section->options[i].name};
            apply_key(arena, root, environment, &key, diag);
        }
    }
}
