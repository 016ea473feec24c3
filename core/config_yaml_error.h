// SPDX-License-Identifier: Apache-2.0
// What libyaml says about a text that is not YAML, in words that help, and where.
#ifndef BFR_CORE_CONFIG_YAML_ERROR_H
#define BFR_CORE_CONFIG_YAML_ERROR_H

#include <stddef.h>

#include <yaml.h>

#include "config_diag.h"

// Report the parser's error. `text` is its whole input.
void bfr_yaml_report(const yaml_parser_t *yaml, const char *file, const char *text, size_t size, struct bfr_diag *diag);

// Line and column of a byte; columns count characters.
struct bfr_place bfr_yaml_place_at(const char *file, const char *text, size_t offset);

#endif
