package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/json"
	apiservercel "k8s.io/apiserver/pkg/apis/cel"
)

// definition is what one version of a custom resource may have.
type definition struct {
	properties *apiextensions.JSONSchemaProps
	structural *schema.Structural
}

// definitions reads what the operators' makers publish (testdata/README.md), by apiVersion and kind. A version that is not
// served is left out: Kubernetes would not take it.
func definitions(t *testing.T) map[[2]string]definition {
	t.Helper()
	found := map[[2]string]definition{}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var crd apiextensionsv1.CustomResourceDefinition
		require.NoError(t, json.Unmarshal(content, &crd), file)
		for _, v := range crd.Spec.Versions {
			if !v.Served {
				continue
			}
			properties := &apiextensions.JSONSchemaProps{}
			require.NoError(t, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, properties, nil), file)
			structural, err := schema.NewStructural(properties)
			require.NoError(t, err, file)
			found[[2]string{crd.Spec.Group + "/" + v.Name, crd.Spec.Names.Kind}] = definition{properties, structural}
		}
	}
	return found
}

// refusals says why the API server would not take the object, or what it would drop. The steps are the server's own, in
// its order. The object is changed as the server would.
func (d definition) refusals(t *testing.T, object map[string]any) (why []string) {
	t.Helper()
	for _, unknown := range pruning.PruneWithOptions(object, d.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		why = append(why, "unknown field "+unknown)
	}
	coerced, unknown := objectmeta.CoerceWithOptions(nil, object, d.structural, true, objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	for _, path := range unknown {
		why = append(why, "unknown field "+path)
	}
	if coerced != nil {
		why = append(why, coerced.Error())
	}
	defaulting.Default(object, d.structural)
	validator, _, err := validation.NewSchemaValidator(d.properties)
	require.NoError(t, err)
	errs := validation.ValidateCustomResource(nil, object, validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, d.structural, object)...)
	if rules := cel.NewValidator(d.structural, true, apiservercel.PerCallLimit); rules != nil {
		broken, _ := rules.Validate(t.Context(), nil, d.structural, object, nil, apiservercel.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	for _, err := range errs {
		why = append(why, err.Error())
	}
	return why
}

// read returns a copy of the object as the server reads it: whole numbers are integers.
func read(t *testing.T, object map[string]any) (copied map[string]any) {
	t.Helper()
	content, err := json.Marshal(object)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &copied))
	return copied
}

func kind(object map[string]any) [2]string {
	return [2]string{object["apiVersion"].(string), object["kind"].(string)}
}

func TestTheOperatorsTakeTheirResources(t *testing.T) {
	t.Parallel()
	known := definitions(t)
	var kinds []string
	for name, object := range build(t, "").others {
		d, exists := known[kind(object)]
		require.True(t, exists, "%s: no operator serves %v", name, kind(object))
		require.Empty(t, d.refusals(t, read(t, object)), name)
		kinds = append(kinds, kind(object)[1])
	}
	slices.Sort(kinds)
	require.Equal(t, []string{"Cluster", "Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "ScaledObject", "TriggerAuthentication"}, slices.Compact(kinds))
}

// TestTheOperatorsRefuseWhatTheyDoNotKnow spoils one thing at a time.
func TestTheOperatorsRefuseWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	known, objects := definitions(t), build(t, "").others
	for _, c := range []struct {
		name string
		path []any // fields, and indexes of lists
		to   any   // nil: the field is left out
		want string
	}{
		{"Cluster/pasdetrois-db", []any{"spec", "instancez"}, 3, "unknown field spec.instancez"},
		{"Cluster/pasdetrois-db", []any{"spec", "postgresql", "synchronous", "method"}, "all", `Unsupported value: "all"`},
		{"Cluster/pasdetrois-db", []any{"spec", "instances"}, 0, "should be greater than or equal to 1"},
		{"Kafka/pasdetrois", []any{"spec", "kafka", "listener"}, []any{}, "unknown field spec.kafka.listener"},
		{"Kafka/pasdetrois", []any{"spec", "kafka", "listeners", 0, "port"}, 80, "spec.kafka.listeners[0].port"},
		{"KafkaNodePool/brokers", []any{"spec", "roles", 0}, "brokers", `Unsupported value: "brokers"`},
		{"KafkaTopic/orders", []any{"spec", "partition"}, 6, "unknown field spec.partition"},
		{"KafkaTopic/orders", []any{"spec", "partitions"}, "6", "must be of type integer"},
		{"KafkaUser/orders-kafka", []any{"spec", "authorization", "acls", 0, "operation"}, "Read", "unknown field spec.authorization.acls[0].operation"},
		{"KafkaUser/orders-kafka", []any{"spec", "authorization", "acls", 0, "operations", 1}, "read", `Unsupported value: "read"`},
		{"KafkaUser/orders-kafka", []any{"metadata", "label"}, "x", "unknown field metadata.label"},
		{"ScaledObject/orders", []any{"spec", "scaleTargetref"}, map[string]any{}, "unknown field spec.scaleTargetref"},
		{"ScaledObject/orders", []any{"spec", "triggers"}, nil, "spec.triggers: Required value"},
		{"ScaledObject/orders", []any{"spec", "minReplicaCount"}, 7, "minReplicaCount must be less than or equal to maxReplicaCount"},
		{"TriggerAuthentication/kafka-lag", []any{"spec", "secretTargetRef", 0, "keys"}, "password", "unknown field spec.secretTargetRef[0].keys"},
	} {
		object := read(t, objects[c.name])
		var at any = object
		for i, step := range c.path {
			index, isIndex := step.(int)
			switch {
			case isIndex && i < len(c.path)-1:
				at = at.([]any)[index]
			case isIndex:
				at.([]any)[index] = c.to
			case i < len(c.path)-1:
				at = at.(map[string]any)[step.(string)]
			case c.to == nil:
				delete(at.(map[string]any), step.(string))
			default:
				at.(map[string]any)[step.(string)] = c.to
			}
		}
		why := known[kind(object)].refusals(t, read(t, object))
		require.Contains(t, strings.Join(why, "\n"), c.want, "%s %v", c.name, c.path)
	}
}
