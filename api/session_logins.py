"""From a user name and a password to a session, and from its token to the account."""

from fastapi import Request

from api.auditing import note_session, note_user
from api.errors import refuse
from api.gateway import Gateway
from api.logins import bootstrap_account
from taskfish.errors import RequestRefusedError
from taskfish.redfish.session_resources import SESSION_SERVICE
from taskfish.store.accounts import Account
from taskfish.store.sessions import OpenedSession

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Taskfish"'}
"""What every 401 has to say (RFC 9110 15.5.2)."""


async def open_session(
    gateway: Gateway,
    request: Request,
    name: str,
    password: str,
    context: str | None = None,
) -> tuple[OpenedSession, Account]:
    """Open a session for who knows the password.

    Raises 401 for wrong credentials, 429 after too many of them, and 503 while the
    service is disabled or there are too many sessions. An account whose password has
    to be changed gets in; what is left to it is decided by each request.
    """
    await refuse_if_disabled(gateway)
    note_session(request, name)
    account = await gateway.logins.account(name, password, client_address(request))
    if account is None:
        raise unauthorized()
    note_user(request, account.name)
    opened = await gateway.sessions.add(
        account.name,
        _password(gateway, account),
        client_address(request) or None,
        context,
    )
    if opened is None:
        raise refuse("SessionLimitExceeded")
    return opened, account


async def account_of_token(gateway: Gateway, token: str) -> Account | None:
    """Return the account that a token lets in, None if none.

    Not one that is disabled, removed or has got another password since; one that is
    locked is let in: failed logins of others do not end sessions.
    """
    found = await gateway.sessions.with_token(token)
    if found is None:
        return None
    session, stored = found
    administrator = bootstrap_account(gateway.settings)
    if administrator is not None and administrator.name == session.user_name:
        account: Account | None = administrator
    else:
        account = stored
    if account is None or not account.enabled:
        return None
    if not session.was_opened_with(token, _password(gateway, account)):
        return None
    await gateway.sessions.note_use(session)
    return account


async def refuse_if_disabled(gateway: Gateway) -> None:
    """Raise 503 while no session may be opened or ended (SessionService v1.2).

    Those that are open go on, and so does Basic authentication.
    """
    if not (await gateway.session_settings.read()).service_enabled:
        raise refuse("ServiceDisabled", SESSION_SERVICE)


def unauthorized() -> RequestRefusedError:
    """Return the 401 for missing or wrong credentials."""
    return refuse("AccessUnauthorized", headers=CHALLENGE)


def client_address(request: Request) -> str:
    """Return the address that a request came from, "" for a socket without one."""
    return request.client.host if request.client else ""


def _password(gateway: Gateway, account: Account) -> str:
    """Return what stands for an account's password: its hash, or the settings'."""
    if account.password is not None:
        return account.password
    given = gateway.settings.admin_password
    assert given is not None, "an account without a hash is the settings' own"
    return given.get_secret_value()
