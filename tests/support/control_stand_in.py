# SPDX-License-Identifier: Apache-2.0
"""A stand-in of the control service, built from the protocol's tables: accounts, tenants, datasets, single look-ups, the
change detector, registration, reports, telemetry. Strict about what it is sent: `violations` names every field that is
missing, unknown or of another type, every header and every call that the real one does not know. `calls` is the log.
`fail` switches faults on and off.

    control = ControlStandIn()
    control.account("a1", key="a1-key")
    control.tenant("acme", "a1", datasets=["web", "fw"], token="acme-token")
    with control.fail("datasets", status=500): ...
"""
import collections
import contextlib
import hashlib
import http.server
import json
import re
import socket
import threading
import time

from support import control_schema as schema
from support.wait import wait_until

SERVICE_KEY = "service-key-0123456789abcdef"
LIST_MAX = 1000  # more is cut, silently

Call = collections.namedtuple("Call", "method path query bearer body status")


class Fault:
    """What is done to calls whose name or path matches. `where` is a name of ROUTES, or a pattern found in the path.
    `times`: so often, then no more."""

    def __init__(self, where, status=None, body=None, hold=False, cut=False, drop=False, times=None,
                 location=None, drip=False):
        self.where, self.status, self.body = where, status, body
        self.cut, self.drop, self.times = cut, drop, times
        self.location = location  # where a redirect leads
        self.drip = drip          # a byte at a time, for as long as anybody listens
        self.hits = 0
        self.release = threading.Event() if hold else None

    def matches(self, name, path):
        return (self.where == name or (self.where not in NAMES and re.search(self.where, path) is not None)) and (
            self.times is None or self.hits < self.times)


# name, method, pattern of the path, schema of the body
ROUTES = [
    ("accounts", "GET", r"/api/v1/accounts", None),
    ("account", "GET", r"/api/v1/accounts/([^/]+)", None),
    ("tenants", "GET", r"/api/v1/accounts/([^/]+)/tenants", None),
    ("datasets", "GET", r"/api/v1/tenants/([^/]+)/datasets", None),
    ("tenant", "GET", r"/api/v1/tenants/([^/]+)", None),
    ("account_tenant", "GET", r"/api/v1/accounts/([^/]+)/tenants/([^/]+)", None),
    ("dataset", "GET", r"/api/v1/tenants/([^/]+)/datasets/([^/]+)", None),
    ("changes", "GET", r"/api/v1/changes", None),
    ("register", "POST", r"/api/v1/health/register", schema.REGISTER),
    ("report", "POST", r"/api/v1/services/report", schema.REPORT),
    ("deregister", "DELETE", r"/api/v1/accounts/([^/]+)/services/([^/]+)", None),
    ("cleanup", "POST", r"/api/v1/activity/operations/cleanup", schema.CLEANUP),
    ("throughput", "POST", r"/api/v1/activity/receiver/throughput", schema.THROUGHPUT),
    ("metrics", "POST", r"/api/v1/tenants/([^/]+)/datasets/([^/]+)/metrics", schema.METRICS),
    ("errors", "POST", r"/api/v1/errors", schema.ERROR),
    ("account_errors", "POST", r"/api/v1/accounts/([^/]+)/errors", schema.ERROR),
    ("otlp", "POST", r"/v1/metrics", None),
    ("soc", "POST", r"/soc", schema.SOC),
]
NAMES = {route[0] for route in ROUTES}
UNGUARDED = {"otlp", "soc"}  # other services' calls; no control key goes there


class ControlStandIn:
    def __init__(self, key=SERVICE_KEY, changes=True, port=0, tls=None):
        self.tls = tls                  # an ssl.SSLContext: it speaks https
        self.key = key
        self.changes = changes          # False: an older one without the change detector
        self.total_tells = True         # False: `total` counts the items given, not those there are
        self.null_when_empty = False    # `items: null` instead of []
        self.error_tracking_wants_hash = False
        self.action = None              # in the reply to the next reports
        self.calls = []
        self.violations = []
        self.lock = threading.RLock()
        self.accounts = {}
        self.keys = {}                  # an account's key -> its id
        self.tenants = {}
        self.by_account = collections.defaultdict(dict)
        self.datasets = collections.defaultdict(dict)
        self.revision = 0
        self._faults = []
        self._connections = set()
        self._server = None
        self.port = port
        self.open()

    # life

    def open(self):
        """Listen; after a close on the same port."""
        outer = self

        class Handler(_Handler):
            control = outer

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True,
                                                       do_handshake_on_connect=False)
        self.url = f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        """Away: nothing listens, and open connections end."""
        if self._server is None:
            return
        for fault in self._faults:
            if fault.release:
                fault.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # what it knows

    def account(self, name, key=None, **fields):
        with self.lock:
            self.accounts[name] = {"id": name, "name": name.title(), "active": True, "deployment_type": "on_prem",
                                   "email": "someone@example.com", **fields}
            if key:
                self.keys[key] = name
            self.revision += 1

    def tenant(self, name, account, datasets=(), token=None, **fields):
        """Adds or replaces. `datasets` are names."""
        with self.lock:
            config = {"authentication": {"type": "bearer", "bearer_token": token}} if token else {}
            self.tenants[name] = {"id": name, "account_id": account, "name": name.title(), "display_name": name,
                                  "active": True, "config": config, "created_at": "2026-01-02T03:04:05Z", **fields}
            self.by_account[account][name] = self.tenants[name]
            for dataset in datasets:
                self.dataset(name, dataset)
            self.revision += 1

    def dataset(self, tenant, name, **fields):
        with self.lock:
            self.datasets[tenant][name] = {"id": name, "tenant_id": tenant, "name": name, "active": True,
                                           "config": {"source": {"data_hint": "ndjson"}}, "status": "ok", **fields}
            self.revision += 1

    def change(self, tenant, dataset=None, **fields):
        """Sets fields of a tenant or a dataset, e.g. active=False."""
        with self.lock:
            (self.datasets[tenant][dataset] if dataset else self.tenants[tenant]).update(fields)
            self.revision += 1

    def rotate(self, tenant, token):
        self.change(tenant, config={"authentication": {"bearer_token": token}})

    def remove(self, tenant, dataset=None):
        with self.lock:
            if dataset:
                del self.datasets[tenant][dataset]
            else:
                gone = self.tenants.pop(tenant)
                self.by_account[gone["account_id"]].pop(tenant)
                self.datasets.pop(tenant, None)
            self.revision += 1

    # faults

    def start_fault(self, where, **what):
        """Returns the fault; `stop_fault` ends it. A held one waits until then. Keywords as of Fault."""
        fault = Fault(where, **what)
        with self.lock:
            self._faults.insert(0, fault)
        return fault

    def stop_fault(self, fault):
        with self.lock:
            self._faults.remove(fault)
        if fault.release:
            fault.release.set()

    @contextlib.contextmanager
    def fail(self, where, **what):
        fault = self.start_fault(where, **what)
        try:
            yield fault
        finally:
            self.stop_fault(fault)

    @contextlib.contextmanager
    def refreshes_held(self):
        """The receiver refreshes nothing meanwhile: its poll, which has arrived, is not answered."""
        with self.fail("changes", hold=True) as polls:
            wait_until(lambda: polls.hits >= 1, "no refresh any more")
            yield

    def fault_for(self, name, path):
        with self.lock:
            for fault in self._faults:
                if fault.matches(name, path):
                    fault.hits += 1
                    return fault
        return None

    # the log

    def log(self, call):
        with self.lock:
            self.calls.append(call)

    def called(self, name):
        """The calls of one kind, in order."""
        _, method, pattern, _ = next(route for route in ROUTES if route[0] == name)
        with self.lock:
            return [call for call in self.calls if call.method == method and re.fullmatch(pattern, call.path)]

    def violate(self, text):
        with self.lock:
            self.violations.append(text)

    # replies: (status, value to be sent as JSON, or text)

    def answer(self, handler, name, found, bearer, body):
        if name in UNGUARDED:
            return 200, {}
        whose = "*" if bearer == self.key else self.keys.get(bearer)
        if whose is None:
            return 401, "invalid API key\n"
        with self.lock:
            return getattr(self, f"_{name}")(whose, handler, body, *found)

    def _list(self, items):
        items = list(items)
        given = items[:LIST_MAX]
        total = len(items) if self.total_tells else len(given)
        return 200, {"items": None if self.null_when_empty and not given else given, "total": total}

    def _allowed(self, whose, account):
        return whose in ("*", account)

    def _accounts(self, whose, handler, body):
        handler.require_limit()
        return self._list(a for a in self.accounts.values() if self._allowed(whose, a["id"]))

    def _account(self, whose, handler, body, account):
        if account not in self.accounts:
            return 404, {"error": "account not found"}
        return (200, self.accounts[account]) if self._allowed(whose, account) else (403, {"error": "forbidden"})

    def _tenants(self, whose, handler, body, account):
        handler.require_limit()
        if account not in self.accounts:
            return 404, {"error": "account not found"}
        if not self._allowed(whose, account):
            return 403, {"error": "forbidden"}
        return self._list(self.by_account[account].values())

    def _datasets(self, whose, handler, body, tenant):
        handler.require_limit()
        status, value = self._tenant(whose, handler, body, tenant)
        return self._list(self.datasets[tenant].values()) if status == 200 else (status, value)

    def _tenant(self, whose, handler, body, tenant):
        if tenant not in self.tenants:
            return 404, {"error": "tenant not found"}
        found = self.tenants[tenant]
        return (200, found) if self._allowed(whose, found["account_id"]) else (403, {"error": "forbidden"})

    def _account_tenant(self, whose, handler, body, account, tenant):
        if not self._allowed(whose, account):
            return 403, {"error": "forbidden"}
        if tenant not in self.tenants or self.tenants[tenant]["account_id"] != account:
            return 404, {"error": "tenant not found"}
        return 200, self.tenants[tenant]

    def _dataset(self, whose, handler, body, tenant, dataset):
        status, value = self._tenant(whose, handler, body, tenant)
        if status != 200:
            return status, value
        found = self.datasets[tenant].get(dataset)
        return (200, found) if found else (404, {"error": "dataset not found"})

    def _changes(self, whose, handler, body):
        if not self.changes:
            return 404, "404 page not found\n"
        mark = hashlib.sha256(str(self.revision).encode()).hexdigest()
        entry = {"hash": mark, "last_changed": "2026-01-02T03:04:05Z"}
        return 200, {"tenants": entry, "datasets": entry, "account": entry}

    def _register(self, whose, handler, body):
        return 200, {"success": True, "message": "registered", "instance_id": body.get("instance_id"),
                     "service_type": body.get("service_type")}

    def _report(self, whose, handler, body):
        return 200, {"success": True, "message": "ok", **(self.action or {})}

    def _deregister(self, whose, handler, body, account, instance):
        if account != "system" and account not in self.accounts:
            return 404, {"error": "account not found"}
        return 200, {"success": True}

    def _cleanup(self, whose, handler, body):
        return 200, {"operations_cleaned": 0}

    def _throughput(self, whose, handler, body):
        return 201, {"success": True}

    def _metrics(self, whose, handler, body, tenant, dataset):
        return 200, {"success": True, "metric_id": "m1", "recorded_at": "2026-01-02T03:04:05Z"}

    def _errors(self, whose, handler, body):
        if self.error_tracking_wants_hash and not re.fullmatch("[0-9a-f]{64}", body.get("error_hash", "")):
            return 400, {"error": "error_hash is required"}
        if len(body.get("error_type", "")) > 100:
            self.violate("errors: error_type is longer than 100 characters")
        return 200, {"success": True}

    def _account_errors(self, whose, handler, body, account):
        return self._errors(whose, handler, body)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection. Judges the request as HTTP; what it means is the stand-in's business."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    control = None
    query = ""

    def setup(self):
        self.control._connections.add(self.request)
        super().setup()

    def finish(self):
        self.control._connections.discard(self.request)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self):
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_DELETE = do_PUT = do_HEAD = do_GET

    def require_limit(self):
        if f"limit={LIST_MAX}" not in self.query.split("&"):
            self.control.violate(f"{self.path}: a list without limit={LIST_MAX}")

    def serve(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, self.query = self.path.partition("?")
        name, found, wanted = self.route(path)
        body = self.judge(name, path, raw, wanted)
        fault = self.control.fault_for(name, path)
        scheme, _, bearer = (self.headers.get("Authorization") or "").partition(" ")
        if bearer and scheme != "Bearer":
            self.control.violate(f"{path}: the scheme must be exactly Bearer")
            bearer = ""
        if fault is not None and fault.release is not None:
            fault.release.wait()
        if name is None:
            status, value = 404, "404 page not found\n"
        elif body is None and wanted is not None:
            status, value = 400, {"error": "invalid body"}
        else:
            status, value = self.control.answer(self, name, found, bearer, body)
        if fault is not None:
            status = fault.status or status
            value = fault.body if fault.body is not None else value if fault.status is None else "failed\n"
        self.control.log(Call(self.command, path, self.query, bearer, body, status))
        self.reply(status, value, fault)

    def route(self, path):
        for name, method, pattern, wanted in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                return name, match.groups(), wanted
        self.control.violate(f"{self.command} {path}: no such call")
        return None, (), None

    def judge(self, name, path, raw, wanted):
        """The body as a value; None when there is none."""
        if name not in UNGUARDED and name is not None:
            for header in ("Content-Type", "Accept"):
                if self.headers.get(header) != "application/json":
                    self.control.violate(f"{self.command} {path}: {header} is {self.headers.get(header)}")
        if name == "otlp":
            return raw
        if not raw:
            if wanted is not None:
                self.control.violate(f"{self.command} {path}: no body")
            return None
        try:
            body = json.loads(raw)
        except ValueError:
            self.control.violate(f"{self.command} {path}: the body is not JSON")
            return None
        if wanted is None:
            self.control.violate(f"{self.command} {path}: a body where none belongs")
        else:
            for text in schema.check(body, wanted):
                self.control.violate(f"{self.command} {path}: {text}")
        return body if isinstance(body, dict) else None

    def reply(self, status, value, fault):
        if fault is not None and fault.drop:
            self.close_connection = True
            return
        is_text = isinstance(value, (str, bytes))
        data = (value.encode() if isinstance(value, str) else value) if is_text else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if is_text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        if fault is not None and fault.location:
            self.send_header("Location", fault.location)
        self.end_headers()
        if fault is not None and fault.drip:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05)  # the fault itself
            return
        if fault is not None and fault.cut:
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            self.wfile.write(data)
        self.wfile.flush()
