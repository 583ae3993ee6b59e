"""The files that processes are given, looked at before the first of them is started."""

from dualwrite.adapters import key_file, tls
from dualwrite.core.spec import Migration
from dualwrite.settings import Settings
from dualwrite.wiring.clients import load


def checked(settings: Settings) -> Migration:
    """The migration, once every file that a proxy will read could be read. Raises SpecError,
    UnusableFile."""
    migration = load(settings)
    if settings.keys is not None:
        key_file.load(settings.keys, migration)
    if settings.tls_cert is not None and settings.tls_key is not None:
        tls.context_for(settings.tls_cert, settings.tls_key)
    return migration
