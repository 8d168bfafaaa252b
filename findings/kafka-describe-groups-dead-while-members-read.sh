#!/usr/bin/env bash
# Software:  Apache Kafka 4.3.1 (one KRaft node), kafka-python 2.3.3 and confluent-kafka 2.16.1 (librdkafka) as members of one
#            consumer group; kafka-python's admin client asks for the group's state.
# Behaviour: a member of the new consumer protocol (KIP-848) joins a group of the classic protocol. The classic member stays in the
#            group and goes on reading. DescribeGroups, the request that tools of the classic protocol use, then says that the
#            group is Dead and has no members, although two members read. An operator would take such a group for deleted.
# Seen:      before: ('Stable', 1); after: ('Dead', 0); then read: {'classic': 10, 'new': 10}
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed. Needs Java 17, Maven and Python 3.
set -euo pipefail
dir=$(mktemp -d)
broker=
stop() {
  [ -z "$broker" ] || kill "$broker" 2>/dev/null || true
  [ -z "$broker" ] || wait "$broker" 2>/dev/null || true
  rm -rf "$dir"
}
trap stop EXIT
cd "$dir"
cat >pom.xml <<'POM'
<project>
  <modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=jars >mvn.log 2>&1 || { tail -5 mvn.log; exit 2; }
python3 -m venv venv
venv/bin/pip -q install kafka-python==2.3.3 confluent-kafka==2.16.1 >pip.log 2>&1 || { tail -5 pip.log; exit 2; }
read -r port control < <(python3 -c 'import socket
s=[socket.socket() for _ in range(2)]
[x.bind(("127.0.0.1",0)) for x in s]
print(*[x.getsockname()[1] for x in s])')
cat >server.properties <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$control
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$control
controller.listener.names=CONTROLLER
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
java=(java -Xmx512m -XX:TieredStopAtLevel=1 -cp 'jars/*')
"${java[@]}" kafka.tools.StorageTool format -t MDEyMzQ1Njc4OWFiY2RlZg -c server.properties >format.log 2>&1
"${java[@]}" kafka.Kafka server.properties >kafka.log 2>&1 &
broker=$!
cat >finding.py <<'PYTHON'
import sys, time
from confluent_kafka import Consumer
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

brokers, deadline = sys.argv[1], time.time() + 90
while True:
    try:
        admin = KafkaAdminClient(bootstrap_servers=brokers)
        admin.create_topics([NewTopic("t", 2, 1)])
        break
    except Exception as e:
        if time.time() > deadline:
            sys.exit(f"the broker did not answer: {e}")
        time.sleep(0.5)
producer = KafkaProducer(bootstrap_servers=brokers)
classic = KafkaConsumer("t", bootstrap_servers=brokers, group_id="g", auto_offset_reset="earliest", heartbeat_interval_ms=300)
while not classic.assignment() and time.time() < deadline:
    classic.poll(200)

def state():
    group = admin.describe_consumer_groups(["g"])[0]
    return group.state, len(group.members)

before = state()
new = Consumer({"bootstrap.servers": brokers, "group.id": "g", "group.protocol": "consumer", "auto.offset.reset": "earliest"})
new.subscribe(["t"])
while not (len(new.assignment()) == 1 and len(classic.assignment()) == 1) and time.time() < deadline:
    new.poll(0.1)
    classic.poll(100)
after = state()
for i in range(20):
    producer.send("t", value=b"x", partition=i % 2)
producer.flush()
read = {"classic": 0, "new": 0}
while sum(read.values()) < 20 and time.time() < deadline:
    message = new.poll(0.1)
    read["new"] += message is not None and message.error() is None
    read["classic"] += sum(len(records) for records in classic.poll(100).values())
print(f"before: {before}; after: {after}; then read: {read}")
as_described = before == ("Stable", 1) and after == ("Dead", 0) and read == {"classic": 10, "new": 10}
if not as_described:
    print("the behaviour changed")
new.close()
classic.close()
sys.exit(0 if as_described else 1)
PYTHON
venv/bin/python finding.py "127.0.0.1:$port"
