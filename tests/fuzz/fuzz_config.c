// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration: no crash, no hang, and a configuration without errors is shown as one that reads back to
// the same. Owns nothing between two inputs.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fake_plugin.h"
#include "config_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const environment[] = {"A=1", "EMPTY=", "LONG=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", NULL};
static const struct bfr_config_flags flags = {.environment = environment};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static char *findings_of(const struct bfr_diag *diag)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    require(stream != NULL);
    bfr_diag_print(diag, stream);
    require(fclose(stream) == 0);
    return text;
}

// What `config show` prints of `text`; NULL when it has errors. To be freed.
static char *show(const char *text)
{
    char *shown = NULL;
    size_t size = 0;
    struct bfr_err err = {.size = sizeof err};
    struct bfr_diag *diag = bfr_diag_new();
    require(diag != NULL);
    struct bfr_config *config = bfr_config_parse("/fuzz/c.yaml", text, &flags, diag);
    require(config != NULL);
    for (size_t i = 0; i < bfr_config_stage_count(config); i++)
        (void)bfr_config_bind(config, i, &fake_plugin, diag);
    char *findings = findings_of(diag);
    require((strstr(findings, " error: ") != NULL) == (bfr_diag_errors(diag) > 0));
    if (bfr_diag_errors(diag) == 0) {
        FILE *stream = open_memstream(&shown, &size);
        require(stream != NULL && bfr_config_show(config, stream, &err) == BFR_OK && fclose(stream) == 0);
    }
    free(findings);
    bfr_config_free(config);
    bfr_diag_free(diag);
    return shown;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    char *first = show(text);
    if (first != NULL) {
        char *second = show(first);
        require(second != NULL && strcmp(first, second) == 0);
        free(second);
    }
    free(first);
    free(text);
    return 0;
}
