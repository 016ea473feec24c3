// SPDX-License-Identifier: Apache-2.0
// When the stable queue fails at the end: what a volatile queue before it holds goes straight into the sinks.
#ifndef BFR_CORE_PIPE_RESCUE_H
#define BFR_CORE_PIPE_RESCUE_H

#include "pipe_chain.h"

// Does a volatile queue hold something, and a stable one is behind it?
bool bfr_rescue_wanted(struct bfr_pipeline *pipeline);
// Is nothing on its way into the sinks?
bool bfr_rescue_ready(struct bfr_pipeline *pipeline);
// Until nothing is left that can be saved so, or the deadline. The pumps are gone, the links halted. [main]
void bfr_rescue_run(struct bfr_pipeline *pipeline, uint64_t deadline_ns);
// The sinks have stopped: take back what they never completed. After it the volatile queues hold what is lost. [main]
void bfr_rescue_end(struct bfr_pipeline *pipeline);

#endif
