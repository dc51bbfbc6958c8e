"""Settings, read once from the environment into typed values. A missing one stops the start with its name.

In development and test the secrets are made on first start and kept in `instance/secrets.json`; there is no default secret.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from occ_app.errors import NotConfiguredError

API_VERSION = "2026-10"
APP_BRIDGE_CDN = "https://cdn.shopify.com/shopifycloud/app-bridge.js"
ENVIRONMENTS = ("development", "test", "production")
GENERATED = ("SHOPIFY_API_KEY", "SHOPIFY_API_SECRET", "SECRET_KEY", "TOKEN_ENCRYPTION_KEYS")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Config:
    """What the environment says. `token_encryption_keys`: 32-byte keys, the first one encrypts."""

    env: str
    api_key: str
    api_secret: str
    api_secret_old: str | None
    app_url: str
    secret_key: str
    token_encryption_keys: tuple[bytes, ...]
    database_url: str | None
    standin_url: str | None
    app_bridge_url: str
    instance: Path
    partner_link: str = (
        "grant"  # how a partner's store comes in: `grant` (our link) or `install` (Shopify's install page)
    )
    notices_to_loopback: bool = False  # development: notices may go to this machine, unencrypted

    smtp_url: str | None = None  # smtp://user:password@host:587 or smtps://...; without it no mail is sent
    mail_from: str = "OCC Inventory Hub <hub@localhost>"

    @property
    def api_secrets(self) -> tuple[str, ...]:
        """The secrets that a signature may be made with: the present one, and during a rotation the old one."""
        return (self.api_secret, self.api_secret_old) if self.api_secret_old else (self.api_secret,)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The access scopes that `shopify.app.toml` asks for."""
        import tomllib

        toml = tomllib.loads((ROOT / "shopify.app.toml").read_text(encoding="utf-8"))
        return tuple(scope.strip() for scope in toml["access_scopes"]["scopes"].split(","))


def load(environ: dict[str, str] | None = None) -> Config:
    """Settings of this process. Raises NotConfiguredError, naming the setting that is missing or wrong."""
    values = dict(os.environ if environ is None else environ)
    env = values.get("OCC_ENV", "development")
    if env not in ENVIRONMENTS:
        raise NotConfiguredError(f"OCC_ENV is {env!r}. Give one of: {', '.join(ENVIRONMENTS)}.")
    instance = Path(values.get("OCC_INSTANCE") or ROOT / "instance").resolve()
    if env != "production":
        values = {**_made_secrets(instance), "SHOPIFY_APP_URL": "http://127.0.0.1:8000", **values}
    _refuse_in_production(env, values)
    return Config(
        env=env,
        api_key=_required(values, "SHOPIFY_API_KEY"),
        api_secret=_required(values, "SHOPIFY_API_SECRET"),
        api_secret_old=values.get("SHOPIFY_API_SECRET_OLD") or None,
        app_url=_url(values, "SHOPIFY_APP_URL").rstrip("/"),
        secret_key=_required(values, "SECRET_KEY"),
        token_encryption_keys=_keys(_required(values, "TOKEN_ENCRYPTION_KEYS")),
        database_url=values.get("DATABASE_URL") or None,
        standin_url=(values.get("SHOPIFY_STANDIN_URL") or "").rstrip("/") or None,
        app_bridge_url=values.get("APP_BRIDGE_URL") or APP_BRIDGE_CDN,
        instance=instance,
        smtp_url=_smtp(values),
        mail_from=values.get("MAIL_FROM") or Config.mail_from,
        partner_link=_one_of(values, "PARTNER_LINK", ("grant", "install")),
        notices_to_loopback=values.get("NOTICES_TO_LOOPBACK") == "1",
    )


def _refuse_in_production(env: str, values: dict[str, str]) -> None:
    for name in ("SHOPIFY_STANDIN_URL", "OCC_CLOCK_FILE", "NOTICES_TO_LOOPBACK"):
        if env == "production" and values.get(name):
            raise NotConfiguredError(f"{name} is for development and tests. Remove it, or set OCC_ENV=development.")


def _required(values: dict[str, str], name: str) -> str:
    if not values.get(name):
        raise NotConfiguredError(f"{name} is not set. README.md says where to find it.")
    return values[name]


def _smtp(values: dict[str, str]) -> str | None:
    url = values.get("SMTP_URL") or None
    if url is not None and (urlsplit(url).scheme not in ("smtp", "smtps") or not urlsplit(url).hostname):
        raise NotConfiguredError(
            "SMTP_URL is no address of a mail server. Give one such as smtp://user:password@host:587."
        )
    return url


def _one_of(values: dict[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = values.get(name) or choices[0]
    if value not in choices:
        raise NotConfiguredError(f"{name} is {value!r}. Give one of: {', '.join(choices)}.")
    return value


def _url(values: dict[str, str], name: str) -> str:
    url = _required(values, name)
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise NotConfiguredError(f"{name} is {url!r}. Give a full address such as https://hub.example.com.")
    return url


def _keys(text: str) -> tuple[bytes, ...]:
    try:
        keys = tuple(base64.urlsafe_b64decode(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise NotConfiguredError(
            "TOKEN_ENCRYPTION_KEYS is not base64. Make one with: openssl rand -base64 32"
        ) from error
    if any(len(key) != 32 for key in keys):
        raise NotConfiguredError("TOKEN_ENCRYPTION_KEYS needs keys of 32 bytes. Make one with: openssl rand -base64 32")
    return keys


def _made_secrets(instance: Path) -> dict[str, str]:
    path = instance / "secrets.json"
    if not path.exists():
        instance.mkdir(parents=True, exist_ok=True)
        made = {name: secrets.token_hex(16) for name in GENERATED}
        made["TOKEN_ENCRYPTION_KEYS"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        _write_once(path, json.dumps(made, indent=2))
    return json.loads(path.read_text(encoding="utf-8"))


def _write_once(path: Path, text: str) -> None:
    """`path` holds a whole file; where two processes start together, the first one's."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
