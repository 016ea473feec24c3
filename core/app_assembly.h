// SPDX-License-Identifier: Apache-2.0
// From a configuration to created stages: plugins loaded, keys checked, kinds in order, every stage created. What `run`
// starts and what `check` only looks at. All errors of one run are reported; nothing is started here. [main]
#ifndef BFR_CORE_APP_ASSEMBLY_H
#define BFR_CORE_APP_ASSEMBLY_H

#include "config_load.h"
#include "plugin_stage.h"

#define BFR_STAGES_MAX 64 // in one configuration

struct bfr_assembly {
    struct bfr_config *config; // owned; NULL once somebody else has taken it
    struct bfr_stage *auth;    // NULL when the pipeline has none
    struct bfr_stage *queues[BFR_STAGES_MAX];
    size_t queue_count;
    struct bfr_stage *sinks[BFR_STAGES_MAX];
    size_t sink_count;
    struct bfr_stage *services[BFR_STAGES_MAX];
    size_t service_count;
};

// `env` is what the stages see; it must outlive the assembly. Errors and warnings go to `diag`; returns BFR_OK only when
// there is no error. On failure the assembly is empty again.
BFR_MUST_CHECK uint32_t bfr_assembly_build(struct bfr_assembly *assembly, const char *config_path,
                                           const struct bfr_config_flags *flags, const struct bfr_stage_env *env,
                                           struct bfr_diag *diag);

// Only read, load and check the keys, create nothing: for `config show`.
BFR_MUST_CHECK uint32_t bfr_assembly_read(struct bfr_assembly *assembly, const char *config_path,
                                          const struct bfr_config_flags *flags, struct bfr_diag *diag);

// Read the file again while the stages run: every key is checked against the plugins that run, or, where the file names others,
// against those it names; nothing is created. NULL when memory is short; errors are in `diag`.
struct bfr_config *bfr_assembly_reread(const struct bfr_assembly *running, const char *config_path,
                                       const struct bfr_config_flags *flags, struct bfr_diag *diag);

// The stage of that name; NULL when there is none.
struct bfr_stage *bfr_assembly_stage(const struct bfr_assembly *assembly, const char *name);

void bfr_assembly_clear(struct bfr_assembly *assembly);

#endif
