#!/usr/bin/env bash
# Software:  Apache Kafka 4.3.1 and Kafka Streams 4.3.1 (Java 17).
# Behaviour: a KStream join of two source topics with 6 and 3 partitions. With the default group.protocol=classic the application is
#            RUNNING, says nothing, and joins only those keys that happen to lie on partitions of the same number. The check
#            that topics of a join have the same number of partitions is left out when the topology has no repartition topic.
#            With group.protocol=streams the same topology ends with a TopologyException. A reader of the manual, which
#            promises that exception for topics that are not co-partitioned, would expect it of both.
# Seen:      classic: RUNNING, 7 of 20 keys joined, no error
#            streams: 0 of 20 keys joined, TopologyException
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed. Needs Java 17, Maven, and about 100 MB of downloads.
set -euo pipefail
dir=$(mktemp -d)
broker=
end() {
  [ -z "$broker" ] || { kill "$broker" && wait "$broker"; } 2>/dev/null || true
  rm -rf "$dir"
}
trap end EXIT
cd "$dir"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>4.3.1</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >maven.log 2>&1 || { tail -5 maven.log; exit 2; }
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free) controller=$(free)
cat >server.properties <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$dir/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
id=$(java -cp 'lib/*' kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)
java -cp 'lib/*' kafka.tools.StorageTool format --cluster-id "$id" --config server.properties >format.log 2>&1
java -cp 'lib/*' -Xmx512m kafka.Kafka server.properties >broker.log 2>&1 &
broker=$!
cat >Join.java <<'JAVA'
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.*;
import org.apache.kafka.streams.kstream.*;

public class Join {
    static final int KEYS = 20;

    public static void main(String[] args) throws Exception {
        boolean classic = join(args[0], args[1], "classic").matches("RUNNING, [1-9] of 20 keys joined, no error");
        boolean streams = join(args[0], args[1], "streams").endsWith("TopologyException");
        System.exit(classic && streams ? 0 : 1);
    }

    static String join(String brokers, String dir, String protocol) throws Exception {
        String six = protocol + "-six", three = protocol + "-three";
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
            admin.createTopics(List.of(new NewTopic(six, 6, (short) 1), new NewTopic(three, 3, (short) 1))).all().get();
        }
        Map<String, Object> producing = Map.of("bootstrap.servers", brokers);
        try (var producer = new KafkaProducer<>(producing, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < KEYS; i++) {
                producer.send(new ProducerRecord<>(six, "order-" + i, "left")).get();
                producer.send(new ProducerRecord<>(three, "order-" + i, "right")).get();
            }
        }
        var read = Consumed.with(Serdes.String(), Serdes.String());
        var joined = ConcurrentHashMap.<String>newKeySet();
        var builder = new StreamsBuilder();
        builder.stream(six, read).join(builder.stream(three, read), (left, right) -> left + right,
            JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofMinutes(5)),
            StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String())).foreach((key, value) -> joined.add(key));
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", brokers, "application.id", protocol, "auto.offset.reset", "earliest",
            "group.protocol", protocol, "state.dir", dir + "/" + protocol, "replication.factor", "1"));
        var failure = new AtomicReference<Throwable>();
        var result = "";
        try (var app = new KafkaStreams(builder.build(), settings)) {
            app.setUncaughtExceptionHandler(e -> {
                for (Throwable t = e; t != null; t = t.getCause()) failure.set(t);
                return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            app.start();
            // Everything is read when no key was joined for 15 s, in any case after 60 s.
            for (int still = 0, before = -1, i = 0; still < 15 && i < 60 && failure.get() == null; i++) {
                Thread.sleep(1000);
                still = joined.size() == before && app.state() == KafkaStreams.State.RUNNING ? still + 1 : 0;
                before = joined.size();
            }
            var error = failure.get() == null ? "no error" : failure.get().getClass().getSimpleName();
            result = (failure.get() == null ? app.state() + ", " : "") + joined.size() + " of " + KEYS + " keys joined, " + error;
        }
        System.out.println(protocol + ": " + result);
        return result;
    }
}
JAVA
java -cp 'lib/*' Join.java "127.0.0.1:$port" "$dir" 2>join.log
