"""How many logins may fail before who tries has to wait.

Each process counts for itself. Only failures count: who logs in rightly may do so as
often as he likes, until too many others have failed from the same address.
"""

from math import ceil

from api.client_networks import network_of
from api.errors import refuse
from api.known_networks import KnownNetworks
from api.moving_window import MovingWindow
from taskfish.rates import parse_rate
from taskfish.settings import Settings

LONGEST_NAME = 64
"""As long as that of an account: a longer one is nobody's."""


class LoginLimits:
    """The failed logins of a process, by address and by user name."""

    def __init__(self, settings: Settings) -> None:
        self._of_network = MovingWindow(parse_rate(settings.login_rate))
        self._of_name = MovingWindow(parse_rate(settings.login_rate_per_name))
        self._known = KnownNetworks()

    def check(self, address: str, name: str) -> None:
        """Raise 429 with Retry-After while too many logins have failed.

        The failures of others for a name do not hold up who has just logged in to it
        from the same network: they could keep anybody out for ever.

        429 and not 503, which load balancers take for a service that is down and some
        clients repeat at once. Redfish has no message of its own for it.
        """
        network, name = network_of(address), name[:LONGEST_NAME]
        left = self._of_network.seconds_to_wait(network)
        if (name, network) not in self._known:
            left = max(left, self._of_name.seconds_to_wait(name))
        if left:
            seconds = str(ceil(left))
            raise refuse(
                "ServiceTemporarilyUnavailable",
                seconds,
                text=f"Too many logins have failed. Try again in {seconds} seconds.",
                status=429,
                headers={"Retry-After": seconds},
            )

    def note_failure(self, address: str, name: str) -> None:
        """Count a login that has failed."""
        self._of_network.note(network_of(address))
        self._of_name.note(name[:LONGEST_NAME])

    def note_success(self, address: str, name: str) -> None:
        """Remember from where a login to an account has succeeded."""
        self._known.note(name[:LONGEST_NAME], network_of(address))
