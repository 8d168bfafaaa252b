package httpx

import (
	"bytes"
	"strconv"
	"strings"
)

// frame finds where requests begin and end in the bytes that a connection hands to net/http. It reads only the plainest form of
// a request, and gives up at everything else: two readers that disagree about where a request ends would let one client's
// bytes pass for another's request. After that every request of the connection goes to net/http. A request whose end is
// certain and that is not plain goes there alone.
//
//	at a border --head--> in a body of known length --last byte--> at a border
//	     |                        |
//	     +--- anything unclear ---+--> lost, for the rest of the connection
type frame struct {
	lost bool // the borders of requests are unknown from here on
	// begun is true after the request's first byte was handed out alone: net/http reads one byte to notice the end of a connection.
	begun bool
	left  int // bytes of the request's body that have not come yet
}

// head is the first line and the header fields of a request that came in one piece. The slices point into the buffer of the
// read, so they are valid until the next one.
type head struct {
	method, path []byte
	plain        bool // net/http would accept it, answer with a body, not send 100 Continue first, and keep the connection open
	rest         int  // bytes of its body that have not come yet
}

// next takes the bytes of one read, all of which follow those of the read before. It returns the head of the request that begins
// with them, nil when no request begins there or the frame is lost. A head in two reads loses the frame: refusals are for
// crowds, whose small requests come in one piece.
func (f *frame) next(p []byte) *head {
	switch {
	case f.lost || len(p) == 0:
		return nil
	case f.left > 0:
		f.left -= len(p)
		f.lost = f.left < 0
		return nil
	case len(p) == 1 && !f.begun:
		f.begun = true
		return nil
	}
	h, ok := parseHead(p)
	h.plain = h.plain && !f.begun // net/http has its first byte
	f.begun, f.lost, f.left = false, !ok, h.rest
	if !ok {
		return nil
	}
	return &h
}

var (
	lineEnd    = []byte("\r\n")
	headEnd    = []byte("\r\n\r\n")
	version11  = []byte("HTTP/1.1")
	fromLength = []byte("Content-Length")
	accept     = []byte("Accept")
	host       = []byte("Host")
)

// The header fields that make a request other than plain, or of unknown length. Transfer-Encoding beside Content-Length is the
// classic form of request smuggling, so it loses the frame.
var (
	notPlain = [][]byte{[]byte("Connection"), []byte("Expect"), []byte("Upgrade")}
	noLength = []byte("Transfer-Encoding")
)

// parseHead reads a request's head, and how many bytes of its body are missing. It is strict: ok is false for everything that
// two readers may understand in two ways. It is also false for requests that net/http answers with 400 before it closes the
// connection. A second request behind the first in the same read makes ok false as well.
func parseHead(p []byte) (h head, ok bool) {
	end := bytes.Index(p, headEnd)
	if end < 0 {
		return h, false
	}
	lines := p[:end+len(lineEnd)]
	line, lines, _ := bytes.Cut(lines, lineEnd)
	if controls(line, false) {
		return h, false
	}
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	h.method, h.plain = method, bytes.Equal(version, version11) && (string(method) == "POST" || string(method) == "GET")
	h.path, _, _ = bytes.Cut(target, []byte("?"))
	h.plain = h.plain && bytes.HasPrefix(h.path, []byte("/")) && !bytes.Contains(h.path, []byte("%")) // nothing is to be decoded
	length, hosts := -1, 0
	for len(lines) > 0 {
		line, lines, _ = bytes.Cut(lines, lineEnd)
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !token(name) || controls(value, true) || bytes.EqualFold(name, noLength) {
			return h, false
		}
		for _, other := range notPlain {
			h.plain = h.plain && !bytes.EqualFold(name, other)
		}
		if bytes.EqualFold(name, accept) && string(bytes.Trim(value, " \t")) == eventStream {
			h.plain = false // an EventSource is answered otherwise than with 503
		}
		if bytes.EqualFold(name, host) {
			if hosts++; hosts > 1 || !address(bytes.Trim(value, " \t")) {
				return h, false
			}
		}
		if bytes.EqualFold(name, fromLength) {
			if length >= 0 {
				return h, false
			}
			if length, ok = digits(bytes.Trim(value, " \t")); !ok {
				return h, false
			}
		}
	}
	h.rest = max(0, length) - (len(p) - end - len(headEnd))
	return h, h.rest >= 0 && hosts == 1
}

// controls reports whether a line has a control character, a lone CR or LF among them. The values of fields may have tabs.
func controls(line []byte, tabs bool) bool {
	for _, c := range line {
		if c < ' ' && (c != '\t' || !tabs) || c == 0x7f {
			return true
		}
	}
	return false
}

// address reports whether a Host has only the characters that are beyond doubt.
func address(text []byte) bool {
	for _, c := range text {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:[]", rune(c)) {
			return false
		}
	}
	return true
}

// token reports whether a header field's name has only the characters that are beyond doubt.
func token(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(name) > 0
}

// digits reads a Content-Length. Signs and spaces, which strconv or other readers accept, make ok false, as does an overflow.
func digits(text []byte) (n int, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(string(text))
	return n, err == nil
}
