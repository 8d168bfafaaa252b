package run

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The defaults of the garbage collector. A service has few long-lived values and makes many short-lived ones: with Go's own
// default it would collect many times a second. The soft limit makes the collector run more often before memory runs out.
const (
	// GCPercent is the default of GOGC.
	GCPercent = 400
	// containerShare is the part of the container's memory that is Go's soft limit. Go does not count the rest: the program
	// itself and the kernel's buffers.
	containerShare = 0.85
	// freeLimit is the soft limit where no container limits the memory. It equals that of a container of 384 MiB, so that a
	// service behaves the same inside and outside of one.
	freeLimit = 326 << 20
	// smallLimit is the smallest soft limit that served a busy service well in measurements.
	smallLimit = 160 << 20
)

// tuneGC sets up the garbage collector and returns the soft limit, in bytes. GOGC and GOMEMLIMIT of the environment win.
func tuneGC(environ map[string]string, container memlimit.Provider) int64 {
	if environ["GOGC"] == "" {
		debug.SetGCPercent(GCPercent)
	}
	if environ["GOMEMLIMIT"] == "" {
		limit, err := memlimit.ApplyRatio(container, containerShare)()
		if err != nil || limit == 0 || limit > memlimitMost { // no limit, or it cannot be read
			limit = freeLimit
		}
		debug.SetMemoryLimit(int64(limit))
	}
	return debug.SetMemoryLimit(-1)
}

// memlimitMost is more than any machine has: cgroup v1 writes a number near the largest one where nothing is limited.
const memlimitMost = 1 << 50

const (
	// lookEvery is the interval between two readings of the memory. Memory is thus given back some seconds after a load.
	lookEvery = 5 * time.Second
	// calmBytes is the most that a service allocates in that time while it has little to do.
	calmBytes = 4 << 20
	// worthwhile is the growth since the last collection, or the idle memory, in bytes, that makes another collection pay. A
	// collection takes some milliseconds, because little is alive then.
	worthwhile = 6 << 20
)

// giveBack returns memory to the system once a load is over, until ctx ends. The collector alone would not do that: it runs when
// the heap has grown, and an idle heap does not grow. During a load giveBack does nothing.
func giveBack(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for m := (calm{}); ; {
		select {
		case <-look.C:
			if m.over(readMemory()) {
				debug.FreeOSMemory()
				m.held = readMemory().held
			}
		case <-ctx.Done():
			return
		}
	}
}

// memory has three counts of Go's runtime, in bytes: allocated so far, held of the system's memory, and idle among those held.
type memory struct{ allocated, held, idle uint64 }

// readMemory reads the counts without stopping the program, unlike runtime.ReadMemStats.
func readMemory() memory {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	return memory{allocated: s[0].Value.Uint64(), held: s[1].Value.Uint64() - s[2].Value.Uint64(), idle: s[3].Value.Uint64()}
}

// calm recognises the end of a load from one reading to the next. Only the goroutine of giveBack uses it.
type calm struct {
	allocated uint64 // at the last reading
	held      uint64 // after memory was given back last
}

// over reports whether little was allocated since the last reading, and a collection would give back enough.
func (c *calm) over(now memory) bool {
	little := now.allocated-c.allocated <= calmBytes
	c.allocated = now.allocated
	return little && (now.held > c.held+worthwhile || now.idle > worthwhile)
}
