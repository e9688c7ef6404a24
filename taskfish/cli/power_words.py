"""What `taskfish power set` may be asked for, in the words of a command line."""

from collections.abc import Mapping
from typing import Literal

PowerWord = Literal[
    "on",
    "off",
    "reboot",
    "soft_reboot",
    "soft_off",
    "inject_nmi",
    "abort_soft_reboot",
    "abort_soft_off",
    "abort_inject_nmi",
]
TARGETS: Mapping[PowerWord, str] = {
    "on": "power on",
    "off": "power off",
    "reboot": "rebooting",
    "soft_reboot": "soft rebooting",
    "soft_off": "soft power off",
    "inject_nmi": "inject nmi",
    "abort_soft_reboot": "abort soft rebooting",
    "abort_soft_off": "abort soft power off",
    "abort_inject_nmi": "abort inject nmi",
}
"""Word → the target of the bare-metal power API."""
