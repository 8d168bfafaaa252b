"""Counts events in windows of time with Spark: the same windows as `pas windows --store`, in the same tables.

Either can go on where the other stopped: the offsets beside the counts in Postgres say where. Spark's own checkpoint is of
no importance, so each run has a new one.
"""

import argparse
import functools
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

import pyarrow as pa

import events

KAFKA = "org.apache.kafka."
# Only these headers say something about an event.
HEADERS = "filter(headers, h -> lower(h.key) IN ('ce_type', 'ce_time', 'content-type')) AS headers"
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # of a broker that tells none
ROWS = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("next", pa.int64()),  # set in the one row of a partition that says how far it was read
        ("watermark", pa.int64()),
        ("counters", pa.list_(pa.int64())),
        ("start", pa.int64()),  # set in the rows of windows
        ("event", pa.string()),
        ("currency", pa.string()),
        ("count", pa.int64()),
        ("minor", pa.string()),
        ("late", pa.int64()),
    ]
)
ROWS_SQL = (
    "topic string, partition int, next long, watermark long, counters array<long>, start long, event string, "
    "currency string, count long, minor string, late long"
)
COUNTERS = ("read", "counted", "late", "not_json", "empty", "bad_amounts", "ahead")


def count(batches, size, grace, prefix, positions):
    """Counts what one task has, which is records of whole partitions in their order.

    An event is late by the newest event before it in its partition and by its own record's time, so nothing outside the
    task has to be known.
    """
    at, cells = {}, {}
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("topic", "partition", "offset", "ms", "value", "headers"))
        for topic, partition, offset, ms, value, headers in zip(*columns):
            state = at.get((topic, partition))
            if state is None:
                first, watermark = positions.get((topic, partition), (0, None))
                state = at[topic, partition] = [first, watermark, [0] * len(COUNTERS)]
            if offset < state[0]:
                continue  # is counted already
            state[0] = offset + 1
            counters = state[2]
            counters[0] += 1
            if not value:
                counters[4] += 1
                continue
            event = events.read_event(topic.removeprefix(prefix), ms, value, headers)
            if event is None:
                counters[3] += 1
                continue
            name, time, currency, minor, bad, ahead = event
            counters[5] += bad
            counters[6] += ahead
            start = time - time % size
            cell = cells.setdefault((start, name, currency), [0, 0, 0])
            over = start + size + grace
            if state[1] is not None and over <= state[1] and (over <= ms or ms <= 0):
                counters[2] += 1
                cell[2] += 1
            else:
                counters[1] += 1
                cell[0] += 1
                cell[1] += minor
            if state[1] is None or time > state[1]:
                state[1] = time
    nothing = dict.fromkeys(ROWS.names)
    rows = [
        {**nothing, "topic": topic, "partition": partition, "next": state[0], "watermark": state[1], "counters": state[2]}
        for (topic, partition), state in at.items()
    ]
    rows += [
        {**nothing, "start": start, "event": name, "currency": currency, "count": c[0], "minor": str(c[1]), "late": c[2]}
        for (start, name, currency), c in cells.items()
    ]
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=ROWS)


class Job:
    """Adds Spark's batches to the store."""

    def __init__(self, store, topic_ids, size, grace, prefix):
        self.store, self.topic_ids, self.size, self.grace, self.prefix = store, topic_ids, size, grace, prefix
        self.total = dict.fromkeys(COUNTERS, 0)
        self.refused = None

    def take(self, frame, number):
        try:
            self._take(frame, number)
        except Exception as problem:
            self.refused = problem  # Spark tells its own error instead
            raise

    def _take(self, frame, number):
        counting = functools.partial(
            count, size=self.size, grace=self.grace, prefix=self.prefix, positions=dict(self.store.positions)
        )
        records = frame.selectExpr("topic", "partition", "offset", "unix_millis(timestamp) AS ms", "value", HEADERS)
        cells, read, counters = {}, {}, [0] * len(COUNTERS)
        for row in records.mapInArrow(counting, ROWS_SQL).collect():
            if row["topic"] is not None:
                if row["counters"][0]:
                    read[row["topic"], row["partition"]] = (row["next"], row["watermark"])
                counters = [a + b for a, b in zip(counters, row["counters"])]
                continue
            cell = cells.setdefault((row["start"], row["event"], row["currency"]), [0, 0, 0])
            cell[0] += row["count"]
            cell[1] += int(row["minor"])
            cell[2] += row["late"]
        for (_, _, currency), cell in cells.items():
            cell[1] = decimal(cell[1], currency)
        if read:
            self.store.same_topics(self.topic_ids())  # Spark reads on at the old offsets when a topic is made anew
            self.store.apply(cells, read)
            self.total = {name: self.total[name] + more for name, more in zip(COUNTERS, counters)}
            print(f"batch {number}: {counters[0]} records, {len(cells)} rows", file=sys.stderr, flush=True)


def decimal(minor, currency):
    """Writes minor units as messages do: 1999 USD is 19.99."""
    decimals = events.EXPONENT.get(currency, 0)
    digits = str(minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def duration(text):
    found = re.fullmatch(r"(\d+)(ms|s|m|h)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 10s, 1m or 1h")
    return int(found[1]) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[found[2]]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    parser.add_argument("--job", required=True, help="name of what is stored, as in `pas windows --job`")
    parser.add_argument("--size", type=duration, default="1m", help="length of a window (1m)")
    parser.add_argument("--grace", type=duration, default="10s", help="how long a window waits for late events (10s)")
    parser.add_argument("--from-beginning", action="store_true", help="a new job begins with the oldest record")
    parser.add_argument("--once", action="store_true", help="end after the last record that there is now")
    parser.add_argument("--every", default="1 second", help="how often what came is stored (1 second)")
    parser.add_argument("--at-once", type=int, default=2_000_000, help="records of one batch at most")
    parser.add_argument("--brokers", default=os.environ.get("KAFKA_BROKERS", "localhost:9092"))
    parser.add_argument("--topic-prefix", default=os.environ.get("KAFKA_TOPIC_PREFIX", ""))
    given = parser.parse_args()
    if given.size < 1000 or not os.environ.get("DATABASE_URL"):
        parser.error("--size must be at least 1s" if given.size < 1000 else "set DATABASE_URL to the URL of a Postgres database")
    return given


def session(jars):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("windows")
    if jars:  # started as a plain program; spark-submit says all this itself
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        builder = (
            builder.master(os.environ.get("SPARK_MASTER", "local[*]"))
            .config("spark.driver.extraClassPath", f"{jars}/*")
            .config("spark.jars", ",".join(str(jar) for jar in sorted(pathlib.Path(jars).glob("*.jar"))))
            .config("spark.ui.enabled", "false")
        )
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.sparkContext.addPyFile(str(pathlib.Path(__file__).parent / "events.py"))
    return spark


def offsets(spark, brokers, names, beginning):
    """Asks Kafka where the partitions of topics begin, or end."""
    jvm = spark.sparkContext._jvm
    settings = jvm.java.util.Properties()
    settings.put("bootstrap.servers", brokers)
    settings.put("isolation.level", "read_committed")
    settings.put("key.deserializer", KAFKA + "common.serialization.ByteArrayDeserializer")
    settings.put("value.deserializer", KAFKA + "common.serialization.ByteArrayDeserializer")
    settings.put("default.api.timeout.ms", "9000")
    consumer = jvm.org.apache.kafka.clients.consumer.KafkaConsumer(settings)
    try:
        there = jvm.java.util.ArrayList()
        for name in names:
            infos = consumer.partitionsFor(name)
            if not infos:
                raise SystemExit(f"windows.py: there is no topic {name!r}; create it with `pas topics create`")
            for info in infos:
                there.add(jvm.org.apache.kafka.common.TopicPartition(info.topic(), info.partition()))
        found = consumer.beginningOffsets(there) if beginning else consumer.endOffsets(there)
        return {(p.topic(), p.partition()): int(found[p]) for p in there}
    finally:
        consumer.close()


class TopicIds:
    """Asks Kafka for the ids of topics, as `pas windows` keeps them."""

    def __init__(self, spark, brokers, names):
        self.jvm, self.names = spark.sparkContext._jvm, names
        settings = self.jvm.java.util.Properties()
        settings.put("bootstrap.servers", brokers)
        settings.put("request.timeout.ms", "9000")
        settings.put("default.api.timeout.ms", "9000")
        self.admin = self.jvm.org.apache.kafka.clients.admin.AdminClient.create(settings)

    def __call__(self):
        names = self.jvm.java.util.ArrayList()
        for name in self.names:
            names.add(name)
        found = self.admin.describeTopics(names).allTopicNames().get()
        ids = {name: found[name].topicId().toString() for name in self.names}
        return {name: topic_id for name, topic_id in ids.items() if topic_id != NO_ID}

    def close(self):
        self.admin.close()


def begin(spark, given, names, store, topic_ids):
    """Returns the offsets to start with, and stores those of a job or partition that is new."""
    known = dict(store.positions)
    first = offsets(spark, given.brokers, names, given.from_beginning or bool(known))
    store.same_topics(topic_ids())
    new = {place: (offset, None) for place, offset in first.items() if place not in known}
    store.apply({}, new)
    start = {}
    for (topic, partition), (offset, _) in store.positions.items():
        start.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(start)


def run(given, spark, store, checkpoint):
    names = [given.topic_prefix + topic for topic in given.topics]
    topic_ids = TopicIds(spark, given.brokers, names)
    first = begin(spark, given, names, store, topic_ids)
    job = Job(store, topic_ids, given.size, given.grace, given.topic_prefix)
    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", given.brokers)
        .option("kafka.isolation.level", "read_committed")
        .option("includeHeaders", "true")
        .option("subscribe", ",".join(names))
        .option("startingOffsets", first)
        .option("maxOffsetsPerTrigger", given.at_once)
        .load()
    )
    writer = stream.writeStream.option("checkpointLocation", checkpoint).foreachBatch(job.take)
    writer = writer.trigger(availableNow=True) if given.once else writer.trigger(processingTime=given.every)
    query = writer.start()
    try:
        query.awaitTermination()
    except KeyboardInterrupt:
        query.stop()
    except Exception as problem:
        raise job.refused or problem
    finally:
        topic_ids.close()
    print(json.dumps(job.total), flush=True)


def main():
    given = arguments()
    import psycopg

    from store import Refused, Store

    names = [given.topic_prefix + topic for topic in given.topics]
    checkpoint = tempfile.mkdtemp(prefix="windows-checkpoint-")
    try:
        store = Store(os.environ["DATABASE_URL"], given.job, names, given.size, given.grace)
        run(given, session(os.environ.get("SPARK_KAFKA_JARS")), store, checkpoint)
    except (Refused, psycopg.OperationalError) as problem:
        sys.exit("windows.py: " + " ".join(str(problem).split()))
    finally:
        shutil.rmtree(checkpoint, ignore_errors=True)


if __name__ == "__main__":
    main()
