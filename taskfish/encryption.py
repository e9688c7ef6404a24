"""The keys that make what Taskfish keeps unreadable: in Temporal and in the store."""

import base64
import binascii
import copy
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from taskfish.errors import ConfigurationError, UndecryptableError

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_BYTES = 4


def generate_key() -> str:
    """Return a new random key in the form that TASKFISH_ENCRYPTION_KEYS takes."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


class Keyring:
    """AES-256-GCM under several keys: the first encrypts, each one decrypts its own.

    A sealed value is `key id (4 bytes) | nonce (12 bytes) | ciphertext and tag`; the
    key id is the start of the key's SHA-256. What it is for is authenticated with it.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        """Take base64 keys of 32 bytes; raise ConfigurationError for anything else."""
        raw_keys = [_decode_key(key) for key in keys]
        if not raw_keys:
            raise ConfigurationError(
                "TASKFISH_ENCRYPTION_KEYS is empty: set it to the output of "
                "`taskfish keys generate`, the same for every process"
            )
        self._ciphers = {_key_id(key): AESGCM(key) for key in raw_keys}
        self._first = _key_id(raw_keys[0])
        self._purpose: bytes | None = None

    def bound_to(self, purpose: bytes) -> "Keyring":
        """Return the same keys for one purpose: what one has sealed no other opens.

        So who may have Temporal's payloads decrypted gets no value of the store.
        """
        bound = copy.copy(self)
        bound._purpose = purpose
        return bound

    @property
    def first(self) -> bytes:
        """The id of the key that encrypts."""
        return self._first

    @property
    def others(self) -> tuple[bytes, ...]:
        """The ids of the keys that only decrypt, in their order."""
        return tuple(key for key in self._ciphers if key != self._first)

    def seal(self, plain: bytes) -> bytes:
        """Encrypt under the first key."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._first]
        return self._first + nonce + cipher.encrypt(nonce, plain, self._purpose)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt; raise UndecryptableError for what another key or purpose has sealed,
        and for a changed value.

        What was sealed for no purpose opens for any: earlier versions knew none.
        """
        key_id, rest = key_id_of(sealed), sealed[KEY_ID_BYTES:]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UndecryptableError(
                f"encrypted with the key {key_id.hex()}, which is not configured"
            )
        nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        for purpose in dict.fromkeys((self._purpose, None)):
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, ciphertext, purpose)
        raise UndecryptableError("the encrypted value was changed, or is for other use")


def key_id_of(sealed: bytes) -> bytes:
    """Return the id of the key that a value was sealed with."""
    return sealed[:KEY_ID_BYTES]


def _decode_key(key: SecretStr) -> bytes:
    try:
        raw = base64.b64decode(key.get_secret_value(), validate=True)
    except binascii.Error as error:
        raise ConfigurationError("an encryption key is not base64") from error
    if len(raw) != KEY_BYTES:
        raise ConfigurationError(f"an encryption key must have {KEY_BYTES} bytes")
    return raw


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:KEY_ID_BYTES]
