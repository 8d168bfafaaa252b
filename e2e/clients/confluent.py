import json

import confluent_kafka
from confluent_kafka import Consumer, Producer

import matter


def partitions(**settings):
    """The partition that a producer with these settings chooses for each key."""
    found = {}
    producer = Producer({"bootstrap.servers": matter.BROKERS, **settings})
    for k in matter.KEYS:
        producer.produce(
            matter.PREFIX + "keys", b"{}", key=k, on_delivery=lambda err, m, k=k: found.update({k: None if err else m.partition()})
        )
    producer.flush(30)
    return found


matter.say(kind="keys", partitions=partitions(partitioner="murmur2_random"), default=partitions())
producer = Producer({"bootstrap.servers": matter.BROKERS, "partitioner": "murmur2_random"})
producer.produce(matter.PREFIX + "orders", json.dumps(matter.place("confluent-kafka")))
if producer.flush(30):
    raise SystemExit("the order was not written")

consumer = Consumer(
    {
        "bootstrap.servers": matter.BROKERS,
        "group.id": matter.PREFIX + "reads.confluent-kafka",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }
)
consumer.subscribe(matter.TOPICS)
reader = matter.Reader()
while reader.more():
    m = consumer.poll(0.5)
    if m is None:
        continue
    if m.error():
        raise confluent_kafka.KafkaException(m.error())
    reader.takes(m.topic(), m.key(), m.headers(), m.value())
consumer.close()
