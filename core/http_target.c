// SPDX-License-Identifier: Apache-2.0
// Paths and ids. No decoding takes place: a path that would need it is refused, so that no two readers of a log can
// disagree about which tenant was meant.
#include "http_target.h"

#include <string.h>

// Drop one trailing dot, then 1 to 64 of [A-Za-z0-9._-] without a leading dot.
static bool copy_id(const char *text, size_t size, char *out, bool *out_dotted)
{
    *out_dotted = size > 0 && text[size - 1] == '.';
    if (*out_dotted)
        size--;
    if (size == 0 || size > BFR_ID_MAX || text[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!plain && c != '.' && c != '_' && c != '-')
            return false;
    }
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

static bool ill_formed(const char *path, size_t size)
{
    return memchr(path, '%', size) != NULL || memmem(path, size, "//", 2) != NULL ||
           (size > 1 && path[size - 1] == '/');
}

enum bfr_refusal bfr_target_parse(struct bfr_span target, struct bfr_target *out)
{
    const char *path = (const char *)target.data;
    const char *query = memchr(path, '?', target.size);
    size_t size = query != NULL ? (size_t)(query - path) : target.size;
    memset(out, 0, sizeof *out);
    if (ill_formed(path, size))
        return BFR_REFUSE_PATH;

    const char *last = memrchr(path, '/', size);
    const char *before = last > path ? memrchr(path, '/', (size_t)(last - path)) : NULL;
    if (before == NULL) {
        out->route = BFR_ROUTE_HEALTH;
        return size == 7 && memcmp(path, "/health", 7) == 0 ? BFR_REFUSE_NONE : BFR_REFUSE_NO_ROUTE;
    }
    out->route = BFR_ROUTE_INGEST;
    before++;
    if (!copy_id(before, (size_t)(last - before), out->tenant, &out->tenant_dotted))
        return BFR_REFUSE_ID;
    last++;
    if (!copy_id(last, (size_t)(path + size - last), out->dataset, &out->dataset_dotted))
        return BFR_REFUSE_ID;
    return BFR_REFUSE_NONE;
}

enum bfr_refusal bfr_route_check(enum bfr_route route, enum bfr_method method)
{
    enum bfr_method served = route == BFR_ROUTE_HEALTH ? BFR_METHOD_GET : BFR_METHOD_POST;
    return method == served ? BFR_REFUSE_NONE : BFR_REFUSE_METHOD;
}

const char *bfr_route_allow(enum bfr_route route)
{
    return route == BFR_ROUTE_HEALTH ? "GET" : "POST";
}
