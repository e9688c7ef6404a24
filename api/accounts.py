"""/redfish/v1/AccountService/Accounts: the gateway's own accounts."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue, SecretStr

from api.authentication import User, authenticated
from api.bodies import json_body
from api.checked_bodies import changed_names, checked, checked_change
from api.errors import refuse
from api.etags import check_if_match, etag_of, versioned_response
from api.gateway import Gateway, gateway_of
from api.logins import bootstrap_account
from api.owned_tasks import refuse_owner
from api.privileges import require_properties
from api.responses import resource_response
from taskfish.errors import RequestRefusedError
from taskfish.redfish.account_requests import (
    AccountChange,
    AccountOemHolder,
    NewAccountBody,
)
from taskfish.redfish.account_resources import (
    ACCOUNTS,
    MAX_PASSWORD_LENGTH,
    ROLE_COLLECTION,
    ManagerAccount,
    ManagerAccountLinks,
    ManagerAccountOem,
    ManagerAccountOptions,
)
from taskfish.redfish.messages import base_message
from taskfish.redfish.resources import collection, link
from taskfish.redfish.schema import SCHEMA
from taskfish.store.accounts import Account

router = APIRouter()
GET = ["GET", "HEAD"]
ACCOUNT_METHODS = (*GET, "PATCH", "DELETE")
READ_ONLY = frozenset({"Id", "Name", "Description", "Links", "Actions"})
"""Properties of an account that nobody writes."""


@router.api_route(ACCOUNTS, methods=GET)
async def accounts(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return all accounts, the administrator of the settings among them."""
    names = {account.name for account in await gateway.accounts.all()}
    administrator = bootstrap_account(gateway.settings)
    names |= {administrator.name} if administrator else set()
    uris = (account_uri(name) for name in sorted(names))
    found = collection(ACCOUNTS, "ManagerAccountCollection", "Accounts", uris)
    return resource_response(found, (*GET, "POST"))


@router.post(ACCOUNTS)
@router.post(f"{ACCOUNTS}/Members", include_in_schema=False)
async def add_account(
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Make an account: 201 with Location and the account.

    409 if the name is taken, or an earlier account of that name has left tasks.
    """
    new = checked(NewAccountBody, body, READ_ONLY)
    account = Account(
        name=new.user_name,
        role=new.role_id,
        password=await _hashed(gateway, new.password),
        enabled=new.enabled,
        password_change_required=new.password_change_required,
        **_accepted(new.oem),
    )
    administrator = bootstrap_account(gateway.settings)
    taken = administrator is not None and administrator.name == account.name
    taken = taken or await gateway.accounts.get(account.name) is not None
    if not taken:
        await refuse_owner(gateway.temporal, account.name)
    if taken or not await gateway.accounts.add(account):
        raise refuse(
            "ResourceAlreadyExists", "ManagerAccount", "UserName", account.name
        )
    location = {"Location": account_uri(account.name)}
    return _response(account, ACCOUNT_METHODS, status=201, headers=location)


@router.api_route(f"{ACCOUNTS}/{{name}}", methods=GET)
async def account(name: str, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return one account, without its password."""
    found = await _account(gateway, name)
    changeable = found.password is not None
    return _response(found, ACCOUNT_METHODS if changeable else GET)


@router.patch(f"{ACCOUNTS}/{{name}}")
async def change_account(
    name: str,
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change an account; takes effect at once, in every process."""
    require_properties(user, account_uri(name), changed_names(body))
    found = await _stored_account(gateway, name, request)
    change = checked_change(AccountChange, body, READ_ONLY)
    if "user_name" in change.model_fields_set and change.user_name != name:
        raise refuse("PropertyNotWritable", "UserName")
    if found.password_change_required and "password" in change.model_fields_set:
        await _check_new(gateway, found, change.password)
    if not await gateway.accounts.change(found, **await _values(gateway, change)):
        raise _changed_meanwhile()
    return await account(name, gateway)


@router.delete(f"{ACCOUNTS}/{{name}}")
async def remove_account(
    name: str, request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Forget an account: 204. What its tasks do goes on."""
    found = await _stored_account(gateway, name, request)
    if not await gateway.accounts.remove(found):
        raise _changed_meanwhile()
    return Response(status_code=204)


def account_uri(name: str) -> str:
    """Return the URI of an account."""
    return f"{ACCOUNTS}/{name}"


def account_resource(account: Account) -> ManagerAccount:
    """Return the ManagerAccount resource."""
    options = ManagerAccountOptions(accepted=account.accepted)
    return ManagerAccount(
        odata_id=account_uri(account.name),
        odata_type=SCHEMA.odata_type("ManagerAccount"),
        id=account.name,
        name="User Account",
        user_name=account.name,
        role_id=account.role,
        enabled=account.enabled,
        locked=account.locked,
        password_change_required=account.password_change_required,
        account_types=["Redfish"],
        links=ManagerAccountLinks(role=link(f"{ROLE_COLLECTION}/{account.role}")),
        oem=ManagerAccountOem(taskfish=options),
    )


def _response(
    account: Account,
    allowed: Sequence[str],
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    return versioned_response(
        account_resource(account), _etag(account), allowed, status, headers
    )


def _etag(account: Account) -> str:
    """Return the ETag, keyed by the password's hash: random, and never shown.

    An account that is made again under its name has another one. The administrator of
    the settings has no hash, and nothing that is changed here.
    """
    resource = account_resource(account)
    return etag_of(resource, account.password or "", account.revision)


async def _account(gateway: Gateway, name: str) -> Account:
    """Return an account; the settings' administrator hides one of the same name."""
    administrator = bootstrap_account(gateway.settings)
    if administrator is not None and administrator.name == name:
        return administrator
    found = await gateway.accounts.get(name)
    if found is None:
        raise refuse("ResourceMissingAtURI", account_uri(name))
    return found


async def _stored_account(gateway: Gateway, name: str, request: Request) -> Account:
    """Return an account that can be changed, as If-Match names it.

    Raises 405 for the administrator of the settings.
    """
    found = await _account(gateway, name)
    if found.password is None:
        raise refuse(
            "OperationNotAllowed",
            text=f"The account {name} is that of the settings.",
            resolution="Change TASKFISH_ADMIN_USERNAME and TASKFISH_ADMIN_PASSWORD.",
            headers={"Allow": ", ".join(GET)},
        )
    check_if_match(request, _etag(found))
    return found


async def _values(gateway: Gateway, change: AccountChange) -> dict[str, Any]:
    """Return the columns that a change gives; a new password needs no other soon."""
    given = change.model_fields_set
    values: dict[str, Any] = {}
    if "password" in given:
        values["password"] = await _hashed(gateway, change.password)
        values["password_change_required"] = False
    if "role_id" in given:
        values["role"] = change.role_id
    if "locked" in given:
        values |= {"failed_logins": 0, "failed_at": None, "locked_until": None}
    if "enabled" in given:
        values["enabled"] = change.enabled
    if "password_change_required" in given:
        values["password_change_required"] = change.password_change_required
    return values | _accepted(change.oem)


def _accepted(oem: AccountOemHolder | None) -> dict[str, Any]:
    """Return Oem.Taskfish.Accepted by its column; empty if it was not given."""
    options = oem.taskfish if oem else None
    if options is None:
        return {}
    return options.model_dump(include={"accepted"}, exclude_unset=True)


async def _hashed(gateway: Gateway, password: SecretStr) -> str:
    """Return the hash of a new password; raise 400 for one of a wrong length."""
    text = password.get_secret_value()
    shortest = (await gateway.account_settings.read()).min_password_length
    if not shortest <= len(text) <= MAX_PASSWORD_LENGTH:
        words = f"A password has {shortest} to {MAX_PASSWORD_LENGTH} characters."
        message = base_message(
            "PasswordIncorrectLength", text=words, related=("#/Password",)
        )
        raise RequestRefusedError(message)
    return await gateway.logins.hashed(text)


async def _check_new(gateway: Gateway, account: Account, password: SecretStr) -> None:
    """Raise 400 where a password that must be changed would stay the same."""
    if await gateway.logins.is_password_of(account, password.get_secret_value()):
        raise refuse("PasswordReuseTooRecent")


def _changed_meanwhile() -> RequestRefusedError:
    """Return the error for who was not the first of two to change an account."""
    text = "The account has changed while this request was under way."
    return refuse("PreconditionFailed", text=text)
