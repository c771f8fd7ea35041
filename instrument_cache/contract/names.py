"""The entries that a contract may have: those of the Open Data Contract Standard 3, and the product's own.

A name that is none of these is a slip of the pen, and what it says would be read by nobody.
"""

from __future__ import annotations

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


DOCUMENT: Final = _names(
    """apiVersion kind id name version status domain dataProduct tenant description schema customProperties tags team
    roles slaProperties slaDefaultElement servers support price authoritativeDefinitions contractCreatedTs"""
)
SCHEMA: Final = _names(
    """id name logicalType physicalType physicalName description businessName tags properties quality customProperties
    dataGranularityDescription authoritativeDefinitions relationships"""
)
PROPERTY: Final = _names(
    """id name logicalType logicalTypeOptions physicalType physicalName description businessName required unique
    primaryKey primaryKeyPosition classification criticalDataElement examples tags quality customProperties
    authoritativeDefinitions encryptedName relationships"""
)
# The product's own, under customProperties: of the dataset, and of a field.
OF_DATASET: Final = _names(
    "keyPrefix ttlSeconds tombstoneTtlSeconds replaySecondsMax recordBytesMax versionAheadSecondsMax httpMaxAgeSeconds"
)
OF_FIELD: Final = _names("identifier alias version kept")
