package scenario_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
)

// field replaces a field of a single order or payment.
func field(name string, value any) lie {
	return func(r *http.Request, _ int, resp *http.Response, body any) any {
		o, ok := body.(object)
		if ok && resp.StatusCode < 300 && o["order_id"] != nil {
			o[name] = value
		}
		return body
	}
}

// stockOff moves pieces between available and reserved of one product.
func stockOff(pieces int64) lie {
	return func(r *http.Request, _ int, resp *http.Response, body any) any {
		o, ok := body.(object)
		if !ok || !isItem(r, "/inventory/") || o["available"] == nil {
			return body
		}
		for name, by := range map[string]int64{"available": pieces, "reserved": -pieces} {
			n, _ := o[name].(json.Number).Int64()
			o[name] = n + by
		}
		return o
	}
}

func items(body any) []any {
	o, _ := body.(object)
	list, _ := o["items"].([]any)
	return list
}

func isList(r *http.Request, path string) bool {
	return r.Method == http.MethodGet && r.URL.Path == path
}

func itemTwice(r *http.Request, _ int, _ *http.Response, body any) any {
	if list := items(body); isList(r, "/notifications") && len(list) > 0 {
		body.(object)["items"] = append(list, list[0])
	}
	return body
}

func noItems(r *http.Request, _ int, _ *http.Response, body any) any {
	if isList(r, "/notifications") {
		body.(object)["items"] = []any{}
	}
	return body
}

func withoutKind(kind string) lie {
	return func(r *http.Request, _ int, _ *http.Response, body any) any {
		kept := []any{}
		for _, item := range items(body) {
			if item.(object)["kind"] != kind {
				kept = append(kept, item)
			}
		}
		if isList(r, "/notifications") {
			body.(object)["items"] = kept
		}
		return body
	}
}

// itemField replaces a field of every notification.
func itemField(name string, value any) lie {
	return func(r *http.Request, _ int, _ *http.Response, body any) any {
		for _, item := range items(body) {
			if isList(r, "/notifications") {
				item.(object)[name] = value
			}
		}
		return body
	}
}

func isTimeline(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/events") }

func timelineWithout(status string) lie {
	return timelineAs(status, "pending")
}

// timelineAs shows one status of the timeline as another one.
func timelineAs(status, other string) lie {
	return func(r *http.Request, _ int, _ *http.Response, body any) any {
		for _, item := range items(body) {
			if isTimeline(r) && item.(object)["to"] == status {
				item.(object)["to"] = other
			}
		}
		return body
	}
}

func timelineMore(r *http.Request, _ int, _ *http.Response, body any) any {
	if list := items(body); isTimeline(r) && len(list) > 0 {
		body.(object)["items"] = append(list, list[0])
	}
	return body
}

// afterAsks tells the lie only once the same was asked so many times.
func afterAsks(times int, tell lie) lie {
	return func(r *http.Request, ask int, resp *http.Response, body any) any {
		if ask <= times {
			return body
		}
		return tell(r, ask, resp, body)
	}
}

// found answers 200 to what is not there.
func found(r *http.Request, _ int, resp *http.Response, body any) any {
	if resp.StatusCode == http.StatusNotFound {
		resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
		return object{"order_id": "x", "status": "captured"}
	}
	return body
}

// accepted answers 202 to an order that was refused.
func accepted(r *http.Request, _ int, resp *http.Response, body any) any {
	if r.Method == http.MethodPost && resp.StatusCode == http.StatusUnprocessableEntity {
		resp.StatusCode, resp.Status = http.StatusAccepted, "202 Accepted"
		return object{"order_id": "x", "status": "pending"}
	}
	return body
}

func withoutHeader(name string) lie {
	return func(_ *http.Request, _ int, resp *http.Response, body any) any {
		resp.Header.Del(name)
		return body
	}
}

func secondPost(r *http.Request, ask int, _ *http.Response, body any) any {
	if r.Method == http.MethodPost && r.URL.Path == "/orders" && ask == 2 {
		body.(object)["status"] = "confirmed"
	}
	return body
}

func ordersTwice(r *http.Request, _ int, _ *http.Response, body any) any {
	if list := items(body); isList(r, "/orders") && len(list) > 0 {
		body.(object)["items"] = append(list, list[0])
	}
	return body
}

func noLetters(r *http.Request, _ int, _ *http.Response, body any) any {
	if isList(r, "/dead-letters") {
		body.(object)["items"] = []any{}
	}
	return body
}

// letterField replaces a field of a single dead letter.
func letterField(name string, value any) lie {
	return func(r *http.Request, _ int, _ *http.Response, body any) any {
		o, ok := body.(object)
		if !ok || !strings.HasPrefix(r.URL.Path, "/dead-letters/") {
			return body
		}
		changed := maps.Clone(o)
		changed[name] = value
		return changed
	}
}
