# SPDX-License-Identifier: Apache-2.0
"""Doubles of the services that give out temporary keys: a container's endpoint, a machine's metadata service (IMDSv2), a
token service (STS). They are strict about what they are asked, and give what `keys` says at that moment."""
import datetime
import http.server
import json
import threading
import urllib.parse


def stamp(seconds):
    """So many seconds from now, as these services write times."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class TokenEndpoints:
    """One server with all three. `keys` is (access key, secret key); `life_s` how long they are said to be good."""

    def __init__(self, keys, life_s=3600):
        self.keys = keys
        self.life_s = life_s
        self.status = 200
        self.served = []  # what was given, in order
        self.complaints = []
        self.authorization = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def reply(self, status, text=""):
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                outer.get(self)

            def do_PUT(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.put(self)

            def do_POST(self):
                outer.post(self, self.rfile.read(int(self.headers["Content-Length"])).decode())

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def complain(self, handler, text):
        self.complaints.append(text)
        handler.reply(400, text)

    def document(self):
        self.served.append(self.keys[0])
        return json.dumps({"Code": "Success", "AccessKeyId": self.keys[0], "SecretAccessKey": self.keys[1],
                           "Expiration": stamp(self.life_s)})

    def get(self, handler):
        if self.status != 200:
            handler.reply(self.status, "not now")
        elif handler.path == "/container":
            if self.authorization is not None and handler.headers.get("Authorization") != self.authorization:
                self.complain(handler, f"authorization {handler.headers.get('Authorization')}")
            else:
                handler.reply(200, self.document())
        elif handler.headers.get("X-aws-ec2-metadata-token") != "TOKEN-OF-IMDS":
            self.complain(handler, "no token: version 1")
        elif handler.path == "/latest/meta-data/iam/security-credentials/":
            handler.reply(200, "the-role\n")
        elif handler.path == "/latest/meta-data/iam/security-credentials/the-role":
            handler.reply(200, self.document())
        else:
            self.complain(handler, f"GET {handler.path}")

    def put(self, handler):
        if self.status != 200:
            handler.reply(self.status, "not now")
        elif handler.path != "/latest/api/token" or handler.headers.get("X-aws-ec2-metadata-token-ttl-seconds") is None:
            self.complain(handler, f"PUT {handler.path}")
        else:
            handler.reply(200, "TOKEN-OF-IMDS")

    def post(self, handler, body):
        form = dict(urllib.parse.parse_qsl(body))
        expected = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": "arn:aws:iam::1:role/r",
                    "RoleSessionName": "bytefreezer-receiver", "WebIdentityToken": "ey.J+/=.x"}
        if self.status != 200:
            handler.reply(self.status, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        elif form != expected:
            self.complain(handler, f"form {form}")
        else:
            self.served.append(self.keys[0])
            handler.reply(200, f"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
                <AccessKeyId>{self.keys[0]}</AccessKeyId><SecretAccessKey>{self.keys[1]}</SecretAccessKey>
                <SessionToken></SessionToken><Expiration>{stamp(self.life_s)}</Expiration>
                </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>""")
