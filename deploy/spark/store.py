"""Keeps a job's windows in Postgres, in the tables and by the rules of `pas windows --store`: counts, watermarks and the
offsets to read next change in one transaction, and what was written before is not written again."""

import pathlib

import psycopg

LOCK = "SELECT pg_try_advisory_lock(hashtextextended('pas windows ' || %s, 0))"
SCHEMA_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('pas windows schema', 0))"
PRESENT = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('windows.offsets') AND attname = 'topic_id')"
MAKE = "INSERT INTO windows.jobs (job, topics, size_ms, grace_ms) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
READ = "SELECT topics, size_ms, grace_ms FROM windows.jobs WHERE job = %s"
HOLD = "SELECT FROM windows.jobs WHERE job = %s FOR UPDATE"
POSITIONS = "SELECT topic, partition, next_offset, watermark_ms FROM windows.offsets WHERE job = %s"
IDS = "SELECT DISTINCT topic, topic_id FROM windows.offsets WHERE job = %s AND topic_id IS NOT NULL"
COUNT = """
    INSERT INTO windows.counts AS c (job, window_start, event, currency, count, sum, late)
    SELECT %s, 'epoch'::timestamptz + start * interval '1 ms', event, currency, count, sum::numeric, late
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::bigint[])
        AS added (start, event, currency, count, sum, late)
    ON CONFLICT (job, window_start, event, currency) DO UPDATE
    SET count = c.count + excluded.count, sum = c.sum + excluded.sum, late = c.late + excluded.late"""
ADVANCE = """
    INSERT INTO windows.offsets AS o (job, topic, partition, next_offset, watermark_ms, topic_id)
    SELECT %s, topic, partition, next, watermark, id
    FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::text[]) AS read (topic, partition, next, watermark, id)
    ON CONFLICT (job, topic, partition) DO UPDATE
    SET next_offset = excluded.next_offset, watermark_ms = excluded.watermark_ms, topic_id = coalesce(excluded.topic_id, o.topic_id)"""


class Refused(Exception):
    """Says in one line why this job cannot be counted here."""


class Store:
    """positions is {(topic, partition): (next offset, watermark in ms or None)}, as the table has it."""

    def __init__(self, url, job, topics, size_ms, grace_ms):
        self.job = job
        self.conn = psycopg.connect(url, autocommit=True, connect_timeout=8, application_name="windows.py")
        if not self._one(LOCK, job):
            raise Refused(f"another process counts for job {job!r}; end it, or name another job with --job")
        if not self._one(PRESENT):
            with self.conn.transaction():
                self.conn.execute(SCHEMA_LOCK)
                self.conn.execute((pathlib.Path(__file__).parent / "schema.sql").read_text())
        self.conn.execute(MAKE, (job, sorted(topics), size_ms, grace_ms))
        stored = self.conn.execute(READ, (job,)).fetchone()
        if stored != (sorted(topics), size_ms, grace_ms):
            raise Refused(f"job {job!r} counts other topics, or in other windows: {stored}; name another with --job")
        self.positions = self._positions()
        self.ids = dict(self.conn.execute(IDS, (job,)).fetchall())

    def same_topics(self, ids):
        """Refuses to go on in other topics of the same names, and keeps the ids for what is stored from now on."""
        for topic, topic_id in ids.items():
            if self.ids.get(topic, topic_id) != topic_id:
                raise Refused(
                    f"the topic {topic} was deleted and created again since it was read; what is stored was counted in the old topic: "
                    "begin again with another --job"
                )
        self.ids.update(ids)

    def _one(self, query, *values):
        return self.conn.execute(query, values).fetchone()[0]

    def _positions(self):
        rows = self.conn.execute(POSITIONS, (self.job,)).fetchall()
        return {(topic, partition): (next_offset, watermark) for topic, partition, next_offset, watermark in rows}

    def apply(self, cells, read):
        """Adds cells, {(start ms, event, currency): [count, sum as text, late]}, and moves to the positions read."""
        after = {**self.positions, **read}
        with self.conn.transaction():
            self.conn.execute(HOLD, (self.job,))
            have = self._positions()
            if have == after:  # an earlier try did it, and did not hear of it
                self.positions = after
                return
            if have != self.positions:
                raise Refused("the stored offsets are not those that this process stored: another one counts for the same job")
            if cells:
                keys, values = list(cells), list(cells.values())
                self.conn.execute(COUNT, (self.job, *map(list, zip(*keys)), *map(list, zip(*values))))
            if read:
                places, at = list(read), list(read.values())
                ids = [self.ids.get(topic) for topic, _ in places]
                self.conn.execute(ADVANCE, (self.job, *map(list, zip(*places)), *map(list, zip(*at)), ids))
        self.positions = after
