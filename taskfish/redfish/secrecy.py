"""Which parts of a body are secret, and the body without them (contracts.md 3)."""

import re

from pydantic import JsonValue

MASK = "********"
_SECRET_NAME = re.compile(
    r"password|passphrase|passwd|secret|token|privatekey|credential|community"
    r"|authenticationkey|encryptionkey|oldkey|newkey|oauth|eabkey|keytab|api_?key"
    r"|^pwd$|^pin$|authorization|signature",
    re.IGNORECASE,
)
_URL_WITH_PASSWORD = re.compile(r"^(\s*[a-zA-Z][a-zA-Z0-9+.-]*://).*@", re.DOTALL)
_QUERY_VALUE = re.compile(r"([?&][^=&#]*=)[^&#]*")


def masked(value: JsonValue) -> JsonValue:
    """Return a copy with every secret replaced: by name, and what URLs carry."""
    if isinstance(value, dict):
        return {
            name: MASK if _is_secret(name, item) else masked(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, str):
        return _masked_url(value) if "://" in value else value
    return value


def _masked_url(url: str) -> str:
    """Mask user information, and the values of a query: it may be a signed one."""
    without_user = _URL_WITH_PASSWORD.sub(rf"\g<1>{MASK}@", url)
    return _QUERY_VALUE.sub(rf"\g<1>{MASK}", without_user)


def _is_secret(name: str, value: JsonValue) -> bool:
    """Say whether a property is secret; flags and numbers such as lengths are not."""
    return isinstance(value, str | list | dict) and is_secret_name(name)


def is_secret_name(name: str) -> bool:
    """Say whether a property of this name may hold a secret."""
    return _SECRET_NAME.search(name) is not None
