"""/redfish/v1/Managers/taskfish/LogServices: the audit log, which nobody clears."""

import re
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from taskfish.redfish.log_resources import (
    AUDIT,
    AUDIT_ENTRIES,
    AUDIT_RECORD_FORMAT,
    LOG_SERVICES,
    AuditFacts,
    AuditOem,
    LogEntry,
    LogEntryCollection,
    LogService,
)
from taskfish.redfish.manager_resources import UTC_OFFSET
from taskfish.redfish.resources import Status, collection, link
from taskfish.redfish.schema import SCHEMA
from taskfish.store.audit import AUDIT_EVENTS, NumberedRecord

router = APIRouter()
GET = ["GET", "HEAD"]
PAGE_SIZE = 50
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_TEXTS = {
    "Login": "{user} logged in.",
    "LoginFailed": "Credentials for {user} were wrong.",
    "Logout": "{user} ended the session at {path}.",
    "Refused": "{user} was refused {method} {path}.",
    "Change": "{user} sent {method} {path}, answered with {status}.",
    "Decode": "{user} asked for decoded payloads, answered with {status}.",
}


@router.api_route(LOG_SERVICES, methods=GET)
async def log_services() -> Response:
    """Return the logs of the gateway itself: there is one."""
    kind = "LogServiceCollection"
    return resource_response(collection(LOG_SERVICES, kind, "Log Services", [AUDIT]))


@router.api_route(AUDIT, methods=GET)
async def audit_service(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the audit log's own resource."""
    return resource_response(
        LogService(
            odata_id=AUDIT,
            odata_type=SCHEMA.odata_type("LogService"),
            id="Audit",
            name="Audit Log",
            service_enabled=True,
            status=Status(),
            log_entry_type="OEM",
            log_purposes=["Security"],
            max_number_of_records=gateway.settings.audit_entries * len(AUDIT_EVENTS),
            over_write_policy="WrapsWhenFull",
            date_time=datetime.now(UTC),
            date_time_local_offset=UTC_OFFSET,
            entries=link(AUDIT_ENTRIES),
        )
    )


@router.api_route(AUDIT_ENTRIES, methods=GET)
async def audit_entries(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return a page of entries, the newest first; `before` is the next page's start.

    A page begins at an entry and not at a place, so that what comes meanwhile moves
    nothing.
    """
    given = request.query_params.get("before")
    if given is not None and not _NUMBER.fullmatch(given):
        raise refuse("QueryParameterValueFormatError", given[:80], "before")
    found = await gateway.audit_log.page(PAGE_SIZE + 1, int(given) if given else None)
    more = len(found) > PAGE_SIZE
    shown = found[:PAGE_SIZE]
    return resource_response(
        LogEntryCollection(
            odata_id=AUDIT_ENTRIES,
            odata_type=SCHEMA.odata_type("LogEntryCollection"),
            name="Audit Log Entries",
            members=[_entry(record) for record in shown],
            count=await gateway.audit_log.count(),
            next_link=f"{AUDIT_ENTRIES}?before={shown[-1].id}" if more else None,
        )
    )


@router.api_route(f"{AUDIT_ENTRIES}/{{number}}", methods=GET)
async def audit_entry(number: str, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return one entry."""
    known = _NUMBER.fullmatch(number)
    record = await gateway.audit_log.get(int(number)) if known else None
    if record is None:
        raise refuse("ResourceMissingAtURI", f"{AUDIT_ENTRIES}/{number}")
    return resource_response(_entry(record))


def _entry(record: NumberedRecord) -> LogEntry:
    return LogEntry(
        odata_id=f"{AUDIT_ENTRIES}/{record.id}",
        odata_type=SCHEMA.odata_type("LogEntry"),
        id=str(record.id),
        name=f"Audit Log Entry {record.id}",
        entry_type="Oem",
        oem_record_format=AUDIT_RECORD_FORMAT,
        severity="OK" if record.status < 400 else "Warning",
        created=record.at,
        message=_text(record),
        originator="Taskfish",
        originator_type="Internal",
        origin_address=record.address or None,
        username=record.user,
        oem=AuditOem(
            taskfish=AuditFacts(
                event=record.event,
                method=record.method,
                target_resource=record.path,
                status_code=record.status,
                request_id=record.request_id,
                task=record.task_id,
                repeated=record.repeated,
            )
        ),
    )


def _text(record: NumberedRecord) -> str:
    text = _TEXTS[record.event].format(
        user=record.user or "nobody known",
        method=record.method,
        path=record.path,
        status=record.status,
    )
    times = f" The like came {record.repeated} more times." if record.repeated else ""
    return text + times
