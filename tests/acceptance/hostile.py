"""Bad input of each kind that architecture §4 names, and then some. Each carries the canary where it can.

A request says which answers are right. ``REFUSED``: a 4xx problem. ``BROKEN_HTTP``: the server may also
answer in plain text or close, since there was no request. ``HARMLESS``: what is odd about it is not read.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.acceptance.canary.needles import Canary
from tests.acceptance.raw import Headers

REFUSED = range(400, 500)
BROKEN_HTTP = (0, *REFUSED)
HARMLESS = (*range(200, 300), *REFUSED)
JSON: tuple[str, str] = ("Content-Type", "application/json")


@dataclass(frozen=True)
class Hostile:
    """One request; ``role`` says whose token it carries, ``None`` for none."""

    name: str
    method: str
    target: str | bytes
    headers: Headers = ()
    body: bytes | None = None
    endless: bool = False
    role: str | None = "agency"
    right: Iterable[int] = REFUSED
    status: int | None = None

    def chunks(self) -> Iterator[bytes] | None:
        """A body that does not end by itself (32 MB is endless enough)."""
        return (b" " * 65_536 for _ in range(512)) if self.endless else None


def all_of(canary: Canary) -> list[Hostile]:
    """Every hostile request for this canary."""
    return [
        *alert_bodies(canary),
        *alert_headers(canary),
        *addresses(canary),
        *queries(canary),
        *methods(canary),
        *other_bodies(canary),
    ]


def _post(name: str, body: bytes, *headers: tuple[str | bytes, str | bytes], **more: Any) -> Hostile:
    return Hostile(name, "POST", "/v1/alerts", headers or (JSON,), body, **more)


def _told(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _with(alert: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(alert))
    place = copied
    *parents, last = path.split(".")
    for parent in parents:
        place = place[parent]
    place[last] = value
    return copied


_FIELDS = (
    "territory", "concerns", "cyber", "occasion", "channel", "direct_threat", "needs_medical_care",
    "without_parental_care", "alleged_offender", "alleged_offender.relation", "alleged_offender.agency",
    "parents_may_be_informed", "child", "child.name", "child.birth_date", "child.age", "child.sex",
    "child.iin", "child.address", "child.education_org", "narrative", "reference", "reported_by",
)  # fmt: skip


def alert_bodies(canary: Canary) -> Iterator[Hostile]:
    """Bodies of ``POST /v1/alerts``."""
    alert, secret = canary.alert(), canary.phrase
    good = _told(alert)
    yield _post("unknown field", _told(alert | {secret: secret}), status=422)
    yield _post("unknown field of the child", _told(_with(alert, f"child.{secret}", secret)), status=422)
    yield _post(
        "server's own fields", _told(alert | {"id": str(uuid4()), "number": secret, "state": "x"}), status=422
    )
    yield _post("20000 unknown fields", _told(alert | {f"{n}": 0 for n in range(20_000)}), status=422)
    for name, value in (
        ("text", secret), ("number", 7), ("list", [secret]), ("object", {secret: secret}), ("boolean", True),
        ("nested list", [[secret]]), ("empty object", {}), ("fraction", 1.5),
    ):  # fmt: skip
        for path in _FIELDS:
            if not _is_fine(path, value):
                yield _post(f"{path} is {name}", _told(_with(alert, path, value)), status=422)
    for name, text in _not_strict_json(good, secret):
        yield _post(name, text, status=400)
    for name, path, value in _bad_values(secret):
        yield _post(name, _told(_with(alert, path, value)), status=422)
    yield _post("narrative of 20001 letters", _told(alert | {"narrative": secret * 1000}), status=422)
    yield _post("300 kB", _told(alert | {"narrative": secret * 10_000}), status=413)
    yield _post("3 MB in one number", b'{"territory":' + b"9" * 3_000_000 + b"}", status=413)
    yield Hostile("endless chunks", "POST", "/v1/alerts", (JSON,), endless=True, status=413)
    yield from _bad_media(good, secret)


def _is_fine(path: str, value: Any) -> bool:
    last = path.rsplit(".", maxsplit=1)[-1]
    if isinstance(value, str):
        return last in ("name", "iin", "address", "education_org", "narrative", "reference")
    if value is True:
        return last in (
            "cyber", "direct_threat", "needs_medical_care", "without_parental_care",
            "parents_may_be_informed",
        )  # fmt: skip
    if value == {}:
        return last in ("child", "alleged_offender")
    return last == "age" and value == 7


def _not_strict_json(good: bytes, secret: str) -> Iterator[tuple[str, bytes]]:
    spoken = json.dumps(secret, ensure_ascii=False).encode()
    yield "a key twice", good[:-1] + b', "narrative": ' + spoken + b"}"
    yield "a key of the child twice", good.replace(b'"sex"', b'"name": ' + spoken + b', "sex"')
    yield "a key twice, once escaped", good[:-1] + b', "\\u006earrative": ' + spoken + b"}"
    for number in (
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"01",
        b"+1",
        b"0x10",
        b"1.",
        b".5",
    ):
        yield f"age is {number.decode()}", good.replace(b'"sex"', b'"age": ' + number + b', "sex"')
    yield "5000 digits", good.replace(b'"sex"', b'"age": ' + b"9" * 5000 + b', "sex"')
    for name, text in (
        ("lone high surrogate", b"\\ud800"), ("lone low surrogate", b"\\udfff"),
        ("surrogates in the wrong order", b"\\udc00\\ud800"), ("NUL", b"\\u0000"),
        ("raw NUL", b"\x00"), ("raw line feed", b"\n"), ("bad escape", b"\\x41"),
        ("half an escape", b"\\u12"),
        ("broken UTF-8", b"\xff\xfe"), ("overlong UTF-8", b"\xc0\xaf"),
        ("surrogate in UTF-8", b"\xed\xa0\x80"),
        ("cut UTF-8", b"\xd2"),
    ):  # fmt: skip
        yield name, good[:-1] + b', "narrative2": "' + secret.encode() + text + b'"}'
        yield f"{name} in a key", good[:-1] + b', "' + secret.encode() + text + b'": 1}'
    yield "100000 lists in one another", b"[" * 100_000
    yield "30 lists in one another", good[:-1] + b', "x": ' + b"[" * 30 + spoken + b"]" * 30 + b"}"
    yield "2000 objects in one another", b'{"a":' * 2000 + spoken + b"}" * 2000
    yield "not JSON", secret.encode()
    yield "JSON and more", good + spoken
    yield "a comma too many", good[:-1] + b",}"
    yield "a comment", b"/* " + secret.encode() + b" */" + good
    yield "half of it", good[: len(good) // 2]
    yield "byte order mark", b"\xef\xbb\xbf" + good
    yield "UTF-16", good.decode().encode("utf-16")
    yield "UTF-32", good.decode().encode("utf-32")
    yield "blank", b"   "


def _bad_values(secret: str) -> Iterator[tuple[str, str, Any]]:
    for text in (
        "2015-02-30", "14-03-2015", "20150314", "2015-03-14T00:00:00Z", "0000-00-00", "2015-3-14", secret,
        "２０１５-03-14", "99999-01-01", "-0001-01-1", "1426291200", " 2015-03-14", "2015-W11-6", "",
    ):  # fmt: skip
        yield f"birth date {text!r}", "child.birth_date", text
    for number in (-1, 131, 10**18, 10**400, -(10**400), 1e308, 7.5, "7"):
        yield f"age of {len(str(number))} signs", "child.age", number
    for text in ("KZ-99", "KZ-75\n", " KZ-75", "kz-75", "KZ", "75", "KZ-７５", "0" * 9, "1" * 10, secret, ""):
        yield f"territory {text!r}", "territory", text
    for path in ("occasion", "channel", "reported_by", "alleged_offender.relation", "child.sex"):
        for text in (secret, "", "Violence", "own_duties\x7f"):
            yield f"{path} {text!r}", path, text
    for concerns in ([], ["violence", "violence"], ["violence"] * 200, [secret], ["VIOLENCE"], [None], [""]):
        yield f"{len(concerns)} concerns, {str(concerns[:1])[:20]}", "concerns", concerns
    for text in ("not-a-uuid", secret, "../../etc/passwd", "1" * 36):
        yield f"agency {text!r}", "alleged_offender.agency", text
    for path in ("child.name", "child.address", "child.education_org"):
        yield f"{path} of 501 letters", path, secret[:21] + "ә" * 480
    for path in ("reference", "child.iin"):
        yield f"{path} of 101 letters", path, secret[:21] + "ә" * 80
    yield "no territory", "territory", None
    yield "no concerns", "concerns", None


def _bad_media(good: bytes, secret: str) -> Iterator[Hostile]:
    encodings = (
        ("gzip", gzip.compress(good)), ("deflate", zlib.compress(good)), ("br", good), ("zstd", good),
        ("gzip, gzip", gzip.compress(gzip.compress(good))), (f"x-{secret[-12:]}", good), ("GZIP", good),
    )  # fmt: skip
    for encoding, packed in encodings:
        yield _post(f"body in {encoding}", packed, JSON, ("Content-Encoding", encoding), status=415)
    bomb = gzip.compress(bytes(50_000_000), 9)
    yield _post("gzip bomb", bomb, JSON, ("Content-Encoding", "gzip"))
    yield _post("gzip that says nothing of it", gzip.compress(good), JSON, status=400)
    for media in (
        "text/plain", "application/xml", "application/x-www-form-urlencoded", "text/json",
        "application/jsonp",
        f"text/{secret[-12:]}", "*/*", "application", ";", "application/json2",
    ):  # fmt: skip
        yield _post(f"as {media}", good, ("Content-Type", media))
    form = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + secret.encode() + b"\r\n--x--\r\n"
    yield _post("as a form of many parts", form * 500, ("Content-Type", "multipart/form-data; boundary=x"))
    twice = good.replace(b'"sex"', b'"age": NaN, "sex"')
    yield _post("two kinds at once", twice, JSON, ("Content-Type", "text/plain"))
    yield _post("two kinds at once, other way round", twice, ("Content-Type", "text/plain"), JSON)
    yield _post("NaN as vendor JSON", twice, ("Content-Type", "application/vnd.x+json"), status=400)
    yield _post("NaN as JSON, loud", twice, ("Content-Type", "APPLICATION/JSON ; charset=utf-8"), status=400)
    yield _post("empty", b"")
    yield Hostile("no body at all", "POST", "/v1/alerts", (JSON,))


def alert_headers(canary: Canary) -> Iterator[Hostile]:
    """Headers around a good alert, and around a question."""
    secret, good = canary.phrase, _told(canary.alert())
    for name, key in (
        ("in Kazakh", secret), ("of 256 letters", "k" * 256), ("empty", ""), ("of quotes", '"""'),
        ("with an open quote", '"' + canary.latin), ("with a tab", f"a\t{canary.latin}"),
    ):  # fmt: skip
        yield _post(f"idempotency key {name}", good, JSON, ("Idempotency-Key", key), status=400)
    for name, value in (
        ("carriage return", b"a\rInjected: " + secret.encode()), ("line feed", b"a\nInjected: " + b"x"),
        ("NUL", b"a\x00b"), ("folded", b"a\r\n b"), ("bell", b"a\x07b"),
    ):  # fmt: skip
        yield _post(f"header with {name}", good, JSON, ("X-Odd", value), right=(*BROKEN_HTTP, 200, 201))
    yield _post("header's name with a blank", good, JSON, ("X Odd", secret), right=BROKEN_HTTP)
    yield _post("header without a name", good, JSON, ("", secret), right=BROKEN_HTTP)
    yield _post(
        "two lengths", good, JSON, ("Content-Length", "5"), ("Content-Length", "7"), right=BROKEN_HTTP
    )
    yield _post("length below zero", good, JSON, ("Content-Length", "-5"), right=BROKEN_HTTP)
    yield _post(
        "length and chunks", good, JSON, ("Content-Length", str(len(good))), ("Transfer-Encoding", "chunked"),
        right=BROKEN_HTTP,
    )  # fmt: skip
    yield _post("unknown transfer", good, JSON, ("Transfer-Encoding", canary.latin), right=BROKEN_HTTP)
    wide = ("X-Wide", canary.latin + "a" * 70_000)
    yield _post("header of 70 kB", good, JSON, wide, right=(*BROKEN_HTTP, 200, 201))
    many = tuple((f"X-{n}", canary.latin) for n in range(2000))
    yield _post("2000 headers", good, JSON, *many, right=(*BROKEN_HTTP, 200, 201))
    for name in (
        "User-Agent", "Referer", "Cookie", "X-Forwarded-For", "Forwarded", "X-Request-Id", "Accept-Language",
        "Accept", "Origin", "From", "Via", "X-HTTP-Method-Override", "If-None-Match", "If-Match", "Prefer",
        "Range", "Traceparent", "Tracestate", "Baggage", "Last-Event-Id", "X-Original-Url", "Expect",
        "Upgrade",
        "X-Correlation-Id", "B3", "Uber-Trace-Id", "Forwarded-Host", "X-Forwarded-Host", "X-Forwarded-Proto",
    ):  # fmt: skip
        told = ((name, f"name={secret}"),)
        yield Hostile(f"{name} with a name", "GET", "/v1/alerts", told, right=HARMLESS)
        yield Hostile(f"{name} with a name, nobody's", "GET", "/", told, role=None, right=(*HARMLESS, 303))
    trace = (("traceparent", f"00-{uuid4().hex}-00f067aa0ba902b7-01"), ("tracestate", f"v={canary.latin}"))
    yield Hostile("trace state", "GET", "/v1/alerts", trace, right=HARMLESS)
    yield Hostile("baggage", "GET", "/v1/alerts", (("baggage", f"child={quote(secret)}"),), right=HARMLESS)
    yield from _bad_tokens(canary)


def _bad_tokens(canary: Canary) -> Iterator[Hostile]:
    deep = base64.urlsafe_b64encode(b"[" * 2900).rstrip(b"=").decode()
    for name, value in (
        ("a name", f"Bearer {canary.latin}"), ("Kazakh", f"Bearer {canary.kazakh}"), ("nothing", "Bearer "),
        ("two dots", "Bearer .."), ("deep JSON", f"Bearer {deep}.{deep}.AAAA"), ("Basic", "Basic !!!"),
        ("alg none", f"Bearer {_jwt({'alg': 'none', 'typ': 'at+jwt'}, canary)}"),
        ("key in a path", f"Bearer {_jwt({'alg': 'Ed25519', 'kid': '../../etc/passwd'}, canary)}"),
        ("key at an address", f"Bearer {_jwt({'alg': 'RS256', 'jku': 'http://127.0.0.1:9/'}, canary)}"),
        ("key as a list", f"Bearer {_jwt({'alg': 'Ed25519', 'kid': [1]}, canary)}"),
        ("algorithm as an object", f"Bearer {_jwt({'alg': {}, 'kid': 'x'}, canary)}"),
        ("60 kB", "Bearer " + "A" * 60_000), ("NUL", b"Bearer a\x00b"),
    ):  # fmt: skip
        right: Iterable[int] = BROKEN_HTTP if name in ("NUL", "60 kB") else (401,)
        headers = (("Authorization", value),)
        yield Hostile(f"token: {name}", "GET", "/v1/alerts", headers, role=None, right=right)
    for name, value in (
        ("a name", canary.latin), ("Kazakh", canary.kazakh), ("dots", "....."),
        ("deep JSON", f"{deep}.A.A.A.A"),
        ("four dots", "a.b.c.d.e"), ("5 kB", "A" * 5000), ("nothing", ""),
    ):  # fmt: skip
        target = f"/v1/deliveries/{uuid4()}/content"
        yield Hostile(f"grant: {name}", "GET", target, (("Dabyl-Grant", value),), status=404)


def _jwt(header: dict[str, Any], canary: Canary) -> str:
    claims = {
        "iss": canary.latin,
        "sub": canary.kazakh,
        "aud": "dabyl",
        "exp": 4102444800,
        "iat": 1,
        "jti": "x",
    }
    parts = [base64.urlsafe_b64encode(_told(part)).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, "AAAA"])


_WITH_ID = (
    "/v1/alerts/{}", "/v1/alerts/{}/matches", "/v1/alerts/{}/obligations", "/v1/alerts/{}/deliveries",
    "/v1/alerts/{}/timeline", "/v1/deliveries/{}", "/v1/deliveries/{}/content", "/v1/cases/{}",
    "/v1/agencies/{}",
)  # fmt: skip


def addresses(canary: Canary) -> Iterator[Hostile]:
    """Paths."""
    odd = (
        ("Latin", canary.latin), ("Kazakh", quote(canary.kazakh)), ("raw Kazakh", canary.kazakh),
        ("NUL", "%00"), ("a NUL inside", f"{uuid4()}%00"), ("broken escape", "%zz"),
        ("broken UTF-8", "%ff%fe"),
        ("encoded slash", "..%2f..%2fetc%2fpasswd"), ("climbing", "../../../etc/passwd"), ("dots", ".."),
        ("encoded dots", "%2e%2e"), ("backslash", "..\\..\\x"), ("quote", "'%20OR%20'1'='1"),
        ("line", "%0d%0aX:1"),
        ("10000 letters", canary.latin + "a" * 10_000), ("a parameter", f";{canary.latin}"),
        ("nil", str(uuid4())[:-1]),
        ("a number", "1" * 400), ("blank", "%20"), ("braces", "%7B" + str(uuid4()) + "%7D"),
    )  # fmt: skip
    for template in _WITH_ID:
        for name, text in odd:
            right = BROKEN_HTTP if name in ("raw Kazakh", "10000 letters") else REFUSED
            yield Hostile(f"{template}: {name}", "GET", template.format(text).encode(), right=right)
    for name, target in (
        ("another host", b"http://127.0.0.1:9/v1/alerts"), ("double slash", b"//v1/alerts"),
        ("trailing slash", b"/v1/alerts/"), ("capitals", b"/V1/ALERTS"),
        ("internal door", b"/internal/events"),
        ("internal door behind", b"/v1/../internal/events"),
        ("encoded door", b"/v1/%2e%2e/internal/snapshot"),
        ("no slash", b"v1/alerts"), ("fragment", b"/v1/alerts/x#" + canary.latin.encode()),
        ("metrics", b"/metrics"),
        ("documentation", b"/docs"), ("60 kB", b"/v1/" + canary.latin.encode() + b"a" * 60_000),
        ("other page", quote(f"/{canary.kazakh}").encode()), ("environment", b"/.env"), ("star", b"*"),
    ):  # fmt: skip
        yield Hostile(
            f"address: {name}",
            "GET",
            target,
            right=(*BROKEN_HTTP, *range(200, 300)) if name in ("another host", "star") else BROKEN_HTTP,
        )


def queries(canary: Canary) -> Iterator[Hostile]:
    """Queries of lists, also with what a cursor could hide."""
    cursors = (
        canary.latin, quote(canary.kazakh), "%00", "%ff", "=", "....", "A" * 401,
        *(base64.urlsafe_b64encode(text).decode().rstrip("=") for text in (
            b"", b"\x00", b"\x1f", b"x\x1fy", b"x\x1fy\x1fz", b"\xff\xfe", b"9999-99-99\x1f1",
            b"\x00\x1f\x00",
            canary.phrase.encode(), b"2026-01-01T00:00:00+00:00\x1f" + b"g" * 32,
            b"0001-01-01T00:00:00+14:00\x1f" +
            str(uuid4()).encode(), b"9999-12-31T23:59:59-14:00\x1f" + str(uuid4()).encode(), b"1e999\x1f1",
        )),
    )  # fmt: skip
    lists = (
        ("agency", "/v1/alerts"), ("agency", "/v1/inbox"), ("operator", "/v1/deliveries"),
        ("agency", "/v1/cases"),
        ("agency", "/v1/tasks"), ("registrar", "/v1/agencies"), ("registrar", "/v1/endpoints"),
        ("registrar", "/v1/territories"),
    )  # fmt: skip
    for role, path in lists:
        for number, cursor in enumerate(cursors):
            name = f"{path}: cursor {number}"
            yield Hostile(name, "GET", f"{path}?after={cursor}", role=role, right=HARMLESS)
        for limit in (
            "0",
            "-1",
            "201",
            "1e3",
            "9" * 40,
            canary.latin,
            quote(canary.kazakh),
            "%00",
            "1.5",
            "",
        ):
            name = f"{path}: limit {limit[:8]}"
            yield Hostile(name, "GET", f"{path}?limit={limit}", role=role, right=HARMLESS)
        unknown = f"{path}?{canary.latin}={quote(canary.phrase)}"
        yield Hostile(f"{path}: unknown parameter", "GET", unknown, role=role, right=HARMLESS)
        yield Hostile(
            f"{path}: raw bytes", "GET", f"{path}?x={canary.phrase}", role=role, right=(*BROKEN_HTTP, 200)
        )
        yield Hostile(f"{path}: NUL", "GET", f"{path}?x=%00", role=role, right=HARMLESS)
    for text in (canary.latin, "-1", "1e9", "9" * 40, "%00", "nan", "inf"):
        yield Hostile(f"inbox: wait {text[:8]}", "GET", f"/v1/inbox?wait={text}", right=HARMLESS)
    for name in ("state", "agency", "role", "territory", "code", "at", "case", "alert"):
        for text in (canary.latin, quote(canary.phrase), "%00", "'", "9999-12-31T23:59:59-14:00"):
            for role, path in lists:
                told = f"{path}?{name}={text}"
                yield Hostile(f"{path}: {name} {text[:6]}", "GET", told, role=role, right=HARMLESS)


def methods(canary: Canary) -> Iterator[Hostile]:
    """Methods that nobody offers."""
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", canary.latin.upper(), "get"):
        right = BROKEN_HTTP if method not in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS") else REFUSED
        yield Hostile(f"method {method[:8]}", method, "/v1/alerts", right=right)
    yield Hostile("HEAD", "HEAD", "/v1/inbox", right=REFUSED)
    yield Hostile("CONNECT", "CONNECT", "127.0.0.1:9", right=BROKEN_HTTP)


def other_bodies(canary: Canary) -> Iterator[Hostile]:
    """The same kinds of bad body for everything else that takes one."""
    secret = canary.phrase
    some = str(uuid4())
    takers = (
        ("agency", f"/v1/deliveries/{some}/receipt"), ("agency", "/v1/obligations/preview"),
        ("agency", f"/v1/cases/{some}/case-manager"), ("agency", f"/v1/cases/{some}/records"),
        ("agency", f"/v1/alerts/{some}/corrections"), ("agency", f"/v1/alerts/{some}/withdrawal"),
        ("agency", f"/v1/alerts/{some}/rating"), ("agency", f"/v1/alerts/{some}/unfounded"),
        ("registrar", "/v1/agencies"), ("registrar", "/v1/endpoints"),
        ("registrar", "/v1/absences"), ("registrar", "/v1/clients"), ("registrar", "/v1/tokens"),
        ("registrar", "/v1/tokens/revocations"), ("registrar", "/v1/console-codes"),
    )  # fmt: skip
    spoken = json.dumps(secret, ensure_ascii=False).encode()
    bodies = (
        ("unknown key", b"{" + spoken + b":" + spoken + b"}"), ("text", spoken),
        ("list", b"[" + spoken + b"]"),
        ("null", b"null"), ("number", b"1"), ("NaN", b'{"a": NaN}'), ("twice", b'{"a": 1, "a": 2}'),
        ("surrogate", b'{"a": "\\ud800"}'), ("NUL", b'{"a": "\\u0000"}'), ("deep", b"[" * 50_000),
        ("broken UTF-8", b'{"a": "\xff"}'), ("cut", b'{"a": '), ("not JSON", secret.encode()),
        ("300 kB", b'"' + secret.encode() * 10_000 + b'"'),
    )  # fmt: skip
    for role, path in takers:
        for name, body in bodies:
            yield Hostile(f"{path}: {name}", "POST", path, (JSON,), body, role=role)
        gzipped = (JSON, ("Content-Encoding", "gzip"))
        yield Hostile(f"{path}: gzip", "POST", path, gzipped, gzip.compress(spoken), role=role)
        plain = (("Content-Type", "text/plain"),)
        yield Hostile(f"{path}: text/plain", "POST", path, plain, secret.encode(), role=role)
    yield from _bad_forms(canary)
    yield from _bad_receipts(canary, some)
    for name, url in _bad_urls(canary):
        body = _told({"agency": some, "kind": "webhook", "url": url})
        yield Hostile(f"endpoint at {name}", "POST", "/v1/endpoints", (JSON,), body, role="registrar")


def _bad_forms(canary: Canary) -> Iterator[Hostile]:
    form = ("Content-Type", "application/x-www-form-urlencoded")
    latin, kazakh = canary.latin, quote(canary.kazakh)
    for name, text in (
        ("empty", ""), ("names", f"client_id={latin}&client_secret={kazakh}"), ("NUL", "grant_type=%00"),
        ("grant of a name", f"grant_type={kazakh}"), ("twice", "grant_type=client_credentials&grant_type=x"),
        ("wrong secret", f"grant_type=client_credentials&client_id={uuid4()}&client_secret={latin}"),
        ("NUL secret", f"grant_type=client_credentials&client_id={uuid4()}&client_secret=%00"),
        ("id in words", f"grant_type=client_credentials&client_id={kazakh}&client_secret=x"),
        ("long secret", f"grant_type=client_credentials&client_id={uuid4()}&client_secret={latin * 500}"),
        ("broken UTF-8", "grant_type=%ff%fe"), ("100 fields", "&".join(f"a{n}=1" for n in range(100))),
        ("no pairs", latin), ("raw", canary.phrase),
    ):  # fmt: skip
        yield Hostile(f"token form: {name}", "POST", "/oauth/token", (form,), text.encode(), role=None)
    for name, value in (("words", "Basic " + latin), ("no colon",
    "Basic " + base64.b64encode(b"ab").decode()),
                        ("broken UTF-8", "Basic " + base64.b64encode(b"\xff:\xfe").decode())):  # fmt: skip
        headers = (form, ("Authorization", value))
        body = b"grant_type=client_credentials"
        yield Hostile(f"token form: Basic {name}", "POST", "/oauth/token", headers, body, role=None)


def _bad_receipts(canary: Canary, delivery: str) -> Iterator[Hostile]:
    jose = (("Content-Type", "application/jose"),)
    target = f"/v1/deliveries/{delivery}/receipt"
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=")
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
    claims = base64.urlsafe_b64encode(_told({"delivery": canary.phrase})).rstrip(b"=")
    for name, body in (
        ("empty", b""), ("words", canary.phrase.encode()), ("dots", b".."),
        ("deep", deep + b"." + deep + b".AA"),
        ("alg none", header + b"." + claims + b"."), ("broken", b"\xff.\xfe.\xfd"), ("NUL", b"a.\x00.c"),
        ("JSON form", _told({"payload": canary.phrase, "signatures": []})),
    ):  # fmt: skip
        yield Hostile(f"signed receipt: {name}", "POST", target, jose, body)
    told = {"delivery": delivery, "notice_digest": "0" * 64, "status": "received",
    "at": "2026-01-01T00:00:00Z",
            "person": {"name": canary.phrase, "position": canary.phrase}}  # fmt: skip
    yield Hostile("receipt of nothing", "POST", target, (JSON,), _told(told))
    for key, value in (("status", canary.phrase), ("at", "2026-13-01"), ("at", 10**400),
    ("notice_digest", canary.phrase),
                       ("person", canary.phrase), ("delivery", canary.phrase),
                       ("reference", canary.phrase * 500),
                       ("at", "0001-01-01T00:00:00+14:00"), ("at", "9999-12-31T23:59:59-14:00")):  # fmt: skip
        yield Hostile(f"receipt with bad {key}", "POST", target, (JSON,), _told(told | {key: value}))


def _bad_urls(canary: Canary) -> Iterator[tuple[str, str]]:
    name = canary.latin.lower()
    yield "a name", canary.phrase
    yield "a password", f"https://{name}:{name}@example.org/"
    yield "a query", f"https://example.org/?child={name}"
    yield "a fragment", f"https://example.org/#{name}"
    yield "a file", "file:///etc/passwd"
    yield "gopher", f"gopher://example.org/{name}"
    yield "nowhere", "https://"
    yield "a bad port", "https://example.org:99999/"
    yield "a bad address", "https://[::1/"
    yield "a NUL-like name", "https://exa mple.org/"
    yield "metadata", "http://169.254.169.254/latest"
    yield "great length", f"https://example.org/{'a' * 5000}"
