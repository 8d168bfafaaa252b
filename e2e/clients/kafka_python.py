import json

from kafka import KafkaConsumer, KafkaProducer

import matter

producer = KafkaProducer(bootstrap_servers=matter.BROKERS, value_serializer=lambda v: json.dumps(v).encode())
partitions = {k: producer.send(matter.PREFIX + "keys", {}, key=k.encode()).get(30).partition for k in matter.KEYS}
matter.say(kind="keys", partitions=partitions)
producer.send(matter.PREFIX + "orders", matter.place("kafka-python"))
producer.flush()
producer.close()

consumer = KafkaConsumer(
    *matter.TOPICS,
    bootstrap_servers=matter.BROKERS,
    group_id=matter.PREFIX + "reads.kafka-python",
    auto_offset_reset="earliest",
    isolation_level="read_committed",
)
reader = matter.Reader()
while reader.more():
    for records in consumer.poll(timeout_ms=500).values():
        for r in records:
            reader.takes(r.topic, r.key, r.headers, r.value)
consumer.close()
