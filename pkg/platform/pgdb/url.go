package pgdb

import "net/url"

// As returns the database URL with role's login. The role's password is its name, as the migrations set it. A text that is
// no URL is returned as it is, and fails where it is used.
func As(databaseURL, role string) string { return WithLogin(databaseURL, role, role) }

// WithLogin returns the database URL with another login. A text that is no URL is returned as it is.
func WithLogin(databaseURL, role, password string) string {
	return changed(databaseURL, func(u *url.URL) { u.User = url.UserPassword(role, password) })
}

// In returns the URL of another database on the same server. A text that is no URL is returned as it is.
func In(databaseURL, database string) string {
	return changed(databaseURL, func(u *url.URL) { u.Path = "/" + database })
}

func changed(databaseURL string, change func(*url.URL)) string {
	u, err := url.Parse(databaseURL)
	if err != nil || u.Scheme == "" {
		return databaseURL
	}
	change(u)
	return u.String()
}
