import json

from pyspark.sql import SparkSession, functions

import matter

spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
kafka = {"kafka.bootstrap.servers": matter.BROKERS}

keys = spark.createDataFrame([(k, "{}") for k in matter.KEYS], "key string, value string")
keys.write.format("kafka").options(**kafka, topic=matter.PREFIX + "spark-keys").save()
written = spark.read.format("kafka").options(**kafka, subscribe=matter.PREFIX + "spark-keys").load()
matter.say(kind="keys", partitions={r.key.decode(): r.partition for r in written.collect()})

order = spark.createDataFrame([(json.dumps(matter.place("spark")),)], "value string")
order.write.format("kafka").options(**kafka, topic=matter.PREFIX + "orders").save()

# A batch reads what is there now, so it is asked again until the order's end is among it.
records = spark.read.format("kafka").options(
    **kafka, **{"subscribe": ",".join(matter.TOPICS), "kafka.isolation.level": "read_committed", "includeHeaders": "true"}
)
reader = matter.Reader()
mine = records.load().where(functions.get_json_object(functions.col("value").cast("string"), "$.order_id") == matter.ORDER)
found = []
while not {json.loads(r.value).get("event", "order_placed") for r in found} >= reader.left and reader.more():
    found = mine.collect()
for r in found:
    reader.takes(r.topic, r.key, [(h.key, bytes(h.value)) for h in r.headers or []], r.value)
spark.stop()
