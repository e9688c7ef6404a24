"""Nodes of the bare-metal door: the Systems of all sources."""

import pytest
from sqlalchemy import delete, insert, update

from api.baremetal.node_uuids import uuids_of
from taskfish.redfish.inventory import Member
from taskfish.store.sources import Sources
from taskfish.store.tables import members, sources
from tests.api.baremetal.ironic import V1, fault, get
from tests.house import House
from tests.workflows.houses import BMC

NAMES = ["bmc1.1", "node1.1", "node2.1"]
ABORTS = ["abort soft power off", "abort soft rebooting", "abort inject nmi"]
CHANGES = [
    *("power on", "power off", "rebooting"),
    *("soft power off", "soft rebooting", "inject nmi"),
]


async def test_nodes_are_the_systems(house: House) -> None:
    answer = await get(house, "nodes")
    nodes = answer.json()["nodes"]
    assert [node["name"] for node in nodes] == NAMES
    assert set(nodes[0]) == {
        *("uuid", "instance_uuid", "maintenance", "power_state"),
        *("provision_state", "name", "links"),
    }
    system = (await house.client.get(BMC)).json()
    assert nodes[0]["uuid"] == system["UUID"]
    assert nodes[0]["links"][0]["href"] == f"http://gateway{V1}/nodes/{system['UUID']}"


@pytest.mark.parametrize("path", ["nodes/detail", "nodes?detail=True"])
async def test_detailed_nodes_are_whole(house: House, path: str) -> None:
    (first, *_) = (await get(house, path)).json()["nodes"]
    alone = (await get(house, "nodes/bmc1.1")).json()
    assert set(first) == set(alone)
    assert first["driver_info"] == {"redfish_system_id": BMC}
    assert first["supported_power_states"] == [*CHANGES, *ABORTS]


async def test_no_source_is_asked_for_nodes(house: House) -> None:
    traffic = house.emulator.gate("bmc1").traffic
    house.emulator.set_modes("bmc1", vanish=True)
    before = traffic.requests
    for path in ("nodes", "nodes/detail", "nodes/bmc1.1", "nodes/bmc1.1/states"):
        assert (await get(house, path)).status_code == 200
    assert traffic.requests == before


async def test_fields_are_those_that_are_asked_for(house: House) -> None:
    listed = (await get(house, "nodes?fields=name,driver&limit=1")).json()
    assert listed["nodes"] == [{"name": "bmc1.1", "driver": "redfish"}]
    alone = (await get(house, "nodes/node1.1?fields=name&fields=driver")).json()
    assert alone == {"name": "node1.1", "driver": "odim"}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("fields=name,colour", 'Field(s) "colour" are not valid.'),
        ("limit=0", "Limit must be positive"),
        ("limit=many", "Limit must be positive"),
        ("owner=me", "Unexpected arguments: owner"),
        ("detail=true&fields=name", "Can't fetch a subset"),
    ],
)
async def test_bad_query_is_refused(house: House, query: str, text: str) -> None:
    answer = await get(house, f"nodes?{query}")
    assert answer.status_code == 400
    assert text in fault(answer)


async def test_pages_lead_to_every_node(house: House) -> None:
    found, page = [], "/baremetal/v1/nodes?limit=2&fields=name"
    while page:
        body = (await house.client.get(page)).json()
        found.append([node["name"] for node in body["nodes"]])
        page = body.get("next", "")
    assert found == [NAMES[:2], NAMES[2:]]


async def test_unknown_marker_is_refused(house: House) -> None:
    answer = await get(house, "nodes?marker=nobody")
    assert (answer.status_code, fault(answer)) == (
        404,
        "Node nobody could not be found.",
    )


async def test_node_is_found_by_name_and_by_uuid(house: House) -> None:
    by_name = (await get(house, "nodes/node1.1")).json()
    uuid = by_name["uuid"]
    assert (await get(house, f"nodes/{uuid.upper()}")).json() == by_name
    for path in ("", "/states", "/states/power", "/validate", "/history"):
        refused = await get(house, f"nodes/nope{path}")
        assert refused.status_code == 404
        assert fault(refused) == "Node nope could not be found."


async def test_name_may_have_quotes(house: House) -> None:
    row = {"collection": "Systems", "id": "it's", "allowable_values": {}}
    async with house.store.write() as connection:
        await connection.execute(insert(members).values(source="bmc1", **row))
    try:
        node = (await get(house, "nodes/bmc1.it's")).json()
        assert (node["name"], node["power_state"]) == ("bmc1.it's", None)
    finally:
        async with house.store.write() as connection:
            await connection.execute(delete(members).where(members.c.id == "it's"))


async def test_abort_is_listed_only_where_the_source_can_do_it(house: House) -> None:
    async with house.store.write() as connection:
        its = sources.c.id == "bmc1"
        await connection.execute(update(sources).where(its).values(has_tasks=False))
    supported = {"supported_power_states": CHANGES}
    path = "nodes/bmc1.1/states/power"
    try:
        assert (await get(house, f"{path}/supported")).json() == supported
        for shown in (path, "nodes/bmc1.1", "nodes/bmc1.1/states"):
            body = (await get(house, shown)).json()
            assert body["supported_power_states"] == CHANGES
    finally:
        async with house.store.write() as connection:
            await connection.execute(update(sources).where(its).values(has_tasks=True))


async def test_validate_tells_of_a_source_that_refuses(house: House) -> None:
    fit = (await get(house, "nodes/bmc1.1/validate")).json()
    assert fit["power"] == fit["management"] == {"result": True, "reason": None}
    assert fit["deploy"] == {"result": None, "reason": "not supported"}
    known = Sources(house.store)
    record = await known.get("bmc1")
    assert record is not None
    await known.note_refused(record.source)
    unfit = (await get(house, "nodes/bmc1.1/validate")).json()
    assert unfit["power"]["result"] is False
    assert "refuses its user name" in unfit["power"]["reason"]


async def test_drivers_and_conductor_are_told(house: House) -> None:
    drivers = (await get(house, "drivers")).json()["drivers"]
    assert [driver["name"] for driver in drivers] == ["odim", "redfish"]
    assert (await get(house, "drivers/odim")).json() == drivers[0]
    (conductor,) = (await get(house, "conductors")).json()["conductors"]
    assert (conductor["hostname"], conductor["alive"]) == ("taskfish", True)
    assert (await get(house, "conductors/taskfish")).status_code == 200
    for path in ("drivers/ipmi", "conductors/other"):
        refused = await get(house, path)
        assert refused.status_code == 404
        assert "could not" in fault(refused).lower()


def system(number: int, uuid: str | None) -> Member:
    return Member(source="a", collection="Systems", id=str(number), uuid=uuid)


def test_uuid_is_one_nodes_alone() -> None:
    own = "0B8D6C6A-8F4B-4C59-9A3B-1D7B6D3F0A11"
    twin = "11111111-1111-1111-1111-111111111111"
    systems = [system(1, own), system(2, twin), system(3, twin), system(4, None)]
    systems.append(system(5, "no UUID"))
    found = uuids_of(systems)
    assert found[0] == own.lower()
    assert twin not in found
    assert len(set(found)) == 5
    assert found == uuids_of(systems)
