// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over every file of a directory: the corpus as a plain test, with any compiler.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// True when the file was read and the target came back.
static int replay(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *stream = fopen(path, "rb");
    uint8_t *data = malloc(1 << 20);
    int read_well = 0;
    if (stream != NULL && data != NULL) {
        size_t size = fread(data, 1, 1 << 20, stream);
        read_well = !ferror(stream);
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    if (!read_well)
        fprintf(stderr, "%s: cannot be read\n", path);
    if (stream != NULL)
        (void)fclose(stream);
    free(data);
    return read_well;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    int replayed = 0, failed = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            replayed++;
            failed += !replay(argv[1], entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs replayed, %d failed\n", replayed, failed);
    return replayed > 0 && failed == 0 ? 0 : 1;
}
