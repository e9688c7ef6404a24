"""Who may: the one place where privileges are asked for (contracts.md 7).

`privileged` stands before every route behind the login. What depends on more than the
path is asked for by the routes, with the functions below: a task's owner, a property.
"""

import re
from collections.abc import Collection, Iterable

from fastapi import Depends, Request

from api.authentication import User, authenticated
from api.errors import refuse
from taskfish.errors import RequestRefusedError
from taskfish.redfish.account_resources import ACCOUNTS
from taskfish.redfish.event_resources import SUBSCRIPTIONS
from taskfish.redfish.privileges import (
    CONFIGURE_MANAGER,
    CONFIGURE_SELF,
    PRIVILEGES,
)
from taskfish.redfish.session_resources import SESSIONS
from taskfish.settings import Settings

_SESSION = re.compile(rf"{SESSIONS}/[^/]+")
_SUBSCRIPTION = re.compile(rf"{SUBSCRIPTIONS}/[^/]+(/Actions/[^/]+)?")
_OWN_ACCOUNT_METHODS = ("GET", "HEAD", "PATCH")
"""What is left while a password has to be changed (DSP0266, password management)."""
_PASSWORD = "Password"


async def privileged(request: Request, user: User = Depends(authenticated)) -> None:
    """Raise 403 unless the user may send this request.

    A path with encoded characters has to pass in both its forms: which one a route or
    a source goes by makes no difference then.
    """
    path: str = request.scope["path"]
    raw: bytes = request.scope["raw_path"]
    for form in {path, raw.partition(b"?")[0].decode("ascii")}:
        _check_password_change(user, request.method, form)
        needed = PRIVILEGES.needed(request.method, form)
        needed |= PRIVILEGES.needed_for_any_property(request.method, form)
        _check(user, form, needed)


def require_for(user: User, method: str, uri: str) -> None:
    """Raise 403 unless the user may send such a request: one inside another."""
    _check_password_change(user, method, uri)
    _check(user, uri, PRIVILEGES.needed(method, uri))


def require_properties(user: User, uri: str, names: Collection[str]) -> None:
    """Raise 403 unless the user may PATCH each of these properties.

    Who has to change a password changes that alone: no other property takes the
    requirement back, or comes along with it.
    """
    if user.password_change_required and set(names) != {_PASSWORD}:
        raise _password_change_required(user)
    for name in names:
        needed = PRIVILEGES.needed_for_property("PATCH", uri, name)
        _check(user, uri, needed or PRIVILEGES.needed("PATCH", uri))


def require_privilege(user: User, privilege: str) -> None:
    """Raise 403 unless the user has a privilege, whatever the path needs."""
    if privilege not in user.privileges:
        raise _refused([privilege])


def require_owner_or(
    user: User, owner: str, privilege: str = CONFIGURE_MANAGER
) -> None:
    """Raise 403 unless the user owns what this is about, or has the privilege."""
    if user.name != owner and privilege not in user.privileges:
        raise _refused([privilege])


def sees_all_tasks(user: User, settings: Settings) -> bool:
    """Say whether all tasks are there for the user, whoever has started them."""
    return not settings.owner_only or CONFIGURE_MANAGER in user.privileges


def may_see(user: User, owner: str, settings: Settings) -> bool:
    """Say whether a task is there for the user: in owner-only mode, only one's own.

    What may not be seen is answered as if it did not exist: 404, and not listed.
    """
    return not settings.owner_only or may_read_answer(user, owner)


def may_read_answer(user: User, owner: str) -> bool:
    """Say whether the user may read a task's final answer: it may hold anything."""
    return user.name == owner or CONFIGURE_MANAGER in user.privileges


def _check(user: User, uri: str, needed: frozenset[str]) -> None:
    held = user.privileges
    if not (_is_own_account(user, uri) or _is_somebodys_own(uri)):
        held -= {CONFIGURE_SELF}
    if not needed & held:
        raise _refused(needed)


def _check_password_change(user: User, method: str, uri: str) -> None:
    """Leave to a user with a password that must be changed only that change."""
    own = _is_own_account(user, uri) and method in _OWN_ACCOUNT_METHODS
    if user.password_change_required and not own:
        raise _password_change_required(user)


def _is_own_account(user: User, uri: str) -> bool:
    """Say whether this is the user's own account: ConfigureSelf is for that."""
    return uri == f"{ACCOUNTS}/{user.name}"


def _password_change_required(user: User) -> RequestRefusedError:
    return refuse("PasswordChangeRequired", f"{ACCOUNTS}/{user.name}")


def _is_somebodys_own(uri: str) -> bool:
    """Say whether this is a session or a subscription: ConfigureSelf is for one's own
    too, and whose it is, its route asks.
    """
    return bool(_SESSION.fullmatch(uri) or _SUBSCRIPTION.fullmatch(uri))


def _refused(needed: Iterable[str]) -> RequestRefusedError:
    words = " or ".join(sorted(needed))
    return refuse("InsufficientPrivilege", text=f"This needs the privilege {words}.")
