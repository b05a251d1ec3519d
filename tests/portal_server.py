"""A local HTTP server that misbehaves on demand, in place of the portals.

Each path has a file and a list of troubles; every request takes the next trouble, and the file is
served properly when none is left. Requests are recorded, so that tests can prove what was asked.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Trouble:
    """What goes wrong in one request.

    Attributes:
        status: answer this status in place of the file.
        headers: further headers.
        body: body of that answer, or of the file if ``status`` is 200.
        cut_after: close the connection after so many bytes of the body.
        pause_s: wait after each ``pause_every`` bytes.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None
    pause_s: float = 0.0
    pause_every: int = 1


@dataclass
class Served:
    """A file on the server."""

    body: bytes
    etag: str | None = '"v1"'
    content_type: str = "application/octet-stream"
    ranges: bool = True
    if_range: bool = True
    length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, str] | None = None
    troubles: list[Trouble] = field(default_factory=list)


@dataclass
class Asked:
    """One request as it came in, and how many bytes of the body went out."""

    path: str
    range: str | None
    authorization: str | None
    status: int = 0
    sent: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PortalServer

    def log_message(self, *args: object) -> None:
        """Keep the test output clean."""

    def do_GET(self) -> None:
        asked = Asked(self.path, self.headers.get("Range"), self.headers.get("Authorization"))
        self.server.asked.append(asked)
        self.close_connection = True
        with self.server.counting():
            self._reply(asked)

    def _reply(self, asked: Asked) -> None:
        served = self.server.files.get(self.path)
        trouble = served.troubles.pop(0) if served is not None and served.troubles else Trouble()
        if served is None or trouble.status not in (None, 200):
            status = 404 if served is None else int(trouble.status or 500)
            self._answer(asked, status, trouble.headers, trouble.body, trouble)
            return
        if served.needs is not None and asked.authorization is None:
            self._answer(asked, 403, {}, b"", trouble)
            return
        if trouble.status == 200:
            self._answer(asked, 200, trouble.headers, trouble.body, trouble)
            return
        self._file(asked, served, trouble)

    def _file(self, asked: Asked, served: Served, trouble: Trouble) -> None:
        headers = {"Content-Type": served.content_type, **served.headers, **trouble.headers}
        if served.etag:
            headers["ETag"] = served.etag
        headers["Last-Modified"] = email.utils.formatdate(0, usegmt=True)
        status, body = 200, served.body
        match = re.fullmatch(r"bytes=(\d+)-", asked.range or "")
        condition = self.headers.get("If-Range")
        fresh = not served.if_range or condition in (None, served.etag, headers["Last-Modified"])
        if match and served.ranges and fresh:
            start = int(match[1])
            if start >= len(body):
                headers["Content-Range"] = f"bytes */{len(body)}"
                self._answer(asked, 416, headers, b"", trouble)
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        self._answer(asked, status, headers, body, trouble, served.length)

    def _answer(
        self,
        asked: Asked,
        status: int,
        headers: dict[str, str],
        body: bytes,
        trouble: Trouble,
        length: bool = True,
    ) -> None:
        asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        allowed = len(body) if trouble.cut_after is None else trouble.cut_after
        step = trouble.pause_every if trouble.pause_s else 1 << 16
        try:
            for at in range(0, min(allowed, len(body)), step):
                block = body[at : min(at + step, allowed)]
                self.wfile.write(block)
                self.wfile.flush()
                asked.sent += len(block)
                last = at + step >= min(allowed, len(body))
                if trouble.pause_s and not last and self.server.stopping.wait(trouble.pause_s):
                    return
        except (BrokenPipeError, ConnectionResetError):
            pass


class PortalServer(ThreadingHTTPServer):
    """Serve ``files`` (path -> Served) on 127.0.0.1; use as a context manager."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self.files: dict[str, Served] = {}
        self.asked: list[Asked] = []
        self.stopping = threading.Event()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> PortalServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=5)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is part of the tests."""

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count the requests that are answered at the same time."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        yield
        with self._lock:
            self._at_once -= 1

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        host, port = self.server_address[:2]
        return f"http://{host}:{port}"

    def serve(self, path: str, body: bytes, *troubles: Trouble, **options: object) -> str:
        """Add a file; return its address."""
        self.files[path] = Served(body, troubles=list(troubles), **options)
        return self.url + path

    def wait_for(self, requests: int, timeout_s: float = 5.0) -> None:
        """Wait until so many requests came in."""
        end = time.monotonic() + timeout_s
        while len(self.asked) < requests and time.monotonic() < end:
            time.sleep(0.01)
