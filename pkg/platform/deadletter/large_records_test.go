package deadletter_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
)

// A record may have any size and any bytes. Its letter keeps a bounded part, and says how much there was.
func TestALetterKeepsABoundedPartOfAHostileRecord(t *testing.T) {
	t.Parallel()
	w := setup(t)
	large := bytes.Repeat([]byte("\x00\xff{"), 300<<10)
	sum := sha256.Sum256(large)
	headers := make([]messages.Header, 5000)
	for i := range headers {
		headers[i] = messages.Header{Key: "\x00\xff", Value: bytes.Repeat([]byte{0xfe}, 200)}
	}
	for n, c := range []struct {
		name         string
		record       messages.Record
		value, whole int
		cut          bool
	}{
		{"a large value", messages.Record{Value: large}, deadletter.MaxValue, len(large), true},
		{"the largest value that is kept whole", messages.Record{Value: large[:deadletter.MaxValue]}, deadletter.MaxValue, deadletter.MaxValue, false},
		{"a large key", messages.Record{Key: large, Value: []byte("v")}, 1, 1, true},
		{"1 MB of headers", messages.Record{Headers: headers, Value: []byte("v")}, 1, 1, true},
		{"one header of 1 MB", messages.Record{Headers: []messages.Header{{Key: string(large), Value: large}}}, 0, 0, true},
		{"nothing at all", messages.Record{}, 0, 0, false},
		{"empty everything", messages.Record{Key: []byte{}, Value: []byte{}, Headers: []messages.Header{{}}}, 0, 0, false},
	} {
		r := c.record
		r.Topic, r.Offset, r.Time = "things", int64(n), at
		require.NoError(t, w.Park(t.Context(), r, "too_large", strings.Repeat("\x00", 1<<20), string(large)), c.name)
		id := w.newest()
		l := w.letter(id)
		require.Equal(t, c.value, len(l.Record.Value), c.name)
		require.Equal(t, c.cut, l.Cut(), c.name)
		shown := w.do("GET", fmt.Sprintf("/dead-letters/%d", id), http.StatusOK)
		items := w.do("GET", "/dead-letters?limit=500", http.StatusOK)["items"].([]any)
		list := items[len(items)-1].(map[string]any)
		for _, body := range []map[string]any{shown, list} {
			require.EqualValues(t, c.cut, body["cut"] == true, c.name)
			if c.whole > 0 {
				require.EqualValues(t, c.whole, body["value_bytes"], c.name)
			}
		}
		require.Less(t, len(fmt.Sprint(list)), 20_000, c.name)
		if len(r.Value) == len(large) {
			require.Equal(t, hex.EncodeToString(sum[:]), shown["value_sha256"])
		}
		if c.cut {
			require.ErrorIs(t, w.Replay(t.Context(), id), deadletter.ErrNotWhole, c.name)
			refused := w.do("POST", fmt.Sprintf("/dead-letters/%d/replay", id), http.StatusConflict)
			require.Contains(t, refused["detail"], fmt.Sprintf("the whole record is at offset %d of things/0", n))
		} else {
			require.NoError(t, w.Replay(t.Context(), id), c.name)
		}
	}
	var stored int64
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT max(pg_column_size(d)) FROM dead_letters d`).Scan(&stored))
	require.Less(t, stored, int64(130<<10))
}

// A batch that was never read has nothing but coordinates.
func TestALetterOfAnUnreadBatchSaysWhichRecordsItStandsFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.Park(t.Context(), messages.Record{Topic: "things", Offset: 7, LastOffset: 19, Time: at}, "batch_too_large", "why", ""))
	id := w.newest()
	require.EqualValues(t, 19, w.letter(id).Record.LastOffset)
	require.EqualValues(t, 19, w.do("GET", fmt.Sprintf("/dead-letters/%d", id), http.StatusOK)["last_offset"])
	refused := w.do("POST", fmt.Sprintf("/dead-letters/%d/replay", id), http.StatusConflict)
	require.Contains(t, refused["detail"], "offsets 7 to 19 of things/0")
	require.NoError(t, w.Discard(t.Context(), id))
}

// Letters from before there was a bound may have values of any size: hundreds of them are listed in little memory, and
// showing one reads its beginning.
func TestAListReadsNoValues(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const letters, size = 20, 3 << 20
	_, err := w.db.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, record_offset, record_time, value, headers, reason, detail)
		SELECT 'things', 0, n, now() + n * interval '1 ms', convert_to(repeat('x', $1), 'UTF8'), '[]', 'too_large', '' FROM generate_series(1, $2) n`, size, letters)
	require.NoError(t, err)
	cfg, err := pgxpool.ParseConfig(w.db.Config().ConnString())
	require.NoError(t, err)
	var read atomic.Int64
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return counted{conn, &read}, err
	}
	db, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	store := deadletter.NewStore(db)
	list, err := store.List(t.Context(), deadletter.Filter{Limit: 500})
	require.NoError(t, err)
	require.Len(t, list, letters)
	require.EqualValues(t, size, list[0].ValueBytes)
	require.Less(t, read.Load(), int64(100<<10))

	l, err := store.Get(t.Context(), list[0].ID)
	require.NoError(t, err)
	require.Equal(t, deadletter.MaxValue, len(l.Record.Value))
	require.EqualValues(t, size, l.Whole.Value)
	require.Less(t, read.Load(), int64(400<<10))
	require.ErrorIs(t, store.Replay(t.Context(), l.ID), deadletter.ErrNotWhole)
}

type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}
