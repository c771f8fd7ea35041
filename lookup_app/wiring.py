"""Puts together what answers without HTTP: every way in uses this."""

from __future__ import annotations

from instrument_cache.contract import Contract, load_contract
from instrument_cache.errors import SettingsError
from lookup_app.cache.backing import Backing, prefixes
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.fallback.service import read_through_service
from lookup_app.service import LookupService, Reader


def create_datasets(settings: LookupSettings, backing: Backing | None = None) -> Datasets:
    """The datasets of the settings, on Redis. Connects on first use. Raises SettingsError or ContractError."""
    contracts = load_contracts(settings)
    backing = backing or create_backing(settings, contracts)
    services = [_service(settings, backing.readers[contract.dataset], contract) for contract in contracts]
    return Datasets(services, backing)


def _service(settings: LookupSettings, reader: Reader, contract: Contract) -> LookupService:
    if settings.fallback is None:
        return LookupService(reader, contract)
    return read_through_service(reader, contract, settings.fallback, settings.redis_url, settings.redis_timeout_s)


def create_backing(settings: LookupSettings, contracts: list[Contract]) -> Backing:
    """Redis and the near cache before it, for these contracts. Raises SettingsError."""
    return Backing(settings.redis_url, settings.redis_timeout_s, settings.cache, contracts)


def load_contracts(settings: LookupSettings) -> list[Contract]:
    """The contracts of the settings, which must not share keys in Redis. Raises SettingsError or ContractError."""
    contracts = [load_contract(path) for path in settings.contract_paths]
    for number, contract in enumerate(contracts):
        for other in contracts[:number]:
            shared = {*prefixes([contract])} & {*prefixes([other])}
            if shared or contract.dataset == other.dataset:
                names = f"{other.dataset} and {contract.dataset}"
                raise SettingsError(
                    f"{names} cannot be served together: both keep keys under {sorted(shared)} in Redis"
                )
    return contracts
