"""Which parts of a body are secret, and the body without them (contracts.md 3).

Too much is masked rather than too little: what is masked still reaches the source.
"""

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote

from pydantic import JsonValue

MASK = "********"
_SECRET_NAME = re.compile(
    r"passw|passphrase|passcode|pwd|secret|token|privatekey|credential|community"
    r"|authenticationkey|encryptionkey|oldkey|newkey|oauth|eabkey|keytab|keystring"
    r"|api_?key|authorization|signature|httpheaders|pw(?:$|[\d_-])|(?<!by)pass$|psk$"
    r"|(?<!public)(?<!public_)(?<!publichost)(?<!hot)keys?$|^pin$|(?-i:Pin|PIN)$",
    re.IGNORECASE,
)
_ABOUT_A_SECRET = re.compile(
    r"(?:length|required|expiration|days|hours|minutes|seconds|count|threshold"
    r"|attempts|types?|algorithms?|protocols?|policy|enabled|supported)$",
    re.IGNORECASE,
)
"""What ends the name of a rule for a secret: PasswordLength, TokenType."""
_USER_WITHOUT_SCHEME = re.compile(
    r"\A(\s*)(?!mailto:)[^\s:/@]+:(?:(?![/\s])|/+[^\s:/@]+:).*@",
    re.IGNORECASE | re.DOTALL,
)
"""`user:password@`, also after `nfs:` or `nfs:/`; not the path of `host:/path@v1`."""
_QUERY_VALUE = re.compile(r"([?&][^?=&#]*=)([^&#]*)")
_SPACE = re.compile(r"\s")


def masked(value: JsonValue) -> JsonValue:
    """Return a copy with every secret replaced: by name, and what URLs carry."""
    if isinstance(value, dict):
        return {
            name: MASK if _is_secret(name, item) else masked(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return _masked_url(value) if isinstance(value, str) else value


def unmasked(shown: JsonValue, true: JsonValue) -> JsonValue:
    """Return a body with what `masked` has replaced in it taken from the true one."""
    if isinstance(shown, dict) and isinstance(true, dict):
        return {name: unmasked(item, true.get(name)) for name, item in shown.items()}
    if isinstance(shown, list) and isinstance(true, list):
        items = zip(shown, true, strict=False)
        return [unmasked(item, its) for item, its in items]
    return true if isinstance(shown, str) and MASK in shown else shown


def is_masked(shown: JsonValue) -> bool:
    """Say whether something in a body that `masked` has returned is masked."""
    if isinstance(shown, dict):
        return any(is_masked(item) for item in shown.values())
    if isinstance(shown, list):
        return any(is_masked(item) for item in shown)
    return isinstance(shown, str) and MASK in shown


def secrets_in(value: JsonValue) -> frozenset[str]:
    """Return what `masked` would replace, in each form in which it may be repeated."""
    found = {text for text in _secrets(value) if text}
    return frozenset(
        form
        for text in found
        for form in (text, unquote(text), json.dumps(text)[1:-1], repr(text)[1:-1])
    )


def is_secret_name(name: str) -> bool:
    """Say whether a property of this name may hold a secret."""
    secret = _SECRET_NAME.search(name) is not None
    return secret and _ABOUT_A_SECRET.search(name) is None


def _is_secret(name: str, value: JsonValue) -> bool:
    """Say whether a property is secret; flags, and that there is no value, are not."""
    return not isinstance(value, bool | None) and is_secret_name(name)


def _secrets(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item) if _is_secret(name, item) else _secrets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item)
    elif isinstance(value, str):
        yield from _url_secrets(value)


def _texts(value: JsonValue) -> Iterator[str]:
    """Yield every text and number below a value."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif not isinstance(value, bool | None):
        yield str(value)


def _url_secrets(text: str) -> Iterator[str]:
    head, scheme_end, rest = text.partition("://")
    users = [rest.rpartition("@")[0]] if scheme_end else []
    if without_scheme := _USER_WITHOUT_SCHEME.search(head):
        users.append(without_scheme[0].strip()[:-1])
    for user in users:
        yield from (user, user.partition(":")[2], user.rpartition(":")[2])
    if scheme_end or not _SPACE.search(text.strip()):
        yield from (found[2] for found in _QUERY_VALUE.finditer(text))


def _masked_url(text: str) -> str:
    """Mask user information, and the values of a query: it may be a signed one."""
    head, scheme_end, rest = text.partition("://")
    if scheme_end and "@" in rest:
        rest = f"{MASK}@{rest.rpartition('@')[2]}"
    shown = _USER_WITHOUT_SCHEME.sub(rf"\g<1>{MASK}@", head) + scheme_end + rest
    if scheme_end or not _SPACE.search(text.strip()):
        shown = _QUERY_VALUE.sub(rf"\g<1>{MASK}", shown)
    return shown
