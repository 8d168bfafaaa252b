package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version makes `pas version`. The revision is empty in a build outside a git work tree.
func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of this tool",
		Example: `  pas version --json`,
		Args:    args(cobra.NoArgs),
		RunE: a.runs(func(*cobra.Command, []string) error {
			revision := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = s.Value
					}
				}
			}
			if a.json {
				return a.printer().JSON(map[string]string{"version": Version, "revision": revision, "go": runtime.Version(),
					"platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			line := "pas " + Version
			if revision != "" {
				line += " (" + revision + ")"
			}
			a.printer().Line("%s %s %s/%s", line, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		}),
	}
}
