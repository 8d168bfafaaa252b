package signing

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

func TestEachEventThatMovesMoneyIsSignedByItsOwner(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	keys := trusting(t, orders.entry+","+payments.entry)
	signers := map[string]*Signer{"orders": orders.signer(t), "payments": payments.signer(t)}
	var signed []string
	for _, typ := range messages.Registry() {
		plain := record(t, typ.Example, typ.Owner)
		_, err := keys.Decode(plain)
		if !typ.Signed {
			require.NoError(t, err, typ.Name)
			for _, s := range signers {
				require.Equal(t, plain, sign(t, s, plain)[0], typ.Name)
			}
			continue
		}
		signed = append(signed, typ.Name)
		require.ErrorContains(t, err, typ.Name+" must be signed by "+typ.Owner)
		for service, s := range signers {
			m, err := keys.Decode(sign(t, s, plain)[0])
			if service != typ.Owner {
				require.Error(t, err, "%s signed by %s", typ.Name, service)
				continue
			}
			require.NoError(t, err)
			want, err := messages.Decode(plain)
			require.NoError(t, err)
			require.Equal(t, want, m)
		}
	}
	require.ElementsMatch(t, []string{"payment_captured", "payment_refunded", "payment_failed", "refund_requested",
		"order_confirmed", "order_cancelled", "order_failed"}, signed)
}

// Each row is something that a program with write access to Kafka can do with records that payments or orders signed.
func TestASignedRecordThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	keys := trusting(t, orders.entry+","+payments.entry)
	batch := sign(t, payments.signer(t), captured(t, "o1"), captured(t, "o2"), captured(t, "o3"))
	alone := sign(t, payments.signer(t), captured(t, "o1"))[0]
	refund := sign(t, orders.signer(t), record(t, messages.RefundRequested{OrderID: "o1", UserID: "ada",
		Amount: messages.Money{Minor: 129900, Currency: "USD"}, Reason: "cancelled_by_user"}, "orders"))[0]
	other := sign(t, newPair(t, "payments").signer(t), captured(t, "o1"))[0]
	for name, forge := range map[string]func(r *messages.Record){
		"another amount":            func(r *messages.Record) { r.Value = bytes.Replace(r.Value, []byte("1299.00"), []byte("1.00"), 1) },
		"another order's body":      func(r *messages.Record) { r.Value = batch[1].Value },
		"another order's key":       func(r *messages.Record) { r.Key = batch[1].Key },
		"no key":                    func(r *messages.Record) { r.Key = nil },
		"another order's signature": func(r *messages.Record) { set(r, messages.SignatureHeader, value(batch[1], messages.SignatureHeader)) },
		"another body and key":      func(r *messages.Record) { r.Key, r.Value = batch[1].Key, batch[1].Value },
		"another id":                func(r *messages.Record) { set(r, headerID, value(batch[1], headerID)) },
		"no id":                     func(r *messages.Record) { remove(r, headerID) },
		"another service's name":    func(r *messages.Record) { set(r, headerSource, "/pasdetrois/orders") },
		"from outside":              func(r *messages.Record) { set(r, headerOutside, "true") },
		"another type":              func(r *messages.Record) { set(r, headerType, "pasdetrois.payment_refunded.v1") },
		"no type":                   func(r *messages.Record) { remove(r, headerType) },
		"somebody else's type":      func(r *messages.Record) { set(r, headerType, "com.example.captured") },
		"another event in the body": func(r *messages.Record) {
			r.Value = bytes.Replace(r.Value, []byte("payment_captured"), []byte("payment_refunded"), 1)
		},
		"a type behind the first":     func(r *messages.Record) { add(r, headerType, "pasdetrois.payment_captured.v1") },
		"an empty type behind it":     func(r *messages.Record) { add(r, headerType, "") },
		"the id twice":                func(r *messages.Record) { add(r, headerID, value(*r, headerID)) },
		"the signature twice":         func(r *messages.Record) { add(r, messages.SignatureHeader, value(*r, messages.SignatureHeader)) },
		"a signature of another key":  func(r *messages.Record) { set(r, messages.SignatureHeader, value(other, messages.SignatureHeader)) },
		"a key's name, another's sig": func(r *messages.Record) { rewrite(t, r, func(s *signature) { s.key = orders.id() }) },
		"an unknown key's name":       func(r *messages.Record) { rewrite(t, r, func(s *signature) { s.key = "0000000000000000" }) },
		"a shorter signature":         func(r *messages.Record) { rewrite(t, r, func(s *signature) { s.sig = s.sig[:63] }) },
		"another place":               func(r *messages.Record) { rewrite(t, r, func(s *signature) { s.at = 3 }) },
		"a shorter path":              func(r *messages.Record) { rewrite(t, r, func(s *signature) { s.path = s.path[:32] }) },
		"no path":                     func(r *messages.Record) { rewrite(t, r, func(s *signature) { s.path = nil }) },
		"an endless path":             func(r *messages.Record) { rewrite(t, r, func(s *signature) { s.path = bytes.Repeat(s.path, 9) }) },
		"a signature of nothing":      func(r *messages.Record) { set(r, messages.SignatureHeader, "") },
		"another version": func(r *messages.Record) {
			set(r, messages.SignatureHeader, strings.Replace(value(*r, messages.SignatureHeader), "v=1", "v=2", 1))
		},
		"more behind the header": func(r *messages.Record) {
			set(r, messages.SignatureHeader, value(*r, messages.SignatureHeader)+"; x=1")
		},
		"a refund under orders' own": func(r *messages.Record) {
			*r = refund
			set(r, messages.SignatureHeader, value(batch[0], messages.SignatureHeader))
		},
		"lengths moved": func(r *messages.Record) {
			id := value(*r, headerID)
			r.Key = append(r.Key, id[0])
			set(r, headerID, id[1:])
		},
		"a structured event's label": func(r *messages.Record) { set(r, "content-type", "application/cloudevents+json") },
		"a CloudEvent around the event": func(r *messages.Record) {
			r.Value = fmt.Appendf(nil, `{"specversion":"1.0","id":"x","data":%s}`, r.Value)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := clone(batch[0])
			forge(&r)
			_, err := keys.Decode(r)
			require.Error(t, err)
		})
	}
	for _, r := range append(batch, alone, refund) {
		_, err := keys.Decode(r)
		require.NoError(t, err, "the originals stay valid")
	}
	t.Run("moved to another topic", func(t *testing.T) {
		t.Parallel()
		for _, topic := range messages.TopicNames() {
			r := clone(batch[0])
			if r.Topic = topic; topic == messages.TopicPayments {
				continue
			}
			_, err := keys.Decode(r)
			require.Error(t, err, topic)
		}
	})
	// Our readers take names of headers letter by letter, so such a header changes nothing.
	t.Run("names in other letters decide nothing", func(t *testing.T) {
		t.Parallel()
		r := clone(batch[0])
		for _, h := range []string{"CE_Type", "CE_ID", "Ce_Outside", "Pas-Signature"} {
			add(&r, h, "true")
		}
		want, err := messages.Decode(batch[0])
		require.NoError(t, err)
		m, err := keys.Decode(r)
		require.NoError(t, err)
		require.Equal(t, want, m)
		set(&r, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		_, err = keys.Decode(r)
		require.NoError(t, err, "a span on the way is no change")
	})
}

// A signer that signs anything is no way in: header, body and decoded message must be one event.
func TestASignatureOverTwoEventsIsRefused(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	keys, signer := trusting(t, orders.entry+","+payments.entry), payments.signer(t)
	for name, change := range map[string]func(r *messages.Record){
		"the body's event": func(r *messages.Record) {
			r.Value = bytes.Replace(r.Value, []byte("payment_captured"), []byte("payment_refunded"), 1)
		},
		"no event in front": func(r *messages.Record) { r.Value = append([]byte(" "), r.Value...) },
		"no id":             func(r *messages.Record) { remove(r, headerID) },
	} {
		r := captured(t, "o1")
		change(&r)
		c, err := contentOf(r)
		require.NoError(t, err)
		add(&r, messages.SignatureHeader, signer.together([]digest{c.digest})[0])
		_, err = keys.Decode(r)
		require.ErrorContains(t, err, "different events", name)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	orders, old, next := newPair(t, "orders"), newPair(t, "payments"), newPair(t, "payments")
	before, after := sign(t, old.signer(t), captured(t, "o1"))[0], sign(t, next.signer(t), captured(t, "o1"))[0]
	for name, c := range map[string]struct {
		entries        string
		before, behind bool
	}{
		"before":          {old.entry, true, false},
		"while":           {old.entry + "\n" + next.entry, true, true},
		"after":           {next.entry, false, true},
		"of another name": {strings.Replace(old.entry, "payments:", "orders:", 1) + "," + next.entry, false, true},
	} {
		keys := trusting(t, orders.entry+","+c.entries)
		_, err := keys.Decode(before)
		assert.Equal(t, c.before, err == nil, name)
		_, err = keys.Decode(after)
		assert.Equal(t, c.behind, err == nil, name)
	}
	require.Equal(t, []messages.Record{before}, sign(t, next.signer(t), before), "a record is signed once")
}

func TestEveryLeafOfATreeLeadsToItsRoot(t *testing.T) {
	t.Parallel()
	for n := 1; n <= maxLeaves+1; n++ {
		leaves := make([]digest, n)
		for i := range leaves {
			leaves[i] = content{id: []byte{byte(i)}}.leaf(messages.Record{})
		}
		root, paths := treeOf(leaves)
		for i, path := range paths {
			for at := range 2 * maxLeaves {
				got, err := rootOf(leaves[i], at, path)
				require.Equal(t, at == i, err == nil && got == root, "%d of %d at %d", i, n, at)
			}
		}
	}
}

func TestRecordsOfOneMomentShareASignature(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	keys, signer := trusting(t, orders.entry+","+payments.entry), payments.signer(t)
	var all []messages.Record
	for i := range 2*maxLeaves + 1 {
		all = append(all, captured(t, fmt.Sprint("o", i)))
	}
	signatures := map[string]bool{}
	var each sync.WaitGroup
	for _, r := range sign(t, signer, all...) {
		s, err := parse(value(r, messages.SignatureHeader))
		require.NoError(t, err)
		signatures[string(s.sig)] = true
		each.Go(func() {
			_, err := keys.Decode(r)
			assert.NoError(t, err)
		})
	}
	each.Wait()
	require.Len(t, signatures, 3)
	require.Len(t, keys.roots, 2, "the result of a root with one record is not kept")
}

// A message is encoded after it was signed, maybe in another trace: the bytes must be the same.
func TestSignedMessagesAreSignedRecords(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	keys := trusting(t, orders.entry+","+payments.entry)
	paid := messages.PaymentCaptured{OrderID: "o1", UserID: "ada", Amount: messages.Money{Minor: 100, Currency: "USD"}, PaymentID: "p"}
	all := []*messages.Message{{ID: "1", Event: paid}, {ID: "2", Event: paid, Outside: true, Time: time.Now()},
		{ID: "3", Event: messages.OrderConfirmed{OrderID: "o1"}}, {ID: "", Event: paid}, {}}
	(*Signer)(nil).Messages(all)
	payments.signer(t).Messages(all)
	for i, signed := range []bool{true, true, false, false, false} {
		require.Equal(t, signed, all[i].Signature != "", i)
		if !signed {
			continue
		}
		all[i].TraceParent = messages.NewTraceParent()
		r, err := all[i].Record()
		require.NoError(t, err)
		_, err = keys.Decode(r)
		require.NoError(t, err)
		require.Equal(t, []messages.Record{r}, sign(t, payments.signer(t), r))
	}
}

// The results that are kept have a bound, whatever is written.
func TestTheCheckedRootsAreBounded(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	keys := trusting(t, orders.entry+","+payments.entry)
	signed := sign(t, payments.signer(t), captured(t, "o1"), captured(t, "o2"))
	for i := range maxRoots + 10 {
		r := clone(signed[0])
		rewrite(t, &r, func(s *signature) { s.path[0], s.path[1] = byte(i), byte(i>>8) })
		_, _ = keys.Decode(r)
	}
	require.Len(t, keys.roots, maxRoots)
	require.Len(t, keys.order, maxRoots)
	_, err := keys.Decode(signed[0])
	require.NoError(t, err)
}

func clone(r messages.Record) messages.Record {
	r.Key, r.Value, r.Headers = bytes.Clone(r.Key), bytes.Clone(r.Value), slices.Clone(r.Headers)
	return r
}

func value(r messages.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func add(r *messages.Record, name, value string) {
	r.Headers = append(r.Headers, messages.Header{Key: name, Value: []byte(value)})
}

func remove(r *messages.Record, name string) {
	r.Headers = slices.DeleteFunc(r.Headers, func(h messages.Header) bool { return h.Key == name })
}

func set(r *messages.Record, name, value string) {
	r.Headers = slices.Clone(r.Headers)
	remove(r, name)
	add(r, name, value)
}

func rewrite(t *testing.T, r *messages.Record, change func(s *signature)) {
	t.Helper()
	s, err := parse(value(*r, messages.SignatureHeader))
	require.NoError(t, err)
	change(&s)
	set(r, messages.SignatureHeader, s.String())
}
