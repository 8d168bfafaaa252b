package erasure

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

var (
	oldKey = strings.Repeat("o", minKey)
	newKey = strings.Repeat("n", minKey)
)

func parsed(t *testing.T, text string) Keys {
	t.Helper()
	k, err := ParseKeys([]byte(text))
	require.NoError(t, err)
	return k
}

func TestAKeyFileIsOneKeyALine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "it has no key",
		"\n \n":                        "it has no key",
		newKey + "\nshort":             "key 2 has 5 bytes",
		strings.Repeat(newKey+"\n", 9): "at most 8",
	} {
		_, err := ParseKeys([]byte(text))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), newKey)
	}
	k := parsed(t, newKey+"\r\n\n"+oldKey)
	require.Equal(t, parsed(t, newKey).Pseudonym("ada"), k.Pseudonym("ada"), "the first key makes pseudonyms")
	require.True(t, IsPseudonym(k.Pseudonym("ada")))
	require.NotEqual(t, k.Pseudonym("ada"), k.Pseudonym("bob"))
	require.True(t, k.Has(parsed(t, oldKey).ID()))
	require.NotEqual(t, parsed(t, oldKey).Pseudonym("ada"), k.Pseudonym("ada"))
}

func TestTheFirstErasureThatCoversARecordCounts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	keys := parsed(t, newKey+"\n"+oldKey)
	first, second := parsed(t, oldKey).Pseudonym("ada"), keys.Pseudonym("ada")
	r := NewRegister(nil, keys, nil)
	require.False(t, r.Any())
	r.known.Store(&known{at: map[string]time.Time{first: at, second: at.Add(time.Hour)}})
	for made, want := range map[time.Time]string{at.Add(-time.Hour): first, at: first, at.Add(time.Minute): second, at.Add(time.Hour): second,
		at.Add(2 * time.Hour): ""} {
		got, erased := r.Of("ada", made)
		require.Equal(t, want, got, made)
		require.Equal(t, want != "", erased)
	}
	_, erased := r.Of("bob", at)
	require.False(t, erased)

	// Also a record that no service can decode.
	for value, want := range map[string]bool{
		`{"user_id": "ada", "total": `:      true,
		`{"user_id":"\u0061da","total":-1}`: true,
		`{"user_id":"bob","total":-1}`:      false,
		`ada`:                               false,
	} {
		require.Equal(t, want, r.InRecord(messages.Record{Topic: messages.TopicOrders, Value: []byte(value), Time: at}), value)
	}
}

func TestARecordIsAboutThePersonWhomItNames(t *testing.T) {
	t.Parallel()
	p := NewPerson("ada")
	p.Writes("family@example.test", "", "erased-1@"+messages.ErasedDomain)
	for value, want := range map[string]bool{
		`{"order_id":"o","user_id":"ada","total":1}`:                               true,
		`{"order_id":"o","user_id":"bob","total":1,"email":"family@example.test"}`: false,
		`{"user_id":"bob","email":"family@example.test"`:                           false,
		`{"email":"family@example.test"`:                                           true,
		`["ada"]`:                                                                  true,
		`adamant`:                                                                  false,
	} {
		require.Equal(t, want, p.In(messages.Record{Topic: messages.TopicOrders, Value: []byte(value)}), value)
	}
}
