// SPDX-License-Identifier: Apache-2.0
// The document of the API and the table of routes say the same: neither has a page that the other lacks, and both agree on
// who may see it.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http_admin_embedded.h"
#include "http_admin_state.h"

static json_t *document(void)
{
    json_error_t error;
    json_t *root = json_loadb(bfr_embedded_openapi.data, bfr_embedded_openapi.size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("openapi.json:%d: %s", error.line, error.text);
    return root;
}

// "/a/{id}/b" as the table has it: "/a/{}/b".
static void as_route(const char *path, char out[256])
{
    size_t size = 0;
    for (bool inside = false; *path != '\0'; path++) {
        inside = inside && *path != '}';
        if (!inside)
            out[size++] = *path;
        inside = inside || *path == '{';
    }
    out[size] = '\0';
}

static const char *method_of(const struct bfr_admin_route *route)
{
    switch (route->method) {
    case EVHTTP_REQ_GET:
        return "get";
    case EVHTTP_REQ_POST:
        return "post";
    case EVHTTP_REQ_PUT:
        return "put";
    default:
        return "delete";
    }
}

static const struct bfr_admin_route *find_route(const char *path, const char *method)
{
    size_t count;
    const struct bfr_admin_route *routes = bfr_admin_routes(&count);
    char wanted[256];
    as_route(path, wanted);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(routes[i].path, wanted) == 0 && strcmp(method_of(&routes[i]), method) == 0)
            return &routes[i];
    }
    return NULL;
}

static void test_every_documented_page_is_served_to_whom_the_document_says(void **state)
{
    (void)state;
    json_t *root = document(), *methods, *operation;
    const char *path, *method;
    json_object_foreach(json_object_get(root, "paths"), path, methods)
    {
        json_object_foreach(methods, method, operation)
        {
            const struct bfr_admin_route *route = find_route(path, method);
            if (route == NULL)
                fail_msg("the document has %s %s, but no route does", method, path);
            json_t *security = json_object_get(operation, "security");
            bool open = security != NULL && json_array_size(security) == 0;
            if (route->guarded == open)
                fail_msg("%s %s: the document and the route do not agree on whether it is guarded", method, path);
        }
    }
    json_decref(root);
}

static bool is_documented(json_t *paths, const struct bfr_admin_route *route)
{
    const char *path;
    json_t *methods;
    char documented[256];
    json_object_foreach(paths, path, methods)
    {
        as_route(path, documented);
        if (strcmp(documented, route->path) == 0 && json_object_get(methods, method_of(route)) != NULL)
            return true;
    }
    return false;
}

static void test_every_route_is_documented(void **state)
{
    (void)state;
    json_t *root = document();
    size_t count;
    const struct bfr_admin_route *routes = bfr_admin_routes(&count);
    for (size_t i = 0; i < count; i++) {
        if (!is_documented(json_object_get(root, "paths"), &routes[i]))
            fail_msg("%s %s is served but not in core/openapi/openapi.json", method_of(&routes[i]), routes[i].path);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_documented_page_is_served_to_whom_the_document_says),
        cmocka_unit_test(test_every_route_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
