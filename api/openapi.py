"""/redfish/v1/openapi.yaml: what the service takes and answers (DSP0266, OpenAPI)."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.openapi_operations import OF_SOURCES, ROUTED, Operation
from taskfish.redfish.event_resources import EVENT_STREAM
from taskfish.redfish.links import ROOT
from taskfish.redfish.messages import Message
from taskfish.redfish.metadata import OEM_SCHEMA
from taskfish.redfish.resources import Task

OPENAPI = f"{ROOT}/openapi.yaml"
Json = dict[str, Any]

router = APIRouter()
_PLACE = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{model}"
_JSON, _XML, _YAML = "application/json", "application/xml", "application/yaml"
_MEDIA_TYPES = {
    f"{ROOT}/$metadata": _XML,
    OEM_SCHEMA: _XML,
    OPENAPI: _YAML,
    EVENT_STREAM: "text/event-stream",
}
_STRING = {"type": "string"}
_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "@Message.ExtendedInfo"],
            "properties": {
                "code": _STRING,
                "message": _STRING,
                "@Message.ExtendedInfo": {
                    "type": "array",
                    "items": {"$ref": _REF.format(model=Message.__name__)},
                },
            },
        }
    },
}
_SECURITY_SCHEMES: Json = {
    "Basic": {"type": "http", "scheme": "basic"},
    "Session": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
}
_WISHES = {
    "Prefer": "`wait=N` waits N seconds, 60 at most, for the end of the task.",
    "Task-Id": "The Id that the task shall have.",
    "Task-Tags": "Words to find the task by, with commas between them.",
    "Task-Timeout": "Seconds after which the task is given up.",
    "Task-Conflict": "What to do while another task changes the machine: allow, "
    "reject or queue.",
    "Idempotency-Key": "Requests with the same key are one request.",
    "If-Match": "The ETags of which the resource must have one.",
}


@router.api_route(OPENAPI, methods=["GET", "HEAD"])
async def openapi(request: Request) -> Response:
    """Return this document, open like $metadata. JSON is YAML too (YAML 1.2, 1.3)."""
    content: bytes = request.app.state.openapi
    return Response(content, media_type=_YAML, headers={"Allow": "GET, HEAD"})


def written(document: Json) -> bytes:
    """Return the document as it is served: written once, not for each who asks."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def document(open_routers: Iterable[APIRouter], routers: Iterable[APIRouter]) -> Json:
    """Return the OpenAPI document of routes without and with a login."""
    paths: dict[str, Json] = {}
    for each, security in ((open_routers, []), (routers, _SECURITY)):
        for path, method, route in _routes(each):
            said = ROUTED.get(path, {}).get(method, Operation())
            summary = (route.endpoint.__doc__ or "").partition("\n\n")[0]
            described = _operation(path, method, said, " ".join(summary.split()))
            item = paths.setdefault(path, {})
            item.setdefault(method.lower(), described | {"security": security})
    for path, row in OF_SOURCES.items():
        paths[path] = {
            method.lower(): _operation(path, method, said, "As its source has it.")
            for method, said in row.items()
        }
    for path, item in paths.items():
        item["parameters"] = [_place(name) for name in _PLACE.findall(path)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Taskfish",
            "version": "1",
            "description": "What a source has below its members is there too: see its "
            "own document.",
        },
        "paths": paths,
        "components": {
            "headers": {"Location": {"schema": _STRING, "description": "The monitor"}},
            "parameters": {
                name: {
                    "name": name,
                    "in": "header",
                    "schema": _STRING,
                    "description": text,
                }
                for name, text in _WISHES.items()
            },
            "schemas": _schemas(),
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "security": _SECURITY,
    }


_SECURITY: list[Json] = [{name: []} for name in _SECURITY_SCHEMES]


def _routes(routers: Iterable[APIRouter]) -> Iterable[tuple[str, str, APIRoute]]:
    """Yield path, method and route, but for the sources' own paths."""
    for router_ in routers:
        for context in iter_route_contexts(router_.routes):
            route = context.original_route
            assert isinstance(route, APIRoute), "there are no others"
            if route.include_in_schema and ":path}" not in route.path:
                for method in sorted(route.methods or ()):
                    yield route.path, method, route


def _operation(path: str, method: str, said: Operation, summary: str) -> Json:
    described: Json = {
        "operationId": f"{method.lower()} {path}",
        "summary": summary,
        "responses": {
            **{str(status): _success(path, status) for status in said.statuses},
            "default": {
                "description": "A refusal or a failure",
                "content": {_JSON: {"schema": {"$ref": _REF.format(model="Error")}}},
            },
        },
    }
    if said.body is not None:
        schema = {"$ref": _REF.format(model=said.body.__name__)}
        described["requestBody"] = {"content": {_JSON: {"schema": schema}}}
    if said.is_task and method not in ("GET", "HEAD"):
        described["parameters"] = [
            {"$ref": f"#/components/parameters/{name}"} for name in _WISHES
        ]
    return described


def _success(path: str, status: int) -> Json:
    answer: Json = {"description": HTTPStatus(status).phrase}
    if status == HTTPStatus.ACCEPTED:
        answer["headers"] = {"Location": {"$ref": "#/components/headers/Location"}}
    if status != HTTPStatus.NO_CONTENT:
        answer["content"] = {_MEDIA_TYPES.get(path, _JSON): {"schema": _body(status)}}
    return answer


def _body(status: int) -> Json:
    """Return what a success holds: a Task while it is open, else a resource."""
    accepted = status == HTTPStatus.ACCEPTED
    return {"$ref": _REF.format(model="Task")} if accepted else {}


def _place(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": _STRING}


@cache
def _schemas() -> Mapping[str, Json]:
    """Return the schemas of all bodies, of a Task and of an error.

    They are without the words that are for who reads the code.
    """
    rows = (*ROUTED.values(), *OF_SOURCES.values())
    bodies: set[type[BaseModel]] = {
        said.body for row in rows for said in row.values() if said.body is not None
    }
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in sorted(bodies, key=str)),
        *((model, "serialization") for model in (Message, Task)),
    ]
    _, found = models_json_schema(models, ref_template=_REF)
    schemas: dict[str, Json] = found["$defs"]
    for schema in schemas.values():
        schema.pop("description", None)
        for described in schema.get("properties", {}).values():
            described.pop("title", None)
            # A PATCH leaves what is not given as it is.
            described.pop("default", None)
    return {**schemas, "Error": _ERROR}
