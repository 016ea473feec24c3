// SPDX-License-Identifier: Apache-2.0
// The end of the process when one of our own promises is broken. Uses only what is safe at any moment.
#include "bug.h"

#include <stdio.h>
#include <stdlib.h>

void bfr_bug_at(const char *file, int line, const char *what)
{
    fprintf(stderr, "level=error msg=\"internal error: please report it\" file=%s line=%d what=\"%s\"\n", file, line,
            what);
    abort();
}
