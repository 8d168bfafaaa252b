package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// UnreachableError says that a service did not answer. The request may have arrived all the same.
type UnreachableError struct {
	Service string
	Admin   bool // the admin port was asked
	URL     string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach %s at %s: %v", e.Service, e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint says how to reach the service.
func (e *UnreachableError) Hint() string {
	variable := "PAS_" + strings.ToUpper(e.Service)
	if e.Admin {
		variable += "_ADMIN"
	}
	return fmt.Sprintf("start the system with `pas up`, or set %s_URL to where it runs", variable)
}

// Problem is a service's rejection of a request: RFC 9457 problem+json.
type Problem struct {
	Service string         `json:"-"`
	Status  int            `json:"status"`
	Title   string         `json:"title"`
	Detail  string         `json:"detail"`
	Errors  []ProblemField `json:"errors"`
	Admin   bool           `json:"-"` // the admin port was asked
	// Answer is the reply as it came.
	Answer Answer `json:"-"`
}

// ProblemField is the fault of one field of the request.
type ProblemField struct {
	Message  string `json:"message"`
	Location string `json:"location"`
}

// newProblem reads an error answer. If it is no problem+json (such as a proxy's page), only its status counts.
func newProblem(req call, answer Answer) *Problem {
	p := &Problem{}
	if json.Unmarshal(answer.Body, p) != nil || (p.Title == "" && p.Detail == "") {
		p = &Problem{Title: http.StatusText(answer.Status)}
	}
	p.Service, p.Admin, p.Status, p.Answer = req.service, req.admin, answer.Status, answer
	return p
}

// Error returns one line: service, status, and every field that is named.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	fields := make([]string, 0, len(p.Errors))
	for _, f := range p.Errors {
		switch {
		case f.Location == "" || strings.Contains(f.Message, f.Location):
			fields = append(fields, f.Message)
		default:
			fields = append(fields, f.Location+": "+f.Message)
		}
	}
	if len(fields) > 0 {
		text += " (" + strings.Join(fields, "; ") + ")"
	}
	return fmt.Sprintf("%s answered %d: %s", p.Service, p.Status, strings.Join(strings.Fields(text), " "))
}

// Hint says what the caller can do; "" when the error's text says it.
func (p *Problem) Hint() string {
	variable := "PAS_" + strings.ToUpper(p.Service)
	switch p.Status {
	case http.StatusUnauthorized:
		if p.Admin {
			return "set PAS_ADMIN_TOKEN_FILE to the file with the service's admin token, or PAS_ADMIN_TOKEN to the token"
		}
		return "set PAS_TOKEN_FILE to a file that has a valid token of the login server, or PAS_TOKEN to the token"
	case http.StatusForbidden:
		if p.Admin {
			break
		}
		if p.Answer.Header.Get("WWW-Authenticate") != "" { // a scope is missing
			return "log in with that scope; the login server's operator decides who may have it"
		}
		return ""
	case http.StatusServiceUnavailable:
		return "try again in a few seconds"
	case http.StatusNotFound:
		if !Missing(p) {
			return fmt.Sprintf("check that %s_URL and %s_ADMIN_URL say where %s is", variable, variable, p.Service)
		}
		return ""
	case http.StatusConflict, http.StatusUnprocessableEntity, http.StatusBadRequest:
		return ""
	}
	return "the service's log says more"
}

// Missing reports whether the service said that the requested thing does not exist. Another program at that address may
// answer 404 too, because it has no such path. That says nothing about an order, so Missing is false then.
func Missing(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound && p.Detail != "" && !strings.HasPrefix(p.Detail, "there is nothing at ")
}

// StatusOf returns the HTTP status behind err, or 0 when the service did not answer with a problem.
func StatusOf(err error) int {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}
