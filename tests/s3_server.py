"""S3's protocol on a socket of this machine, and a way to it that breaks.

`running` is moto's server in a process of its own. `Way` is a TCP proxy before it that cuts connections, changes a
byte, or is not there, as a test says; it counts what goes through.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

BUCKET = "typedflow-tests"


@contextlib.contextmanager
def running() -> Iterator[int]:
    """The port of a server that is up, with an empty bucket."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    drain: threading.Thread | None = None
    try:
        port = next(
            int(found[1])
            for line in process.stderr
            if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line))
        )
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()  # what it logs must not fill the pipe
        with socket.create_connection(("127.0.0.1", port)) as made:
            head = (
                f"PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            made.sendall(head.encode())
            assert b"200" in made.recv(1000)
        yield port
    finally:
        process.terminate()
        process.wait()
        if drain is not None:
            drain.join()
        process.stderr.close()


def environment(port: int) -> dict[str, str]:
    """The variables with which a program finds the server."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@dataclass
class Way:
    """A TCP proxy to a port. `up` and `down` see what is sent and answered, and may change it; b"" cuts the connection.

    `down` and `up` are given what all connections together have carried so far, and the next bytes.
    """

    target: int
    up: Callable[[int, bytes], bytes] = lambda _, data: data
    down: Callable[[int, bytes], bytes] = lambda _, data: data
    refuses: Callable[[], bool] = lambda: False
    sent: int = 0
    answered: int = 0
    connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def open(self) -> Iterator[int]:
        """The port on which it listens."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=self._accept, args=[listener], daemon=True).start()
            try:
                yield listener.getsockname()[1]
            finally:
                listener.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                if self.refuses():
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.target))
                for one, other, is_up in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._carry, args=[one, other, is_up], daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    before = self.sent if is_up else self.answered
                    data = (self.up if is_up else self.down)(before, data)
                    if is_up:
                        self.sent += len(data)
                    else:
                        self.answered += len(data)
                if not data:
                    break
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
