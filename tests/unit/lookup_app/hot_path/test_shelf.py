"""What is ready to send is what would be made anew, and no id that is on the shelf needs to be made canonical."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.contract import Field
from instrument_cache.errors import IdentifierError
from instrument_cache.identifiers import canonical_for
from lookup_app.batch import batch_body
from lookup_app.cache.near_cache import NearCache
from lookup_app.entries import Instrument
from lookup_app.hot_path.shelf import Shelf, joined

KINDS = [Field("id", str, kind, "[A-Za-z0-9 ]{1,20}") for kind in (None, "pattern", "cusip", "isin", "lei", "figi")]
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["037833100", " 0378 33100", "g0176j109", "us0378331005", "bbg000b9xry4", "HWUPKR0MPOU8FGXBT394"]),
)


@pytest.mark.parametrize("field", KINDS, ids=lambda field: str(field.identifier))
@given(text=texts)
def test_canonical_ids_stay_as_they_are(field: Field, text: str) -> None:
    canonical = canonical_for(field)
    try:
        once = canonical(text)
    except IdentifierError:
        return
    assert canonical(once) == once


@pytest.fixture
def cache() -> NearCache:
    cache = NearCache(1 << 20, 1.0)
    cache.restart("here")
    return cache


def read(cache: NearCache, text: str, body: bytes) -> Instrument:
    key = f"instr:{text}"
    cache.keep(cache.begin([key]), [key], [body], "here", lambda _: 0)
    cache.entries[key].used = True
    return Instrument(int(body[5:21]), body)


APPLE = b'{"v":1763674000123456,"cusip":"037833100"}'
MICROSOFT = b'{"v":1763674000123457,"cusip":"594918104","name":"M \xc3\xa4"}'


def test_a_batch_is_joined_as_it_would_be_made(cache: NearCache) -> None:
    shelf = Shelf(cache, "instr:")
    ids = ['0"3', "5\u00e4\n", '0"3']
    found = {ids[0]: read(cache, ids[0], APPLE), ids[1]: read(cache, ids[1], MICROSOFT)}
    for text, instrument in found.items():
        shelf.put(text, instrument)
    for some in (ids[:1], ids[1:], ids):
        entries = [shelf.get(text) for text in some]
        assert joined([entry for entry in entries if entry]) == batch_body(some, [found[text] for text in some])


def test_another_spelling_of_an_id_is_not_on_the_shelf(cache: NearCache) -> None:
    shelf = Shelf(cache, "instr:")
    instrument = read(cache, "037833100", APPLE)
    for text in (" 037833100", "0378 33100", ""):
        assert shelf.put(text, instrument) is None
        assert shelf.get(text) is None


def test_what_was_replaced_meanwhile_is_not_put_there(cache: NearCache) -> None:
    shelf = Shelf(cache, "instr:")
    old = read(cache, "037833100", APPLE)
    read(cache, "037833100", MICROSOFT)
    assert shelf.put("037833100", old) is None


def test_what_is_read_for_the_first_time_is_not_put_there(cache: NearCache) -> None:
    shelf = Shelf(cache, "instr:")
    instrument = read(cache, "037833100", APPLE)
    cache.entries["instr:037833100"].used = False
    assert shelf.put("037833100", instrument) is None
