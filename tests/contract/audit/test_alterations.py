"""Planted alterations of the audit trail, by somebody with the root keys of both regions: each is found and named."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest

from instrument_cache.audit.entry import encoded, sha256
from instrument_cache.audit.trail import ANCHOR
from instrument_cache.backup.signing import SigningKeys
from tests.contract.audit.scene import Scene, destroy, flipped, hide

Alter = Callable[[Scene], None]
FORGER = SigningKeys(b"f" * 32)


def over(scene: Scene, name: str) -> None:
    scene.first.put_over(name, flipped(scene.first.get(name)))


def change_a_report_by_one_byte(scene: Scene) -> None:
    over(scene, scene.document(3))


def change_a_report_in_the_second_region(scene: Scene) -> None:
    scene.second.put_over(scene.document(3), flipped(scene.second.get(scene.document(3))))


def change_a_report_where_it_was_written(scene: Scene) -> None:
    name = scene.entry(3).report
    scene.reports.put_over(name, scene.reports.get(name).replace(b"3 keys", b"0 keys"))


def hide_a_report(scene: Scene) -> None:
    hide(scene.first, scene.document(3))


def remove_a_report_past_its_lock(scene: Scene) -> None:
    destroy(scene.first, scene.document(3))


def remove_a_report_in_the_second_region(scene: Scene) -> None:
    destroy(scene.second, scene.document(3))


def remove_a_report_where_it_was_written(scene: Scene) -> None:
    destroy(scene.reports, scene.entry(3).report)


def swap_two_reports(scene: Scene) -> None:
    bodies = [scene.first.get(scene.document(number)) for number in (3, 4)]
    for number, body in zip((4, 3), bodies, strict=True):
        scene.first.put_over(scene.document(number), body)


def insert_a_report_beside_the_chain(scene: Scene) -> None:
    scene.write(99)


def insert_a_report_on_the_trail(scene: Scene) -> None:
    name, body = scene.write(99)
    destroy(scene.reports, name)
    scene.first.put_once(scene.trail.names.document(name), body, {"after": "6"})


def change_an_entry_by_one_byte(scene: Scene) -> None:
    over(scene, scene.trail.names.entry(3))


def change_what_an_entry_says(scene: Scene) -> None:
    forged = msgspec.structs.replace(scene.entry(3), sentence="nothing to repair", ok=False)
    scene.first.put_over(scene.trail.names.entry(3), encoded(forged))


def change_a_report_and_the_hash_of_its_entry(scene: Scene) -> None:
    body = scene.first.get(scene.document(3)).replace(b"3 keys", b"0 keys")
    for objects in (scene.first, scene.second):
        objects.put_over(scene.document(3), body)
    scene.reports.put_over(scene.entry(3).report, body)
    scene.first.put_over(
        scene.trail.names.entry(3), encoded(msgspec.structs.replace(scene.entry(3), sha256=sha256(body)))
    )


def put_the_chain_together_anew_from_an_entry_on(scene: Scene) -> None:
    entries = [scene.entry(number) for number in range(3, 7)]
    entries[0] = msgspec.structs.replace(entries[0], sentence="nothing to repair")
    scene.put_entries(entries)


def put_the_chain_together_anew_with_forged_anchors(scene: Scene) -> None:
    put_the_chain_together_anew_from_an_entry_on(scene)
    for number in range(3, 7):
        forged = FORGER.sign(ANCHOR, scene.first.get(scene.trail.names.entry(number)))
        for objects in (scene.first, scene.second):
            objects.put_over(scene.trail.names.anchor(number), forged)


def remove_an_entry(scene: Scene) -> None:
    destroy(scene.first, scene.trail.names.entry(3))


def remove_an_entry_and_its_anchors(scene: Scene) -> None:
    remove_an_entry(scene)
    for objects in (scene.first, scene.second):
        destroy(objects, scene.trail.names.anchor(3))


def remove_the_first_entry(scene: Scene) -> None:
    destroy(scene.first, scene.trail.names.entry(1))


def cut_the_tail_off_in_the_first_region(scene: Scene) -> None:
    for number in (6, 5):
        destroy(scene.first, scene.document(number))
        destroy(scene.first, scene.trail.names.entry(number))
        destroy(scene.first, scene.trail.names.anchor(number))


def remove_an_entry_and_close_the_gap(scene: Scene) -> None:
    left = [msgspec.structs.replace(scene.entry(number), number=number - 1) for number in range(4, 7)]
    scene.put_entries(left)
    destroy(scene.first, scene.trail.names.entry(6))


def swap_two_entries(scene: Scene) -> None:
    bodies = [scene.first.get(scene.trail.names.entry(number)) for number in (3, 4)]
    for number, body in zip((4, 3), bodies, strict=True):
        scene.first.put_over(scene.trail.names.entry(number), body)


def append_an_entry(scene: Scene) -> None:
    name, body = scene.write(7)
    for objects in (scene.first, scene.second):
        objects.put_once(scene.trail.names.document(name), body)
    before = sha256(scene.first.get(scene.trail.names.entry(6)))
    forged = msgspec.structs.replace(
        scene.entry(6), number=7, previous=before, report=name, sha256=sha256(body), bytes=len(body)
    )
    scene.first.put_once(scene.trail.names.entry(7), encoded(forged))
    for objects in (scene.first, scene.second):
        objects.put_once(scene.trail.names.anchor(7), FORGER.sign(ANCHOR, encoded(forged)))


def append_an_entry_and_wait_for_the_next(scene: Scene) -> None:
    append_an_entry(scene)
    scene.chain(8)


def insert_an_entry_far_ahead(scene: Scene) -> None:
    forged = msgspec.structs.replace(scene.entry(6), number=99)
    scene.first.put_once(scene.trail.names.entry(99), encoded(forged))


def insert_an_object_among_the_entries(scene: Scene) -> None:
    scene.first.put_once(f"{scene.trail.names.entries}000000000003-b.json", b"{}")


def repeat_an_entry(scene: Scene) -> None:
    scene.put_entries([msgspec.structs.replace(scene.entry(3), number=7)])


def change_an_anchor(scene: Scene) -> None:
    name = scene.trail.names.anchor(3)
    scene.second.put_over(name, flipped(scene.second.get(name)))


def remove_an_anchor(scene: Scene) -> None:
    destroy(scene.second, scene.trail.names.anchor(3))


def move_an_anchor(scene: Scene) -> None:
    scene.second.put_over(scene.trail.names.anchor(3), scene.second.get(scene.trail.names.anchor(4)))


# What was done, and what has to be named (a regular expression).
ALTERATIONS: list[tuple[Alter, str]] = [
    (change_a_report_by_one_byte, r"report \S+run-3.json in region first: was changed"),
    (change_a_report_in_the_second_region, r"report \S+run-3.json in region second: was changed"),
    (change_a_report_where_it_was_written, r"report \S+run-3.json: was changed where it was written"),
    (hide_a_report, r"report \S+run-3.json in region first: was removed"),
    (remove_a_report_past_its_lock, r"report \S+run-3.json in region first: was removed"),
    (remove_a_report_in_the_second_region, r"report \S+run-3.json in region second: was removed"),
    (remove_a_report_where_it_was_written, r"report \S+run-3.json: was removed where it was written"),
    (swap_two_reports, r"report \S+run-3.json in region first: was moved: the bytes of \S+run-4.json"),
    (insert_a_report_beside_the_chain, r"report \S+run-99.json: is in no entry"),
    (insert_a_report_on_the_trail, r"report \S+run-99.json in region first: was inserted"),
    (change_an_entry_by_one_byte, r"entry 3 \(\S+run-3.json\): was changed"),
    (change_what_an_entry_says, r"entry 3 \(\S+\): was changed: ok, sentence are not as signed"),
    (change_a_report_and_the_hash_of_its_entry, r"entry 3 \(\S+\): was changed: sha256 is not as signed"),
    (put_the_chain_together_anew_from_an_entry_on, r"entry 3 \(\S+\): was changed: sentence is"),
    (put_the_chain_together_anew_with_forged_anchors, r"entry 3 \(\S+\): was inserted: no signature"),
    (remove_an_entry, r"entry 3 \(\S+run-3.json\): was removed"),
    (remove_an_entry_and_its_anchors, r"entry 3: was removed, and so was every anchor"),
    (remove_the_first_entry, r"entry 1 \(\S+run-1.json\): was removed"),
    (cut_the_tail_off_in_the_first_region, r"entry 6 \(\S+run-6.json\): was removed"),
    (remove_an_entry_and_close_the_gap, r"entry 3 \(\S+run-3.json\): was changed: .*report"),
    (swap_two_entries, r"entry 3 \(\S+run-3.json\): was moved: entry 4 stands in its place"),
    (append_an_entry, r"entry 7 \(\S+run-7.json\): was inserted"),
    (append_an_entry_and_wait_for_the_next, r"entry 7 \(\S+run-7.json\): was inserted"),
    (insert_an_entry_far_ahead, r"entry 99 \S*.*: was inserted"),
    (insert_an_object_among_the_entries, r"000000000003-b.json in region first: was inserted"),
    (repeat_an_entry, r"entry 7 .*: was inserted"),
    (change_an_anchor, r"anchor 3 in region second: was changed"),
    (remove_an_anchor, r"anchor 3 in region second: was removed"),
    (move_an_anchor, r"anchor 3 in region second: was changed"),
]


@pytest.mark.parametrize(("alter", "named"), ALTERATIONS, ids=[alter.__name__ for alter, _ in ALTERATIONS])
def test_an_alteration_is_named(scene: Scene, alter: Alter, named: str) -> None:
    scene.fill()
    alter(scene)
    findings = scene.named()
    assert any(re.search(named, finding) for finding in findings), findings


def test_it_names_what_was_altered_and_nothing_else(scene: Scene) -> None:
    scene.fill()
    assert scene.named() == []
    change_a_report_by_one_byte(scene)
    change_an_entry_by_one_byte(scene)
    assert len(scene.named()) == 2
