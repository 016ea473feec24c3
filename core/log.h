// SPDX-License-Identifier: Apache-2.0
// The log: one event, one line on stderr, logfmt or JSON. Process-wide, usable from any thread, before and after
// bfr_log_configure. A line is written with one write(2), so lines of several threads never mix.
#ifndef BFR_CORE_LOG_H
#define BFR_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <bfr/text.h> // enum bfr_log_level, bfr_num

enum bfr_log_format { BFR_LOG_LOGFMT = 1, BFR_LOG_JSON = 2 };

void bfr_log_configure(uint32_t level, enum bfr_log_format format);
bool bfr_log_enabled(uint32_t level);
uint32_t bfr_log_level(void); // in force
void bfr_log_set_level(uint32_t level);
const char *bfr_log_level_name(uint32_t level);
uint32_t bfr_log_level_from(const char *name); // 0: there is no level of that name

// `inst` names the part that speaks (a stage's name, "http", "config", ...). `fields` is key, value, ..., NULL or NULL.
// Values are quoted and escaped here: control characters and quotes never reach the terminal raw. A message that
// repeats within a second with the same inst and text is folded into one line with `repeated=N`.
void bfr_log_write(uint32_t level, const char *inst, const char *message, const char *const *fields);

// The comfortable form: bfr_say(BFR_LOG_WARN, "http", "too many connections", "limit", bfr_num(n).text, NULL);
BFR_SENTINEL void bfr_say(uint32_t level, const char *inst, const char *message, ...);

// Write the counts of folded lines whose second is over. The main loop calls it every second; each log call and the end
// of the process do the same. The exact rule of folding is in log_fold.h. [any]
void bfr_log_tick(void);

#endif
