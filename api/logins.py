"""Passwords: verified off the event loop, and remembered for a short time."""

import asyncio
import hmac
import re
import secrets
import time
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from pydantic import SecretStr

from api.login_limits import LoginLimits
from taskfish.errors import StoreUnavailableError
from taskfish.redfish.account_requests import USER_NAME
from taskfish.settings import Settings
from taskfish.store.accounts import Account, Accounts

REMEMBERED_SECONDS = 60
"""How long a verified password is not verified again."""
HASHES_AT_ONCE = 2
"""Each takes 64 MiB and a core: a flood of logins waits in line."""
_NAME = re.compile(USER_NAME)


@dataclass(frozen=True)
class _Remembered:
    account: Account
    until: float


class Logins:
    """Who has which password. One object a process.

    What is remembered is looked up by a keyed hash of name and password, under a key
    that never leaves the process, and counts only while the account's own hash is the
    same: a change in another process takes effect at once.
    """

    def __init__(self, accounts: Accounts, settings: Settings) -> None:
        self._accounts = accounts
        self._settings = settings
        self._key = secrets.token_bytes(32)
        self._hasher = PasswordHasher()
        self._turn = asyncio.Semaphore(HASHES_AT_ONCE)
        self._remembered: dict[bytes, _Remembered] = {}
        self._limits = LoginLimits(settings)

    async def account(
        self, name: str, password: str, address: str = ""
    ) -> Account | None:
        """Return the account that these credentials open, None if none.

        The settings' administrator needs no store. An unknown name, a locked account
        and a wrong password cost the same time. Raises 429 while too many logins from
        the client's address or for the name have failed, and StoreUnavailableError.
        """
        self._limits.check(address, name)
        administrator = bootstrap_account(self._settings)
        is_administrator = administrator is not None and name == administrator.name
        if is_administrator and _same(password, self._settings.admin_password):
            self._limits.note_success(address, name)
            return administrator
        if is_administrator or not _NAME.fullmatch(name):
            # Nobody whom the store knows: not all databases take any text as a name.
            self._limits.note_failure(address, name)
            await self.hashed(password)
            return None
        found = await self._recalled(name, password) or await self._verified(
            name, password, address
        )
        if found is not None:
            self._limits.note_success(address, name)
        return found

    async def hashed(self, password: str) -> str:
        """Return the hash that the store keeps of a password."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def is_password_of(self, account: Account, password: str) -> bool:
        """Say whether a password is the account's, whatever its state."""
        async with self._turn:
            return await asyncio.to_thread(self._matches, account, password)

    async def _recalled(self, name: str, password: str) -> Account | None:
        """Return the account as it is now, if its password was verified just before."""
        remembered = self._remembered.get(self._digest(name, password))
        if remembered is None or remembered.until <= time.monotonic():
            return None
        try:
            account = await self._accounts.get(name)
        except StoreUnavailableError:
            return remembered.account
        same = account is not None and account.password == remembered.account.password
        return account if account and same and account.may_log_in else None

    async def _verified(self, name: str, password: str, address: str) -> Account | None:
        async with self._turn:
            # Asked here and not only before: while this waited, others may have failed,
            # and have locked the account.
            self._limits.check(address, name)
            account = await self._accounts.get(name)
            right = await asyncio.to_thread(self._matches, account, password)
            if not right:
                # For nobody too, who is not to be told by the time that it takes.
                await self._accounts.note_failure(name)
            if not right or account is None or not account.may_log_in:
                self._limits.note_failure(address, name)
                return None
        if account.failed_at is not None:
            await self._accounts.note_success(name)
        self._remember(self._digest(name, password), account)
        return account

    def _matches(self, account: Account | None, password: str) -> bool:
        """Verify a password; without an account it takes as long and is wrong."""
        if account is None or account.password is None:
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(account.password, password)
        except VerificationError:
            return False

    def _remember(self, digest: bytes, account: Account) -> None:
        now = time.monotonic()
        fresh = {d: r for d, r in self._remembered.items() if r.until > now}
        self._remembered = {
            **fresh,
            digest: _Remembered(account, now + REMEMBERED_SECONDS),
        }

    def _digest(self, name: str, password: str) -> bytes:
        text = f"{len(name)}:{name}{password}".encode()
        return hmac.digest(self._key, text, "sha256")


def bootstrap_account(settings: Settings) -> Account | None:
    """Return the administrator of the settings, None if they give it no password."""
    if settings.admin_password is None:
        return None
    return Account(name=settings.admin_username, role="Administrator")


def _same(given: str, expected: SecretStr | None) -> bool:
    """Compare in a time that does not depend on where they differ."""
    secret = expected.get_secret_value() if expected else ""
    return hmac.compare_digest(given.encode(), secret.encode())
