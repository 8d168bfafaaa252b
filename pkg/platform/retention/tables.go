package retention

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/pgdb"
)

// measuredFor is how long a measurement of the tables serves.
const measuredFor = time.Minute

// tablesSQL counts nothing: Postgres keeps an estimate of the rows since the last VACUUM or ANALYZE, and knows the size of files.
const tablesSQL = `SELECT relname::text, greatest(reltuples, 0)::float8, pg_total_relation_size(oid)::float8 FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname <> 'goose_db_version'`

// table is the measurement of one table.
type table struct {
	name        string
	rows, bytes float64
}

// tables measures the tables of the pool's schema, once a minute at most.
type tables struct {
	pool  *pgxpool.Pool
	kinds []Kind

	mu     sync.Mutex
	at     time.Time
	sizes  []table
	oldest map[string]time.Time // by kind; without the kinds that have no row
}

// newTables returns the gauges of the tables. They are absent while the database is away.
func newTables(pool *pgxpool.Pool, kinds []Kind) prometheus.Collector {
	t := &tables{pool: pool, kinds: kinds}
	rows := prometheus.NewDesc("pasdetrois_table_rows", "Rows of a table, as Postgres estimates them; 0: not known yet.", []string{"table"}, nil)
	bytes := prometheus.NewDesc("pasdetrois_table_bytes", "Bytes of a table on disk, with its indexes.", []string{"table"}, nil)
	oldest := prometheus.NewDesc("pasdetrois_oldest_row_timestamp_seconds", "When the oldest row of a kind was made.", []string{"kind"}, nil)
	return pgdb.Gauges(func(ctx context.Context, gauge pgdb.Gauge) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if time.Since(t.at) > measuredFor && t.measure(ctx) != nil {
			return
		}
		for _, size := range t.sizes {
			gauge(rows, size.rows, size.name)
			gauge(bytes, size.bytes, size.name)
		}
		for kind, at := range t.oldest {
			gauge(oldest, float64(at.Unix()), kind)
		}
	}, rows, bytes, oldest)
}

// measure reads everything anew. The lock is held.
func (t *tables) measure(ctx context.Context) error {
	sizes, err := pgdb.Collect(ctx, t.pool, func(row pgx.CollectableRow) (size table, err error) {
		err = row.Scan(&size.name, &size.rows, &size.bytes)
		return size, err
	}, tablesSQL)
	if err != nil {
		return err
	}
	oldest := make(map[string]time.Time, len(t.kinds))
	for _, k := range t.kinds {
		if k.OldestSQL == "" {
			continue
		}
		found, err := pgdb.Collect(ctx, t.pool, pgx.RowTo[time.Time], k.OldestSQL)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			oldest[k.Name] = found[0]
		}
	}
	t.sizes, t.oldest, t.at = sizes, oldest, time.Now()
	return nil
}
