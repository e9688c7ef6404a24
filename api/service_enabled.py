"""TaskService.ServiceEnabled: while it is false, nothing new starts."""

from api.errors import RETRY_AFTER, refuse
from api.gateway import Gateway
from taskfish.redfish.resources import TASK_SERVICE


async def refuse_if_disabled(gateway: Gateway) -> None:
    """Raise 503 ServiceDisabled for a change that would start while none may.

    Reads and cancels go on.
    """
    if not (await gateway.service_settings.read()).service_enabled:
        headers = {"Retry-After": str(RETRY_AFTER)}
        raise refuse("ServiceDisabled", TASK_SERVICE, headers=headers)
