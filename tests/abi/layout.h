// SPDX-License-Identifier: Apache-2.0
// One row per struct and per member of the ABI; ends with a row without a name.
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stddef.h>

struct layout {
    const char *name;
    size_t offset;
    size_t size;
    int whole; // a struct, which may grow; a member may not
};

extern const struct layout frozen_layout[];
extern const struct layout present_layout[];

#endif
