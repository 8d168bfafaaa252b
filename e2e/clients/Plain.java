import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What every client here is asked to do, with the client of Apache Kafka itself: see clients_test.go. */
public class Plain {
    static final List<String> KEYS = List.of("1001", "ord-1001", "f-1", "Žofie", "7", "01a1fcf9-86cc-799b-8b8b-a86d9314810d");
    static final int PATIENCE = 120;
    static final ObjectMapper JSON = new ObjectMapper();

    static void say(Map<String, Object> fields) throws Exception {
        System.out.write((JSON.writeValueAsString(fields) + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    static Properties at(String brokers) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        return settings;
    }

    public static void main(String[] args) throws Exception {
        String brokers = args[0], prefix = args[1], order = args[2];
        try (var producer = new KafkaProducer<>(at(brokers), new StringSerializer(), new StringSerializer())) {
            Map<String, Object> partitions = new LinkedHashMap<>();
            for (String key : KEYS) {
                partitions.put(key, producer.send(new ProducerRecord<>(prefix + "keys", key, "{}")).get().partition());
            }
            say(Map.of("kind", "keys", "partitions", partitions));
            Map<String, Object> placed = new LinkedHashMap<>();
            placed.put("order_id", order);
            placed.put("user_id", "u-java");
            placed.put("total", 49.99);
            producer.send(new ProducerRecord<>(prefix + "orders", JSON.writeValueAsString(placed))).get();
        }

        Properties settings = at(brokers);
        settings.put("group.id", prefix + "reads.java");
        settings.put("auto.offset.reset", "earliest");
        settings.put("isolation.level", "read_committed");
        Set<String> left = new HashSet<>(List.of("order_placed", "payment_requested", "payment_captured", "notification_requested"));
        List<String> topics = new ArrayList<>();
        for (String name : List.of("orders", "payments", "notifications", "order-failures")) {
            topics.add(prefix + name);
        }
        long until = System.nanoTime() + PATIENCE * 1_000_000_000L;
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(topics);
            while (!left.isEmpty()) {
                if (System.nanoTime() > until) {
                    System.err.println("after " + PATIENCE + " s these were not seen: " + left);
                    System.exit(1);
                }
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    JsonNode body = JSON.readTree(record.value());
                    if (!body.path("order_id").asText().equals(order)) {
                        continue;
                    }
                    var type = record.headers().lastHeader("ce_type");
                    say(Map.of("kind", "record", "topic", record.topic().substring(prefix.length()), "key", record.key() == null ? "" : record.key(),
                        "ce_type", type == null ? "" : new String(type.value(), StandardCharsets.UTF_8), "body", body));
                    left.remove(body.path("event").asText("order_placed"));
                }
            }
        }
    }
}
