// SPDX-License-Identifier: Apache-2.0
// The configuration in effect in the shape of the previous product. Runs on the admin thread. Secrets
// never come here: who prints the values masks them.
#include "http_admin_state.h"

#include <stdlib.h>
#include <string.h>

#include "config_load.h"

enum kind { TEXT, NUMBER, SWITCH };

// Where a value goes, and the older name that it has (docs/migration.md).
static const struct {
    const char *section, *key, *path;
    enum kind kind;
} values[] = {
    {"server", "api_port", "server.api_port", NUMBER},
    {"webhook", "port", "webhook.port", NUMBER},
    {"bytefreezer", "upload_worker_count", "bytefreezer.upload_worker_count", NUMBER},
    {"control_service", "enabled", "control_service.enabled", SWITCH},
    {"control_service", "control_url", "control_service.control_url", TEXT},
    {"control_service", "api_key", "control_service.api_key", TEXT},
    {"control_service", "timeout_seconds", "control_service.timeout_seconds", NUMBER},
    {"soc", "enabled", "soc.enabled", SWITCH},
    {"soc", "endpoint", "soc.endpoint", TEXT},
    {"soc", "timeout", "soc.timeout", NUMBER},
    {"s3_destination", "bucket_name", "s3.bucket_name", TEXT},
    {"s3_destination", "region", "s3.region", TEXT},
    {"s3_destination", "access_key", "s3.access_key", TEXT},
    {"s3_destination", "secret_key", "s3.secret_key", TEXT},
    {"s3_destination", "endpoint", "s3.endpoint", TEXT},
    {"s3_destination", "ssl", "s3.ssl", SWITCH},
    {"housekeeping", "enabled", "housekeeping.enabled", SWITCH},
    {"housekeeping", "interval_seconds", "housekeeping.interval_seconds", NUMBER},
};

// What the previous product shows as the state of a part, and the kind of stage that it is now.
static const struct {
    const char *name;
    uint32_t kind;
    const char *plugin; // NULL: any
} components[] = {
    {"tenant_database", BFR_KIND_AUTH, NULL},
    {"soc_alert_client", BFR_KIND_SERVICE, "soc"},
    {"s3_destination", BFR_KIND_SINK, "s3"},
    {"upload_worker_pool", BFR_KIND_SINK, NULL},
};

#define COMPONENT_COUNT (sizeof components / sizeof components[0])

struct seen {
    uint32_t states[COMPONENT_COUNT]; // the worst; 0: there is no such stage
};

static bool look_at(void *arg, const struct bfr_stage_status *stage)
{
    struct seen *seen = arg;
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        bool is_it = stage->kind == components[i].kind &&
                     (components[i].plugin == NULL || strcmp(components[i].plugin, stage->plugin) == 0);
        if (is_it && stage->state > seen->states[i])
            seen->states[i] = stage->state;
    }
    return true;
}

static json_t *component_states(const struct bfr_http_admin *admin)
{
    struct seen seen = {{0}};
    json_t *states = json_object();
    admin->setup.stages(admin->setup.stages_arg, look_at, &seen);
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        (void)json_object_set_new(states, components[i].name,
                                  json_string(seen.states[i] == 0 ? "absent" : bfr_admin_state_name(seen.states[i])));
    return states;
}

static json_t *value_of(const struct bfr_config *config, const char *path, enum kind kind)
{
    char text[4096];
    (void)bfr_config_older_text(config, path, text, sizeof text);
    if (kind == NUMBER)
        return json_integer(strtoll(text, NULL, 10));
    return kind == SWITCH ? json_boolean(strcmp(text, "true") == 0) : bfr_admin_text(text);
}

static json_t *section_of(json_t *root, const char *name)
{
    json_t *section = json_object_get(root, name);
    if (section == NULL) {
        section = json_object();
        (void)json_object_set_new(root, name, section);
    }
    return section;
}

void bfr_admin_page_config(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    const struct bfr_config *config = bfr_in_force_enter(admin->setup.in_force);
    json_t *root = json_object();
    bool good = root != NULL;
    (void)parameter;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        json_t *value = value_of(config, values[i].path, values[i].kind);
        good = json_object_set_new(section_of(root, values[i].section), values[i].key, value) == 0 && good;
    }
    good = json_object_set_new(section_of(root, "app"), "name",
                               bfr_admin_text(bfr_config_settings(config)->app.name)) == 0 &&
           good;
    good = json_object_set_new(section_of(root, "app"), "version", json_string(admin->setup.version)) == 0 && good;
    good = json_object_set_new(section_of(root, "webhook"), "max_payload_size",
                               json_integer((json_int_t)bfr_in_force_payload(admin->setup.in_force))) == 0 &&
           good;
    good = json_object_set_new(section_of(root, "s3_destination"), "secret_name", json_string("")) == 0 && good;
    good = json_object_set_new(root, "dev", json_false()) == 0 && good;
    good = json_object_set_new(root, "component_status", component_states(admin)) == 0 && good;
    bfr_in_force_leave(admin->setup.in_force);
    bfr_admin_reply_json(request, 200, good ? json_incref(root) : NULL);
    json_decref(root);
}
