package windows

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sparkFolder has the Spark job, from this folder.
const sparkFolder = "../../deploy/spark"

func TestTheSparkJobMakesTheSameTables(t *testing.T) {
	t.Parallel()
	copied, err := os.ReadFile(filepath.Join(sparkFolder, "schema.sql"))
	require.NoError(t, err)
	require.Equal(t, schema, string(copied), "copy toolbox/windows/schema.sql to deploy/spark")
}
