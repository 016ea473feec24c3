// SPDX-License-Identifier: Apache-2.0
// letter_life DIR: a life of a disk queue in which nothing happens but that all dead letters are redriven, for tests that replay
// what it did to the disk. Prints how many there were and how many of them moved.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plugin_file.h"

int main(int argc, char **argv)
{
    static const char *const names[] = {"fs"};
    const struct bfr_filter everything = {.size = sizeof everything, .tenant = "*", .dataset = "*"};
    struct bfr_err err = {.size = sizeof err};
    char directory[4096];
    if (argc != 2 || snprintf(directory, sizeof directory, "directory=%s", argv[1]) >= (int)sizeof directory)
        return 2;
    const char *const pairs[] = {directory, "max_size_bytes=1GiB", "segment_bytes=256KiB"};
    const struct bfr_queue_vtable *table = plugin_file_load()->vtable;
    struct bfr_fake *fake = bfr_fake_new(plugin_file_load(), "stage", pairs, 3, &err);
    if (fake == NULL || bfr_fake_create(fake, &err) != BFR_OK ||
        table->consumers(bfr_fake_self(fake), names, 1, &err) != BFR_OK || bfr_fake_start(fake, &err) != BFR_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uint64_t all = table->redrive(bfr_fake_self(fake), &everything, true, NULL, NULL);
    uint64_t moved = table->redrive(bfr_fake_self(fake), &everything, false, NULL, NULL);
    printf("%llu %llu\n", (unsigned long long)all, (unsigned long long)moved);
    bfr_fake_stop(fake);
    bfr_fake_destroy(fake);
    const char *misuse = bfr_fake_misuse(fake, 0);
    if (misuse != NULL)
        fprintf(stderr, "misuse: %s\n", misuse);
    bool good = misuse == NULL && bfr_fake_live_batches(fake) == 0;
    bfr_fake_free(fake);
    return good ? 0 : 1;
}
