// SPDX-License-Identifier: Apache-2.0
// What the checks of bfr-check-plugin share. Each check runs in a process of its own, so that a crash, a hang or a leak
// is that check's failure and nothing else's. A check that returns has passed.
#ifndef BFR_RUNNER_CHECK_H
#define BFR_RUNNER_CHECK_H

#include <bfr/testkit.h>

// What is checked, and how.
struct subject {
    const char *path;
    const struct bfr_plugin *plugin;
    char *const *pairs; // options from the command line
    size_t pair_count;
    const char *directory; // what {tmp} in an option stands for
    uint32_t wait_ms;      // how long to wait for something that must happen
    const char *only;      // --only, or NULL: all checks
    bool outage;           // --outage: the far end is away, so nothing can be stored
};

struct check {
    const char *promise; // the line that is printed
    void (*run)(const struct subject *subject);
};

// End the check: failed, or not applicable. Neither returns.
__attribute__((format(printf, 1, 2))) _Noreturn void fail(const char *format, ...);
__attribute__((format(printf, 1, 2))) _Noreturn void skip(const char *format, ...);

#define must(condition, ...)                                                                                           \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail(__VA_ARGS__);                                                                                         \
    } while (0)

// Run and print one check. False when it failed.
bool check_run(const struct check *check, const struct subject *subject);

// The tables, each ended by a NULL promise.
extern const struct check file_checks[];
extern const struct check descriptor_checks[];
extern const struct check life_checks[];
extern const struct check auth_checks[];
extern const struct check queue_checks[];
extern const struct check sink_checks[];

#endif
