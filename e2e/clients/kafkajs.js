const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require("kafkajs");

// Another producer may compress: franz-go does, with snappy.
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");

const [brokers, prefix, order] = process.argv.slice(2);
const keys = ["1001", "ord-1001", "f-1", "Žofie", "7", "01a1fcf9-86cc-799b-8b8b-a86d9314810d"];
const patience = 120;
const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.ERROR });
const say = (fields) => console.log(JSON.stringify(fields));

// partitions returns the partition that a producer with this partitioner chooses for each key.
async function partitions(createPartitioner) {
  const producer = kafka.producer({ createPartitioner });
  await producer.connect();
  const found = {};
  for (const key of keys) {
    const [written] = await producer.send({ topic: prefix + "keys", messages: [{ key, value: "{}" }] });
    found[key] = written.partition;
  }
  await producer.disconnect();
  return found;
}

async function main() {
  say({
    kind: "keys",
    partitions: await partitions(Partitioners.DefaultPartitioner),
    legacy: await partitions(Partitioners.LegacyPartitioner),
  });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({
    topic: prefix + "orders",
    messages: [{ value: JSON.stringify({ order_id: order, user_id: "u-kafkajs", total: 49.99 }) }],
  });
  await producer.disconnect();

  const left = new Set(["order_placed", "payment_requested", "payment_captured", "notification_requested"]);
  const consumer = kafka.consumer({ groupId: prefix + "reads.kafkajs", readUncommitted: false });
  await consumer.connect();
  await consumer.subscribe({ topics: ["orders", "payments", "notifications", "order-failures"].map((t) => prefix + t), fromBeginning: true });
  const late = setTimeout(() => {
    console.error(`after ${patience} s these were not seen: ${[...left]}`);
    process.exit(1);
  }, patience * 1000);
  await new Promise((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ topic, message }) => {
          const body = JSON.parse(message.value.toString());
          if (String(body.order_id) !== order) return;
          const type = message.headers.ce_type;
          say({ kind: "record", topic: topic.slice(prefix.length), key: message.key ? message.key.toString() : "", ce_type: type ? type.toString() : "", body });
          left.delete(body.event ?? "order_placed");
          if (left.size === 0) resolve();
        },
      })
      .catch(reject);
  });
  clearTimeout(late);
  await consumer.disconnect();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
