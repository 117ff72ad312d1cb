"""Peer lists from a URL: one bounded HTTPS request, and nothing of an error page is taken for a peer."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mina_p2p.address import parse_address
from mina_p2p_effects.cli.node.fetch import FetchError, fetch_text
from mina_p2p_effects.cli.node.peers import fetch_list

ADDRESS = "/ip4/203.0.113.7/udp/8302/quic-v1/p2p/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
BYTES_MAX = 10_000


class Server:
    def __init__(self, url: str, context: ssl.SSLContext, trusted: Path) -> None:
        self.url = url
        self.context = context
        self.trusted = trusted


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An HTTPS server on the loopback whose paths behave well and badly."""
    folder = tmp_path_factory.mktemp("tls")
    _write_certificate(folder)
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = {
                "/good": (200, "text/plain; charset=utf-8", f"# seeds\n{ADDRESS}\nnonsense\n".encode()),
                "/xml": (200, "application/xml", b"<Error>AccessDenied</Error>"),
                "/page": (200, "text/plain", b"we are sorry\nplease come back later\n"),
                "/missing": (404, "text/plain", ADDRESS.encode()),
                "/long": (200, "text/plain", b"x" * (BYTES_MAX + 1)),
                "/latin": (200, "text/plain", b"\xe4\xf6\xfc"),
                "/there": (302, "text/plain", b""),
                "/open": (302, "text/plain", b""),
                "/loop": (302, "text/plain", b""),
                "/slow": (200, "text/plain", b"x"),
            }[self.path]
            status, kind, body = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            target = {"/there": "/good", "/open": "http://127.0.0.1:9/good", "/loop": "/loop"}.get(self.path)
            if target is not None:
                self.send_header("Location", target)
            self.send_header("Content-Length", str(len(body) + (100 if self.path == "/slow" else 0)))
            self.end_headers()
            self.wfile.write(body)
            if self.path == "/slow":
                self.wfile.flush()
                released.wait(30)

        def log_message(self, *_: Any) -> None: ...

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    serving.socket = server_context.wrap_socket(serving.socket, server_side=True)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    try:
        yield Server(f"https://127.0.0.1:{serving.server_address[1]}", context, folder / "certificate.pem")
    finally:
        released.set()
        serving.shutdown()
        serving.server_close()
        thread.join(10)


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lists")])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def test_a_list_is_fetched_also_through_a_redirection(server: Server) -> None:
    """The addresses in it, and a warning for the line that is none."""
    for path in ("/good", "/there"):
        warnings: list[str] = []
        assert fetch_list(server.url + path, warnings.append, context=server.context) == (parse_address(ADDRESS),)
        assert len(warnings) == 1
        assert "line 3" in warnings[0]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/missing", "status 404"),
        ("/xml", "not a text"),
        ("/long", "longer than"),
        ("/latin", "utf-8"),
        ("/open", "not an https URL"),
        ("/loop", "redirections"),
    ],
)
def test_what_is_no_list_is_an_error(server: Server, path: str, says: str) -> None:
    """Status, type, length, encoding and every hop are checked."""
    with pytest.raises(FetchError, match=says):
        fetch_text(server.url + path, bytes_max=BYTES_MAX, context=server.context)


def test_an_answer_that_never_ends_is_given_up(server: Server) -> None:
    """The time is for the whole answer, however it trickles."""
    with pytest.raises(FetchError):
        fetch_text(server.url + "/slow", bytes_max=BYTES_MAX, timeout_s=0.3, context=server.context)


def test_an_error_page_gives_no_peers(server: Server) -> None:
    """A text without one address is reported, and whoever has an older list keeps it."""
    warnings: list[str] = []
    assert fetch_list(server.url + "/page", warnings.append, context=server.context) == ()
    assert "holds no address" in warnings[0]


def test_strangers_are_not_trusted(server: Server) -> None:
    """A certificate of nobody's authority is refused."""
    with pytest.raises(FetchError, match=r"(?i)certificate"):
        fetch_text(server.url + "/good", bytes_max=BYTES_MAX)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "file:///etc/hostname", "https://", "nonsense", "https://[", "https://h:port/", "https://127.0.0.1:1/a b"]
)
def test_other_urls_are_refused(url: str) -> None:
    """Only https, and never an exception of another kind."""
    with pytest.raises(FetchError):
        fetch_text(url, bytes_max=BYTES_MAX, timeout_s=5)


def test_a_node_knows_the_peers_of_the_list_at_a_url(server: Server) -> None:
    """``--peer-list-url``, whom to trust from the environment as every TLS program takes it: the list's one peer is known."""
    command = [sys.executable, "-m", "mina_p2p_effects.cli", "node", "--listen", "127.0.0.1:0", "--json", "--duration", "0.5"]
    done = subprocess.run(
        [*command, "--peer-list-url", server.url + "/good"],
        env={**os.environ, "SSL_CERT_FILE": str(server.trusted)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["known_peers"] for event in events if event["event"] == "status"][-1] == 1
    assert "line 3" in done.stderr
