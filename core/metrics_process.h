// SPDX-License-Identifier: Apache-2.0
// The standard process_* metrics, as every Prometheus client library exports them.
#ifndef BFR_CORE_METRICS_PROCESS_H
#define BFR_CORE_METRICS_PROCESS_H

struct bfr_metrics_writer;

// When this process was started, Unix time; 0 when unknown. Asked once: derived from clocks that NTP adjusts, it would
// differ a little each time, and a change of this metric means a restart to everyone who watches it.
double bfr_process_start_seconds(void);

// A collector; `arg` points to the start time (double). Figures that /proc does not give (no /proc in a chroot, say) are left out. [any]
void bfr_metrics_write_process(void *arg, struct bfr_metrics_writer *writer);

#endif
