package auth_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/run"
)

func TestSettingsSayWhatIsWrongInOneLineEach(t *testing.T) {
	t.Parallel()
	const issuer, audience = "https://login.example.com/realms/shop", "orders"
	for name, c := range map[string]struct {
		environ map[string]string
		wrong   []string
	}{
		"nothing is set":              {nil, nil},
		"off":                         {map[string]string{"AUTH": "off"}, nil},
		"off on purpose":              {map[string]string{"AUTH": "off-on-purpose"}, nil},
		"off on purpose, for now":     {map[string]string{"AUTH": "off-on-purpose", "OIDC_ISSUER": issuer, "OIDC_AUDIENCE": audience}, nil},
		"oidc":                        {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": issuer, "OIDC_AUDIENCE": audience}, nil},
		"an issuer on loopback":       {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "http://127.0.0.1:8180/realms/shop", "OIDC_AUDIENCE": audience}, nil},
		"an issuer on localhost":      {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "http://localhost:8180", "OIDC_AUDIENCE": audience}, nil},
		"unknown":                     {map[string]string{"AUTH": "none"}, []string{`AUTH: "none" is not one of oidc, off, off-on-purpose`}},
		"another case":                {map[string]string{"AUTH": "OIDC"}, []string{`AUTH: "OIDC" is not one of oidc, off, off-on-purpose`}},
		"oidc alone":                  {map[string]string{"AUTH": "oidc"}, []string{"OIDC_ISSUER is empty", "OIDC_AUDIENCE is empty"}},
		"no audience":                 {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": issuer}, []string{"OIDC_AUDIENCE is empty"}},
		"no issuer":                   {map[string]string{"AUTH": "oidc", "OIDC_AUDIENCE": audience}, []string{"OIDC_ISSUER is empty"}},
		"an issuer, and nobody asked": {map[string]string{"OIDC_ISSUER": issuer, "OIDC_AUDIENCE": audience}, []string{"OIDC_ISSUER or OIDC_AUDIENCE is set, and AUTH=off asks nobody: set AUTH=oidc"}},
		"http":                        {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "http://login.example.com", "OIDC_AUDIENCE": audience}, []string{"has no https://"}},
		"http, like loopback":         {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "http://127.0.0.1.example.com", "OIDC_AUDIENCE": audience}, []string{"has no https://"}},
		"http, and a user":            {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "http://localhost@login.example.com", "OIDC_AUDIENCE": audience}, []string{"is not a URL such as"}},
		"no URL":                      {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "login.example.com", "OIDC_AUDIENCE": audience}, []string{"is not a URL such as"}},
		"another scheme":              {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "file://localhost/keys", "OIDC_AUDIENCE": audience}, []string{"has no https://"}},
		"a query":                     {map[string]string{"AUTH": "oidc", "OIDC_ISSUER": issuer + "?a=b", "OIDC_AUDIENCE": audience}, []string{"is not a URL such as"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := run.Parse[auth.Settings](c.environ)
			require.NoError(t, err)
			err = s.Validate()
			if len(c.wrong) == 0 {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.wrong))
			for i, part := range c.wrong {
				require.Contains(t, lines[i], part)
			}
			require.Equal(t, c.environ["AUTH"] == "oidc", s.On())
		})
	}
}
