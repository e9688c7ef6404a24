"""/redfish/v1/AccountService: the roles, and the rules for accounts."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.bodies import json_body
from api.checked_bodies import checked_change
from api.errors import refuse
from api.etags import check_if_match, etag_of, versioned_response
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
    service = service_resource(await gateway.accounts.policy())
    return versioned_response(service, etag_of(service), (*GET, "PATCH"))


@router.patch(ACCOUNT_SERVICE)
async def change_account_service(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change the rules, for every process and for good."""
    policy = await gateway.accounts.policy()
    check_if_match(request, etag_of(service_resource(policy)))
    changes = checked_change(AccountServiceChange, body, READ_ONLY)
    values = changes.model_dump(exclude_unset=True)
    _check_policy(policy.model_copy(update=values))
    await gateway.accounts.change_policy(values)
    return await account_service(gateway)


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


def service_resource(policy: AccountPolicy) -> AccountService:
    """Return the AccountService resource."""
    return AccountService(
        odata_id=ACCOUNT_SERVICE,
        odata_type=SCHEMA.odata_type("AccountService"),
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
