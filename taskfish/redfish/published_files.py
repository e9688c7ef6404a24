"""Files of DMTF that the service points to: schemas and registries; none is kept here.

`schema_publication` is for the `Link: rel=describedby` header of an answer too.
"""

from pydantic import Field

from taskfish.redfish.links import ROOT
from taskfish.redfish.metadata import SCHEMAS_AT, namespace_of
from taskfish.redfish.resources import RedfishModel, Resource
from taskfish.redfish.schema import SCHEMA

JSON_SCHEMAS = f"{ROOT}/JsonSchemas"
MESSAGE_REGISTRIES = f"{ROOT}/Registries"
REGISTRIES_AT = "https://redfish.dmtf.org/registries"
REGISTRY_FILES = {
    "Base.1.22.1": "Base.1.22",
    "TaskEvent.1.0.5": "TaskEvent.1.0",
    "ResourceEvent.1.4.3": "ResourceEvent.1.4",
    "HeartbeatEvent.1.1.1": "HeartbeatEvent.1.1",
}
"""The registries whose messages the service sends: the published version of each, and
its name as message ids begin with it."""
_LANGUAGE = "en"


class PublishedFile(RedfishModel):
    """Location of a MessageRegistryFile or a JsonSchemaFile: where DMTF has it."""

    language: str = _LANGUAGE
    publication_uri: str


class MessageRegistryFile(Resource):
    """MessageRegistryFile v1.1.5."""

    languages: list[str] = Field(default=[_LANGUAGE])
    registry: str
    location: list[PublishedFile]


class JsonSchemaFile(Resource):
    """JsonSchemaFile v1.1.5."""

    languages: list[str] = Field(default=[_LANGUAGE])
    schema_: str = Field(alias="Schema")
    location: list[PublishedFile]


def schema_publication(odata_type: str) -> str | None:
    """Return where DMTF publishes the JSON schema of an `@odata.type`.

    None for what is no type of DMTF's: an OEM's schema is its vendor's to publish.
    """
    namespace = namespace_of(odata_type)
    return _publication(namespace) if namespace else None


def json_schema_file(namespace: str) -> JsonSchemaFile:
    """Return the file that describes a namespace (`Task.v1_7_4`, `TaskCollection`)."""
    return JsonSchemaFile(
        odata_id=f"{JSON_SCHEMAS}/{namespace}",
        odata_type=SCHEMA.odata_type("JsonSchemaFile"),
        id=namespace,
        name=f"{namespace} Schema File",
        schema_=f"#{namespace}.{namespace.partition('.')[0]}",
        location=[PublishedFile(publication_uri=_publication(namespace))],
    )


def message_registry_file(name: str) -> MessageRegistryFile:
    """Return the file of one of `REGISTRY_FILES`; raise KeyError for another."""
    uri = f"{REGISTRIES_AT}/{name}.json"
    return MessageRegistryFile(
        odata_id=f"{MESSAGE_REGISTRIES}/{name}",
        odata_type=SCHEMA.odata_type("MessageRegistryFile"),
        id=name,
        name=f"{name} Message Registry File",
        registry=REGISTRY_FILES[name],
        location=[PublishedFile(publication_uri=uri)],
    )


def _publication(namespace: str) -> str:
    return f"{SCHEMAS_AT}/{namespace}.json"
