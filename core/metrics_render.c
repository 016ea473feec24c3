// SPDX-License-Identifier: Apache-2.0
// The page that is scraped: Prometheus text format 0.0.4. Runs on the scraper's thread (the admin loop).
//
// https://prometheus.io/docs/instrumenting/exposition_formats/
#include "metrics_writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static const char *const type_names[] = {"untyped", "counter", "gauge", "histogram"};

// Backslash and newline are escaped everywhere, quotes in label values only; the page is UTF-8 whatever it was given.
static void write_escaped(FILE *page, const char *text, bool quotes)
{
    while (*text != '\0') {
        uint32_t code = 0;
        size_t bytes = bfr_utf8_read(text, &code);
        if (bytes == 0)
            fputs(BFR_UTF8_REPLACEMENT, page);
        else if (code == '\n')
            fputs("\\n", page);
        else if (code == '\\' || (code == '"' && quotes))
            fprintf(page, "\\%c", (char)code);
        else
            fwrite(text, 1, bytes, page);
        text += bytes > 0 ? bytes : 1;
    }
}

void bfr_metrics_number(double value, char out[METRICS_NUMBER_SIZE])
{
    if (isnan(value))
        snprintf(out, METRICS_NUMBER_SIZE, "NaN");
    else if (isinf(value))
        snprintf(out, METRICS_NUMBER_SIZE, value > 0 ? "+Inf" : "-Inf");
    else if (fabs(value) < 0x1p53 && (double)(int64_t)value == value)
        snprintf(out, METRICS_NUMBER_SIZE, "%.0f", value);
    else
        snprintf(out, METRICS_NUMBER_SIZE, "%.15g", value);
    if (isfinite(value) && strtod(out, NULL) != value)
        snprintf(out, METRICS_NUMBER_SIZE, "%.17g", value);
}

static void write_label(FILE *page, bool first, const char *name, const char *value)
{
    fprintf(page, "%s%s=\"", first ? "{" : ",", name);
    write_escaped(page, value, true);
    fputc('"', page);
}

static void write_family(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help)
{
    fprintf(writer->out, "# HELP %s ", name);
    write_escaped(writer->out, help, false);
    fprintf(writer->out, "\n# TYPE %s %s\n", name, type_names[type <= BFR_METRIC_HISTOGRAM ? type : 0]);
}

static void write_value(struct bfr_metrics_writer *writer, const char *name, const char *const *labels, double value)
{
    char number[METRICS_NUMBER_SIZE];
    fputs(name, writer->out);
    size_t i = 0;
    for (; labels != NULL && labels[i] != NULL && labels[i + 1] != NULL; i += 2)
        write_label(writer->out, i == 0, labels[i], labels[i + 1]);
    bfr_metrics_number(value, number);
    fprintf(writer->out, "%s%s\n", i > 0 ? "} " : " ", number);
}

char *bfr_metrics_render(struct bfr_metrics *metrics, size_t *out_size)
{
    char *text = NULL;
    size_t size = 0;
    struct bfr_metrics_writer writer = {write_family, write_value, open_memstream(&text, &size)};
    if (writer.out == NULL)
        return NULL;
    bfr_metrics_walk(metrics, &writer);
    bool failed = ferror(writer.out) != 0;
    if (fclose(writer.out) != 0 || failed) {
        free(text);
        return NULL;
    }
    *out_size = size;
    return text;
}
