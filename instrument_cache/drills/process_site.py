"""A second region of child processes on this machine: Redis with Sentinels, and the lookup service.

The stream's part is taken by the restore's way to catch up: the job's own code, fed from the log. A second Flink job on
the same Kafka would take part in the first region's transactions (docs/drills.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Final

from instrument_cache.avro import AvroChangeDecoder
from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.cipher import cipher
from instrument_cache.backup.region import Region, regions
from instrument_cache.backup.signing import signing_keys
from instrument_cache.change import ChangeDecoder, is_tombstone
from instrument_cache.contract import Contract, load_contract
from instrument_cache.drills.children import Children
from instrument_cache.drills.comparison import compared
from instrument_cache.drills.lookup_server import LookupServer
from instrument_cache.drills.sentinel_group import SentinelGroup
from instrument_cache.drills.site import Compared, Restored, Served
from instrument_cache.errors import DrillFailed
from instrument_cache.kafka import topic_spans
from instrument_cache.restore.catch_up import CatchUp
from instrument_cache.restore.checking import checked_reader
from instrument_cache.restore.offering import offer_entries
from instrument_cache.restore.patience import Patience
from instrument_cache.restore.scope import KeyFilter, Scope
from instrument_cache.schema_registry import registry_of
from instrument_cache.scratch.folder import scratch_folder
from instrument_cache.settings import Environment, contract_path
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore
from instrument_cache.store.target import Target

_FREE_BYTES_MIN: Final = 256_000_000
_REDIS_BYTES_MAX: Final = 4_000_000_000
_GIVE_UP_S: Final = 20.0
_REPLICAS: Final = 1
_ASKED: Final = 200


class ProcessSite:
    """Implements `Site`. To be used by one thread that lives until `tear_down`: its servers end with it.

    `region` names the region whose bucket is restored from. `parent`: where scratch files go.
    """

    def __init__(self, env: Environment, *, region: str = "second", parent: Path | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self._env, self._region_name, self._parent = env, region, parent
        self._contract: Contract = load_contract(contract_path(env))
        self._parts = ExitStack()

    def build(self) -> None:
        folder = self._parts.enter_context(scratch_folder(_FREE_BYTES_MIN, self._parent))
        self._children = self._parts.enter_context(Children(folder))
        self._group = SentinelGroup(self._children, replicas=_REPLICAS, memory_bytes_max=_REDIS_BYTES_MAX)
        self._group.start()
        self._client = self._group.client(timeout_s=30.0)
        self._store = RedisStore(self._client, self._contract.dataset)

    def catalog(self) -> BackupCatalog:
        """The backups of the one region. Raises DrillFailed if there is no such region."""
        return BackupCatalog([self._region()], self._contract.dataset, signing_keys(self._env), self._contract)

    def restore(self) -> Restored:
        catalog = self.catalog()
        manifest = catalog.newest_good()
        wanted = KeyFilter(self._contract, Scope())
        reader = checked_reader(catalog, manifest.name, self._region_name, cipher(self._env), wanted)
        now_ms = Target(self._client).now_ms
        offer_entries(reader.entries(), wanted, self._store, now_ms, Patience(_GIVE_UP_S))
        self._positions: Mapping[int, int] = manifest.positions
        return Restored(manifest.name, manifest.started, manifest.entries)

    def _region(self) -> Region:
        found = {region.name: region for region in regions(self._env)}
        if self._region_name not in found:
            raise DrillFailed(
                f"there is no {self._region_name!r} region of backups; set ICACHE_S3_SECOND_ENDPOINT, "
                f"or drill with one of: {', '.join(found)}"
            )
        return found[self._region_name]

    def catch_up(self) -> int:
        bootstrap, topic = self._env.text("ICACHE_KAFKA_BOOTSTRAP"), self._contract.dataset
        log = CatchUp(bootstrap, self._contract, self._store, self._decoder(), Patience(_GIVE_UP_S))
        # Noted before the log is read: what comes meanwhile is read twice, never missed.
        ends = {partition: span.end for partition, span in topic_spans(bootstrap, topic).items()}
        counts = log.run(log.starts(self._positions), Scope())
        self._positions = ends
        return counts.read

    def _decoder(self) -> ChangeDecoder:
        return ChangeDecoder(self._contract, avro=AvroChangeDecoder(self._contract, registry_of(self._env)))

    def serve(self) -> Served:
        server = LookupServer(self._children, self._group.url, self._contract)
        server.start()
        held = self._store.scan(self._contract.key_prefix)
        sample = list(islice(((key, value) for key, value in held if not is_tombstone(value)), _ASKED))
        connection = server.connect()
        prefix = f"{self._contract.key_prefix}:"
        answers = ((connection.get(server.path(key.removeprefix(prefix))), value) for key, value in sample)
        right = sum(status == 200 and body == value for (status, body, _), value in answers)
        connection.close()
        return Served(len(sample), right)

    def compare(self) -> Compared:
        return compared(open_source(None, self._env), self._store, self._contract, self.catch_up)

    def tear_down(self) -> None:
        self._parts.close()
