"""The schema of our own Oem objects, and what the service shows in them."""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import JsonValue

from tests.api.answers import message_keys
from tests.api.test_service import METADATA, walked
from tests.house import SOURCES, House, source_body
from tests.plugins.certificates import self_signed
from workflows.operations import OPERATIONS

SCHEMA = "/redfish/v1/Schemas/Taskfish_v1.xml"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
IN_PLANS = ("PlanStep", "PlanCondition", "PlanUndo")
"""Types of parameters: they are in no resource."""
PROPERTIES = (f"{EDM}Property", f"{EDM}NavigationProperty")


async def schema(house: House) -> ElementTree.Element:
    """Return the parsed document."""
    return ElementTree.fromstring((await house.client.get(SCHEMA)).content)


def named(document: ElementTree.Element, kind: str) -> set[str]:
    """Return the names of all declarations of a kind."""
    return {each.attrib["Name"] for each in document.iter(f"{EDM}{kind}")}


def annotations(element: ElementTree.Element) -> dict[str, dict[str, str]]:
    """Return the annotations of an element by their terms."""
    return {
        each.attrib["Term"]: each.attrib for each in element if "Term" in each.attrib
    }


def declared(document: ElementTree.Element) -> dict[str, set[str]]:
    """Return the properties of each type, by its @odata.type."""
    found = {}
    for namespace in document.iter(f"{EDM}Schema"):
        for kind in namespace.iter(f"{EDM}ComplexType"):
            name = f"#{namespace.attrib['Namespace']}.{kind.attrib['Name']}"
            found[name] = {
                each.attrib["Name"] for each in kind if each.tag in PROPERTIES
            }
    return found


def oem_objects(body: JsonValue) -> Iterator[dict[str, Any]]:
    """Yield every Oem.Taskfish object in a body."""
    if isinstance(body, list):
        for item in body:
            yield from oem_objects(item)
    if isinstance(body, dict):
        oem = body.get("Oem")
        ours = oem.get("Taskfish") if isinstance(oem, dict) else None
        if isinstance(ours, dict):
            yield ours
        for value in body.values():
            yield from oem_objects(value)


async def oem_of(house: House, source: str) -> dict[str, Any]:
    body = (await house.client.get(f"{SOURCES}/{source}")).json()
    found: dict[str, Any] = body["Oem"]["Taskfish"]
    return found


async def test_schema_is_open_like_the_metadata(house: House) -> None:
    for method in ("GET", "HEAD"):
        request = house.client.build_request(method, SCHEMA)
        response = await house.client.send(request, auth=None)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("application/xml")
        assert response.headers["Allow"] == "GET, HEAD"


async def test_schema_cannot_be_changed(house: House) -> None:
    response = await house.client.patch(SCHEMA, json={})
    assert response.status_code == 405
    assert message_keys(response) == ["OperationNotAllowed"]


async def test_other_schemas_are_not_there(house: House) -> None:
    for name in ("Taskfish_v2.xml", "../oem/Taskfish_v1.xml", "Task_v1.xml"):
        response = await house.client.get(f"/redfish/v1/Schemas/{name}")
        assert response.status_code == 404


async def test_metadata_refers_to_the_schema(house: House) -> None:
    document = ElementTree.fromstring((await house.client.get(METADATA)).content)
    (reference,) = [e for e in document.iter() if e.attrib.get("Uri") == SCHEMA]
    included = {each.attrib["Namespace"] for each in reference}
    namespaces = (await schema(house)).iter(f"{EDM}Schema")
    assert included == {each.attrib["Namespace"] for each in namespaces}


async def test_every_type_is_an_oem_object(house: House) -> None:
    found = (await schema(house)).iter(f"{EDM}ComplexType")
    kinds = [kind for kind in found if kind.attrib["Name"] not in IN_PLANS]
    names = {kind.attrib["Name"] for kind in kinds}
    assert names == {
        "Task",
        "ComputerSystem",
        "Chassis",
        "Manager",
        "AggregationSource",
        "ManagerAccount",
        "LogEntry",
    }
    assert {kind.attrib["BaseType"] for kind in kinds} == {"Resource.OemObject"}


async def test_what_actions_take_is_declared(house: House) -> None:
    document = await schema(house)
    kinds = {
        kind for name in ("ComplexType", "EnumType") for kind in named(document, name)
    }
    used = {each.attrib["Type"] for each in document.iter() if "Type" in each.attrib}
    ours = {re.sub(r"Collection\((.+)\)", r"\1", name) for name in used}
    declared_types = {f"Taskfish.v1_0_0.{name}" for name in kinds}
    assert {name for name in ours if name.startswith("Taskfish.")} <= declared_types


async def test_everything_in_the_schema_is_described(house: House) -> None:
    document = await schema(house)
    kinds = (*PROPERTIES, f"{EDM}ComplexType", f"{EDM}EnumType", f"{EDM}Action")
    for element in document.iter():
        if element.tag in kinds:
            terms = annotations(element)
            assert terms["OData.Description"]["String"].endswith(".")
            assert " shall " in terms["OData.LongDescription"]["String"]
        if element.tag in PROPERTIES:
            assert "OData.Permissions" in annotations(element)


async def test_actions_are_bound_to_what_has_them(house: House) -> None:
    actions = list((await schema(house)).iter(f"{EDM}Action"))
    bound = {}
    for each in actions:
        parameter, *_ = each.iter(f"{EDM}Parameter")
        assert each.attrib["IsBound"] == "true"
        bound[each.attrib["Name"]] = parameter.attrib["Type"]
    of_a_task = ("Suspend", "Resume", "SetTags", "Kill")
    assert {bound.pop(name) for name in of_a_task} == {"Task.v1_1_0.OemActions"}
    assert bound["CreateVolumeAndReset"] == "ComputerSystem.v1_0_0.OemActions"
    assert bound["RunPlan"] == "TaskService.v1_1_0.OemActions"
    assert {f"Taskfish.{name}" for name in bound} == {
        name for name in OPERATIONS if name.startswith("Taskfish.")
    }


async def test_every_oem_type_is_of_a_schema_that_is_named(house: House) -> None:
    document = await schema(house)
    included = {each.attrib.get("Namespace") for each in document.iter()}
    for each in document.iter(f"{EDM}Parameter"):
        name = re.sub(r"Collection\((.+)\)", r"\1", each.attrib["Type"])
        namespace = name.rpartition(".")[0]
        assert namespace == "Edm" or namespace in included, name


async def test_every_oem_object_is_as_its_schema_says(house: House) -> None:
    await house.ended(await house.reset("node1.1"))
    known = declared(await schema(house))
    seen = set()
    for uri, answer in (await walked(house.client)).items():
        for found in oem_objects(answer.json()):
            kind = found["@odata.type"]
            names = {name for name in found if "@" not in name}
            assert names <= known[kind], uri
            seen.add(kind)
    assert "#Taskfish.v1_0_0.AggregationSource" in seen


async def test_source_shows_its_options(house: House) -> None:
    assert await oem_of(house, "node1") == {
        "@odata.type": "#Taskfish.v1_0_0.AggregationSource",
        "Plugin": {"@odata.id": f"{SOURCES}/plugin"},
        "PluginAuth": "Basic",
        "Instances": [],
        "VerifyCertificate": True,
        "MaxConcurrentRequests": 4,
        "PollSeconds": 0.05,
        "AdoptTasks": True,
    }
    assert "Plugin" not in await oem_of(house, "bmc1")


async def test_changed_options_are_shown(house: House) -> None:
    pem, _ = self_signed("bmc1")
    given = {"CACertificate": pem, "Instances": ["10.0.0.7:45000"], "PollSeconds": 1.5}
    body = {"Oem": {"Taskfish": given}}
    changed = await house.client.patch(f"{SOURCES}/bmc1", json=body)
    assert changed.status_code == 200
    assert given.items() <= (await oem_of(house, "bmc1")).items()
    nothing = {"Oem": {"Taskfish": dict.fromkeys(given) | {"PollSeconds": 0.05}}}
    await house.client.patch(f"{SOURCES}/bmc1", json=nothing)
    assert "CACertificate" not in await oem_of(house, "bmc1")


async def test_options_can_be_written_as_they_are_read(house: House) -> None:
    shown = await oem_of(house, "node1")
    body = {"Oem": {"Taskfish": shown}}
    response = await house.client.patch(f"{SOURCES}/node1", json=body)
    assert response.status_code == 200
    assert response.json()["Oem"]["Taskfish"] == shown


@pytest.mark.parametrize(
    "odata_type", ["#Taskfish.v1_0_0.Task", "#Contoso.v1_0_0.Anything", ""]
)
async def test_type_of_written_options_changes_nothing(
    house: House, odata_type: str
) -> None:
    body = {"Oem": {"Taskfish": {"@odata.type": odata_type}}}
    response = await house.client.patch(f"{SOURCES}/bmc1", json=body)
    assert response.status_code == 200
    shown = response.json()["Oem"]["Taskfish"]
    assert shown["@odata.type"] == "#Taskfish.v1_0_0.AggregationSource"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"@odata.type": 1}, "PropertyValueTypeError"),
        ({"ExpiresAt": None}, "PropertyUnknown"),
        ({"CACertificate": "no certificate"}, "PropertyValueFormatError"),
    ],
)
async def test_options_outside_the_schema_are_refused(
    house: House, options: dict[str, Any], key: str
) -> None:
    body = {"Oem": {"Taskfish": options}}
    response = await house.client.patch(f"{SOURCES}/bmc1", json=body)
    assert response.status_code == 400
    assert message_keys(response) == [key]


async def test_added_source_is_answered_with_its_options(house: House) -> None:
    host = house.addresses.systems[0]
    plugin = {"Plugin": {"@odata.id": f"{SOURCES}/plugin"}}
    await house.client.delete(f"{SOURCES}/node1")
    body = source_body("again", host, "ODIM", "password", plugin)
    answer = await house.final(await house.client.post(SOURCES, json=body))
    assert answer.status_code == 201
    assert answer.json()["Oem"]["Taskfish"]["Plugin"] == plugin["Plugin"]
    assert "password" not in answer.text.replace('"Password"', "")
