// SPDX-License-Identifier: Apache-2.0
// Names of the environment that begin like a setting's and are none: a slip of the finger, a key of the other form, or what
// Kubernetes puts there. Used on the thread that reads the configuration.
#include <ctype.h>
#include <string.h>

#include "config_core.h"
#include "config_env.h"
#include "config_hint.h"
#include "config_legacy.h"

// Kubernetes gives every pod NAME_SERVICE_HOST, NAME_SERVICE_PORT[_X], NAME_PORT=tcp://... and NAME_PORT_80_TCP[_X] for
// each service, and a service may well be called bytefreezer-receiver-webhook.
static bool is_service_link(const char *name, const char *value)
{
    const char *port = strstr(name, "_SERVICE_PORT");
    size_t length = strlen(name);
    if (length > 13 && strcmp(name + length - 13, "_SERVICE_HOST") == 0)
        return true;
    if (port != NULL && (port[13] == '\0' || port[13] == '_'))
        return true;
    for (port = strstr(name, "_PORT_"); port != NULL; port = strstr(port + 1, "_PORT_")) {
        if (isdigit((unsigned char)port[6]))
            return true;
    }
    return strstr(value, "://") != NULL && length > 5 && strcmp(name + length - 5, "_PORT") == 0;
}

static void offer_core(struct bfr_arena *arena, struct bfr_hint *hint)
{
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const struct bfr_core_section *section = &bfr_core_sections[s];
        for (uint32_t i = 0; i < section->count; i++) {
            const char *name = bfr_env_name(arena, section->name, section->options[i].name);
            if (name != NULL)
                bfr_hint_offer(hint, name);
        }
    }
}

static void offer_older(struct bfr_arena *arena, struct bfr_hint *hint)
{
    for (uint32_t i = 0; i < bfr_legacy_count; i++) {
        for (size_t p = 0; p < BFR_LEGACY_PATHS && bfr_legacy_settings[i].paths[p] != NULL; p++) {
            const char *name = bfr_legacy_variable(arena, bfr_legacy_settings[i].paths[p]);
            if (name != NULL)
                bfr_hint_offer(hint, name);
        }
    }
}

static void warn_name(struct bfr_arena *arena, const char *name, bool older, struct bfr_diag *diag)
{
    const struct bfr_place place = {name, 0, 0};
    struct bfr_hint hint = {.word = name}, other = {.word = name};
    offer_core(arena, &hint);
    if (older)
        offer_older(arena, &hint);
    else
        offer_older(arena, &other);
    if (hint.nearest != NULL && hint.distance == 0)
        return;
    if (other.nearest != NULL && other.distance == 0)
        bfr_diag_warning(diag, place,
                         "ignored: this is a key of the older form, which has no 'pipeline', and the file has one; "
                         "write ${%s} where its value belongs",
                         name);
    else if (hint.nearest != NULL)
        bfr_diag_warning(diag, place, "ignored: there is no such setting; did you mean %s?", hint.nearest);
    else
        bfr_diag_warning(diag, place, "ignored: there is no such setting");
}

void bfr_env_warn_unknown(struct bfr_arena *arena, const char *const *environment, bool older, struct bfr_diag *diag)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (strncmp(*environment, BFR_ENV_PREFIX, strlen(BFR_ENV_PREFIX)) != 0 || equals == NULL || equals[1] == '\0')
            continue;
        const char *name = bfr_arena_copy(arena, *environment, (size_t)(equals - *environment));
        if (name != NULL && !is_service_link(name, equals + 1))
            warn_name(arena, name, older, diag);
    }
}
