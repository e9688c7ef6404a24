"""Derive `taskfish/redfish/schema.json` from DMTF's CSDL files.

The files are test data beside the checkout and are not committed; what is committed
are the few facts the gateway works with. To write them anew:

    python -m tests.redfish.schema_data CSDL_FOLDER > taskfish/redfish/schema.json
"""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_ROOTS = re.compile(
    r"/redfish/v1(/(Systems|Chassis|Managers|UpdateService|TaskService|AccountService"
    r"|SessionService|EventService|AggregationService|Registries|JsonSchemas"
    r"|CertificateService)(/.*)?)?"
)
_METHODS = {"Insertable": "POST", "Updatable": "PATCH", "Deletable": "DELETE"}
_ENUMERATIONS = ("ResetType", "RAIDType", "TransferProtocolType")


def derive(folder: Path) -> dict[str, object]:
    """Return the facts: URI patterns, names of URL properties, versions, enums."""
    uris: dict[str, list[str]] = {}
    url_properties: set[str] = set()
    versions: dict[str, str] = {}
    enumerations: dict[str, list[str]] = {}
    container = ""
    for file in sorted(folder.glob("*.xml")):
        for schema in ElementTree.parse(file).iter(f"{_EDM}Schema"):
            _read_version(schema, versions)
            if schema.find(f"{_EDM}EntityContainer") is not None:
                container = schema.attrib["Namespace"]
            for entity in schema.findall(f"{_EDM}EntityType"):
                _read_uris(entity, uris)
            for kind in ("Property", "Parameter"):
                url_properties.update(
                    item.attrib["Name"]
                    for item in schema.iter(f"{_EDM}{kind}")
                    if _annotation(item, "OData.IsURL") is not None
                )
            for enum in schema.findall(f"{_EDM}EnumType"):
                if enum.attrib["Name"] in _ENUMERATIONS:
                    names = [m.attrib["Name"] for m in enum.findall(f"{_EDM}Member")]
                    enumerations.setdefault(enum.attrib["Name"], names)
    return {
        "service_container": f"{container}.ServiceContainer",
        "enumerations": dict(sorted(enumerations.items())),
        "url_properties": sorted(url_properties),
        "versions": dict(sorted(versions.items())),
        "uris": dict(sorted(uris.items())),
    }


def _read_version(schema: ElementTree.Element, versions: dict[str, str]) -> None:
    name, _, version = schema.attrib["Namespace"].partition(".")
    newest = versions.get(name, "")
    if name.startswith("Org"):
        return
    if _numbers(version) >= _numbers(newest):
        versions[name] = version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _read_uris(entity: ElementTree.Element, uris: dict[str, list[str]]) -> None:
    patterns = _annotation(entity, "Redfish.Uris")
    if patterns is None:
        return
    methods = [
        method
        for capability, method in _METHODS.items()
        if any(
            value.get("Property") == capability and value.get("Bool") == "true"
            for annotation in entity.findall(f"{_EDM}Annotation")
            for value in annotation.iter(f"{_EDM}PropertyValue")
        )
    ]
    for pattern in patterns.iter(f"{_EDM}String"):
        if pattern.text and _ROOTS.fullmatch(pattern.text):
            uris[pattern.text] = [entity.attrib["Name"], *methods]


def _annotation(element: ElementTree.Element, term: str) -> ElementTree.Element | None:
    return next(
        (a for a in element.findall(f"{_EDM}Annotation") if a.get("Term") == term), None
    )


if __name__ == "__main__":
    sections = (
        f"{json.dumps(name)}: " + json.dumps(facts).replace("], ", "],\n")
        for name, facts in derive(Path(sys.argv[1])).items()
    )
    sys.stdout.write("{" + ",\n".join(sections) + "}\n")
