"""/redfish/v1/AccountService: the roles, and the rules for accounts."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.bodies import json_body
from api.checked_bodies import checked_change
from api.errors import refuse
from api.etags import wanted_etags
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from taskfish.redfish.account_requests import AccountServiceChange
from taskfish.redfish.account_resources import (
    ACCOUNT_SERVICE,
    ACCOUNTS,
    MAX_PASSWORD_LENGTH,
    ROLE_COLLECTION,
    AccountService,
    Role,
)
from taskfish.redfish.privileges import ROLES
from taskfish.redfish.resources import Status, collection, link
from taskfish.redfish.schema import SCHEMA
from taskfish.store.accounts import AccountPolicy

router = APIRouter()
GET = ["GET", "HEAD"]
READ_ONLY = frozenset(
    {
        *("Id", "Name", "Description", "Actions", "Status", "Accounts", "Roles"),
        *("ServiceEnabled", "MaxPasswordLength", "LocalAccountAuth"),
        *("HTTPBasicAuth", "SupportedAccountTypes"),
    }
)
"""Properties of the AccountService that a PATCH does not change."""
_RESET_AFTER = "AccountLockoutCounterResetAfter"


@router.api_route(ACCOUNT_SERVICE, methods=GET)
async def account_service(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the AccountService with the rules for passwords and failed logins."""
    return _response(await gateway.account_settings.read())


@router.patch(ACCOUNT_SERVICE)
async def change_account_service(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change the rules, for good.

    400 for what cannot be, 412 if the resource is not the version of If-Match. Other
    processes follow within 2 seconds.
    """
    change = checked_change(AccountServiceChange, body, READ_ONLY)
    policy = await gateway.account_settings.change(
        change.model_dump(exclude_unset=True), wanted_etags(request), _check_policy
    )
    if policy is None:
        raise refuse("PreconditionFailed")
    return _response(policy)


@router.api_route(ROLE_COLLECTION, methods=GET)
async def roles() -> Response:
    """Return the predefined roles; there are no others."""
    uris = [f"{ROLE_COLLECTION}/{name}" for name in ROLES]
    return resource_response(
        collection(ROLE_COLLECTION, "RoleCollection", "Roles", uris)
    )


@router.api_route(f"{ROLE_COLLECTION}/{{name}}", methods=GET)
async def role(name: str) -> Response:
    """Return one role with its privileges."""
    uri = f"{ROLE_COLLECTION}/{name}"
    if name not in ROLES:
        raise refuse("ResourceMissingAtURI", uri)
    return resource_response(
        Role(
            odata_id=uri,
            odata_type=SCHEMA.odata_type("Role"),
            id=name,
            name=f"{name} Role",
            role_id=name,
            is_predefined=True,
            assigned_privileges=list(ROLES[name]),
            oem_privileges=[],
        )
    )


def _response(policy: AccountPolicy) -> Response:
    service = AccountService(
        odata_id=ACCOUNT_SERVICE,
        odata_type=SCHEMA.odata_type("AccountService"),
        odata_etag=policy.etag,
        id="AccountService",
        name="Account Service",
        service_enabled=True,
        status=Status(),
        max_password_length=MAX_PASSWORD_LENGTH,
        local_account_auth="Enabled",
        http_basic_auth="Enabled",
        supported_account_types=["Redfish"],
        accounts=link(ACCOUNTS),
        roles=link(ROLE_COLLECTION),
        **policy.model_dump(),
    )
    return resource_response(service, (*GET, "PATCH"), {"ETag": policy.etag})


def _check_policy(policy: AccountPolicy) -> None:
    """Raise 400 for failed logins that are remembered for longer than they lock."""
    duration = policy.account_lockout_duration
    if 0 < duration < policy.account_lockout_counter_reset_after:
        how = f"Choose a duration that is not shorter than {_RESET_AFTER}."
        raise refuse(
            "PropertyValueConflict",
            _RESET_AFTER,
            "AccountLockoutDuration",
            resolution=how,
        )
