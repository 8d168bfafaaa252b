package cli

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// endpoints returns the addresses of the services: those of the environment, and the usual ports for the rest.
func (a *app) endpoints() (client.Endpoints, error) {
	at := client.Defaults()
	for _, name := range messages.Services() {
		e := at[name]
		for suffix, target := range map[string]*string{"_URL": &e.Public, "_ADMIN_URL": &e.Admin} {
			variable := "PAS_" + strings.ToUpper(name) + suffix
			value := a.Environ[variable]
			if value == "" {
				continue
			}
			u, err := url.Parse(value)
			if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
				return nil, usagef("%s is not a URL such as http://127.0.0.1:8080", variable)
			}
			*target = value
		}
		at[name] = e
	}
	return at, nil
}

// withClient makes a command's RunE that gets a client of the services. The client connects with its first
// request, so a wrong argument fails without a connection.
func (a *app) withClient(run func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return a.runs(func(cmd *cobra.Command, args []string) error {
		at, err := a.endpoints()
		if err != nil {
			return err
		}
		c := client.New(at)
		c.SetPatience(a.Patience, a.waits)
		defer c.Close()
		return run(cmd, c, args)
	})
}
