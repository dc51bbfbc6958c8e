"""A mail server for one test: it takes what it is sent, or refuses it."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage


class Postbox:
    """`mails` came in; with `refuses` set each is answered 451."""

    def __enter__(self) -> Postbox:
        self.mails: list[EmailMessage] = []
        self.refuses = False
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                box._speak(self)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.server.server_address[1]}"

    def _speak(self, line: socketserver.StreamRequestHandler) -> None:
        line.wfile.write(b"220 postbox\r\n")
        while command := line.rfile.readline():
            word = command[:4].upper().strip()
            if word == b"DATA":
                line.wfile.write(b"354 go on\r\n")
                body = b""
                while (text := line.rfile.readline()) != b".\r\n":
                    body += text
                self.mails.append(message_from_bytes(body, policy=policy.default))  # type: ignore[arg-type]
                line.wfile.write(b"250 taken\r\n")
            elif word == b"MAIL" and self.refuses:
                line.wfile.write(b"451 not now\r\n")
            elif word == b"QUIT":
                line.wfile.write(b"221 bye\r\n")
                return
            else:
                line.wfile.write(b"250 ok\r\n")

    def told(self) -> list[tuple[str, str]]:
        """(recipient, subject) of each mail, in their order."""
        return [(str(mail["To"]), str(mail["Subject"])) for mail in self.mails]
