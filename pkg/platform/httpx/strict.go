package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxBody is the largest request body, in bytes.
const maxBody = 64 << 10

// byteOrderMark may stand in front of a body, as some clients on Windows write it: RFC 8259, section 8.1, lets a server
// ignore it.
var byteOrderMark = []byte("\ufeff")

// maxDepth is how deep a body may be nested; no request of ours needs more than three levels.
const maxDepth = 32

// strictBody replaces the request's body by the same bytes once they are complete and checked, and reports whether it did.
// Otherwise it has answered: bodies are rejected that decoders disagree about (too large, no JSON, invalid UTF-8, a key twice,
// more than one value), because a decoder would pick one of the meanings.
func strictBody(w http.ResponseWriter, r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case errors.Is(err, errNoRoom):
		connectionOf(r.Context()).crowd.refuse(w, r, causeRequests, 0)
		return false
	case errors.Is(err, os.ErrDeadlineExceeded):
		problem(w, http.StatusRequestTimeout, "the body did not come in time")
		return false
	case err != nil:
		problem(w, http.StatusBadRequest, "the body could not be read")
		return false
	case len(body) > maxBody:
		w.Header().Set("Connection", "close")
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody))
		return false
	case len(body) == 0:
	case !isJSON(r.Header.Get("Content-Type")):
		problem(w, http.StatusUnsupportedMediaType, "send the body as application/json")
		return false
	default:
		body = bytes.TrimPrefix(body, byteOrderMark)
		if err := checkJSON(body); err != nil {
			problem(w, http.StatusBadRequest, "the body is not acceptable JSON: "+err.Error())
			return false
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json") // however it was spelt: huma knows one spelling
	return true
}

func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("it is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	switch err := checkValue(d, 0, "the body"); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	case err != nil:
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the first value")
	}
	if halfSurrogate(body) {
		return errors.New("it has half a surrogate pair")
	}
	return nil
}

// halfSurrogate reports whether JSON text has an escape such as \ud800 without its other half. Decoders make U+FFFD of
// it, so that two ids become one.
func halfSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' {
			continue
		}
		r := escaped(text[i+1:])
		i += 4
		if !utf16.IsSurrogate(r) {
			continue
		}
		rest := text[i+1:]
		if !bytes.HasPrefix(rest, []byte(`\u`)) || utf16.DecodeRune(r, escaped(rest[2:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// escaped returns the four hexadecimal digits that text begins with.
func escaped(text []byte) rune {
	if len(text) < 4 {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(string(text[:4]), 16, 32)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

// checkValue reads one value, which stands under the key name.
func checkValue(d *json.Decoder, depth int, name string) error {
	if depth > maxDepth {
		return errors.New("it is nested too deep")
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	if n, is := token.(json.Number); is {
		if _, err := n.Float64(); err != nil { // huma reads numbers as floats before their own types do
			return fmt.Errorf("the number %.40s of %.40q is out of range", n.String(), name)
		}
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	keys := make(map[string]bool)
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ = key.(string)
			if keys[name] {
				return fmt.Errorf("the key %q is there twice", name)
			}
			keys[name] = true
		}
		if err := checkValue(d, depth+1, name); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}
