"""The OpenAPI document: open, valid, and complete."""

import re
from typing import Any

import pytest
import schemathesis
import yaml
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import OPEN, PARTS
from api.bodies import json_body
from api.openapi import OPENAPI, document
from api.openapi_operations import ROUTED
from tests.api.answers import message_keys
from tests.house import House

ROOT = "/redfish/v1"
DOCUMENT = document(OPEN, [part.router for part in PARTS])
OPERATIONS = [
    (path, method, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]


def routes() -> list[APIRoute]:
    """Return every route that the document should have."""
    routers = [*OPEN, *(part.router for part in PARTS)]
    contexts = (iter_route_contexts(router.routes) for router in routers)
    found = [context.original_route for each in contexts for context in each]
    return [
        route
        for route in found
        if isinstance(route, APIRoute)
        and route.include_in_schema
        and ":path}" not in route.path
    ]


def takes_body(dependant: Dependant) -> bool:
    """Say whether a route reads a JSON body."""
    below = dependant.dependencies
    return dependant.call is json_body or any(takes_body(each) for each in below)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_document_is_open_and_is_yaml(house: House, method: str) -> None:
    request = house.client.build_request(method, OPENAPI)
    answer = await house.client.send(request, auth=None)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.headers["Allow"] == "GET, HEAD"
    if method == "GET":
        assert yaml.safe_load(answer.text) == DOCUMENT


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_document_is_read_only(house: House, method: str) -> None:
    answer = await house.client.request(method, OPENAPI)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert message_keys(answer) == ["OperationNotAllowed"]


def test_document_is_valid() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_every_route_is_in_it() -> None:
    shown = {(path, method.upper()) for path, method, _ in OPERATIONS}
    for route in routes():
        assert {(route.path, method) for method in route.methods or ()} <= shown


def test_every_route_with_a_body_has_its_model() -> None:
    for route in routes():
        if takes_body(route.dependant):
            for method in route.methods or ():
                assert ROUTED[route.path][method].body is not None, route.path


def test_only_routes_are_described() -> None:
    known = {
        (route.path, method) for route in routes() for method in route.methods or ()
    }
    assert {(path, method) for path, row in ROUTED.items() for method in row} <= known


def test_only_what_is_open_needs_no_login() -> None:
    free = {
        (path, method)
        for path, method, operation in OPERATIONS
        if operation.get("security") == [] and method != "head"
    }
    assert free == {
        *((path, "get") for path in ("/redfish", ROOT, "/healthz", "/readyz")),
        *((f"{ROOT}/{name}", "get") for name in ("odata", "$metadata", "openapi.yaml")),
        (f"{ROOT}/Schemas/Taskfish_v1.xml", "get"),
        (f"{ROOT}/SessionService/Sessions", "post"),
    }


def test_every_change_of_a_source_may_be_a_task() -> None:
    for path, method, operation in OPERATIONS:
        if "{member}" in path and method not in ("get", "head"):
            task = operation["responses"]["202"]["content"]["application/json"]
            assert task["schema"]["$ref"].endswith("/Task")


def test_every_operation_says_how_it_is_refused() -> None:
    for _, _, operation in OPERATIONS:
        refused = operation["responses"]["default"]["content"]["application/json"]
        assert refused["schema"]["$ref"].endswith("/Error")


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return (
            set().union(*map(references, value)) if isinstance(value, list) else set()
        )

    for reference in references(DOCUMENT):
        place: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_passwords_are_marked_as_such() -> None:
    for name in ("NewSourceBody", "SourceChange", "NewAccountBody", "LoginBody"):
        password = str(
            DOCUMENT["components"]["schemas"][name]["properties"]["Password"]
        )
        assert re.search(r"'format': 'password'", password)
