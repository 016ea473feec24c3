// SPDX-License-Identifier: Apache-2.0
// Broken invariants: a message with file, line and expression, then abort - in release builds too. For what our own
// code promises, never for input or I/O.
#ifndef BFR_CORE_BUG_H
#define BFR_CORE_BUG_H

#define bfr_bug(what)       bfr_bug_at(__FILE__, __LINE__, (what))
#define bfr_must(condition) ((condition) ? (void)0 : bfr_bug_at(__FILE__, __LINE__, #condition))

_Noreturn void bfr_bug_at(const char *file, int line, const char *what);

#endif
