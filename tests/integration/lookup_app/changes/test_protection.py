"""Who may listen: by a header, or by the token in the query, which is all that a browser can send."""

from __future__ import annotations

from pathlib import Path

import httpx

from instrument_cache.api_keys import KeyStore
from tests.integration.lookup_app.changes.scene import Listener, World
from tests.servers import wait_until
from tests.unit.lookup_app.protection.issuer import AUDIENCE, ISSUER, KEYS, token


def test_a_token_or_a_key_of_the_dataset_is_needed(world: World, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(KEYS)
    process = world.process(
        ICACHE_LOOKUP_AUTH="jwt,api-key",
        ICACHE_LOOKUP_JWKS=str(keys),
        ICACHE_LOOKUP_JWT_ISSUER=ISSUER,
        ICACHE_LOOKUP_JWT_AUDIENCE=AUDIENCE,
    )
    refused = httpx.get(world.url(process))
    assert (refused.status_code, refused.json()["type"]) == (401, "/problems/unauthenticated")
    assert "www-authenticate" in refused.headers
    other = token(scope="other:read")
    assert httpx.get(world.url(process, f"access_token={other}")).status_code == 403
    good = token(scope=f"{world.dataset}:read")
    key = KeyStore.connect(world.redis_url).create("test", [world.dataset])
    listeners = [
        Listener(world.url(process, f"access_token={good}")),
        Listener(world.url(process), headers={"Authorization": f"Bearer {good}"}),
        Listener(world.url(process), headers={"X-API-Key": key}),
    ]
    wait_until(lambda: all(listener.kinds() == ["hello"] for listener in listeners))
    assert good not in process.log.read_text()
