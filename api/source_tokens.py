"""The tokens that sources send with their events, and who has tried wrong ones."""

from dataclasses import replace
from math import ceil

from api.client_networks import network_of
from api.errors import refuse
from api.moving_window import MovingWindow
from taskfish.errors import RequestRefusedError
from taskfish.rates import parse_rate
from taskfish.redfish.sources import SOURCE_ID
from taskfish.settings import Settings
from taskfish.store.source_subscriptions import SourceSubscriptions

SOURCES_OF_A_NETWORK = 10
"""How many sources with wrong tokens one address may have before it has to wait."""


class SourceTokens:
    """Who may send events of which source. One object a process.

    Failures count by address and source: a BMC with the token of a subscription that
    is no more holds up nobody behind the same address. Sources can be made up, so
    ten times as many hold up the address.
    """

    def __init__(self, subscriptions: SourceSubscriptions, settings: Settings) -> None:
        self._subscriptions = subscriptions
        rate = parse_rate(settings.login_rate)
        self._failed = MovingWindow(rate)
        self._of_network = MovingWindow(
            replace(rate, amount=rate.amount * SOURCES_OF_A_NETWORK)
        )

    def check_rate(self, source: str, address: str) -> None:
        """Raise 429 while too many wrong tokens have come for a source from there, or
        far too many for any.
        """
        left = max(
            self._failed.seconds_to_wait(_key(source, address)),
            self._of_network.seconds_to_wait(network_of(address)),
        )
        if left:
            seconds = str(ceil(left))
            headers = {"Retry-After": seconds}
            raise refuse(
                "ServiceTemporarilyUnavailable", seconds, status=429, headers=headers
            )

    async def check(self, source: str, token: str | None, address: str) -> None:
        """Raise 401 unless it is the source's token, the same if there is no source."""
        known = token is not None and SOURCE_ID.fullmatch(source)
        if (
            not known
            or not token
            or not await self._subscriptions.is_token_of(source, token)
        ):
            self._failed.note(_key(source, address))
            self._of_network.note(network_of(address))
            raise _unauthorized()


def _key(source: str, address: str) -> str:
    return f"{network_of(address)} {source[:32]}"


def _unauthorized() -> RequestRefusedError:
    how = "Send the token of the gateway's subscription at this source."
    text = "The request needs the token of a source."
    headers = {"WWW-Authenticate": "Bearer"}
    return refuse("AccessUnauthorized", text=text, resolution=how, headers=headers)
