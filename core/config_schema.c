// SPDX-License-Identifier: Apache-2.0
// The native form as a JSON Schema (2020-12), for editors and other tools, from the same tables that check it. Pure but for
// the stream it writes to. What only two keys together can violate is left to `check`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "config_load.h"
#include "config_core.h"
#include "config_slots.h"
#include "config_value.h"

// Jansson takes over references and passes NULL on, so that a failure surfaces once, at the end.

static json_t *reference_to(const char *definition)
{
    return json_pack("{s:s+}", "$ref", "#/$defs/", definition);
}

// A value that is not text in YAML may also be written as text, when a variable stands in it.
static json_t *or_variable(json_t *schema)
{
    return json_pack("{s:[o, o]}", "anyOf", schema, reference_to("variable"));
}

static json_t *integer_schema(const struct bfr_option *option)
{
    int64_t limit = 0;
    json_t *schema = json_pack("{s:s}", "type", "integer");
    if (bfr_value_integer(option->min == NULL ? "0" : option->min, &limit) == NULL)
        json_object_set_new(schema, "minimum", json_integer(limit));
    if (option->max != NULL && bfr_value_integer(option->max, &limit) == NULL)
        json_object_set_new(schema, "maximum", json_integer(limit));
    return or_variable(schema);
}

static json_t *number_schema(const struct bfr_option *option)
{
    double limit = 0;
    json_t *schema = json_pack("{s:s}", "type", "number");
    if (bfr_value_number(option->min == NULL ? "0" : option->min, &limit) == NULL)
        json_object_set_new(schema, "minimum", json_real(limit));
    if (option->max != NULL && bfr_value_number(option->max, &limit) == NULL)
        json_object_set_new(schema, "maximum", json_real(limit));
    return or_variable(schema);
}

static json_t *string_schema(const struct bfr_option *option)
{
    if (option->choices == NULL)
        return json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean");
    json_t *words = json_array();
    for (const char *at = option->choices; at != NULL;) {
        size_t length = strcspn(at, "|");
        json_array_append_new(words, json_stringn(at, length));
        at = at[length] == '|' ? at + length + 1 : NULL;
    }
    return or_variable(json_pack("{s:o}", "enum", words));
}

static json_t *type_schema(const struct bfr_option *option)
{
    switch (option->type) {
    case BFR_OPTION_BOOL:
        return or_variable(json_pack("{s:s}", "type", "boolean"));
    case BFR_OPTION_INTEGER:
        return integer_schema(option);
    case BFR_OPTION_NUMBER:
        return number_schema(option);
    case BFR_OPTION_SIZE:
        return reference_to("size");
    case BFR_OPTION_DURATION:
        return reference_to("duration");
    case BFR_OPTION_LIST:
        return reference_to("list");
    case BFR_OPTION_MAP:
        return reference_to("map");
    default:
        return string_schema(option);
    }
}

// The fallback in its JSON type. Lists and mappings are YAML texts; the prose carries them.
static json_t *default_of(const struct bfr_option *option)
{
    int64_t integer = 0;
    double number = 0;
    switch (option->type) {
    case BFR_OPTION_BOOL:
        return json_boolean(strcmp(option->fallback, "true") == 0);
    case BFR_OPTION_INTEGER:
        return bfr_value_integer(option->fallback, &integer) == NULL ? json_integer(integer) : json_null();
    case BFR_OPTION_NUMBER:
        return bfr_value_number(option->fallback, &number) == NULL ? json_real(number) : json_null();
    default:
        return json_string(option->fallback);
    }
}

static json_t *option_schema(const struct bfr_option *option)
{
    json_t *schema = type_schema(option);
    bool collection = option->type == BFR_OPTION_LIST || option->type == BFR_OPTION_MAP;
    if (option->help != NULL && collection && option->fallback != NULL)
        json_object_set_new(schema, "description", json_sprintf("%s (default %s)", option->help, option->fallback));
    else if (option->help != NULL)
        json_object_set_new(schema, "description", json_string(option->help));
    if (option->fallback != NULL && !collection)
        json_object_set_new(schema, "default", default_of(option));
    if ((option->flags & BFR_OPTION_SECRET) != 0)
        json_object_set_new(schema, "writeOnly", json_true());
    if ((option->flags & BFR_OPTION_LIVE) != 0)
        json_object_set_new(schema, "x-reload", json_true());
    return schema;
}

// "key or key_file", for a secret that is required.
static json_t *either_given(const char *name)
{
    return json_pack("{s:[{s:[s]}, {s:[s+]}]}", "anyOf", "required", name, "required", name, "_file");
}

// Add the table's keys to an object schema.
static void add_options(json_t *object, const struct bfr_option *options, uint32_t count, uint32_t option_size)
{
    struct bfr_arena arena = {0};
    const struct bfr_option *table = bfr_options_copy(&arena, options, count, option_size);
    json_t *properties = json_object_get(object, "properties");
    json_t *required = json_object_get(object, "required");
    json_t *all_of = json_array();
    for (uint32_t i = 0; i < count && table != NULL; i++) {
        const struct bfr_option *option = &table[i];
        bool secret = (option->flags & BFR_OPTION_SECRET) != 0;
        json_object_set_new(properties, option->name, option_schema(option));
        if (secret) {
            char *twin = bfr_arena_format(&arena, "%s_file", option->name);
            json_object_set_new(
                properties, twin == NULL ? "" : twin,
                json_pack("{s:s, s:s+}", "type", "string", "description", "file that holds ", option->name));
        }
        if ((option->flags & BFR_OPTION_REQUIRED) != 0 && secret)
            json_array_append_new(all_of, either_given(option->name));
        else if ((option->flags & BFR_OPTION_REQUIRED) != 0)
            json_array_append_new(required, json_string(option->name));
    }
    if (json_array_size(all_of) > 0)
        json_object_set(object, "allOf", all_of);
    json_decref(all_of);
    bfr_arena_free(&arena);
}

static json_t *object_schema(const char *description)
{
    return json_pack("{s:s, s:s, s:{}, s:[], s:b}", "type", "object", "description", description, "properties",
                     "required", "additionalProperties", 0);
}

static json_t *stage_schema(const struct bfr_plugin *plugin)
{
    json_t *stage = object_schema(plugin->summary == NULL ? "" : plugin->summary);
    json_t *properties = json_object_get(stage, "properties");
    json_object_set_new(properties, "plugin", json_pack("{s:s}", "const", plugin->name));
    json_object_set_new(properties, "name", reference_to("name"));
    json_array_append_new(json_object_get(stage, "required"), json_string("plugin"));
    add_options(stage, plugin->options, plugin->option_count, plugin->option_size);
    return stage;
}

// The list under `pipeline:` or `services:`.
static json_t *stages_schema(const struct bfr_plugin *const *plugins, size_t count, bool services)
{
    json_t *names = json_array();
    json_t *entries = json_array();
    for (size_t i = 0; i < count; i++) {
        if ((plugins[i]->kind == BFR_KIND_SERVICE) != services)
            continue;
        json_array_append_new(names, json_string(plugins[i]->name));
        json_array_append_new(entries, stage_schema(plugins[i]));
    }
    if (json_array_size(names) == 0) { // an empty enum is not allowed
        json_decref(names);
        json_decref(entries);
        return json_pack("{s:s, s:i}", "type", "array", "maxItems", 0);
    }
    json_array_insert_new(entries, 0, json_pack("{s:o}", "enum", names));
    return json_pack("{s:s, s:i, s:{s:o}}", "type", "array", "minItems", services ? 0 : 1, "items", "anyOf", entries);
}

static json_t *definitions(void)
{
    return json_pack("{s:{s:s, s:s}, s:{s:s, s:s}, s:{s:[{s:s, s:i}, {s:s, s:s}, {s:s}]},"
                     " s:{s:[{s:s, s:i}, {s:s, s:s}, {s:s}]}, s:{s:[s, s, s]},"
                     " s:{s:[{s:s, s:{s:s}}, {s:s}]}, s:{s:s, s:{s:s}}}",
                     "variable", "type", "string", "pattern", "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}", "name",
                     "type", "string", "pattern", "^[a-z0-9][a-z0-9_-]{0,31}$", "size", "anyOf", "type", "integer",
                     "minimum", 0, "type", "string", "pattern", "^(0|[1-9][0-9]*)(KiB|MiB|GiB|TiB|KB|MB|GB|TB)?$",
                     "$ref", "#/$defs/variable", "duration", "anyOf", "type", "integer", "minimum", 0, "type", "string",
                     "pattern", "^(0|[1-9][0-9]*)(ms|s|m|h|d)?$", "$ref", "#/$defs/variable", "text", "type", "string",
                     "number", "boolean", "list", "anyOf", "type", "array", "items", "$ref", "#/$defs/text", "$ref",
                     "#/$defs/text", "map", "type", "object", "additionalProperties", "$ref", "#/$defs/text");
}

// The properties of the section in which section `name` lies; `inner` is the dot in the name.
static json_t *properties_of(json_t *properties, const char *name, const char *inner)
{
    return json_object_get(json_object_getn(properties, name, (size_t)(inner - name)), "properties");
}

// `quotas.tenants`: any key, each with the keys of `quotas.default`.
static json_t *tenants_schema(void)
{
    const struct bfr_core_section *section = &bfr_core_sections[BFR_CORE_QUOTAS_DEFAULT];
    json_t *rates = object_schema("this tenant's rates, instead of the default's");
    add_options(rates, section->options, section->count, sizeof section->options[0]);
    return json_pack("{s:s, s:s, s:o}", "type", "object", "description", "tenants with rates of their own, by id",
                     "additionalProperties", rates);
}

static json_t *root_schema(const struct bfr_plugin *const *plugins, size_t count)
{
    json_t *root = object_schema("configuration of bytefreezer-receiver");
    json_t *properties = json_object_get(root, "properties");
    json_object_set_new(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(root, "title", json_string("bytefreezer-receiver"));
    json_object_set_new(root, "$defs", definitions());
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const struct bfr_core_section *section = &bfr_core_sections[s];
        json_t *object = section->name[0] == '\0' ? json_incref(root) : object_schema(section->help);
        add_options(object, section->options, section->count, sizeof section->options[0]);
        const char *inner = strchr(section->name, '.');
        if (inner != NULL)
            json_object_set(properties_of(properties, section->name, inner), inner + 1, object);
        else if (section->name[0] != '\0')
            json_object_set(properties, section->name, object);
        json_decref(object);
    }
    json_object_set_new(json_object_get(json_object_get(properties, "quotas"), "properties"), "tenants",
                        tenants_schema());
    json_object_set_new(properties, "pipeline", stages_schema(plugins, count, false));
    json_object_set_new(properties, "services", stages_schema(plugins, count, true));
    json_array_append_new(json_object_get(root, "required"), json_string("pipeline"));
    return root;
}

uint32_t bfr_config_schema(const struct bfr_plugin *const *plugins, size_t count, FILE *stream, struct bfr_err *err)
{
    json_t *root = root_schema(plugins, count);
    int failed = root == NULL ? -1 : json_dumpf(root, stream, JSON_INDENT(2));
    json_decref(root);
    if (failed != 0 || fputc('\n', stream) == EOF || fflush(stream) != 0)
        return bfr_err_set(err, BFR_EFAIL, "the schema could not be written out");
    return BFR_OK;
}
