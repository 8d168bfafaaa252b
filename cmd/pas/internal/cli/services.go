package cli

import (
	"errors"
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
		if err := errors.Join(a.logIn(c), a.operate(c, at)); err != nil {
			return err
		}
		c.SetPatience(a.Patience, a.waits)
		defer c.Close()
		return run(cmd, c, args)
	})
}

// logIn gives the client the token of PAS_TOKEN or PAS_TOKEN_FILE, for services whose callers log in.
func (a *app) logIn(c *client.Client) (err error) {
	const name = "PAS_TOKEN"
	value, path := a.Environ[name], a.Environ[name+"_FILE"]
	var token *client.Token
	switch {
	case value != "" && path != "":
		return usagef("%s and %s_FILE are both set: keep one", name, name)
	case value != "":
		token, err = client.FixedToken(value)
	case path != "":
		name := name + "_FILE"
		if token, err = client.TokenFile(path); err != nil {
			return usagef("%s: %s", name, err)
		}
	}
	if err != nil {
		return usagef("%s: %s", name, err)
	}
	c.SetToken(token)
	return nil
}
