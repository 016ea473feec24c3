// SPDX-License-Identifier: Apache-2.0
// Expansion of ${NAME} in the values of a tree. Runs once, between parsing and checking, on the thread that reads the
// configuration. Never puts a variable's value into a message: it may be a secret.
#include "config_expand.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_env.h"

// One ${...} taken apart; pointers into the text.
struct reference {
    char name[128];
    const char *fallback; // NULL when there is none
    size_t fallback_size;
    size_t size; // of the whole, from '$' to '}'
};

static bool is_name(const char *text, size_t size)
{
    if (size == 0 || isdigit((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '_')
            return false;
    }
    return true;
}

// `at` stands on "${".
static uint32_t read_reference(const char *at, struct reference *out, struct bfr_err *err)
{
    const char *close = strchr(at, '}');
    if (close == NULL)
        return bfr_err_set(err, BFR_EINVAL, "'${' without a closing '}'; write $$ for a dollar sign");
    const char *name = at + 2;
    size_t name_size = strcspn(name, ":}");
    const char *rest = name + name_size;
    if (!is_name(name, name_size) || name_size >= sizeof out->name || (*rest == ':' && rest[1] != '-'))
        return bfr_err_set(err, BFR_EINVAL,
                           "'%.*s' names no variable; write ${NAME} or ${NAME:-default}, and $$ for a dollar sign",
                           (int)(close - at < 40 ? close - at + 1 : 40), at);
    snprintf(out->name, sizeof out->name, "%.*s", (int)name_size, name);
    out->fallback = *rest == ':' ? rest + 2 : NULL;
    out->fallback_size = *rest == ':' ? (size_t)(close - rest) - 2 : 0;
    out->size = (size_t)(close - at) + 1;
    if (out->fallback != NULL && memmem(out->fallback, out->fallback_size, "${", 2) != NULL)
        return bfr_err_set(err, BFR_EINVAL,
                           "the default of ${%s:-...} holds another '${'; only plain text can stand there", out->name);
    return BFR_OK;
}

static uint32_t resolve(const struct reference *reference, const char *const *environment, const char **out_value,
                        size_t *out_size, struct bfr_err *err)
{
    const char *value = bfr_env_get(environment, reference->name);
    if (reference->fallback != NULL && (value == NULL || value[0] == '\0')) {
        *out_value = reference->fallback;
        *out_size = reference->fallback_size;
        return BFR_OK;
    }
    if (value == NULL)
        return bfr_err_set(err, BFR_EINVAL, "environment variable %s is not set; set it, or give a default: ${%s:-...}",
                           reference->name, reference->name);
    *out_value = value;
    *out_size = strlen(value);
    if (bfr_utf8_check(value, *out_size) < *out_size)
        return bfr_err_set(err, BFR_EINVAL, "environment variable %s holds bytes that are not UTF-8", reference->name);
    return BFR_OK;
}

static uint32_t write_expanded(FILE *stream, const char *text, const char *const *environment, struct bfr_err *err)
{
    for (const char *at = text; *at != '\0';) {
        struct reference reference = {0};
        const char *value = at;
        size_t size = 1, step = 1;
        if (at[0] == '$' && at[1] == '$') {
            step = 2;
        } else if (at[0] == '$' && at[1] == '{') {
            uint32_t status = read_reference(at, &reference, err);
            if (status == BFR_OK)
                status = resolve(&reference, environment, &value, &size, err);
            if (status != BFR_OK)
                return status;
            step = reference.size;
        }
        fwrite(value, 1, size, stream);
        at += step;
    }
    return BFR_OK;
}

uint32_t bfr_expand_text(struct bfr_arena *arena, const char *text, const char *const *environment, const char **out,
                         struct bfr_err *err)
{
    if (strstr(text, "${") == NULL && strstr(text, "$$") == NULL) {
        *out = text;
        return BFR_OK;
    }
    char *buffer = NULL;
    size_t size = 0;
    uint32_t status = BFR_ENOMEM;
    FILE *stream = open_memstream(&buffer, &size);
    if (stream == NULL) {
        arena->failed = true;
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    status = write_expanded(stream, text, environment, err);
    bool complete = fclose(stream) == 0;
    if (status == BFR_OK && complete)
        *out = bfr_arena_copy(arena, buffer, size);
    if (status == BFR_OK && (!complete || *out == NULL)) {
        arena->failed = true;
        status = bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    if (buffer != NULL)
        explicit_bzero(buffer, size);
    free(buffer);
    return status;
}

void bfr_expand_tree(struct bfr_arena *arena, struct bfr_node *node, const char *const *environment, bool older,
                     struct bfr_diag *diag)
{
    for (struct bfr_node *child = node->children; child != NULL; child = child->next)
        bfr_expand_tree(arena, child, environment, older, diag);
    if (node->kind != BFR_NODE_SCALAR || (older && strstr(node->text, "${") == NULL))
        return;
    const char *expanded = NULL;
    struct bfr_err err = {.size = sizeof err};
    if (bfr_expand_text(arena, node->text, environment, &expanded, &err) != BFR_OK) {
        bfr_diag_error(diag, node->place, "%s", err.text);
        node->kind = BFR_NODE_BROKEN;
    } else if (expanded != node->text) {
        node->source = node->text;
        node->text = expanded;
    }
}
