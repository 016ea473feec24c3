# SPDX-License-Identifier: Apache-2.0
"""What the control service takes: the fields of each body, written down from the protocol's tables. A field that is
missing, unknown or of another type is a violation."""
import json

INT = (int,)
NUMBER = (int, float)
TEXT = (str,)
BOOL = (bool,)
SEVERITIES = ("debug", "info", "warning", "error", "critical")
STATUSES = ("healthy", "degraded", "unhealthy", "uninstalling")


class Optional:
    """A field that may be left out."""

    def __init__(self, kind):
        self.kind = kind


class Any:
    """A mapping whose keys are the sender's own."""


class Items:
    """A list of values of one kind."""

    def __init__(self, kind):
        self.kind = kind


class One:
    """One of these values."""

    def __init__(self, *values):
        self.values = values


CONFIGURATION = {
    "service_type": One("bytefreezer-receiver"), "version": TEXT, "instance_api": TEXT, "instance_id": TEXT,
    "report_interval": INT, "timeout": TEXT, "api": {"port": INT},
    "webhook": {"port": INT, "max_payload_size": INT, "supported_formats": Items(TEXT), "enable_format_header": BOOL,
                "enabled": BOOL},
    "upload": {"enabled": BOOL, "max_file_size": INT, "allowed_extensions": Items(TEXT)},
    "bytefreezer": {"upload_worker_count": INT, "spool_path": TEXT},
    "s3_destination": {"bucket_name": TEXT, "region": TEXT, "endpoint": TEXT, "ssl": BOOL, "access_key": TEXT,
                       "secret_key": TEXT},
    "dlq": {"enabled": BOOL, "directory": TEXT, "retry_attempts": INT, "retry_interval_seconds": INT,
            "max_size_bytes": INT, "cleanup_interval_seconds": INT, "max_age_days": INT},
    "housekeeping": {"enabled": BOOL, "interval_seconds": INT},
    "control_service": {"enabled": BOOL, "control_url": TEXT, "api_key": TEXT, "timeout": TEXT},
    "authentication": {"enabled": BOOL},
    "otel": {"enabled": BOOL, "endpoint": TEXT, "service_name": TEXT, "prometheus_mode": BOOL},
    "soc": {"enabled": BOOL, "endpoint": TEXT, "timeout": TEXT},
    "capabilities": Items(TEXT), "account_id": Optional(TEXT),
}

SYSTEM_METRICS = {
    "timestamp": INT, "last_health_check": TEXT, "disk_total_bytes": INT, "disk_used_bytes": INT,
    "disk_available_bytes": INT, "disk_used_percent": NUMBER, "mem_total_bytes": INT, "mem_used_bytes": INT,
    "mem_available_bytes": INT, "mem_used_percent": NUMBER, "cpu_used_percent": NUMBER, "cpu_iowait_percent": NUMBER,
    "cpu_cores": INT, "load_avg_1": NUMBER, "load_avg_5": NUMBER, "load_avg_15": NUMBER,
}

REGISTER = {"service_type": One("bytefreezer-receiver"), "instance_id": TEXT, "instance_api": TEXT,
            "status": One("Starting"), "configuration": CONFIGURATION}
REPORT = {"service_name": One("bytefreezer-receiver"), "service_id": TEXT, "instance_api": TEXT, "healthy": BOOL,
          "status": Optional(One(*STATUSES)), "configuration": CONFIGURATION, "metrics": SYSTEM_METRICS}
CLEANUP = {"service_type": One("receiver"), "instance_id": TEXT}
THROUGHPUT = {"account_id": TEXT, "tenant_id": TEXT, "dataset_id": TEXT, "bytes_received": INT, "lines_received": INT,
              "bytes_stored": INT, "success": BOOL}
METRICS = {"component": One("receiver-to-piper"), "input_bytes": INT, "output_bytes": INT, "lines_processed": INT,
           "error_count": INT, "custom_metrics": Optional(Any())}
ERROR = {"error_type": TEXT, "component": One("receiver"), "error_message": TEXT, "severity": One(*SEVERITIES),
         "tenant_id": Optional(TEXT), "dataset_id": Optional(TEXT), "error_sample": Optional(TEXT),
         "metadata": Optional(Any()), "error_hash": Optional(TEXT), "account_id": Optional(TEXT)}
SOC = {"service": TEXT, "severity": One("critical", "high", "medium", "low"), "title": TEXT, "message": TEXT,
       "timestamp": TEXT, "environment": One("production", "development"), "host": Optional(TEXT),
       "details": Optional(Any())}


def _is(value, kinds):
    # In Python a bool is an int; in JSON it is not.
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def check(value, schema, place="body"):
    """What is wrong with `value`, as a list of sentences."""
    if isinstance(schema, Optional):
        schema = schema.kind
    if isinstance(schema, One):
        return [] if value in schema.values else [f"{place}: {value!r} is none of {schema.values}"]
    if isinstance(schema, Any):
        return [] if isinstance(value, dict) else [f"{place}: not an object"]
    if isinstance(schema, Items):
        if not isinstance(value, list):
            return [f"{place}: not a list"]
        return [text for n, item in enumerate(value) for text in check(item, schema.kind, f"{place}[{n}]")]
    if isinstance(schema, tuple):
        return [] if _is(value, schema) else [f"{place}: {json.dumps(value)} is of the wrong type"]
    if not isinstance(value, dict):
        return [f"{place}: not an object"]
    missing = [f"{place}.{key}: missing" for key, kind in schema.items()
               if key not in value and not isinstance(kind, Optional)]
    unknown = [f"{place}.{key}: unknown" for key in value if key not in schema]
    wrong = [text for key, kind in schema.items() if key in value for text in check(value[key], kind, f"{place}.{key}")]
    return missing + unknown + wrong
