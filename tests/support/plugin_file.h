// SPDX-License-Identifier: Apache-2.0
// The plugin under test, loaded from its file as the daemon would, and a started stage of it on the test kit's host.
// bfr_plugin_test in tests/unit/CMakeLists.txt defines BFR_PLUGIN_FILE.
#ifndef BFR_TEST_PLUGIN_FILE_H
#define BFR_TEST_PLUGIN_FILE_H

#include <dlfcn.h>
#include <string.h>

#include <bfr/testkit.h>

static inline const struct bfr_plugin *plugin_file_load(void)
{
    const struct bfr_plugin *(*entry)(void) = NULL;
    void *object = dlopen(BFR_PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (object == NULL)
        fail_msg("%s", dlerror());
    void *symbol = dlsym(object, "bfr_plugin_entry_v1");
    assert_non_null(symbol);
    memcpy(&entry, &symbol, sizeof entry);
    return entry();
}

// Created, not started. Fails the test when create fails.
static inline struct bfr_fake *plugin_file_create(const char *const *pairs, size_t count)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_fake *fake = bfr_fake_new(plugin_file_load(), "stage", pairs, count, &err);
    if (fake == NULL || bfr_fake_create(fake, &err) != BFR_OK)
        fail_msg("%s", err.text);
    return fake;
}

static inline void plugin_file_start(struct bfr_fake *fake)
{
    struct bfr_err err = {.size = sizeof err};
    if (bfr_fake_start(fake, &err) != BFR_OK)
        fail_msg("%s", err.text);
}

// Ends the stage; no breach of the contract was seen and no batch is left.
static inline void plugin_file_finish(struct bfr_fake *fake)
{
    bfr_fake_stop(fake);
    bfr_fake_destroy(fake);
    if (bfr_fake_misuse(fake, 0) != NULL)
        fail_msg("misuse: %s", bfr_fake_misuse(fake, 0));
    assert_int_equal(bfr_fake_live_batches(fake), 0);
    bfr_fake_free(fake);
}

// Is there a log line that contains `part`?
static inline bool plugin_file_logged(struct bfr_fake *fake, const char *part)
{
    const char *line;
    for (size_t i = 0; (line = bfr_fake_log(fake, i)) != NULL; i++)
        if (strstr(line, part) != NULL)
            return true;
    return false;
}

#endif
