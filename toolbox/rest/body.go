package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pasdetrois/pkg/messages"
)

// readBody returns the whole body. A body above limit bytes is answered with 413. One without memory is answered with
// 503, and one that breaks off with 400.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	tooLarge := failed(http.StatusRequestEntityTooLarge, "HTTP 413 Request Entity Too Large: the body may have %d bytes", limit)
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	// The server's read deadline is for the request alone. It must not end the wait for an answer.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge
	case errors.Is(err, errNoMemory):
		return nil, noMemory()
	case err != nil:
		return nil, failed(http.StatusBadRequest, "HTTP 400 Bad Request: the body did not arrive whole")
	}
	return body, nil
}

// decode reads body, one JSON object, into v. Unknown fields are an error: a misspelled setting would otherwise be
// ignored in silence.
func decode(body []byte, v any) error {
	body = messages.WithoutByteOrderMark(body)
	if !utf8.Valid(body) {
		return failed(codeConversion, "Conversion of JSON to Object failed: the body is not UTF-8")
	}
	if text := bytes.TrimSpace(body); len(text) == 0 || text[0] != '{' {
		return failed(codeConversion, "Conversion of JSON to Object failed: the body is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("more follows after the object")
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	// The decoder has no type for this error.
	if field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return invalid("Unrecognized field: %s", strings.Trim(field, `"`))
	}
	return failed(codeConversion, "Conversion of JSON to Object failed: %s", strings.TrimPrefix(oneLine(err), "json: "))
}

// request reads the body of a call that must have one. Its content type must be one of the API's.
func request(w http.ResponseWriter, r *http.Request, v any) error {
	if err := checkContentType(r); err != nil {
		return err
	}
	body, err := readBody(w, r, maxBodyBytes)
	if err != nil {
		return err
	}
	return decode(body, v)
}

// optionalRequest reads the body of a call whose client may leave it out. It returns nil for an empty body, of any
// content type.
func optionalRequest[T any](w http.ResponseWriter, r *http.Request) (*T, error) {
	body, err := readBody(w, r, maxBodyBytes)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return nil, err
	}
	if err := checkContentType(r); err != nil {
		return nil, err
	}
	in := new(T)
	return in, decode(body, in)
}

// respond answers with v as JSON. A client that has closed the connection is no error.
func respond(w http.ResponseWriter, media string, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	_ = send(w, media, body)
	return nil
}

// encode returns v as JSON with a newline. It keeps <, > and &, which JSON allows, so that values arrive as they were
// written.
func encode(v any) ([]byte, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return body.Bytes(), err
}

// send writes an answer. A client that reads slowly cannot hold it longer than writeTime.
func send(w http.ResponseWriter, media string, body []byte) error {
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := w.Write(body); err != nil {
		return err
	}
	err := conn.Flush()
	_ = conn.SetWriteDeadline(time.Time{})
	return err
}
