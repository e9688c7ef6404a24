"""By what a stream of events was opened: it ends when that opens nothing any more."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from api.logins import bootstrap_account
from taskfish.settings import Settings
from taskfish.store.accounts import Account, Accounts


@dataclass(frozen=True)
class Credential:
    """An account with its password's hash then, and the session if it was by one.

    `session_id` is None for Basic authentication.
    """

    user: str
    session_id: str | None
    password: str | None = field(repr=False)

    def holds(self, accounts: Mapping[str, Account], sessions: Collection[str]) -> bool:
        """Say whether it would still let in, by the accounts and open sessions now."""
        account = accounts.get(self.user)
        if account is None or not account.enabled or account.password_change_required:
            return False
        if account.password != self.password:
            return False
        return self.session_id is None or self.session_id in sessions


async def accounts_by_name(
    accounts: Accounts, settings: Settings
) -> dict[str, Account]:
    """Return all accounts; the settings' administrator hides one of the same name."""
    found = {account.name: account for account in await accounts.all()}
    administrator = bootstrap_account(settings)
    return found | ({administrator.name: administrator} if administrator else {})
