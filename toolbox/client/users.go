package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Erasure is what a service did to erase a user, or would do.
type Erasure struct {
	Pseudonym string           `json:"pseudonym"`
	KeyID     string           `json:"key_id"`
	ErasedAt  time.Time        `json:"erased_at"`
	Counts    map[string]int64 `json:"counts"` // rows by kind
	DryRun    bool             `json:"dry_run"`
}

// eraseWait is how long a service may take to erase a user with many rows.
const eraseWait = 2 * time.Minute

// EraseUser erases a user in one service, or only counts the user's rows. It has the same effect twice.
func (c *Client) EraseUser(ctx context.Context, service, user string, dryRun bool) (Erasure, error) {
	var done Erasure
	req := call{service: service, admin: true, method: http.MethodPost, path: "/users/" + url.PathEscape(user) + "/erase", same: true, wait: eraseWait}
	if dryRun {
		req.query = url.Values{"dry_run": {"true"}}
	}
	_, err := c.do(ctx, req, &done)
	return done, err
}

// UserRow is one thing that a service keeps about a user.
type UserRow struct {
	Kind string          `json:"kind"`
	Row  json.RawMessage `json:"row"`
}

// endOfUser is the kind of the last line of an export.
const endOfUser = "end"

// maxRow bounds one line of an export: a dead letter has a megabyte at most, which JSON may write with six bytes for each.
const maxRow = 16 << 20

// ExportUser calls row with everything that a service keeps about a user, while the service sends it. An error of row ends it, and so
// does an answer that is not whole.
func (c *Client) ExportUser(ctx context.Context, service, user string, row func(UserRow) error) error {
	base := c.at[service].Admin
	req := call{service: service, admin: true, method: http.MethodGet, path: "/users/" + url.PathEscape(user) + "/data"}
	resp, err := c.open(ctx, strings.TrimRight(base, "/")+req.path, req)
	if err != nil {
		return &UnreachableError{Service: service, Admin: true, URL: base, Err: cause(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		content, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // an answer that is cut is no problem document, and is shown so
		return newProblem(req, Answer{Status: resp.StatusCode, Header: resp.Header, Body: content})
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxRow)
	for lines.Scan() {
		var next UserRow
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			return fmt.Errorf("%s answered an export with something that is not its JSON: %w", service, err)
		}
		if next.Kind == endOfUser {
			return nil
		}
		if err := row(next); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return &UnreachableError{Service: service, Admin: true, URL: base, Err: cause(err)}
	}
	return fmt.Errorf("%s ended the export of the user early: see its log, and export again", service)
}
