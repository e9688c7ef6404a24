"""The settings of this process, with mistakes told as one sentence."""

from pydantic import ValidationError

from taskfish.errors import ConfigurationError
from taskfish.settings import Settings


def load_settings() -> Settings:
    """Read TASKFISH_*; raise ConfigurationError naming every variable at fault."""
    try:
        return Settings()
    except ValidationError as error:
        problems = (
            f"TASKFISH_{'_'.join(map(str, detail['loc'])).upper()}: {detail['msg']}"
            for detail in error.errors(include_input=False)
        )
        raise ConfigurationError("; ".join(problems)) from error
