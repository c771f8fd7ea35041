"""The archive on a real Kafka and a real S3: each letter exactly once, whatever happens to the archiver."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from feed.topics import ensure_topics
from instrument_cache.connections import s3_client
from instrument_cache.dead_letters.archive import Archive, Archived, archive_letters
from instrument_cache.dead_letters.letter import FOREIGN, dead_letter_topic
from instrument_cache.dead_letters.letter_filter import LetterFilter
from instrument_cache.dead_letters.service import DeadLetters, Where
from instrument_cache.errors import DeadLetterError, LogUnavailable, ObjectStoreUnavailable
from instrument_cache.kafka import make_admin, make_producer
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, s3_settings
from tests.integration.dead_letters.letters import NOW_US, LetterBox, in_order
from tests.servers import free_port, wait_until

HOUR_US = 3_600_000_000
HOUR_START_US = NOW_US // HOUR_US * HOUR_US - HOUR_US


def archived(dead_letters: DeadLetters) -> list[object]:
    return list(in_order(dead_letters.archive.read()))


def fill(box: LetterBox) -> None:
    """Letters of three hours in two partitions."""
    for hour in range(3):
        for partition in range(2):
            for number in range(2):
                box.add(b"%d" % number, partition=partition, at_us=HOUR_START_US + hour * HOUR_US // 2)


def test_letters_of_every_kind_come_back_as_they_were(dead_letters: DeadLetters, box: LetterBox) -> None:
    box.add(b"{broken \xff\x00")
    box.add(os.urandom(10_000_000), "too_large")
    box.add(b"", partition=1)
    box.put(None, None)
    box.put(b"foreign", b"record", partition=1)
    done = dead_letters.archive_now()
    assert (done.letters, done.by_others) == (5, 0)
    assert archived(dead_letters) == box.letters()
    foreign = list(dead_letters.letters(LetterFilter(codes=frozenset({FOREIGN})), Where.ARCHIVE))
    assert [letter.value for letter in foreign] == [b"", b"record"]


def test_objects_are_hourly_and_a_second_run_writes_only_what_is_new(dead_letters: DeadLetters, box: LetterBox) -> None:
    fill(box)
    assert dead_letters.archive_now().objects == len(dead_letters.archive.listed()) == 4
    assert dead_letters.archive_now() == Archived()
    box.add(b"new")
    assert dead_letters.archive_now().letters == 1
    assert archived(dead_letters) == box.letters()


class FailingStore(ObjectStore):
    """Dies before or after its n-th write, as a process that is killed there."""

    def __init__(self, env: Environment, dies_at: int, after: bool) -> None:
        super().__init__(s3_settings(env))
        self._left, self._after = dies_at, after

    def put_once(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise KeyboardInterrupt
        written = super().put_once(key, body, metadata)
        if self._left < 0:
            raise KeyboardInterrupt
        return written


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_write_and_run_again_each_letter_is_there_once(
    dead_letters: DeadLetters, box: LetterBox, env: Environment, after: bool
) -> None:
    fill(box)
    for dies_at in (0, 1, 1):
        failing = Archive(FailingStore(env, dies_at, after), dead_letters.dataset)
        with pytest.raises(KeyboardInterrupt):
            archive_letters(dead_letters.bootstrap, dead_letters.dataset, failing)
        box.add(b"meanwhile")
    dead_letters.archive_now()
    assert archived(dead_letters) == box.letters()


class SlowStore(ObjectStore):
    """Waits before each write until the other archiver is about to write too."""

    def __init__(self, env: Environment, both: threading.Barrier) -> None:
        super().__init__(s3_settings(env))
        self._both = both

    def put_once(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        with suppress(threading.BrokenBarrierError):
            self._both.wait(2)
        return super().put_once(key, body, metadata)


def test_two_archivers_at_once_write_each_letter_once(
    dead_letters: DeadLetters, box: LetterBox, env: Environment
) -> None:
    fill(box)
    both, done = threading.Barrier(2), list[Archived]()

    def run() -> None:
        archive = Archive(SlowStore(env, both), dead_letters.dataset)
        done.append(archive_letters(dead_letters.bootstrap, dead_letters.dataset, archive))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert archived(dead_letters) == box.letters()
    assert sum(each.letters for each in done) == len(box.letters())
    assert sum(each.by_others for each in done) > 0


def test_one_that_saw_less_goes_on_behind_one_that_saw_more(dead_letters: DeadLetters, box: LetterBox) -> None:
    for number in range(4):
        box.add(b"%d" % number)
    letters, done = box.letters(), Archived()
    dead_letters.archive.write(letters[:2], "0" * 32, done)
    dead_letters.archive.write(letters, "0" * 32, done)
    assert (archived(dead_letters), done.letters, done.by_others) == (letters, 4, 1)


def test_letters_that_kafka_no_longer_has_are_read_from_the_archive(dead_letters: DeadLetters, box: LetterBox) -> None:
    for number in range(6):
        box.add(b"%d" % number, partition=number % 2)
    dead_letters.archive_now()
    before = box.letters()
    forget(dead_letters, 2)
    box.add(b"new", partition=1)
    assert len(box.letters()) == 3
    assert in_order(dead_letters.letters()) == in_order(iter([*before, *box.letters()[2:]]))
    assert in_order(dead_letters.letters(where=Where.KAFKA)) == box.letters()
    assert len(list(dead_letters.letters(LetterFilter(since_us=NOW_US + HOUR_US)))) == 0


def forget(dead_letters: DeadLetters, offset: int) -> None:
    """Have Kafka delete what stands before an offset, as its retention does."""
    topic = dead_letter_topic(dead_letters.dataset)
    admin = make_admin(dead_letters.bootstrap)
    for future in admin.delete_records([TopicPartition(topic, p, offset) for p in range(2)]).values():
        future.result(20)


def test_a_topic_that_is_made_anew_is_archived_beside_the_old_one(dead_letters: DeadLetters, box: LetterBox) -> None:
    box.add(b"old")
    dead_letters.archive_now()
    topic = dead_letter_topic(dead_letters.dataset)
    admin = make_admin(dead_letters.bootstrap)
    admin.delete_topics([topic])[topic].result(20)
    wait_until(lambda: topic not in admin.list_topics(timeout=5).topics, what="the topic's end")
    ensure_topics(dead_letters.bootstrap, dead_letters.dataset, partitions=2, replication=1)
    LetterBox(dead_letters).add(b"new")
    assert sorted(letter.value for letter in dead_letters.letters()) == [b"new", b"old"]
    assert dead_letters.archive_now().letters == 1
    assert sorted(letter.value for letter in dead_letters.letters(where=Where.ARCHIVE)) == [b"new", b"old"]


def test_letters_of_an_aborted_transaction_are_no_letters(dead_letters: DeadLetters, box: LetterBox) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": box.bootstrap, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(20)
    for value, end in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(dead_letter_topic(box.dataset), value, partition=0)
        producer.flush(20)
        end(20)
    producer.begin_transaction()
    producer.produce(dead_letter_topic(box.dataset), b"open", partition=0)
    producer.flush(20)
    make_producer(box.bootstrap).flush(1)
    assert dead_letters.archive_now().letters == 1
    assert [letter.value for letter in dead_letters.archive.read()] == [b"committed"]
    producer.commit_transaction(20)
    assert dead_letters.archive_now().letters == 1
    assert archived(dead_letters) == box.letters()


def test_an_object_that_somebody_changed_is_named(dead_letters: DeadLetters, box: LetterBox, env: Environment) -> None:
    box.add(b"1")
    dead_letters.archive_now()
    (place,) = dead_letters.archive.listed()
    client = s3_client(s3_settings(env))
    client.put_object(Bucket=dead_letters.dataset, Key=place.key(dead_letters.dataset), Body=b"x")
    with pytest.raises(DeadLetterError, match=place.topic_id):
        dead_letters.archive_now()
    with pytest.raises(DeadLetterError, match="damaged"):
        list(dead_letters.letters(where=Where.ARCHIVE))


def test_s3_away_is_said_and_kafka_alone_still_answers(box: LetterBox, env: Environment) -> None:
    box.add(b"1")
    away = DeadLetters(Environment({**env.variables, "ICACHE_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}))
    with pytest.raises(ObjectStoreUnavailable, match=r"S3 \(http://127"):
        away.archive_now()
    with pytest.raises(ObjectStoreUnavailable):
        list(away.letters())
    assert [letter.value for letter in away.letters(where=Where.KAFKA)] == [b"1"]
    assert away.statistics(where=Where.KAFKA).letters == 1


def test_kafka_away_is_said_and_the_archive_alone_still_answers(
    dead_letters: DeadLetters, box: LetterBox, env: Environment
) -> None:
    box.add(b"1")
    dead_letters.archive_now()
    away = DeadLetters(Environment({**env.variables, "ICACHE_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}"}))
    with pytest.raises(LogUnavailable, match="Kafka at"):
        away.archive_now()
    assert [letter.value for letter in away.letters(where=Where.ARCHIVE)] == [b"1"]


def test_a_topic_or_a_bucket_that_is_not_there_is_named(instance: object, env: Environment, tmp_path: Path) -> None:
    absent = DeadLetters(env)
    with pytest.raises(LogUnavailable, match=f"{absent.dataset}.dead-letter"):
        absent.archive_now()
    with pytest.raises(ObjectStoreUnavailable, match=absent.dataset):
        list(absent.letters(where=Where.ARCHIVE))
