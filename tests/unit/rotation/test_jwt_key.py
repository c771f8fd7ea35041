"""The key that signs tokens, in a folder: of each kind, beside others, and what is no key."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from instrument_cache.errors import RotationError
from instrument_cache.rotation.folder_holder import FolderHolder
from instrument_cache.rotation.jwt_key import JwtKey, private_jwk, published
from lookup_app.protection.key_set import _keys_of

ALGORITHMS = ["EdDSA", "ES256", "RS256"]


@pytest.fixture
def key(tmp_path: Path) -> JwtKey:
    return JwtKey(FolderHolder(tmp_path), "signer", 0, 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_it_signs_is_believed_by_who_reads_the_published_keys(key: JwtKey, algorithm: str, tmp_path: Path) -> None:
    old = private_jwk(algorithm)
    new = key.new(old)
    for secret in (old, new, new):
        key.add(secret, like=old)
    document = (tmp_path / "signer.jwks").read_bytes()
    assert len(json.loads(document)["keys"]) == 2
    keys = _keys_of(document, (algorithm,))
    for secret in (old, new):
        kid = json.loads(secret)["kid"]
        token = jwt.encode({"sub": "a"}, jwt.PyJWK(json.loads(secret)).key, algorithm, headers={"kid": kid})
        assert jwt.decode(token, keys[kid].public, [algorithm]) == {"sub": "a"}
    key.remove(old)
    key.remove(old)
    assert [key.accepts(secret) for secret in (old, new)] == [False, True]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nothing_private_is_published(algorithm: str) -> None:
    assert not {"d", "p", "q", "dp", "dq", "qi"} & published(private_jwk(algorithm)).keys()


@pytest.mark.parametrize("text", ["no JSON and secret", "[]", '{"kty":"oct","k":"secret"}', '{"kty":"EC"}'])
def test_what_is_no_key_is_refused_and_not_told(key: JwtKey, text: str) -> None:
    with pytest.raises(RotationError, match="holds no private JWK") as refused:
        key.accepts(text)
    assert "secret" not in str(refused.value)


def test_another_algorithm_and_another_document_are_refused(key: JwtKey, tmp_path: Path) -> None:
    with pytest.raises(RotationError, match="alg is 'HS256'"):
        key.new('{"kty":"oct","alg":"HS256"}')
    (tmp_path / "signer.jwks").write_text('{"no":"keys"}')
    with pytest.raises(RotationError, match=r"'signer\.jwks' holds no JWK Set"):
        key.accepts(private_jwk("EdDSA"))
