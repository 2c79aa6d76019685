"""What no HTTP library would send, byte by byte, to `wfg serve`."""

import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers import Process, server_process

CLAIM = b'{"worker_id":"w","labels":[]}'
FORM = b"application/x-www-form-urlencoded"
SECONDS = 10


@pytest.fixture(scope="module")
def serve(new_database, template, tmp_path_factory) -> Iterator[Process]:
    folder: Path = tmp_path_factory.mktemp("raw")
    with server_process(new_database(template), folder) as server:
        yield server


def exchange(server: Process, sent: bytes, *, and_no_more: bool = False) -> bytes:
    """All that comes back until the server closes the connection, which it must."""
    url = urlsplit(server.url())
    with socket.create_connection((url.hostname, url.port), timeout=SECONDS) as raw:
        received = b""
        try:
            raw.sendall(sent)
            if and_no_more:
                raw.shutdown(socket.SHUT_WR)
            while more := raw.recv(65536):
                received += more
        except ConnectionError:  # refused before all was sent
            pass
        return received


def status_of(received: bytes) -> int:
    """Of the last answer; 0 if there was none. What says 100 is none."""
    heads = re.findall(rb"HTTP/1\.1 (\d{3}) ", received)
    return int(heads[-1]) if heads else 0


def message_of(received: bytes) -> str:
    """The four fields are at the end, unless what HTTP itself refuses is told in plain words."""
    found = re.search(rb"\{.*\}", received.rpartition(b"\r\n\r\n")[2] or received)
    return json.loads(found[0])["message"] if found else ""


def get(path: bytes, *headers: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    head = [method + b" " + path + b" HTTP/" + version, b"host: localhost", b"connection: close", *headers]
    return b"\r\n".join([*head, b"", b""])


def post(
    body: bytes,
    *headers: bytes,
    path: bytes = b"/api/jobs/claim",
    media: bytes = b"application/json",
    length: bytes | None = None,
    version: bytes = b"1.1",
) -> bytes:
    measured = b"content-length: " + (str(len(body)).encode() if length is None else length)
    return get(path, b"content-type: " + media, measured, *headers, method=b"POST", version=version) + body


def chunked(*lines: bytes, coding: bytes = b"chunked") -> bytes:
    coded = b"transfer-encoding: " + coding
    return get(b"/api/jobs/claim", b"content-type: application/json", coded, method=b"POST") + b"\r\n".join(
        lines
    )


def rpc(function: bytes, body: bytes, *headers: bytes, media: bytes = b"application/json") -> bytes:
    return post(body, *headers, path=b"/rest/v1/rpc/" + function, media=media)


PARAMETERS = b"&".join(b"p%d=1" % number for number in range(10_000))
BOMB = gzip.compress(b'{"worker_id":"' + b"x" * 50_000_000 + b'"}')

# What is sent, the status, and the message: "" where HTTP itself was not spoken.
REQUESTS: dict[str, tuple[bytes, int, str]] = {
    # lengths and chunks
    "a body shorter than it is": (post(CLAIM, length=b"5"), 400, "invalid_json"),
    "a negative length": (post(CLAIM, length=b"-1"), 400, ""),
    "a length in words": (post(CLAIM, length=b"many"), 400, ""),
    "a length of thirty digits": (post(CLAIM, length=b"9" * 30), 400, ""),
    "two lengths": (post(CLAIM, b"content-length: 3"), 400, ""),
    "a length, and chunks": (post(CLAIM, b"transfer-encoding: chunked"), 400, ""),
    "chunks": (chunked(b"1d", CLAIM, b"0", b"", b""), 200, ""),
    "chunks of garbage": (chunked(b"zz", b"hello", b"0", b"", b""), 400, ""),
    "a chunk without end": (chunked(b"f" * 18, b"hello", b"0", b"", b""), 400, ""),
    "an unknown coding": (chunked(CLAIM, coding=b"rot13"), 400, ""),
    "may I": (post(CLAIM, b"expect: 100-continue"), 200, ""),
    "may I, with too much": (post(b" " * 3_000_000, b"expect: 100-continue"), 413, "body_too_large"),
    # sizes
    "a long header": (get(b"/health", b"x-a: " + b"a" * 16_000), 200, ""),
    "a path of 100 KB": (get(b"/api/runs/" + b"a" * 100_000), 400, ""),
    "10000 parameters": (get(b"/api/runs?" + PARAMETERS), 400, ""),
    "5000 parameters": (get(b"/api/runs?" + PARAMETERS[:30_000]), 200, ""),
    "5000 parameters by RPC": (get(b"/rest/v1/rpc/wfg_health?" + PARAMETERS[:30_000]), 404, "Could not find"),
    "10000 parameters as a form": (rpc(b"wfg_health", PARAMETERS, media=FORM), 404, "Could not find"),
    # paths and queries
    "NUL in a query": (get(b"/api/runs?workflow_id=%00"), 422, "invalid_request"),
    "NUL in a query by RPC": (get(b"/rest/v1/rpc/wfg_get_run?p_run_id=%00"), 400, "unsupported Unicode"),
    "a query that is not UTF-8": (get(b"/api/runs?workflow_id=%ff%fe"), 400, "invalid_request"),
    "a name in it that is not UTF-8": (get(b"/api/runs?%ff=1"), 400, "invalid_request"),
    "the same by RPC": (get(b"/rest/v1/rpc/wfg_get_run?p_run_id=%ff"), 400, "invalid_request"),
    "half a surrogate pair in a query": (get(b"/api/runs?label=%ed%a0%80"), 400, "invalid_request"),
    "a form that is not UTF-8": (rpc(b"wfg_get_run", b"p_run_id=%ff", media=FORM), 400, "The arguments are"),
    "raw bytes in a form": (rpc(b"wfg_get_run", b"p_run_id=\xff", media=FORM), 400, "The arguments are"),
    "raw bytes in a query": (get(b"/api/runs?label=\xff"), 400, ""),
    "raw bytes in a path": (get(b"/api/runs/\xff"), 400, ""),
    "a slash in too many bytes": (get(b"/api/runs/%c0%af"), 400, "invalid_request"),
    "half an escape": (get(b"/api/runs/%"), 404, "workflow_not_found"),
    "out of the root": (get(b"/api/../../etc/passwd"), 404, "not_found"),
    "out of the root, escaped": (get(b"/%2e%2e/%2e%2e/etc/passwd"), 404, "not_found"),
    "an absolute address": (get(b"http://elsewhere/api/runs"), 200, ""),
    "an absolute address of nothing": (get(b"http://elsewhere/nothing"), 404, "not_found"),
    # methods and versions
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n", 200, ""),
    "a body in HTTP/1.0": (post(CLAIM, version=b"1.0"), 200, ""),
    "HTTP/9.9": (get(b"/health", version=b"9.9"), 400, ""),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ""),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200, 400, ""),
    "TRACE": (get(b"/api/runs", method=b"TRACE"), 405, "method_not_allowed"),
    "CONNECT": (get(b"x:80", method=b"CONNECT"), 400, ""),
    "an unknown method": (get(b"/api/runs", method=b"BREW"), 400, ""),
    "a method of others": (get(b"/api/runs", method=b"PROPFIND"), 405, "method_not_allowed"),
    "OPTIONS of all": (get(b"*", method=b"OPTIONS"), 200, ""),
    "another method, in a header": (
        post(b"{}", b"x-http-method-override: DELETE", path=b"/api/workers/w"),
        405,
        "method_not_allowed",
    ),
    "another method, in the query": (get(b"/api/workers/w?_method=DELETE"), 405, "method_not_allowed"),
    # headers
    "a token of bytes": (get(b"/api/runs", b"authorization: Bearer \xff\xfe"), 401, "token_invalid"),
    "two tokens": (get(b"/api/runs", b"authorization: Bearer a", b"authorization: Bearer b"), 401, "token_"),
    "two types, one of them right": (post(CLAIM, b"content-type: text/plain"), 200, ""),
    "a type of bytes": (post(CLAIM, media=b"application/json\xff"), 415, "unsupported_media_type"),
    "a line that goes on": (get(b"/health", b"x-a: a\r\n b"), 400, ""),
    "a space before the colon": (get(b"/health", b"x-a : b"), 400, ""),
    "no colon": (get(b"/health", b"garbage"), 400, ""),
    "NUL in a header": (get(b"/health", b"x-a: \x00"), 400, ""),
    "line ends of one character": (b"GET /health HTTP/1.1\nhost: localhost\n\n", 400, ""),
    "a strange host": (get(b"/health", b"host: a b/c"), 200, ""),
    # bodies
    "gzip": (post(gzip.compress(CLAIM), b"content-encoding: gzip"), 415, "unsupported_media_type"),
    "a bomb": (post(BOMB, b"content-encoding: gzip"), 415, "unsupported_media_type"),
    "gzip, it says": (post(CLAIM, b"content-encoding: GZIP"), 415, "unsupported_media_type"),
    "as it is, it says": (post(CLAIM, b"content-encoding: identity"), 200, ""),
    "gzip by RPC": (
        rpc(b"wfg_health", gzip.compress(b"{}"), b"content-encoding: gzip"),
        415,
        "unsupported_media_type",
    ),
    "a workflow file in gzip": (
        post(gzip.compress(b"{}"), b"content-encoding: gzip", path=b"/api/workflows/validate"),
        415,
        "unsupported_media_type",
    ),
    "a byte order mark by RPC": (rpc(b"wfg_health", b"\xef\xbb\xbf{}"), 400, "Empty or invalid json"),
    "UTF-16 by RPC": (rpc(b"wfg_health", "{}".encode("utf-16")), 400, "Empty or invalid json"),
    "NaN by RPC": (rpc(b"wfg_list_workflows", b'{"p_limit":NaN}'), 400, "Empty or invalid json"),
    "2**64 by RPC": (rpc(b"wfg_list_workflows", b'{"p_limit":18446744073709551617}'), 400, "value "),
    "1.0 by RPC": (rpc(b"wfg_list_workflows", b'{"p_limit":1.0}'), 400, "invalid input syntax"),
    "half a surrogate pair by RPC": (rpc(b"wfg_get_run", b'{"p_run_id":"\\ud800"}'), 400, "Empty or"),
    "9000 brackets by RPC": (
        rpc(b"wfg_validate_workflow", b'{"p_definition":' + b"[" * 9000 + b"]" * 9000 + b"}"),
        400,
        "Empty or",
    ),
    "90000 brackets as a form": (
        rpc(b"wfg_validate_workflow", b"p_definition=" + b"[" * 90_000 + b"]" * 90_000, media=FORM),
        400,
        "stack depth limit",
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request(serve, name):
    sent, status, message = REQUESTS[name]
    received = exchange(serve, sent)
    assert status_of(received) == status, received[-500:]
    if status >= 400:
        found = message_of(received)
        assert found.startswith(message)
        assert bool(found) == bool(message)


@pytest.mark.parametrize(
    "sent",
    [
        post(CLAIM, length=b"500"),
        chunked(b"1d", CLAIM[:5]),
        rpc(b"wfg_health", b"{}").replace(b"length: 2", b"length: 99"),
        b"POST /api/jobs/claim HTTP/1.1\r\nhost: localhost\r\n",
    ],
    ids=["a length", "chunks", "RPC", "a head"],
)
def test_who_goes_amid_a_request_is_no_bug(serve, sent):
    assert status_of(exchange(serve, sent, and_no_more=True)) in (0, 400)
    # The server has seen to it when it has seen to what came later.
    assert status_of(exchange(serve, get(b"/health"))) == 200
    assert "Traceback" not in serve.stderr(), serve.stderr()[-3000:]


@pytest.mark.parametrize(
    "sent",
    [
        get(b"/health", b"x-a: " + b"a" * 2_000_000),
        get(b"/health", b"x-a: ")[:-4] + b"a" * 5_000_000,
        get(b"/health", *[b"x-a: b"] * 200_000),
    ],
    ids=["a header", "one without end", "many headers"],
)
def test_a_head_of_megabytes_is_cut_off(serve, sent):
    """Who still sends may not hear why."""
    assert status_of(exchange(serve, sent)) in (0, 431)
    assert status_of(exchange(serve, get(b"/health"))) == 200


def test_requests_in_a_row_are_answered_in_order(serve):
    first = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    received = exchange(serve, first * 20 + get(b"/nothing"))
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", received) == [b"200"] * 20 + [b"404"]
