# SPDX-License-Identifier: Apache-2.0
"""A far end that costs next to nothing: nginx taking PUTs by WebDAV into files, unsynced. It answers what the S3 sink and
the clients beside it need to hear (an ETag, 412 for a name that is there), checks no signature and no hash."""
import pathlib
import shutil

from rig.servers import Nginx

BUCKET = "intake"


class WebDav(Nginx):
    bucket = BUCKET

    def __init__(self, directory):
        super().__init__("far end", directory, to_file=False)
        self.root = self.directory / "root"

    def _config(self, port):
        self.root.mkdir()
        plain = super()._config(port)
        return plain.replace("location / { return 200; }", f"""root {self.root};
    set $held "";
    if (-f $request_filename) {{ set $held $http_if_none_match; }}
    if ($held = "*") {{ return 412; }}
    location = /{BUCKET} {{ return 200; }}
    location = /{BUCKET}/ {{ return 200; }}
    location / {{
      dav_methods PUT DELETE; create_full_put_path on; dav_access user:rw;
      add_header ETag '"0123456789abcdef0123456789abcdef"' always;
    }}""")

    def start(self):
        super().start()
        self.url = self.url.rsplit("/", 2)[0]

    @property
    def endpoint(self):
        return self.url.removeprefix("http://")

    def objects(self):
        """Sizes by key of what is in the bucket, probes left out."""
        base = self.root / BUCKET
        return {str(path.relative_to(base)): path.stat().st_size for path in base.rglob("*")
                if path.is_file() and ".bfr-probe" not in path.parts} if base.exists() else {}

    def empty(self):
        shutil.rmtree(pathlib.Path(self.root) / BUCKET, ignore_errors=True)
