import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Reads one aborted and one committed record in two share groups: one as Kafka sets it, one with share.isolation.level. It says
 * what each group read.
 */
public class Shared {
    static final int PATIENCE = 120;

    static Map<String, Object> at(String brokers) {
        return new HashMap<>(Map.of("bootstrap.servers", brokers));
    }

    static List<String> read(String brokers, String group, String topic) {
        Map<String, Object> settings = at(brokers);
        settings.put("group.id", group);
        List<String> values = new ArrayList<>();
        long until = System.nanoTime() + PATIENCE * 1_000_000_000L;
        try (var consumer = new KafkaShareConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (!values.contains("committed") && System.nanoTime() < until) {
                consumer.poll(Duration.ofMillis(500)).forEach(r -> values.add(r.value()));
            }
        }
        return values;
    }

    static void set(Admin admin, String group, Map<String, String> settings) throws ExecutionException, InterruptedException {
        Collection<AlterConfigOp> changes = new ArrayList<>();
        settings.forEach((name, value) -> changes.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), changes)).all().get();
    }

    public static void main(String[] args) throws Exception {
        String brokers = args[0], topic = args[1] + "shared", plain = args[1] + "shares.plain", committed = args[1] + "shares.committed";
        Map<String, Object> refused = at(brokers);
        refused.put("group.id", plain);
        refused.put("isolation.level", "read_committed");
        try (var consumer = new KafkaShareConsumer<>(refused, new StringDeserializer(), new StringDeserializer())) {
            System.out.println("isolation.level: taken");
        } catch (ConfigException e) {
            System.out.println("isolation.level: refused");
        }
        try (var admin = Admin.create(at(brokers))) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            set(admin, plain, Map.of("share.auto.offset.reset", "earliest"));
            set(admin, committed, Map.of("share.auto.offset.reset", "earliest", "share.isolation.level", "read_committed"));
        }
        Map<String, Object> transactional = at(brokers);
        transactional.put("transactional.id", topic);
        try (var producer = new KafkaProducer<>(transactional, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "aborted")).get();
            producer.abortTransaction();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "committed")).get();
            producer.commitTransaction();
        }
        System.out.println("as Kafka sets it: " + read(brokers, plain, topic));
        System.out.println("share.isolation.level=read_committed: " + read(brokers, committed, topic));
    }
}
