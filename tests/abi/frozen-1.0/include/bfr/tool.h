/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that a plugin brings along: `bytefreezer-receiver WORDS...` for work on what the plugin leaves behind, with no
 * daemon running. The daemon knows nothing of that work, so the plugin does it.
 *
 * A tool runs instead of the daemon, in a process of its own, on its main thread: no stage exists, no configuration
 * has been read, there is no host table. It may use standard output and standard error, block, and start threads that
 * have ended when it returns.
 */
#ifndef BFR_TOOL_H
#define BFR_TOOL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a tool returns is the exit status of the process. */
enum bfr_tool_exit {
    BFR_TOOL_GOOD = 0,
    BFR_TOOL_FAILED = 1, /* could not do its work, or found what it looks for: a line on standard error says so */
    BFR_TOOL_USAGE = 2   /* called wrongly; the host adds the usage line */
};

struct bfr_tool {
    const char *words;    /* the command, two words: "spool ls"; each [a-z]+ */
    const char *operands; /* for the usage line: "DIR --sink NAME" */
    const char *summary;  /* one line for the list of commands, at most 120 bytes */
    /* [main] argv: what follows the words, `argc` of them, NULL behind the last. Returns an enum bfr_tool_exit. */
    int (*run)(int argc, char **argv);
};

#ifdef __cplusplus
}
#endif
#endif
