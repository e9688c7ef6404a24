"""Events of a plugin's tasks, sent to the gateway by the scenario itself."""

from pydantic import JsonValue, SecretStr

from taskfish.redfish.event_receiver import RECEIVER, TOKEN_HEADER
from taskfish.store.source_subscriptions import SourceSubscriptions
from tests.house import House

EVENT = "TaskEvent.1.0.3"
_TOKEN = "scenario"


async def tell(
    house: House, source: str, *arguments: JsonValue, key: str = "TaskCompletedOK"
) -> None:
    """Send one event for each value of MessageArgs, as the source would."""
    await SourceSubscriptions(house.store).begin(source, SecretStr(_TOKEN))
    records: list[JsonValue] = [
        {"MessageId": f"{EVENT}.{key}", "MessageArgs": each} for each in arguments
    ]
    answer = await house.client.post(
        f"{RECEIVER}/{source}",
        json={"Events": records},
        headers={TOKEN_HEADER: _TOKEN},
    )
    assert answer.status_code == 204, answer.text
