package kubernetes

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCaptureRunsAsItIsTested: the operator takes the resources, and the connector has the settings of deploy/cdc/orders.json,
// which e2e/cdc runs.
func TestCaptureRunsAsItIsTested(t *testing.T) {
	t.Parallel()
	known, objects := definitions(t), build(t, "cdc").others
	require.Len(t, objects, 3)
	for name, object := range objects {
		d, exists := known[kind(object)]
		require.True(t, exists, "%s: no operator serves %v", name, kind(object))
		require.Empty(t, d.refusals(t, read(t, object)), name)
	}

	content, err := os.ReadFile("../../deploy/cdc/orders.json")
	require.NoError(t, err)
	var tested struct {
		Name   string
		Config map[string]any
	}
	require.NoError(t, json.Unmarshal(content, &tested))
	spec := objects["KafkaConnector/"+tested.Name]["spec"].(map[string]any)
	config := spec["config"].(map[string]any)
	config["connector.class"], config["tasks.max"] = spec["class"], "1"
	require.Equal(t, "/mnt/database-ca/ca.crt", config["database.sslrootcert"])
	delete(config, "database.sslrootcert") // compose's network is private: no TLS there
	require.Equal(t, tested.Config, config)
}
