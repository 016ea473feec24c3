// SPDX-License-Identifier: Apache-2.0
// The way through {base}/{tenant}/{dataset}/{retry,dlq,queue}/, one directory entry at a time, so that whoever walks can stop at
// any of them. By descriptor; no link is followed. Knows no queue.
#ifndef BFR_SPOOL_ADOPT_TREE_H
#define BFR_SPOOL_ADOPT_TREE_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>

#include <bfr/batch.h>

// In this order: a crash of the previous product may have left a retry's data without its meta, which then is still in queue/.
enum adopt_part { ADOPT_RETRY = 0, ADOPT_DLQ = 1, ADOPT_QUEUE = 2, ADOPT_PARTS = 3 };

enum adopt_event {
    ADOPT_ENTRY = 1, // `name` is in `files`
    ADOPT_LEAVING,   // nothing more in this part: with the next call it is left, and removed if it is empty
    ADOPT_MOVED,     // somewhere else; go on
    ADOPT_END,
};

// What an entry's finder may look at.
struct adopt_tree {
    char tenant[BFR_ID_MAX + 1]; // ids
    char dataset[BFR_ID_MAX + 1];
    char tenant_directory[NAME_MAX + 1];
    char dataset_directory[NAME_MAX + 1];
    int dataset_fd; // -1: in none
    unsigned part;  // enum adopt_part
    int files;      // descriptor of the part
    const char *name;

    DIR *streams[3]; // tenants, datasets, files
    bool ours[2];    // this tenant, this dataset has directories of the previous product
    bool leaving;
};

extern const char *const bfr_adopt_part_names[ADOPT_PARTS];

// False with errno. The walk may begin anew after an end.
bool bfr_adopt_tree_open(struct adopt_tree *tree, int base);
enum adopt_event bfr_adopt_tree_next(struct adopt_tree *tree);
void bfr_adopt_tree_close(struct adopt_tree *tree);

// Could this entry of the base directory be a tenant of the previous product?
bool bfr_adopt_is_tenant(const char *name, char id[BFR_ID_MAX + 1]);

#endif
