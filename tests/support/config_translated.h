// SPDX-License-Identifier: Apache-2.0
// What an older form was translated to, as text, for the tests of the translation: one line a stage, with its keys as they
// would be checked against the plugin's table, which these tests do not need.
#ifndef BFR_TEST_CONFIG_TRANSLATED_H
#define BFR_TEST_CONFIG_TRANSLATED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_load.h"
#include "config_state.h"

struct translated {
    struct bfr_config *config;
    struct bfr_diag *diag;
    char *stages;
    char *findings;
};

static inline void print_keys(FILE *stream, const struct bfr_node *keys)
{
    for (const struct bfr_node *key = keys->children; key != NULL; key = key->next) {
        if (strcmp(key->key, "plugin") != 0)
            fprintf(stream, " %s=%s", key->key, key->kind == BFR_NODE_SCALAR ? key->text : "?");
    }
}

static inline struct translated translate(const char *text, const char *const *environment)
{
    const struct bfr_config_flags flags = {.environment = environment};
    struct translated run = {.diag = bfr_diag_new()};
    size_t size = 0;
    assert_non_null(run.diag);
    run.config = bfr_config_parse("/etc/c.yaml", text, &flags, run.diag);
    assert_non_null(run.config);
    FILE *stream = open_memstream(&run.stages, &size);
    assert_non_null(stream);
    for (size_t i = 0; i < run.config->stage_count; i++) {
        const struct bfr_config_stage *stage = &run.config->stages[i];
        fprintf(stream, "%s%s", stage->entry.service ? "service " : "", stage->entry.plugin);
        if (stage->keys != NULL)
            print_keys(stream, stage->keys);
        fputc('\n', stream);
    }
    assert_int_equal(fclose(stream), 0);
    stream = open_memstream(&run.findings, &size);
    assert_non_null(stream);
    bfr_diag_print(run.diag, stream);
    assert_int_equal(fclose(stream), 0);
    return run;
}

static inline void translated_free(struct translated *run)
{
    free(run->stages);
    free(run->findings);
    bfr_config_free(run->config);
    bfr_diag_free(run->diag);
}

// Translate and compare everything that was said and made.
static inline void assert_translated(const char *text, const char *const *environment, const char *stages,
                                     const char *findings)
{
    struct translated run = translate(text, environment);
    assert_string_equal(run.findings, findings);
    assert_string_equal(run.stages, stages);
    translated_free(&run);
}

#endif
