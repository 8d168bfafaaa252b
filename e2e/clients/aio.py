import asyncio
import json

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

import matter


async def main():
    async with AIOKafkaProducer(bootstrap_servers=matter.BROKERS, value_serializer=lambda v: json.dumps(v).encode()) as producer:
        partitions = {k: (await producer.send_and_wait(matter.PREFIX + "keys", {}, key=k.encode())).partition for k in matter.KEYS}
        matter.say(kind="keys", partitions=partitions)
        await producer.send_and_wait(matter.PREFIX + "orders", matter.place("aiokafka"))

    reader = matter.Reader()
    async with AIOKafkaConsumer(
        *matter.TOPICS,
        bootstrap_servers=matter.BROKERS,
        group_id=matter.PREFIX + "reads.aiokafka",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    ) as consumer:
        while reader.more():
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for r in records:
                    reader.takes(r.topic, r.key, r.headers, r.value)


asyncio.run(main())
