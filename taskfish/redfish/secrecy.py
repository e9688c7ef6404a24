"""Which parts of a body are secret, and the body without them (contracts.md 3).

Too much is masked rather than too little: what is masked still reaches the source.
"""

import re

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
_QUERY_VALUE = re.compile(r"([?&][^?=&#]*=)[^&#]*")
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


def is_secret_name(name: str) -> bool:
    """Say whether a property of this name may hold a secret."""
    secret = _SECRET_NAME.search(name) is not None
    return secret and _ABOUT_A_SECRET.search(name) is None


def _is_secret(name: str, value: JsonValue) -> bool:
    """Say whether a property is secret; flags, and that there is no value, are not."""
    return not isinstance(value, bool | None) and is_secret_name(name)


def _masked_url(text: str) -> str:
    """Mask user information, and the values of a query: it may be a signed one."""
    head, scheme_end, rest = text.partition("://")
    if scheme_end and "@" in rest:
        rest = f"{MASK}@{rest.rpartition('@')[2]}"
    shown = _USER_WITHOUT_SCHEME.sub(rf"\g<1>{MASK}@", head) + scheme_end + rest
    if scheme_end or not _SPACE.search(text.strip()):
        shown = _QUERY_VALUE.sub(rf"\g<1>{MASK}", shown)
    return shown
