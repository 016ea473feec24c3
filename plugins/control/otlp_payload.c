// SPDX-License-Identifier: Apache-2.0
// See otlp_payload.h. Samples come family by family, a histogram's line by line; here they become data points. In JSON the
// 64-bit integers of the protocol are strings (https://protobuf.dev/programming-guides/json/).
#include "otlp_payload.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUMULATIVE 2 // AGGREGATION_TEMPORALITY_CUMULATIVE

struct builder {
    json_t *metrics; // the list
    json_t *points;  // of the family at hand
    char family[256];
    char started[24], now[24];
    // The histogram at hand.
    json_t *bounds, *counts;
    double below; // the cumulative count so far
    double sum;
    bool failed;
};

static json_t *text_of(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.0f", value);
    return json_string(text);
}

static json_t *attribute(const char *key, const char *value)
{
    json_t *text = json_string(value);
    return json_pack("{s:s, s:{s:o}}", "key", key, "value", "stringValue", text != NULL ? text : json_string(""));
}

// `le` is not an attribute: it has become a bound.
static json_t *attributes_of(const char *const *labels)
{
    json_t *list = json_array();
    for (size_t i = 0; labels[i] != NULL && labels[i + 1] != NULL; i += 2) {
        if (strcmp(labels[i], "le") != 0)
            json_array_append_new(list, attribute(labels[i], labels[i + 1]));
    }
    return list;
}

static void begin_family(struct builder *builder, const struct bfr_sample *sample)
{
    static const char *const kinds[] = {
        [BFR_METRIC_COUNTER] = "sum", [BFR_METRIC_GAUGE] = "gauge", [BFR_METRIC_HISTOGRAM] = "histogram"};
    snprintf(builder->family, sizeof builder->family, "%s", sample->family);
    json_t *data = json_pack("{s:[]}", "dataPoints");
    builder->points = json_object_get(data, "dataPoints");
    if (sample->type != BFR_METRIC_GAUGE)
        json_object_set_new(data, "aggregationTemporality", json_integer(CUMULATIVE));
    if (sample->type == BFR_METRIC_COUNTER)
        json_object_set_new(data, "isMonotonic", json_true());
    json_t *metric = json_pack("{s:s, s:s, s:s, s:o}", "name", sample->family, "description", sample->help, "unit",
                               strstr(sample->family, "_seconds") != NULL ? "s"
                               : strstr(sample->family, "_bytes") != NULL ? "By"
                                                                          : "1",
                               kinds[sample->type], data);
    if (metric == NULL || json_array_append_new(builder->metrics, metric) != 0)
        builder->failed = true;
}

static json_t *new_point(const struct builder *builder, const struct bfr_sample *sample, bool counts)
{
    json_t *point = json_pack("{s:s, s:o}", "timeUnixNano", builder->now, "attributes", attributes_of(sample->labels));
    if (counts)
        json_object_set_new(point, "startTimeUnixNano", json_string(builder->started));
    return point;
}

static void add_number(struct builder *builder, const struct bfr_sample *sample)
{
    if (!isfinite(sample->value))
        return; // JSON has no such number
    json_t *point = new_point(builder, sample, sample->type == BFR_METRIC_COUNTER);
    json_object_set_new(point, "asDouble", json_real(sample->value));
    json_array_append_new(builder->points, point);
}

static void add_bucket(struct builder *builder, const struct bfr_sample *sample)
{
    const char *bound = "";
    for (size_t i = 0; sample->labels[i] != NULL; i += 2) {
        if (strcmp(sample->labels[i], "le") == 0)
            bound = sample->labels[i + 1];
    }
    if (builder->counts == NULL) {
        builder->counts = json_array();
        builder->bounds = json_array();
        builder->below = 0;
    }
    json_array_append_new(builder->counts, text_of(sample->value - builder->below));
    builder->below = sample->value;
    if (strcmp(bound, "+Inf") != 0)
        json_array_append_new(builder->bounds, json_real(strtod(bound, NULL)));
}

static void end_histogram(struct builder *builder, const struct bfr_sample *sample)
{
    json_t *point = new_point(builder, sample, true);
    json_object_set_new(point, "count", text_of(sample->value));
    json_object_set_new(point, "sum", json_real(isfinite(builder->sum) ? builder->sum : 0));
    json_object_set_new(point, "bucketCounts", builder->counts);
    json_object_set_new(point, "explicitBounds", builder->bounds);
    builder->counts = builder->bounds = NULL;
    json_array_append_new(builder->points, point);
}

static void add_part(struct builder *builder, const struct bfr_sample *sample)
{
    const char *part = sample->name + strlen(sample->family);
    if (strcmp(part, "_bucket") == 0)
        add_bucket(builder, sample);
    else if (strcmp(part, "_sum") == 0)
        builder->sum = sample->value;
    else if (strcmp(part, "_count") == 0)
        end_histogram(builder, sample);
}

static bool add_sample(void *arg, const struct bfr_sample *sample)
{
    struct builder *builder = arg;
    if (sample->type < BFR_METRIC_COUNTER || sample->type > BFR_METRIC_HISTOGRAM)
        return true;
    if (strcmp(builder->family, sample->family) != 0)
        begin_family(builder, sample);
    if (builder->failed)
        return false;
    if (sample->type == BFR_METRIC_HISTOGRAM)
        add_part(builder, sample);
    else
        add_number(builder, sample);
    return true;
}

static json_t *wrap(json_t *metrics, const struct otlp_resource *resource)
{
    return json_pack("{s:[{s:{s:[o,o,o]}, s:[{s:{s:s,s:s}, s:o}]}]}", "resourceMetrics", "resource", "attributes",
                     attribute("service.name", resource->service_name), attribute("service.version", resource->version),
                     attribute("service.instance.id", resource->instance), "scopeMetrics", "scope", "name",
                     "bytefreezer-receiver", "version", resource->version, "metrics", metrics);
}

json_t *bfr_otlp_payload(const struct bfr_host *host, const struct bfr_metrics_1 *metrics,
                         const struct otlp_resource *resource)
{
    struct builder builder = {.metrics = json_array()};
    if (builder.metrics == NULL)
        return NULL;
    snprintf(builder.started, sizeof builder.started, "%" PRId64, resource->started_ns);
    snprintf(builder.now, sizeof builder.now, "%" PRId64, host->wall_ns(host));
    bool complete = metrics != NULL && metrics->samples(host, add_sample, &builder) && !builder.failed;
    json_decref(builder.counts);
    json_decref(builder.bounds);
    if (complete)
        return wrap(builder.metrics, resource);
    json_decref(builder.metrics);
    return NULL;
}
