# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by the openssl command: an authority of the test's own, and what it has signed."""
import pathlib
import subprocess


def _openssl(*arguments):
    result = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode == 0, result.stderr


class Authority:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=authority of the tests", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, *alternatives):
        """One PEM file with the certificate and its key, for these names: "DNS:localhost", "IP:127.0.0.1"."""
        pem, key = self._sign(name, alternatives, days=2)
        pem.write_bytes(pem.read_bytes() + key.read_bytes())
        return pem

    def issue_pair(self, name, days=2):
        """Certificate and key, each a file of its own, of a machine at 127.0.0.1. Negative days: expired."""
        pem, key = self._sign(name, ("IP:127.0.0.1", "DNS:localhost"), days)
        key.chmod(0o600)
        return pem, key

    def _sign(self, name, alternatives, days):
        key, request, pem = (self.directory / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(alternatives)}\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                 "-days", days, "-extfile", extensions, "-out", pem)
        return pem, key
