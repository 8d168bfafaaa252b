package httpx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"pasdetrois/pkg/messages"
)

// maxBody is the largest request body, in bytes. The contract has the same bound for a record on Kafka.
const maxBody = 64 << 10

// strictBody replaces the request's body by the same bytes once they are complete and checked, and reports whether it did.
// Otherwise it has answered already, and the request is over. It rejects bodies about which decoders disagree (invalid UTF-8,
// a key twice, more than one value). A decoder would pick one of the meanings.
//
//	503  no place in work when the body was whole    415  a content type other than JSON
//	408  the body was too slow                       413  more than maxBody; the connection is closed
//	400  the body broke off, or is no strict JSON
//
// An empty body passes: the operation decides whether it needs one.
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
		body = messages.WithoutByteOrderMark(body)
		if err := messages.CheckJSON(body); err != nil {
			problem(w, http.StatusBadRequest, "the body is not acceptable JSON: "+err.Error())
			return false
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json") // isJSON accepts more spellings than huma does
	return true
}
