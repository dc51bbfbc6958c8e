"""Invitations: a signed link for one business. It is good once, until its end, and may be bound to one store.

The link holds a JWT: the invitation's id and shop, its end, and a secret that is an HMAC of the row's nonce. So the link can be shown again,
and neither a copy of the database nor a guess makes one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
import segno
from sqlalchemy import select

from occ_app.config import Config
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db, shop_scope
from occ_app.partners.models import CONNECTED, Invitation, Partner
from occ_app.shopify.domains import is_shop_domain, shop_of_url
from occ_app.shops.models import UNINSTALLED, Shop

LIFE_DAYS, MOST_DAYS, LONGEST_NAME = 7, 60, 120
MOST_OPEN = 200
_AUDIENCE, _SUFFIX = "partner-invitation", ".myshopify.com"


class EndedInvitationError(RuleError):
    """The link was good once and is no more, or never was: expired, used, revoked, or not one of ours."""


@dataclass(frozen=True)
class Invited:
    """A link that is good, and who asks by it."""

    invitation: Invitation
    merchant: Shop


def make(
    shop: Shop,
    name: str,
    domain: str = "",
    *,
    days: int = LIFE_DAYS,
    partner_id: int | None = None,
    actor: str,
    at: datetime,
) -> Invitation:
    """An open invitation. `domain`: only that store may use it. Raises RuleError where a part of it cannot be."""
    name = " ".join(name.split())
    bound = domain_of(domain) if domain.strip() else None
    if not name and bound:
        name = bound.removesuffix(_SUFFIX)
    if not name:
        raise RuleError("Give the name of the business that you invite.", field="name")
    if len(name) > LONGEST_NAME:
        raise RuleError(f"Give a name of {LONGEST_NAME} characters or fewer.", field="name")
    if not 1 <= days <= MOST_DAYS:
        raise RuleError(f"A link can be good for 1 to {MOST_DAYS} days.", field="days")
    if bound == shop.domain:
        raise RuleError("That is your own store. Give the store of the business that you invite.", field="domain")
    _check_free(bound, partner_id)
    if len(open_ones(at)) >= MOST_OPEN:
        raise RuleError(f"{MOST_OPEN} invitations are open. Revoke one first.")
    made = Invitation(
        nonce=secrets.token_hex(16),
        name=name,
        bound_domain=bound,
        created_by=actor,
        created_at=at,
        expires_at=(at + timedelta(days=days)).replace(microsecond=0),
        partner_id=partner_id,
    )
    db.session.add(made)
    db.session.flush()
    return made


def _check_free(bound: str | None, partner_id: int | None) -> None:
    if bound is None or partner_id is not None:
        return
    known = db.session.scalar(select(Partner).where(Partner.domain == bound, Partner.state == CONNECTED))
    if known is not None:
        raise RuleError(f"{known.name} is your partner already.", field="domain")


def domain_of(text: str) -> str:
    """The store that somebody means by `text`: `severn-tea`, `severn-tea.myshopify.com`, or its address. Raises RuleError."""
    given = text.strip().lower()
    found = shop_of_url(given) if given.startswith("https://") else given.removesuffix(_SUFFIX) + _SUFFIX
    if found is None or len(given) > 200 or not is_shop_domain(found):
        raise RuleError("Give the store's address such as severn-tea.myshopify.com.", field="domain")
    return found


def link(config: Config, invitation: Invitation) -> str:
    """The link that makes its reader the invited one."""
    claims = {
        "aud": _AUDIENCE,
        "sub": str(invitation.id),
        "shop": invitation.shop_id,
        "exp": int(invitation.expires_at.timestamp()),
        "jti": _secret(config, invitation.nonce),
    }
    return f"{config.app_url}/partners/join/{jwt.encode(claims, _key(config), algorithm='HS256')}"


def qr(url: str) -> str:
    """The link as a picture (SVG, as a data address) for a telephone."""
    return segno.make(url, error="m", micro=False).svg_data_uri(scale=4, border=2)


def read(config: Config, token: str, at: datetime) -> Invited:
    """Who asks by that link. Raises EndedInvitationError with the reason where it is no good."""
    claims = _claims(config, token)
    with shop_scope(claims["shop"]):
        found = db.session.scalar(select(Invitation).where(Invitation.id == int(claims["sub"])))
        merchant = db.session.get(Shop, claims["shop"])
        if found is None or merchant is None or not hmac.compare_digest(_secret(config, found.nonce), claims["jti"]):
            raise EndedInvitationError(UNKNOWN)
        check_open(found, merchant, at)
        return Invited(found, merchant)


def check_open(invitation: Invitation, merchant: Shop, at: datetime) -> None:
    """It can still be used. Raises EndedInvitationError."""
    who = merchant.name or merchant.domain
    if invitation.used_at is not None:
        raise EndedInvitationError(f"This link was used already. It works once; ask {who} for a new one.")
    if invitation.revoked_at is not None:
        raise EndedInvitationError(f"{who} has taken this invitation back.")
    if invitation.expires_at <= at:
        raise EndedInvitationError(f"This link has ended. Ask {who} for a new one.")
    if merchant.status == UNINSTALLED:
        raise EndedInvitationError(f"{who} does not use the OCC Inventory Hub any more.")


UNKNOWN = "This link is not one of ours, or a part of it is missing. Open it once more from the message that you got."


def _claims(config: Config, token: str) -> dict[str, object]:
    try:
        claims = jwt.decode(
            token,
            _key(config),
            algorithms=["HS256"],
            audience=_AUDIENCE,
            options={"require": ["exp", "sub", "jti", "aud"], "verify_exp": False},  # its row says when it ends
        )
    except jwt.InvalidTokenError as error:
        raise EndedInvitationError(UNKNOWN) from error
    if (
        not isinstance(claims.get("shop"), int)
        or not str(claims["sub"]).isdecimal()
        or not isinstance(claims["jti"], str)
    ):
        raise EndedInvitationError(UNKNOWN)
    return claims


def revoke(invitation: Invitation, at: datetime) -> None:
    """The link is no good any more. Harmless when repeated. Raises RuleError where it was used."""
    if invitation.used_at is not None:
        raise RuleError("It was used already. Remove the partner instead.")
    invitation.revoked_at = invitation.revoked_at or at


def get(invitation_id: int) -> Invitation:
    """The shop's invitation with that id, locked. Raises NotFoundError."""
    found = db.session.scalar(select(Invitation).where(Invitation.id == invitation_id).with_for_update())
    if found is None:
        raise NotFoundError(f"There is no invitation {invitation_id} here.")
    return found


def open_ones(at: datetime) -> Sequence[Invitation]:
    """The shop's invitations that can still be used, newest first."""
    query = select(Invitation).where(
        Invitation.used_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > at
    )
    return db.session.scalars(query.order_by(Invitation.id.desc())).all()


def mail(shop: Shop, invitation: Invitation, url: str) -> str:
    """A message to the invited business, to be copied."""
    who = shop.name or shop.domain
    day = f"{invitation.expires_at.day} {invitation.expires_at:%B %Y}"
    return (
        f"Hello {invitation.name},\n\n"
        f"we would like to sell your products in our shop. With this link you connect your Shopify store to ours: we see your products and"
        f" how many you have, and you get our orders as normal orders in your store. It takes two minutes, and you can end it at any"
        f" time in your own admin.\n\n{url}\n\nThe link works once and ends on {day}.\n\n{who}\n"
    )


def _key(config: Config) -> bytes:
    return hmac.new(config.secret_key.encode(), b"partner invitations", hashlib.sha256).digest()


def _secret(config: Config, nonce: str) -> str:
    digest = hmac.new(_key(config), nonce.encode(), hashlib.sha256).digest()[:16]  # 128 bits: the link stays short
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
