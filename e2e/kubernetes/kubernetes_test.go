package kubernetes

import (
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/notifications"
	"pasdetrois/services/orders"
	"pasdetrois/services/payments"
	"pasdetrois/toolbox/client"
)

// built is what a folder of deploy/kubernetes builds.
type built struct {
	deployments map[string]appsv1.Deployment
	jobs        map[string]batchv1.Job
	config      map[string]map[string]string
	secrets     map[string][]string
	policies    map[string]networkingv1.NetworkPolicy
	services    map[string]corev1.Service
	budgets     map[string]policyv1.PodDisruptionBudget
	others      map[string]map[string]any // by kind/name
}

// databaseCA is the file of the authority in each container with a database URL.
const databaseCA = "/etc/database-ca/ca.crt"

// build builds and decodes strictly: a field that Kubernetes does not know is an error.
func build(t *testing.T, folder string) built {
	t.Helper()
	found, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../deploy/kubernetes/"+folder)
	require.NoError(t, err)
	b := built{map[string]appsv1.Deployment{}, map[string]batchv1.Job{}, map[string]map[string]string{}, map[string][]string{},
		map[string]networkingv1.NetworkPolicy{}, map[string]corev1.Service{}, map[string]policyv1.PodDisruptionBudget{}, map[string]map[string]any{}}
	for _, r := range found.Resources() {
		content, err := r.AsYAML()
		require.NoError(t, err)
		name := r.GetName()
		if r.GetKind() != "Namespace" {
			require.Equal(t, "pasdetrois", r.GetNamespace(), "%s %s", r.GetKind(), name)
		}
		switch r.GetKind() {
		case "Deployment":
			b.deployments[name] = strict[appsv1.Deployment](t, content)
		case "Job":
			b.jobs[name] = strict[batchv1.Job](t, content)
		case "ConfigMap":
			b.config[name] = strict[corev1.ConfigMap](t, content).Data
		case "Secret":
			s := strict[corev1.Secret](t, content)
			b.secrets[name] = slices.Collect(maps.Keys(s.StringData))
			for key, value := range s.StringData {
				if key == "url" && name != "cdc-database" { // pas migrate takes that role from it; nothing connects with it
					u, err := url.Parse(value)
					require.NoError(t, err)
					require.Equal(t, "verify-full", u.Query().Get("sslmode"), "%s: no other mode checks whose certificate it is", name)
					require.Equal(t, databaseCA, u.Query().Get("sslrootcert"), name)
					require.Equal(t, "pasdetrois-db-rw.pasdetrois.svc", u.Hostname(), "a name in the certificates of CloudNativePG")
				}
				require.True(t, strings.Contains(value, "REPLACE-ME") || key == "username", "%s/%s is no placeholder", name, key)
			}
		case "NetworkPolicy":
			b.policies[name] = strict[networkingv1.NetworkPolicy](t, content)
		case "Service":
			b.services[name] = strict[corev1.Service](t, content)
		case "PodDisruptionBudget":
			b.budgets[name] = strict[policyv1.PodDisruptionBudget](t, content)
		case "Namespace":
			require.Equal(t, "restricted", strict[corev1.Namespace](t, content).Labels["pod-security.kubernetes.io/enforce"])
		case "Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "KafkaConnect", "KafkaConnector", "Cluster", "ScaledObject", "TriggerAuthentication":
			b.others[r.GetKind()+"/"+name] = strict[map[string]any](t, content)
		default:
			t.Fatalf("nobody checks a %s", r.GetKind())
		}
	}
	return b
}

func strict[T any](t *testing.T, content []byte) T {
	t.Helper()
	var v T
	require.NoError(t, yaml.UnmarshalStrict(content, &v), string(content))
	return v
}

// known returns the variables that a service reads.
func known(t *testing.T, service string) []string {
	t.Helper()
	var cfg any = &orders.Config{}
	switch service {
	case client.Payments:
		cfg = &payments.Config{}
	case client.Notifications:
		cfg = &notifications.Config{}
	}
	fields, err := env.GetFieldParams(cfg)
	require.NoError(t, err)
	var names []string
	for _, f := range fields {
		names = append(names, f.Key, f.Key+"_FILE")
	}
	return names
}

// environ returns what a container is told, with something in the place of secrets.
func (b built) environ(t *testing.T, c corev1.Container) map[string]string {
	t.Helper()
	told := map[string]string{}
	for _, from := range c.EnvFrom {
		require.Contains(t, b.config, from.ConfigMapRef.Name)
		maps.Copy(told, b.config[from.ConfigMapRef.Name])
	}
	for _, e := range c.Env {
		told[e.Name] = e.Value
		if e.ValueFrom != nil {
			require.Contains(t, b.secrets[e.ValueFrom.SecretKeyRef.Name], e.ValueFrom.SecretKeyRef.Key)
			told[e.Name] = "postgres://user:secret@db/pasdetrois"
		}
	}
	return told
}

func TestTheServicesKnowEveryVariableAndNoneIsMissing(t *testing.T) {
	t.Parallel()
	b := build(t, "base")
	adminToken := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(adminToken, []byte(strings.Repeat("x", 40)), 0o600))
	for _, service := range messages.Services() {
		d := b.deployments[service]
		require.Len(t, d.Spec.Template.Spec.Containers, 1, service)
		c := d.Spec.Template.Spec.Containers[0]
		told := b.environ(t, c)
		for name := range told {
			require.Contains(t, known(t, service), name, "%s does not read it", service)
		}
		for name, value := range told { // of files, the mounts are there; their content is not ours to know
			if plain, isFile := strings.CutSuffix(name, "_FILE"); isFile {
				require.True(t, slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return strings.HasPrefix(value, m.MountPath+"/") }), value)
				if name == "ADMIN_TOKEN_FILE" { // a path by itself
					told[name] = adminToken
					continue
				}
				delete(told, name)
				told[plain] = "content"
			}
		}
		require.ErrorContains(t, validate(t, service, told), `OIDC_ISSUER: "REPLACE-ME" is not a URL`, "the login server is to be filled in")
		told["OIDC_ISSUER"] = "https://login.example.com/realms/shop"
		delete(told, "KAFKA_TLS_CA") // without it the authorities of the machine are trusted
		require.NoError(t, validate(t, service, told), service)
		for _, required := range []string{"DATABASE_URL", "KAFKA_BROKERS", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "OIDC_AUDIENCE", "ADMIN_TOKEN_FILE"} {
			require.NotEmpty(t, told[required], "%s of %s", required, service)
		}
		require.Equal(t, auth.OIDC, told["AUTH"], service)
	}
}

func validate(t *testing.T, service string, told map[string]string) error {
	t.Helper()
	var err error
	var cfg run.Config
	switch service {
	case client.Orders:
		cfg, err = run.Parse[orders.Config](told)
	case client.Payments:
		cfg, err = run.Parse[payments.Config](told)
	default:
		cfg, err = run.Parse[notifications.Config](told)
	}
	require.NoError(t, err)
	return cfg.Validate()
}

func TestPortsAndProbesAreTheServicesOwn(t *testing.T) {
	t.Parallel()
	b := build(t, "base")
	for _, service := range messages.Services() {
		c := b.deployments[service].Spec.Template.Spec.Containers[0]
		told, ports := b.environ(t, c), map[string]int32{}
		for _, p := range c.Ports {
			ports[p.Name] = p.ContainerPort
		}
		usual := client.Defaults()[service]
		require.True(t, strings.HasSuffix(usual.Public, told["HTTP_ADDR"]), told["HTTP_ADDR"])
		require.True(t, strings.HasSuffix(usual.Admin, told["ADMIN_ADDR"]), told["ADMIN_ADDR"])
		for name, address := range map[string]string{"http": "HTTP_ADDR", "admin": "ADMIN_ADDR"} {
			require.Equal(t, told[address], ":"+itoa(ports[name]))
		}
		require.Equal(t, ports["http"], b.services[service].Spec.Ports[0].Port)
		require.Equal(t, ports["admin"], b.services[service+"-admin"].Spec.Ports[0].Port)
		require.Equal(t, "/livez", c.LivenessProbe.HTTPGet.Path)
		readiness := "/readyz"
		if service == client.Orders {
			readiness = "/readyz?for=requests"
		}
		require.Equal(t, readiness, c.ReadinessProbe.HTTPGet.Path)
		require.Equal(t, "/livez", c.StartupProbe.HTTPGet.Path)
		var allowed []int32
		for _, rule := range b.policies[service].Spec.Ingress {
			require.NotEmpty(t, rule.From, "callers are named")
			allowed = append(allowed, rule.Ports[0].Port.IntVal)
		}
		require.ElementsMatch(t, []int32{ports["http"], ports["admin"]}, allowed)
		require.Contains(t, b.budgets, service)
		require.EqualValues(t, 2, *b.deployments[service].Spec.Replicas)
	}
	require.Equal(t, []string{"pasdetrois"}, []string{b.policies["deny-all"].Spec.PodSelector.MatchLabels["app.kubernetes.io/part-of"]})
}

func itoa(port int32) string { return strconv.Itoa(int(port)) }

func TestEveryPodIsLockedDown(t *testing.T) {
	t.Parallel()
	b := build(t, "base")
	pods := map[string]corev1.PodSpec{}
	for name, d := range b.deployments {
		pods[name] = d.Spec.Template.Spec
	}
	for name, j := range b.jobs {
		pods[name] = j.Spec.Template.Spec
	}
	require.Len(t, pods, 5)
	for name, p := range pods {
		require.True(t, *p.SecurityContext.RunAsNonRoot, name)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, p.SecurityContext.SeccompProfile.Type, name)
		require.False(t, *p.AutomountServiceAccountToken, name)
		c := p.Containers[0]
		if slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return strings.HasSuffix(e.Name, "DATABASE_URL") }) {
			requireDatabaseCA(t, name, p)
		}
		require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, name)
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
		require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
		require.NotEmpty(t, c.Resources.Requests, name)
		require.NotEmpty(t, c.Resources.Limits, name)
	}
}

// requireDatabaseCA requires the authority's certificate, and nothing else of its secret, where the URLs name it: CloudNativePG keeps
// the authority's key in that secret.
func requireDatabaseCA(t *testing.T, name string, p corev1.PodSpec) {
	t.Helper()
	require.Contains(t, p.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "database-ca", MountPath: path.Dir(databaseCA), ReadOnly: true}, name)
	require.Contains(t, p.Volumes, corev1.Volume{Name: "database-ca", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: "pasdetrois-db-ca", Items: []corev1.KeyToPath{{Key: "ca.crt", Path: path.Base(databaseCA)}}}}}, name)
}

// TestTheComponentsFitTheContract: topics, their partitions, who may write them, and what is scaled by which group.
func TestTheComponentsFitTheContract(t *testing.T) {
	t.Parallel()
	b := build(t, "")
	require.NotContains(t, b.secrets, "orders-kafka", "the operator makes it")
	require.NotContains(t, b.secrets, "pasdetrois-db-ca", "the operator makes it")
	require.NotContains(t, b.jobs, "topics", "the operator makes them")
	at := func(v any, keys ...string) any {
		for _, p := range keys {
			v = v.(map[string]any)[p]
		}
		return v
	}
	partitions := map[string]int{}
	for _, topic := range messages.Topics() {
		partitions[topic.Name] = topic.Partitions
		require.EqualValues(t, topic.Partitions, at(b.others["KafkaTopic/"+topic.Name], "spec", "partitions"))
		require.EqualValues(t, 3, at(b.others["KafkaTopic/"+topic.Name], "spec", "replicas"))
		require.EqualValues(t, kafka.MaxBatchBytes, at(b.others["KafkaTopic/"+topic.Name], "spec", "config", "max.message.bytes"))
		require.EqualValues(t, kafka.Retention.Milliseconds(), at(b.others["KafkaTopic/"+topic.Name], "spec", "config", "retention.ms"))
	}
	for _, service := range messages.Services() {
		var want, got []string
		for _, m := range messages.Registry() {
			if m.PublishedBy(service) {
				want = append(want, "Write "+m.Topic)
			}
			if m.ConsumedBy(service) {
				want = append(want, "Read "+m.Topic)
			}
		}
		for _, acl := range at(b.others["KafkaUser/"+service+"-kafka"], "spec", "authorization", "acls").([]any) {
			operations := at(acl, "operations").([]any)
			if at(acl, "resource", "type") == "topic" {
				got = append(got, operations[1].(string)+" "+at(acl, "resource", "name").(string))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, slices.Compact(want), got, service)
		scaled := b.others["ScaledObject/"+service]
		trigger := at(at(scaled, "spec", "triggers").([]any)[0], "metadata")
		topic := at(trigger, "topic").(string)
		require.Equal(t, messages.Group{Service: service, Topic: topic}.String(), at(trigger, "consumerGroup"))
		require.EqualValues(t, partitions[topic], at(scaled, "spec", "maxReplicaCount"), "more would have nothing to do")
	}
}
