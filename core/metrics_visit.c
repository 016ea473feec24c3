// SPDX-License-Identifier: Apache-2.0
// All metrics for a visitor, which is a plugin's and may call the host: so everything is copied first, one record behind the
// other, and visited when no lock is held. Runs on the visitor's thread.
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_writer.h"

#define LABELS_MAX 32 // pairs shown of one sample

// Followed by family, help, name and the labels, each with its NUL.
struct record {
    uint32_t type;
    uint32_t label_count; // strings
    double value;
};

struct packer {
    struct bfr_metrics_writer writer; // first
    uint32_t type;
    const char *family, *help; // of the caller of `family`, who goes on to its values
};

static void put_text(FILE *out, const char *text)
{
    fwrite(text, 1, strlen(text) + 1, out);
}

static void pack_family(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help)
{
    struct packer *packer = (struct packer *)writer;
    packer->type = type;
    packer->family = name;
    packer->help = help;
}

static void pack_value(struct bfr_metrics_writer *writer, const char *name, const char *const *labels, double value)
{
    struct packer *packer = (struct packer *)writer;
    struct record record = {.type = packer->type, .value = value};
    while (labels != NULL && record.label_count < 2 * LABELS_MAX && labels[record.label_count] != NULL &&
           labels[record.label_count + 1] != NULL)
        record.label_count += 2;
    fwrite(&record, sizeof record, 1, writer->out);
    put_text(writer->out, packer->family);
    put_text(writer->out, packer->help);
    put_text(writer->out, name);
    for (uint32_t i = 0; i < record.label_count; i++)
        put_text(writer->out, labels[i]);
}

static const char *get_text(const char **at)
{
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

static void visit_packed(const char *at, const char *end, bool (*visit)(void *arg, const struct bfr_sample *sample),
                         void *arg)
{
    bool more = true;
    while (at < end && more) {
        const char *labels[2 * LABELS_MAX + 1];
        struct record record;
        memcpy(&record, at, sizeof record);
        at += sizeof record;
        struct bfr_sample sample = {
            .size = sizeof sample, .type = record.type, .labels = labels, .value = record.value};
        sample.family = get_text(&at);
        sample.help = get_text(&at);
        sample.name = get_text(&at);
        for (uint32_t i = 0; i < record.label_count; i++)
            labels[i] = get_text(&at);
        labels[record.label_count] = NULL;
        more = visit(arg, &sample);
    }
}

bool bfr_metrics_visit(struct bfr_metrics *metrics, bool (*visit)(void *arg, const struct bfr_sample *sample),
                       void *arg)
{
    char *packed = NULL;
    size_t size = 0;
    struct packer packer = {.writer = {pack_family, pack_value, open_memstream(&packed, &size)}};
    if (packer.writer.out == NULL)
        return false;
    bfr_metrics_walk(metrics, &packer.writer);
    bool good = ferror(packer.writer.out) == 0;
    good = fclose(packer.writer.out) == 0 && good;
    if (good)
        visit_packed(packed, packed + size, visit, arg);
    free(packed);
    return good;
}
