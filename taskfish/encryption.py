"""The keys that make what Taskfish keeps unreadable: in Temporal and in the store."""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

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
    key id is the start of the key's SHA-256.
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

    def seal(self, plain: bytes) -> bytes:
        """Encrypt under the first key."""
        nonce = os.urandom(NONCE_BYTES)
        return (
            self._first + nonce + self._ciphers[self._first].encrypt(nonce, plain, None)
        )

    def open(self, sealed: bytes) -> bytes:
        """Decrypt; raise UndecryptableError for a foreign key or a changed value."""
        key_id, rest = sealed[:KEY_ID_BYTES], sealed[KEY_ID_BYTES:]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UndecryptableError("encrypted with a key that is not configured")
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:
            raise UndecryptableError("the encrypted value was changed") from error


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
