"""A real HTTP proxy on a real port, which forwards and tunnels; and TLS for the key server behind it."""

import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Proxy:
    """Does what it is asked, or answers as `mood` says; keeps who asked for what."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.credentials: list[str | None] = []
        self.mood = "well"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.note(self)
                target = urlsplit(self.path)
                with closing(HTTPConnection(target.netloc, timeout=5)) as connection:
                    connection.request("GET", target.path, headers=dict(self.headers.items()))
                    response = connection.getresponse()
                    body = response.read()
                self.send_response(response.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self) -> None:
                outer.note(self)
                if outer.mood == "refusing":
                    self.send_error(407)
                    return
                with suppress(OSError):
                    while outer.mood == "dripping":
                        self.wfile.write(b"X")
                        time.sleep(0.02)
                host, _, port = self.path.rpartition(":")
                with closing(socket.create_connection((host, int(port)), timeout=5)) as target:
                    self.send_response(200)
                    self.end_headers()
                    back = Thread(target=pump, args=(target, self.connection), daemon=True)
                    back.start()
                    pump(self.connection, target)
                    back.join(5)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"127.0.0.1:{self.http.server_address[1]}"

    def note(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{handler.command} {handler.path}")
        self.credentials.append(handler.headers["Proxy-Authorization"])


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def listening(http: ThreadingHTTPServer) -> Iterator[None]:
    thread = Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def certificate_for(who: str, folder: Path) -> Path:
    """A certificate for an address or a name, which vouches for itself, with its key in the same file."""
    is_address = who.replace(".", "").isdigit()
    names = x509.IPAddress(ip_address(who)) if is_address else x509.DNSName(who)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return file


def wrap(http: ThreadingHTTPServer, certificate: Path) -> None:
    """Let a server speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    http.socket = context.wrap_socket(http.socket, server_side=True)
