package pgdb

import "time"

// Column returns one field of each row, as a parameter of unnest: a statement with one array for each column writes any
// number of rows in one round trip and keeps one plan.
func Column[T, V any](rows []T, field func(T) V) []V {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = field(row)
	}
	return values
}

// NullTime returns nil, which is NULL, for the zero time.
func NullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
