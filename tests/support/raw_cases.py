# SPDX-License-Identifier: Apache-2.0
"""Requests as raw bytes, each with its exact outcome at the webhook port. Pure data; how they are sent is the tests' matter.

@NAME@ in the bytes stands for a file name that the sender of the case makes up, @SMUGGLED@ for one in a request that hides
in another and must never be stored."""
import collections
import gzip

# replies: the statuses, in order. closes: the connection ends behind the last. stored: bodies kept. pipelined: bytes
# follow a request before its reply, so how many of the replies come depends on when they arrive; the first always does.
Case = collections.namedtuple("Case", "name data replies closes stored pipelined", defaults=(False,))

GZ = gzip.compress(b'{"n":1}\n', mtime=0)
PLAIN = b"hello, plain body\n"
HOST = "Host: r\r\n"
FILE = "X-Proxy-Filename: @NAME@\r\n"
SMUGGLED = (f"POST /acme/web HTTP/1.1\r\nHost: r\r\nX-Proxy-Filename: @SMUGGLED@\r\n"
            f"Content-Length: {len(GZ)}\r\n\r\n").encode() + GZ
HEALTH = b"GET /health HTTP/1.1\r\nHost: r\r\n\r\n"


def post(fields=None, body=GZ, line="POST /acme/web HTTP/1.1", host=HOST, file=FILE):
    """A post, well-formed but for what is given. `fields` None: the right Content-Length."""
    if fields is None:
        fields = f"Content-Length: {len(body)}\r\n"
    return f"{line}\r\n{host}{file}{fields}\r\n".encode("latin-1") + body


def chunks(*parts, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


CHUNKED = "Transfer-Encoding: chunked\r\n"
LENGTH = f"Content-Length: {len(GZ)}\r\n"


def bad(name, data, status=400):
    return Case(name, data, (status,), True, ())


def good(name, data, stored=GZ, closes=False, status=200):
    return Case(name, data, (status,), closes, (stored,) if stored is not None else ())


def in_step(name, data, status):
    """Refused, but read to its end: the connection is kept."""
    return Case(name, data, (status,), False, ())


def _smuggling():
    te = "Transfer-Encoding"
    yield bad("cl.te", post(LENGTH + CHUNKED, b"0\r\n\r\n" + SMUGGLED))
    yield bad("te.cl", post(CHUNKED + "Content-Length: 4\r\n", chunks(SMUGGLED)))
    yield bad("cl.te without a body", post("Content-Length: 0\r\n" + CHUNKED, b"0\r\n\r\n"))
    obfuscations = {
        "xchunked": f"{te}: xchunked", "space before colon": f"{te} : chunked", "tab before colon": f"{te}\t: chunked",
        "list": f"{te}: gzip, chunked", "reversed list": f"{te}: chunked, gzip", "twice": f"{te}: chunked\r\n{te}: chunked",
        "chunked, chunked": f"{te}: chunked, chunked", "identity": f"{te}: identity", "empty": f"{te}:",
        "chunked and x": f"{te}: chunked\r\n{te}: x", "x and chunked": f"{te}: x\r\n{te}: chunked",
        "quoted": f'{te}: "chunked"', "parameter": f"{te}: chunked;q=1", "trailing comma": f"{te}: chunked,",
        "vertical tab": f"{te}: \x0bchunked", "form feed": f"{te}: chunked\x0c", "high byte": f"{te}: chunked\xa0",
        "fold": f"{te}:\r\n chunked", "fold behind": f"{te}: chunked\r\n , identity", "leading blank": f" {te}: chunked",
        "cr in name": f"{te}\r: chunked", "cr in value": f"{te}: \rchunked", "nul in value": f"{te}: chunked\0",
        "nul in name": f"{te}\0: chunked", "lf line end": f"X: y\n{te}: chunked", "cr line end": f"X: y\r{te}: chunked",
    }
    for name, field in obfuscations.items():
        yield bad(f"te.te {name}", post(field + "\r\n", chunks(GZ) + SMUGGLED))
    yield bad("te without the end of its name", post("Transfer-Encoding\r\n", b""))
    # Fields that merely look alike are unknown: this is a post of one length.
    for name in ("Transfer_Encoding", "Transfer-Encodin", "X-Transfer-Encoding", "TE"):
        yield good(f"te.te {name} is another field", post(f"{name}: chunked\r\n{LENGTH}"))
    yield good("te in another case", post("tRANSFER-eNCODING:CHUNKED\r\n", chunks(GZ)))
    yield good("te with blanks around", post("Transfer-Encoding: \t chunked \t \r\n", chunks(GZ)))
    yield bad("te in 1.0", post(CHUNKED, chunks(GZ), line="POST /acme/web HTTP/1.0"))
    yield bad("get with a chunked body", post(CHUNKED, chunks(SMUGGLED), line="GET /health HTTP/1.1", file=""))
    yield bad("get with a body", post(None, SMUGGLED, line="GET /health HTTP/1.1", file=""))
    yield bad("head with a body", post(None, b"x", line="PUT /acme/web HTTP/1.1", file=""))
    yield Case("get with length 0", b"GET /health HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n", (200,), False, ())


def _lengths():
    size = len(GZ)
    for value in ("+%d", "-%d", "%d.0", "0x%x", "%d ,", "%d, %d", "%d %d", "%d;", "'%d'", '"%d"', "%d\x0b", "1e2", "", "  ", "one",
                  "\xb2", "%d\xa0", "%d_0"):
        count = value.count("%")
        text = value % ((size,) * count) if count else value
        yield bad(f"content-length {text!r}", post(f"Content-Length: {text}\r\n"))
    yield bad("two equal lengths", post(LENGTH + LENGTH))
    yield bad("two lengths", post(f"Content-Length: 0\r\n{LENGTH}", SMUGGLED))
    yield bad("two lengths in other cases", post(f"content-length: {size}\r\nCONTENT-LENGTH: {size + 1}\r\n"))
    yield bad("length with a space before its colon", post(f"Content-Length : {size}\r\n"))
    yield bad("length beyond the limit", post("Content-Length: 999999999\r\n"), 413)
    yield bad("length beyond 64 bits", post("Content-Length: 18446744073709551617\r\n"), 413)
    yield bad("length of 5000 digits", post("Content-Length: " + "9" * 5000 + "\r\n"), 413)
    yield good("length with leading zeros", post(f"Content-Length: 000{size}\r\n"))
    yield good("length with blanks around", post(f"Content-Length: \t {size}\t \r\n"))
    yield in_step("length 0", post("Content-Length: 0\r\n", b""), 400)
    yield in_step("no length and no coding", post("", b""), 400)


def _line_ends():
    yield bad("bare lf behind the request line", post(line="POST /acme/web HTTP/1.1\nX: y"))
    yield bad("bare lf behind a field", post("X: y\n" + LENGTH))
    yield bad("bare lf only", post().split(b"\r\n\r\n")[0].replace(b"\r\n", b"\n") + b"\n\n" + GZ)
    yield bad("bare lf for the empty line", post().replace(b"\r\n\r\n", b"\r\n\n", 1))
    yield bad("bare cr in a value", post("X: a\rb\r\n" + LENGTH))
    yield bad("cr cr lf", post("X: a\r\r\n" + LENGTH))
    yield bad("cr in the request line", post(line="POST /acme\r/web HTTP/1.1"))
    yield bad("nul in a value", post("X: a\0b\r\n" + LENGTH))
    yield bad("nul in a name", post("X\0Y: a\r\n" + LENGTH))
    yield bad("nul in the target", post(line="POST /acme/w\0eb HTTP/1.1"))
    yield bad("nul first", b"\0" + post())
    yield bad("lf first", b"\n" + post())
    yield good("one empty line first", b"\r\n" + post())
    yield bad("two empty lines first", b"\r\n\r\n" + post())
    yield bad("blank first", b" " + post())
    yield bad("obs-fold with a space", post("X: a\r\n b\r\n" + LENGTH))
    yield bad("obs-fold with a tab", post("X: a\r\n\tb\r\n" + LENGTH))
    yield bad("obs-fold of nothing", post("X: a\r\n \r\n" + LENGTH))
    yield bad("obs-fold behind the request line", post(host=" Host: r\r\n"))


def _fields():
    yield bad("no colon", post("Nonsense\r\n" + LENGTH))
    yield bad("empty name", post(": x\r\n" + LENGTH))
    yield bad("space before the colon", post("X : y\r\n" + LENGTH))
    for char in '()<>@,;\\"/[]?={}\x7f\x01\xe9':
        yield bad(f"{char!r} in a name", post(f"X{char}Y: z\r\n" + LENGTH))
    for char in "\x01\x08\x0b\x0c\x1f\x7f":
        yield bad(f"{char!r} in a value", post(f"X: a{char}b\r\n" + LENGTH))
    yield good("all characters of a token", post("!#$%&'*+-.^_`|~09azAZ: x\r\n" + LENGTH))
    yield good("bytes above 127 in a value", post("X: \xe9\x80\xff\r\n" + LENGTH))
    yield good("an empty value", post("X:\r\n" + LENGTH))
    yield good("colons in a value", post("X: : :\r\n" + LENGTH))
    yield bad("no host", post(host=""))
    yield bad("two hosts", post(host="Host: a\r\nHost: a\r\n"))
    yield bad("host with a path", post(host="Host: a/b\r\n"))
    yield bad("host with a user", post(host="Host: u@a\r\n"))
    yield bad("host of two", post(host="Host: a, b\r\n"))
    yield good("an empty host", post(host="Host:\r\n"))
    yield good("host with a port", post(host="Host: [::1]:8080\r\n"))
    yield bad("two filenames", post(FILE + LENGTH))
    yield bad("two authorizations", post("Authorization: Bearer a\r\nauthorization: Bearer a\r\n" + LENGTH))
    yield bad("head of 100 KiB", post("X: " + "y" * 102400 + "\r\n" + LENGTH), 431)
    yield bad("101 fields", post("X: y\r\n" * 98 + LENGTH), 431)
    yield good("100 fields", post("X: y\r\n" * 97 + LENGTH))
    yield bad("a request line without end", b"POST /" + b"a" * 20000, 431)


def _targets():
    for target in ("http://r/acme/web", "HTTP://r/acme/web", "r:80", "*", "acme/web", "/acme/web#x", "/acme/we b", "/acme/\xe9",
                   "/acme/w%65b", "/acme%2fweb", "/acme//web", "//acme/web", "/acme/web/", "/acme/web?x y", "/acme/..",
                   "/acme/../etc", "/acme/.", "/./web", "/acme/..%2fweb", "/acme/w\\eb", "/acme/web;x", "/acme/web\x7f", "///"):
        yield bad(f"target {target}", post(line=f"POST {target} HTTP/1.1"))
    for target in ("/", "/acme", "/health2"):
        yield bad(f"target {target}", post(line=f"POST {target} HTTP/1.1"), 404)
    yield good("target with a query", post(line="POST /acme/web?a=/..//%00&b HTTP/1.1"))
    yield good("target with a prefix", post(line="POST /api/v1/ingest/acme/web HTTP/1.1"))
    yield good("target with dots before the ids", post(line="POST /../acme/web HTTP/1.1"))
    yield bad("an empty target", post(line="POST  HTTP/1.1"))
    yield bad("post to health", post(line="POST /health HTTP/1.1"), 405)
    yield in_step("get of an ingest route", b"GET /acme/web HTTP/1.1\r\nHost: r\r\n\r\n", 405)
    yield in_step("options of everything", b"OPTIONS /acme/web HTTP/1.1\r\nHost: r\r\n\r\n", 405)
    yield bad("options *", b"OPTIONS * HTTP/1.1\r\nHost: r\r\n\r\n")
    yield bad("connect", b"CONNECT r:443 HTTP/1.1\r\nHost: r:443\r\n\r\n")


def _versions():
    for version in ("HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1", "HTTP/1.10", "HTTP/01.1", "http/1.1", "HTTP/1,1", "HTTPS/1.1", "1.1", "",
                    "HTTP/1.1 ", "HTTP/1.1\t", "HTTP/1.\xb2"):
        yield bad(f"version {version!r}", post(line=f"POST /acme/web {version}"))
    yield bad("http/0.9", b"GET /health\r\n")
    yield bad("http/0.9 with a bare lf", b"GET /health\n")
    yield bad("tab between method and target", post(line="POST\t/acme/web HTTP/1.1"))
    yield bad("two spaces before the version", post(line="POST /acme/web  HTTP/1.1"))
    yield bad("bad method", post(line="PO(ST /acme/web HTTP/1.1"))
    yield bad("method in lower case", post(line="post /acme/web HTTP/1.1"))
    yield good("1.0", post(line="POST /acme/web HTTP/1.0"), closes=True)
    yield good("1.0 without a host", post(line="POST /acme/web HTTP/1.0", host=""), closes=True)
    yield good("1.0 that asks to be kept", post("Connection: keep-alive\r\n" + LENGTH, line="POST /acme/web HTTP/1.0"), closes=True)
    yield bad("1.0 with two hosts", post(line="POST /acme/web HTTP/1.0", host=HOST + HOST))
    yield good("1.1 that asks to be closed", post("Connection: x, Close\r\n" + LENGTH), closes=True)
    yield Case("head of health", b"HEAD /health HTTP/1.1\r\nHost: r\r\n\r\n", (405,), False, ())
    yield bad("http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    yield good("upgrade to h2c is not taken", post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n" + LENGTH))
    yield bad("tls hello", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(32)) + b"\x20\n")
    yield bad("proxy v1 line", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + post())
    yield bad("ssh", b"SSH-2.0-OpenSSH_9.2\r\n")


def _chunks():
    yield good("one chunk", post(CHUNKED, chunks(GZ)))
    yield good("chunks of one byte", post(CHUNKED, chunks(*(bytes([byte]) for byte in GZ))))
    yield good("hexadecimal in both cases", post(CHUNKED, b"1C\r\n" + GZ[:28].ljust(28, b"\0")[:28] + b"\r\n" if len(GZ) < 28 else
                                               b"1c\r\n" + GZ[:28] + b"\r\n" + chunks(GZ[28:]) if len(GZ) > 28 else b"1C\r\n" + GZ + b"\r\n0\r\n\r\n"))
    yield good("leading zeros of a size", post(CHUNKED, b"0000%x\r\n%s\r\n000\r\n\r\n" % (len(GZ), GZ)))
    yield good("trailers are dropped", post(CHUNKED, chunks(GZ, end=b"0\r\nContent-Length: 7\r\nX-Proxy-Filename: @SMUGGLED@\r\n\r\n")))
    sizes = {"extension": b"%x;a=b", "quoted extension": b'%x;a="\r\n"', "blank behind": b"%x ", "blank before": b" %x", "0x": b"0x%x", "sign": b"+%x",
             "minus": b"-%x", "tab": b"%x\t", "nothing": b"", "letter": b"%xg", "lf": None, "comma": b"%x,"}
    for name, size in sizes.items():
        line = b"%x\n" % len(GZ) if size is None else (size % len(GZ) if b"%" in size else size) + b"\r\n"
        yield bad(f"chunk size with {name}", post(CHUNKED, line + GZ + b"\r\n0\r\n\r\n"))
    yield bad("chunk size that overflows 64 bits", post(CHUNKED, b"10000000000000001\r\n" + GZ + b"\r\n0\r\n\r\n"))
    yield bad("chunk size of many zeros", post(CHUNKED, b"0" * 40 + b"1\r\nx\r\n0\r\n\r\n"))
    yield bad("chunk larger than the limit", post(CHUNKED, b"fffffff\r\n" + GZ), 413)
    yield bad("chunk longer than its size", post(CHUNKED, b"%x\r\n%sx\r\n0\r\n\r\n" % (len(GZ), GZ)))
    yield bad("chunk data followed by lf", post(CHUNKED, b"%x\r\n%s\n0\r\n\r\n" % (len(GZ), GZ)))
    yield bad("chunk data followed by cr cr", post(CHUNKED, b"%x\r\n%s\r\r0\r\n\r\n" % (len(GZ), GZ)))
    yield bad("bad trailer", post(CHUNKED, chunks(GZ, end=b"0\r\nX : y\r\n\r\n")))
    yield bad("folded trailer", post(CHUNKED, chunks(GZ, end=b"0\r\nX: y\r\n z\r\n\r\n")))
    yield bad("trailer with a bare lf", post(CHUNKED, chunks(GZ, end=b"0\r\nX: y\n\r\n")))
    yield bad("lf for the end of trailers", post(CHUNKED, chunks(GZ, end=b"0\r\n\n")))
    yield bad("trailers of 100 KiB", post(CHUNKED, chunks(GZ, end=b"0\r\n" + b"X: %s\r\n" % (b"y" * 102400) + b"\r\n")), 431)
    yield in_step("no chunk but the last", post(CHUNKED, chunks()), 400)


def _bodies():
    yield good("plain body", post(body=PLAIN), stored=PLAIN)
    for encoding, status in (("gzip", 200), ("GZIP", 200), ("identity", 200), ("", 200), ("br", 415), ("gzip, gzip", 415), ("deflate", 415),
                             ("x-gzip", 415), ("gzip;q=1", 415), ("zstd", 415)):
        data = post(f"Content-Encoding: {encoding}\r\n" + LENGTH)
        yield good(f"encoding {encoding!r}", data) if status == 200 else bad(f"encoding {encoding!r}", data, status)
    yield bad("two encodings", post("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n" + LENGTH), 415)
    yield in_step("gzip of 17 bytes", post(body=GZ[:17]), 400)
    yield in_step("gzip magic alone", post(body=GZ[:2]), 400)
    yield bad("gzip of another method", post(body=GZ[:2] + b"\7" + GZ[3:] + b"\0" * 64))
    yield bad("gzip with a reserved flag", post(body=GZ[:3] + b"\x20" + GZ[4:] + b"\0" * 64))
    yield good("expect that is met", post("Expect: 100-continue\r\n" + LENGTH))
    yield good("expect in another case", post("expect: 100-CONTINUE\r\n" + LENGTH))
    yield good("expect of 1.0 is ignored", post("Expect: 100-continue\r\n" + LENGTH, line="POST /acme/web HTTP/1.0"), closes=True)
    yield bad("digest that is none", post("Content-Digest: sha-256=abc\r\n" + LENGTH))
    yield in_step("digest of other bytes", post("X-Content-SHA256: " + "0" * 64 + "\r\n" + LENGTH), 503)
    yield bad("filename with a slash", post(LENGTH, file="X-Proxy-Filename: a/b\r\n"))
    yield bad("filename with dots", post(LENGTH, file="X-Proxy-Filename: ..\r\n"))
    yield bad("filename of another tenant", post(LENGTH, file="X-Proxy-Filename: other--web--1--x.gz\r\n"))


def _pipelines():
    yield Case("good, bad, good", post() + post("Content-Length: x\r\n") + SMUGGLED, (200, 400), True, (GZ,), True)
    yield Case("health, smuggling, good", HEALTH + post(LENGTH + CHUNKED) + SMUGGLED, (200, 400), True, (), True)
    yield Case("chunked, bad", post(CHUNKED, chunks(GZ)) + b"\0" + SMUGGLED, (200, 400), True, (GZ,), True)
    yield Case("good, garbage", post() + b"garbage\r\n\r\n", (200, 400), True, (GZ,), True)
    yield bad("bad, good", post("Content-Length: x\r\n", b"") + SMUGGLED)
    yield bad("body longer than its coding", post(CHUNKED, b"0\r\n\r" + SMUGGLED))


CASES = [*_smuggling(), *_lengths(), *_line_ends(), *_fields(), *_targets(), *_versions(), *_chunks(), *_bodies(), *_pipelines()]
assert len({case.name for case in CASES}) == len(CASES), "two cases of one name"
