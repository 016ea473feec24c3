// SPDX-License-Identifier: Apache-2.0
// See control_json.h. A list is read twice: first judged as a whole, then given out, so that the reader never sees half of
// an answer that is rubbish further on.
#include "control_json.h"

#include <ctype.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#define LIST_MAX 1000 // the service cuts there, silently

bool bfr_control_id_is_good(const char *id)
{
    size_t length = strnlen(id, BFR_ID_MAX + 1);

    if (length == 0 || length > BFR_ID_MAX || id[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)id[i]) && strchr("._-", id[i]) == NULL)
            return false;
    return true;
}

// ---- fields ----

struct item {
    const char *id;
    const char *name;
    const char *text; // account of a tenant, hint of a dataset
    bool active;
    const char *token; // NULL: none
};

// A text, or "" when the key is absent or null. False: of another type.
static bool get_text(const json_t *object, const char *key, const char **out)
{
    const json_t *value = json_object_get(object, key);

    *out = value == NULL || json_is_null(value) ? "" : json_string_value(value);
    return *out != NULL;
}

// A newer service may leave out what is true; what it says, it says with a boolean.
static bool get_active(const json_t *object, bool *out)
{
    const json_t *value = json_object_get(object, "active");

    *out = value == NULL || json_is_true(value);
    return value == NULL || json_is_boolean(value);
}

// config.<section>.<key>; each step may be absent or null, none may be of another type.
static bool get_config(const json_t *object, const char *section, const char *key, const char **out)
{
    const json_t *at = json_object_get(object, "config");

    *out = "";
    if (at == NULL || json_is_null(at))
        return true;
    if (!json_is_object(at))
        return false;
    at = json_object_get(at, section);
    if (at == NULL || json_is_null(at))
        return true;
    return json_is_object(at) && get_text(at, key, out);
}

// NULL, or why it is rubbish.
static const char *read_item(const json_t *object, const struct control_reader *reader, struct item *out)
{
    *out = (struct item){0};
    if (!json_is_object(object))
        return "an item is not an object";
    if (!get_text(object, "id", &out->id) || out->id[0] == '\0')
        return "an item has no id, or one that is not a text";
    if (!get_text(object, "name", &out->name))
        return "a name is not a text";
    if (!get_active(object, &out->active))
        return "'active' is not a boolean";
    out->text = "";
    if (reader->on_tenant != NULL) {
        if (!get_text(object, "account_id", &out->text))
            return "an account_id is not a text";
        if (!get_config(object, "authentication", "bearer_token", &out->token))
            return "config.authentication.bearer_token is not a text";
    } else if (reader->on_dataset != NULL && !get_config(object, "source", "data_hint", &out->text)) {
        return "config.source.data_hint is not a text";
    }
    return NULL;
}

static bool give_tenant(const struct control_reader *reader, const struct item *item)
{
    struct tenant_record record = {
        .id = item->id, .account = item->text, .name = item->name, .active = item->active, .has_token = false};

    if (record.account[0] != '\0' && !bfr_control_id_is_good(record.account))
        return true;
    record.has_token = item->token[0] != '\0';
    if (record.has_token && EVP_Digest(item->token, strlen(item->token), record.token, NULL, EVP_sha256(), NULL) != 1)
        return false;
    return reader->on_tenant(reader->arg, &record);
}

static bool give(const struct control_reader *reader, const struct item *item)
{
    if (!bfr_control_id_is_good(item->id))
        return true;
    if (reader->on_account != NULL)
        return reader->on_account(reader->arg, &(struct account_record){.id = item->id, .active = item->active});
    if (reader->on_tenant != NULL)
        return give_tenant(reader, item);
    return reader->on_dataset(reader->arg, &(struct dataset_record){item->id, item->name, item->text, item->active});
}

// ---- documents ----

static json_t *load(const uint8_t *data, size_t size)
{
    json_error_t error;

    return json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
}

static const char *judge_list(const json_t *root, const struct control_reader *reader, const json_t **out_items,
                              bool *out_whole)
{
    const json_t *items = json_object_get(root, "items");
    const json_t *total = json_object_get(root, "total");
    struct item item;
    const char *why;
    size_t i;
    json_t *value;

    if (root == NULL)
        return "not JSON";
    if (!json_is_object(root) || items == NULL)
        return "not an object with 'items'";
    if (!json_is_array(items) && !json_is_null(items))
        return "'items' is not a list";
    if (total != NULL && !json_is_null(total) && !json_is_integer(total))
        return "'total' is not an integer";
    json_array_foreach(items, i, value) if ((why = read_item(value, reader, &item)) != NULL) return why;
    size_t count = json_array_size(items);
    *out_items = items;
    *out_whole = count < LIST_MAX && (!json_is_integer(total) || json_integer_value(total) <= (json_int_t)count);
    return NULL;
}

enum control_read bfr_control_read_list(const uint8_t *data, size_t size, const struct control_reader *reader,
                                        bool *out_whole, const char **out_why)
{
    const json_t *items = NULL;
    json_t *root = load(data, size);
    enum control_read result = CONTROL_READ_OK;
    struct item item;
    size_t i;
    json_t *value;

    *out_why = judge_list(root, reader, &items, out_whole);
    if (*out_why != NULL)
        result = CONTROL_READ_RUBBISH;
    else
        json_array_foreach(items, i, value) if (read_item(value, reader, &item) != NULL || !give(reader, &item))
        {
            result = CONTROL_READ_NO_MEMORY;
            break;
        }
    json_decref(root);
    return result;
}

enum control_read bfr_control_read_one(const uint8_t *data, size_t size, const struct control_reader *reader,
                                       const char **out_why)
{
    json_t *root = load(data, size);
    enum control_read result = CONTROL_READ_OK;
    struct item item;

    *out_why = root == NULL ? "not JSON" : read_item(root, reader, &item);
    if (*out_why != NULL)
        result = CONTROL_READ_RUBBISH;
    else if (!give(reader, &item))
        result = CONTROL_READ_NO_MEMORY;
    json_decref(root);
    return result;
}

// False: not a mapping, or its hash is no text. Absent counts as unchanging.
static bool mix_mark(const json_t *root, const char *key, uint32_t salt, uint64_t *mark, bool *seen)
{
    const json_t *entry = json_object_get(root, key);
    const char *hash = "";

    if (entry == NULL || json_is_null(entry))
        return true;
    if (!json_is_object(entry) || !get_text(entry, "hash", &hash))
        return false;
    *seen |= hash[0] != '\0';
    *mark ^= bfr_index_hash(salt, hash);
    return true;
}

bool bfr_control_read_changes(const uint8_t *data, size_t size, struct control_marks *out)
{
    json_t *root = load(data, size);
    bool tenants = false;
    bool datasets = false;
    bool account = false;

    *out = (struct control_marks){0};
    bool ok = json_is_object(root) && mix_mark(root, "tenants", 1, &out->tenants, &tenants) &&
              mix_mark(root, "account", 2, &out->tenants, &account) &&
              mix_mark(root, "datasets", 3, &out->datasets, &datasets);
    json_decref(root);
    return ok && tenants && datasets; // half a detector detects nothing
}
