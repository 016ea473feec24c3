// SPDX-License-Identifier: Apache-2.0
// The API port for real, over sockets on the loopback interface, of a daemon whose pipeline is a fake. For cmocka.
#ifndef BFR_TEST_ADMIN_RIG_H
#define BFR_TEST_ADMIN_RIG_H

#include <jansson.h>

#include "http_admin.h"
#include "raw_http.h"

struct bfr_pipeline {
    _Atomic(const char *) unready; // NULL: ready
    atomic_uint letters;           // as many dead letters as a test wants
    atomic_bool stopped;
};

// One daemon's API with two stages.
struct fixture {
    struct bfr_settings settings;
    struct bfr_metrics *metrics;
    struct bfr_pipeline pipeline;
    struct bfr_stage_status sink;
    struct bfr_http_admin *admin;
    uint16_t port;
};

struct bfr_admin_setup setup_of(struct fixture *fixture);
int set_up(void **state);
int tear_down(void **state);
#define served(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

extern struct raw_reply reply; // to the last question; the tests run one after another

// One request on a connection of its own.
void ask(const struct fixture *fixture, const char *method, const char *target);
// The same with a body, for a reply of that status in JSON.
json_t *ask_json(const struct fixture *fixture, const char *method, const char *target, const char *body, int status);
bool has_header(const char *line);
// A member that is a text; "(none)" where there is none.
const char *text_of(const json_t *json, const char *key);

#endif
