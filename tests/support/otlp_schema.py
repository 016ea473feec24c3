# SPDX-License-Identifier: Apache-2.0
"""What an OTLP collector takes in JSON: the fields of ExportMetricsServiceRequest (opentelemetry-proto 1.x) as far as metrics
use them, strictly: 64-bit integers are strings, nothing unknown, a histogram agrees with itself."""
import re

_NANOS = re.compile(r"[1-9][0-9]{18}")
_COUNT = re.compile(r"0|[1-9][0-9]*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _keys(value, required, optional=()):
    assert isinstance(value, dict), value
    assert set(required) <= set(value) <= set(required) | set(optional), (sorted(value), required)


def attributes(items):
    """As a dictionary; a name may come once."""
    found = {}
    for item in items:
        _keys(item, ("key", "value"))
        _keys(item["value"], ("stringValue",))
        assert item["key"] not in found and isinstance(item["value"]["stringValue"], str)
        found[item["key"]] = item["value"]["stringValue"]
    return found


def _times(point, counts):
    assert _NANOS.fullmatch(point["timeUnixNano"])
    if counts:
        assert _NANOS.fullmatch(point["startTimeUnixNano"])
        assert int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"])


def _number(point, counts):
    _keys(point, ("attributes", "timeUnixNano", "asDouble") + (("startTimeUnixNano",) if counts else ()))
    _times(point, counts)
    assert isinstance(point["asDouble"], (int, float))
    return point["asDouble"]


def _histogram(point):
    _keys(point, ("attributes", "timeUnixNano", "startTimeUnixNano", "count", "sum", "bucketCounts", "explicitBounds"))
    _times(point, True)
    counts, bounds = point["bucketCounts"], point["explicitBounds"]
    assert all(_COUNT.fullmatch(text) for text in [*counts, point["count"]])
    assert len(counts) == len(bounds) + 1 and bounds == sorted(set(bounds))
    assert sum(map(int, counts)) == int(point["count"])
    return int(point["count"])


def read(request):
    """(resource attributes, {(name, labels): value}); an assertion when it is no valid request."""
    _keys(request, ("resourceMetrics",))
    (resource,) = request["resourceMetrics"]
    _keys(resource, ("resource", "scopeMetrics"))
    (scope,) = resource["scopeMetrics"]
    _keys(scope, ("scope", "metrics"))
    _keys(scope["scope"], ("name", "version"))
    values, names = {}, set()
    for metric in scope["metrics"]:
        (kind,) = {"sum", "gauge", "histogram"} & set(metric)
        _keys(metric, ("name", "description", "unit", kind))
        assert _NAME.fullmatch(metric["name"]) and metric["name"] not in names
        names.add(metric["name"])
        data = metric[kind]
        _keys(data, {"sum": ("dataPoints", "aggregationTemporality", "isMonotonic"), "gauge": ("dataPoints",),
                     "histogram": ("dataPoints", "aggregationTemporality")}[kind])
        assert kind == "gauge" or data["aggregationTemporality"] == 2
        assert kind != "sum" or data["isMonotonic"] is True
        for point in data["dataPoints"]:
            value = _histogram(point) if kind == "histogram" else _number(point, kind == "sum")
            key = (metric["name"], frozenset(attributes(point["attributes"]).items()))
            assert key not in values, key
            values[key] = value
    return attributes(resource["resource"]["attributes"]), values
