"""Mail goes out by the SMTP server that `SMTP_URL` names; without it there is none."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from flask import current_app

from occ_app.config import Config
from occ_app.errors import OutsideError

PATIENCE = 20  # seconds


def is_on() -> bool:
    """Whether mail can be sent at all."""
    config: Config = current_app.extensions["occ_config"]
    return config.smtp_url is not None


def send(recipients: Sequence[str], subject: str, body: str) -> None:
    """The mail is with the server, one copy for each recipient, who do not see each other. Raises OutsideError."""
    config: Config = current_app.extensions["occ_config"]
    url = urlsplit(config.smtp_url or "")
    try:
        with _connection(url.scheme, url.hostname or "", url.port) as server:
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            for recipient in recipients:
                message = EmailMessage()
                message["From"], message["To"], message["Subject"] = config.mail_from, recipient, subject
                message.set_content(body)
                server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise OutsideError(f"The mail server did not take the mail: {error}"[:300]) from error


def _connection(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=PATIENCE, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port or 587, timeout=PATIENCE)
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=ssl.create_default_context())
        server.ehlo()
    return server
