"""A business joins: it follows an invitation, says yes in Shopify, and is a partner; or nothing has happened.

Two ways, by the setting PARTNER_LINK. `grant`: our page sends the browser to Shopify's permission page and Shopify sends it back to the
callback. `install`: our page leads to Shopify's install page, and the business says yes inside its own admin (`accept`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from occ_app.config import Config
from occ_app.errors import RuleError
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.partners import invitations, standing
from occ_app.partners.invitations import EndedInvitationError, Invited
from occ_app.partners.models import CONNECTED, Invitation, JoinAttempt, Partner
from occ_app.shopify import grant
from occ_app.shopify.grant import Callback
from occ_app.shopify.tokens import Tokens
from occ_app.shops import install
from occ_app.shops.connection import Connections
from occ_app.shops.models import Shop, ShopToken

NEEDED = ("read_products", "read_inventory", "read_locations", "read_orders", "write_draft_orders")
NOT_YOURS = "This link is for another store. Ask whoever sent it for one of your own."
INSTALL_LONGEST = timedelta(hours=1)  # between our page and the first look into the app, by Shopify's install page
NO_BROWSER = ""  # the browser of who went to the install page: no callback brings them back
MOST_STARTS, PER = 20, timedelta(minutes=1)  # of one link
KEPT = timedelta(days=1)
BUSY = "This link was tried very often just now. Wait a minute, then go on."
STRANGE = "Shopify did not send you here from a page that we opened in this browser. Open the link from your message once more."


class MissingScopesError(RuleError):
    """The store gave less access than a partner needs; nothing was made of it. `missing` names the scopes."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__("Some of the access that it needs was not given, so nothing was connected.")
        self.missing = tuple(missing)


@dataclass(frozen=True)
class Way:
    """Where the browser goes next, and what it keeps in its cookie so that nobody else can come back in its place."""

    url: str
    browser: str


def begin(config: Config, invited: Invited, text: str, at: datetime) -> Way:
    """The store that `text` names is on its way to Shopify's permission page. Raises RuleError where it may not use the link."""
    state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    domain = _note_attempt(invited, text, _hash(state), _hash(browser), at, grant.LONGEST)
    return Way(grant.permission_url(config, domain, _scopes_for(domain), state), browser)


def begin_install(config: Config, invited: Invited, text: str, at: datetime) -> str:
    """The store that `text` names is on its way to Shopify's install page, whose address this is; the invitation waits in its admin for an
    hour, or as long as it is good where it is bound to the store. Raises RuleError where it may not use the link."""
    nobody = _hash(secrets.token_urlsafe(32))
    return grant.install_url(config, _note_attempt(invited, text, nobody, NO_BROWSER, at, INSTALL_LONGEST))


def _note_attempt(
    invited: Invited, text: str, state_hash: str, browser_hash: str, at: datetime, longest: timedelta
) -> str:
    invitation, merchant = invited.invitation, invited.merchant
    domain = invitations.domain_of(invitation.bound_domain or text)
    check_store(invited, domain)
    with shop_scope(merchant.id):
        _check_pace(invitation, at)
        attempt = JoinAttempt(
            state_hash=state_hash,
            browser_hash=browser_hash,
            invitation_id=invitation.id,
            domain=domain,
            created_at=at,
            expires_at=at + longest,
        )
        db.session.add(attempt)
        db.session.flush()
    return domain


def _check_pace(invitation: Invitation, at: datetime) -> None:
    """The link may be tried once more within this minute. Raises RuleError. Of two at once the second waits, so that it counts the first."""
    db.session.scalars(select(Invitation.id).where(Invitation.id == invitation.id).with_for_update()).one()
    query = select(func.count(JoinAttempt.id)).where(
        JoinAttempt.invitation_id == invitation.id, JoinAttempt.created_at > at - PER
    )
    if (db.session.scalar(query) or 0) >= MOST_STARTS:
        raise RuleError(BUSY, field="domain")


def forget_old_attempts(at: datetime) -> None:
    """Attempts that nobody can come back on any more are gone. Spans shops."""
    old = delete(JoinAttempt).where(JoinAttempt.expires_at < at - KEPT)
    db.session.execute(old.execution_options(synchronize_session=False))


def check_store(invited: Invited, domain: str) -> None:
    """That store may use the invitation. Raises RuleError."""
    if domain == invited.merchant.domain:
        raise RuleError("That is the store that invites you. Give your own.", field="domain")
    if invited.invitation.bound_domain not in (None, domain):
        raise RuleError(NOT_YOURS, field="domain")


def _scopes_for(domain: str) -> tuple[str, ...]:
    """What a partner needs, and what its store has given us before: a new grant replaces the old one."""
    shop = install.find(domain)
    token = db.session.get(ShopToken, shop.id) if shop else None
    given = {scope for scope in (token.scopes.split(",") if token else ()) if scope}
    return (*NEEDED, *sorted(given - set(NEEDED)))


def finish(
    connections: Connections,
    callback: Callback | None,
    browser: str,
    after_install: Sequence[Callable[[Shop], None]],
    at: datetime,
) -> tuple[Partner, Shop]:
    """The business is a partner, its tokens are kept. Returns it with its merchant.

    The state is spent by the first callback that brings it, whatever comes of it: that is committed at once. All else is true together
    or not at all. Raises RuleError where the callback is not the answer to a question of this browser, or gave too little.
    """
    attempt = _spend(callback, browser, at) if callback else None
    if callback is None or attempt is None or attempt.domain != callback.domain:
        raise EndedInvitationError(STRANGE)
    with shop_scope(attempt.shop_id):
        merchant = db.session.get_one(Shop, attempt.shop_id)
        query = select(Invitation).where(Invitation.id == attempt.invitation_id).with_for_update()
        invitation = db.session.scalars(query.execution_options(populate_existing=True)).one()
        invitations.check_open(invitation, merchant, at)
        invited = Invited(invitation, merchant)
        check_store(invited, callback.domain)
        tokens = connections.endpoint(callback.domain).redeem(callback.code, at)
        partner_shop = _keep_tokens(connections, callback.domain, tokens, after_install, at)
        return _join(invited, partner_shop, at), merchant


def _spend(callback: Callback, browser: str, at: datetime) -> JoinAttempt | None:
    """The attempt that the callback answers, ended by it; None where there is none in this browser, or it has ended."""
    with across_shops():
        found = db.session.scalar(
            update(JoinAttempt)
            .where(JoinAttempt.state_hash == _hash(callback.state), JoinAttempt.ended_at.is_(None))
            .values(ended_at=at)
            .returning(JoinAttempt)
        )
        db.session.commit()
        if found is None or found.expires_at <= at or not hmac.compare_digest(found.browser_hash, _hash(browser)):
            return None
        return found


def _keep_tokens(
    connections: Connections, domain: str, tokens: Tokens, after_install: Sequence[Callable[[Shop], None]], at: datetime
) -> Shop:
    """The store's tokens are the new ones. Of a new store with too little access nothing is kept.

    A store that has us already loses its old refresh token with a new grant, so there the new ones are kept in any case.
    """
    missing = [scope for scope in NEEDED if not _covers(tokens.scopes, scope)]
    known = install.find(domain)
    if missing and (known is None or not install.has_token(known)):
        raise MissingScopesError(missing)
    shop = install.installed(connections, domain, tokens, at)
    db.session.flush()
    if missing:
        db.session.commit()
        raise MissingScopesError(missing)
    for listener in after_install:
        listener(shop)
    return shop


def _covers(granted: str, scope: str) -> bool:
    """Whether these scopes give that one; the right to write gives the right to read."""
    given = {name.strip() for name in granted.split(",")}
    return scope in given or scope.replace("read_", "write_", 1) in given


def accept(invited: Invited, partner_shop: Shop, at: datetime) -> Partner:
    """The store that has the app open says yes inside its own admin. Raises RuleError where it may not, or gave too little access."""
    check_store(invited, partner_shop.domain)
    missing = missing_of(partner_shop)
    if missing:
        raise MissingScopesError(missing)
    with shop_scope(invited.merchant.id):
        query = select(Invitation).where(Invitation.id == invited.invitation.id).with_for_update()
        invitation = db.session.scalars(query.execution_options(populate_existing=True)).one()
        invitations.check_open(invitation, invited.merchant, at)
        return _join(Invited(invitation, invited.merchant), partner_shop, at)


def missing_of(partner_shop: Shop) -> list[str]:
    """The scopes that a partner needs and this store has not given."""
    token = db.session.get(ShopToken, partner_shop.id)
    return [scope for scope in NEEDED if not _covers(token.scopes if token else "", scope)]


def waiting_for(domain: str, at: datetime) -> list[Invited]:
    """Open invitations that are bound to that store, from whomever, or that it came by within the hour."""
    with across_shops():
        came_by = select(JoinAttempt.invitation_id).where(
            JoinAttempt.domain == domain, JoinAttempt.browser_hash == NO_BROWSER, JoinAttempt.expires_at > at
        )
        query = select(Invitation).where(
            (Invitation.bound_domain == domain) | (Invitation.bound_domain.is_(None) & Invitation.id.in_(came_by)),
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > at,
        )
        found = db.session.scalars(query.order_by(Invitation.id)).all()
        return [Invited(one, db.session.get_one(Shop, one.shop_id)) for one in found]


def _join(invited: Invited, partner_shop: Shop, at: datetime) -> Partner:
    """The store is a partner of the merchant (again), and the invitation is used. In the merchant's scope."""
    invitation = invited.invitation
    query = select(Partner).where(Partner.domain == partner_shop.domain).with_for_update()
    partner = db.session.scalar(query)
    if partner is None:
        partner = Partner(domain=partner_shop.domain, name=invitation.name, connected_at=at)
        db.session.add(partner)
    partner.partner_shop_id = partner_shop.id
    partner.connected_at = at
    db.session.flush()
    standing.put(partner, CONNECTED, None, None, at)
    invitation.used_at, invitation.partner_id = at, partner.id
    db.session.flush()
    return partner


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
