"""What the operations make of each other's results: the cache is backed up, and the backup is drilled."""

from __future__ import annotations

from typing import Final

from airflow.sdk import Asset

# The cache was found equal to its source, or made so.
CACHE: Final = Asset(name="cache", uri="x-icache://cache")
# A good backup: restored into a scratch Redis and compared.
BACKUP: Final = Asset(name="backup", uri="x-icache://backup")
# A second region was built from a backup and served.
DRILL: Final = Asset(name="drill", uri="x-icache://drill")
