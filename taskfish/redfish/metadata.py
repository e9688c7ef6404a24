"""The `$metadata` document: a reference for each schema that the service returns."""

import re
from collections.abc import Iterable
from importlib.resources import files
from xml.sax.saxutils import quoteattr

from pydantic import JsonValue

from taskfish.redfish.links import ROOT
from taskfish.redfish.oem_actions import DeclaredAction, action_declarations
from taskfish.redfish.schema import SCHEMA

_SERVICE_TYPES = (
    "ActionInfo",
    "AccountService",
    "Aggregate",
    "AggregateCollection",
    "AggregationService",
    "AggregationSource",
    "AggregationSourceCollection",
    "ChassisCollection",
    "ComputerSystemCollection",
    "ConnectionMethod",
    "ConnectionMethodCollection",
    "Event",
    "EventDestination",
    "EventDestinationCollection",
    "EventService",
    "JsonSchemaFile",
    "JsonSchemaFileCollection",
    "LogEntry",
    "LogEntryCollection",
    "LogService",
    "LogServiceCollection",
    "Manager",
    "ManagerAccount",
    "ManagerAccountCollection",
    "ManagerCollection",
    "Message",
    "MessageRegistryFile",
    "MessageRegistryFileCollection",
    "Role",
    "RoleCollection",
    "ServiceRoot",
    "Session",
    "SessionCollection",
    "SessionService",
    "Settings",
    "SoftwareInventoryCollection",
    "Task",
    "TaskCollection",
    "TaskService",
    "UpdateService",
)
_ALWAYS = (
    "RedfishExtensions.v1_0_0",
    "Resource",
    SCHEMA.service_container.rpartition(".")[0],
)
_TYPE = re.compile(
    r"#(?P<namespace>(?P<schema>[A-Za-z0-9]{1,64})(\.v\d{1,2}_\d{1,2}_\d{1,2})?)"
    r"\.[A-Za-z0-9_]{1,64}",
    re.ASCII,
)
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">\n'
)
_TAIL = (
    "  <edmx:DataServices>\n"
    '    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">\n'
    '      <EntityContainer Name="Service" '
    'Extends="{container}"/>\n'
    "    </Schema>\n"
    "  </edmx:DataServices>\n"
    "</edmx:Edmx>\n"
)
SCHEMAS_AT = "http://redfish.dmtf.org/schemas/v1"
OEM_SCHEMA = f"{ROOT}/Schemas/Taskfish_v1.xml"
"""Where the service itself serves the schema of its Oem objects and actions."""
_OEM_NAMESPACES = ("Taskfish", "Taskfish.v1_0_0")


def namespace_of(odata_type: str) -> str | None:
    """Return `Task.v1_7_4` of `#Task.v1_7_4.Task`, None for what is no such type.

    Only schemas of DMTF count: a source could make up any number of others.
    """
    match = _TYPE.fullmatch(odata_type)
    if match is None or match["schema"] not in SCHEMA.versions:
        return None
    return match["namespace"]


def namespaces_in(body: JsonValue) -> set[str]:
    """Return the namespaces of every @odata.type below a body."""
    found: set[str] = set()
    pending = [body]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            pending += item.values()
            odata_type = item.get("@odata.type")
            namespace = namespace_of(str(odata_type)) if odata_type else None
            found |= {namespace} if namespace else set()
    return found


def metadata_document(namespaces: Iterable[str]) -> str:
    """Return the document for these namespaces and what each document has."""
    by_schema: dict[str, set[str]] = {}
    container = SCHEMA.service_container
    for namespace in (*_ALWAYS, container.rpartition(".")[0], *namespaces):
        schema = namespace.partition(".")[0]
        by_schema.setdefault(schema, {schema}).add(namespace)
    references = "".join(
        _reference(f"{SCHEMAS_AT}/{schema}_v1.xml", sorted(names))
        for schema, names in sorted(by_schema.items())
    )
    oem = _reference(OEM_SCHEMA, _OEM_NAMESPACES)
    return _HEAD + references + oem + _TAIL.format(container=container)


def oem_schema_document(actions: Iterable[DeclaredAction]) -> str:
    """Return the CSDL document of the Oem objects and actions of Taskfish, with these
    multi-step operations among the actions.
    """
    name = "oem/Taskfish_v1.xml"
    text = files("taskfish.redfish").joinpath(name).read_text("utf-8")
    before, end, after = text.partition("    </Schema>")
    return before + "\n" + action_declarations(actions) + end + after


def _reference(schema_uri: str, namespaces: Iterable[str]) -> str:
    """Return one schema's reference; Redfish's extensions have an alias."""
    uri = quoteattr(schema_uri)
    alias = {"RedfishExtensions.v1_0_0": ' Alias="Redfish"'}
    includes = "".join(
        f"    <edmx:Include Namespace={quoteattr(name)}{alias.get(name, '')}/>\n"
        for name in namespaces
        if name != "RedfishExtensions"
    )
    return f"  <edmx:Reference Uri={uri}>\n{includes}  </edmx:Reference>\n"


SERVICE_NAMESPACES = tuple(
    namespace_of(SCHEMA.odata_type(name)) or name for name in _SERVICE_TYPES
)
"""The namespaces of what the gateway itself returns."""
