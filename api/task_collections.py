"""Collections of tasks: all, or those of a resource, as the request wants them."""

from fastapi import Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.authentication import User
from api.gateway import Gateway
from api.list_options import (
    EXPAND,
    SELECT,
    SKIP,
    SKIP_TOKEN,
    TOP,
    ListOptions,
    list_options,
    next_link,
    selected,
)
from api.privileges import sees_all_tasks
from api.query_options import takes_options
from api.responses import GET, json_response, resource_response, task_uri
from api.task_conditions import Condition, all_of
from api.task_filter import FILTER, condition_of, of_owner
from api.task_list import LONGEST_PAGE, TaskPage, Wanted
from api.task_resources import task_resources
from taskfish.redfish.resources import collection

takes_list_options = takes_options(FILTER, EXPAND, SELECT, SKIP, SKIP_TOKEN, TOP)
"""Marks an endpoint that answers with `task_collection`."""
EXPANDED_PAGE = 100
"""Members of a page with whole tasks, if the request does not say."""


async def task_collection(
    request: Request,
    gateway: Gateway,
    user: User,
    uri: str,
    about: Condition | None = None,
) -> Response:
    """Return a TaskCollection of the tasks that are there for the user, the newest
    first; `about` is what it is of, if not of all.

    Raises 400 for options that cannot be answered, naming those that can.
    """
    options = list_options(request)
    wanted = tasks_wanted(gateway, user, condition_of(request.query_params), about)
    size = EXPANDED_PAGE if options.expand else LONGEST_PAGE
    size = size if options.top is None else min(options.top, LONGEST_PAGE)
    page = await _page(gateway, wanted, options, size)
    count = len(page.views)
    if not _is_whole(options, size, page):
        count = max(count, await gateway.task_list.count(wanted))
    if options.only and len(page.views) == 1 and page.next_token is None:
        (task,) = await task_resources(gateway, page.views)
        return resource_response(task, GET)
    bodies: list[dict[str, JsonValue]]
    if options.expand:
        tasks = await task_resources(gateway, page.views)
        bodies = [selected(task.to_json(), options.select) for task in tasks]
    else:
        bodies = [{"@odata.id": task_uri(view.id)} for view in page.views]
    body = collection(uri, "TaskCollection", "Tasks", ()).to_json()
    if not options.expand:
        body = selected(body, options.select)
    if "Members" in body:
        body["Members"] = list[JsonValue](bodies)
    body["Members@odata.count"] = count
    if page.next_token is not None and size:
        following = next_link(request, page.next_token, options.top)
        body["Members@odata.nextLink"] = following
    return json_response(body, headers={"Allow": ", ".join(GET)})


def _is_whole(options: ListOptions, size: int, page: TaskPage) -> bool:
    """Say whether a page is all that there is: then nothing else has to be counted."""
    begins = options.skip_token is None and not options.skip
    return begins and size > 0 and page.next_token is None


async def _page(
    gateway: Gateway, wanted: Wanted, options: ListOptions, size: int
) -> TaskPage:
    token = options.skip_token
    if token is None and options.skip:
        token = await gateway.task_list.skipped(wanted, options.skip)
        if token is None:
            return TaskPage((), None)
    if size == 0:
        return TaskPage((), None)
    return await gateway.task_list.page(wanted, size, token)


def tasks_wanted(gateway: Gateway, user: User, *conditions: Condition | None) -> Wanted:
    """Return what a list is of: the tasks that are there for the user, and satisfy all
    of some conditions.
    """
    asked = [each for each in conditions if each is not None]
    if not sees_all_tasks(user, gateway.settings):
        asked.append(of_owner(user.name))
    return Wanted(
        caller=user.name,
        condition=all_of(asked) if asked else None,
        cancelled_too=gateway.settings.cancelled == "keep",
    )
