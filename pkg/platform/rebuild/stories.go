package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/cores"
	"pasdetrois/pkg/platform/signing"
)

// Range is a part of the staged records that fits into memory: some buckets, or a part of the keys of one bucket.
type Range struct {
	First, Last int // buckets
	Part, Parts int // of the keys
	Bytes       int64
}

const sizesSQL = `SELECT bucket, sum(bytes)::bigint FROM rebuild_records GROUP BY bucket ORDER BY bucket`

// Ranges divides the staged records into ranges of about so many bytes. A key is in one range only.
func (s *Staging) Ranges(ctx context.Context, most int64) ([]Range, error) {
	rows, err := s.pool.Query(ctx, sizesSQL)
	if err != nil {
		return nil, fmt.Errorf("measure the staged records: %w", err)
	}
	var ranges []Range
	var bucket int
	var bytes int64
	_, err = pgx.ForEachRow(rows, []any{&bucket, &bytes}, func() error {
		last := len(ranges) - 1
		switch {
		case bytes > most:
			parts := int((bytes + most - 1) / most)
			for part := range parts {
				ranges = append(ranges, Range{bucket, bucket, part, parts, bytes / int64(parts)})
			}
		case last >= 0 && ranges[last].Parts == 1 && ranges[last].Bytes+bytes <= most:
			ranges[last].Last, ranges[last].Bytes = bucket, ranges[last].Bytes+bytes
		default:
			ranges = append(ranges, Range{bucket, bucket, 0, 1, bytes})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("measure the staged records: %w", err)
	}
	return ranges, nil
}

const recordsSQL = `SELECT records FROM rebuild_records WHERE bucket BETWEEN $1 AND $2`

// Stories returns the stories of a range, in the order of their keys.
func (s *Staging) Stories(ctx context.Context, r Range) ([]Story, error) {
	found := map[string][]messages.Record{}
	rows, err := s.pool.Query(ctx, recordsSQL, r.First, r.Last)
	if err != nil {
		return nil, fmt.Errorf("read staged records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var packed []byte
		if err := rows.Scan(&packed); err != nil {
			return nil, fmt.Errorf("read staged records: %w", err)
		}
		inflated, err := s.packer.out.DecodeAll(packed, nil)
		if err != nil {
			return nil, fmt.Errorf("read staged records: %w: %w", errBroken, err)
		}
		for e := (entries{b: inflated}); len(e.b) > 0; {
			if r.Parts > 1 {
				ahead := e
				if key := ahead.skip(); partOf(string(key), r.Parts) != r.Part && !ahead.broken {
					e = ahead
					continue
				}
			}
			key, record := e.next()
			if e.broken {
				return nil, fmt.Errorf("read staged records: %w", errBroken)
			}
			found[key] = append(found[key], record)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read staged records: %w", err)
	}
	return s.tell(found)
}

// tell decodes the records on all cores. A key of which the keys of the staging refuse every record has no story.
func (s *Staging) tell(found map[string][]messages.Record) ([]Story, error) {
	keys := slices.Sorted(maps.Keys(found))
	stories, errs := make([]Story, len(keys)), make([]error, len(keys))
	cores.Each(len(keys), func(i int) { stories[i], errs[i] = s.story(keys[i], found[keys[i]]) })
	return slices.DeleteFunc(stories, func(s Story) bool { return len(s.Records) == 0 }), errors.Join(errs...)
}

// story decodes one key's records. They were decoded before they were staged, so an error other than a missing signature means that
// this program reads otherwise than the one that staged them.
func (s *Staging) story(key string, records []messages.Record) (Story, error) {
	told := make([]Record, 0, len(records))
	for _, r := range records {
		m, err := s.keys.Decode(r)
		var bad *messages.DecodeError
		if errors.As(err, &bad) && bad.Reason == signing.ReasonNotSigned {
			continue
		}
		if err != nil {
			return Story{}, fmt.Errorf("read staged record %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		told = append(told, Record{m, r.Topic, r.Partition, r.Offset, r.Time})
	}
	return NewStory(key, told), nil
}

// NewStory returns the story of a key: its records by time, topic, partition and offset, each message once. It takes the records over.
func NewStory(key string, records []Record) Story {
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	seen := make(map[string]bool, len(records))
	return Story{Key: key, Records: slices.DeleteFunc(records, func(r Record) bool {
		again := seen[r.ID]
		seen[r.ID] = true
		return again
	})}
}
