package process

import (
	"os"
	"time"

	"github.com/prometheus/procfs"
)

// tick is the unit of processor times in /proc: 100 per second on every Linux that Go runs on. A loop of a
// second has an error of about 1 %.
const tick = 10 * time.Millisecond

// Usage is the use of the machine by a program and its children so far. Without /proc, as on macOS, it is zero.
type Usage struct {
	CPU  time.Duration // user and system, including ended children
	Peak int64         // largest resident memory in bytes; for several processes the sum of their peaks
}

// UsageOf reads the usage of a process and of all its descendants. Postgres serves each connection by a child,
// and a child that has ended counts through its parent.
func UsageOf(pid int) Usage {
	var sum Usage
	for _, member := range family(pid) {
		sum.CPU += own(member) + time.Duration(member.CUTime+member.CSTime)*tick
		sum.Peak += int64(status(member.PID).VmHWM)
	}
	return sum
}

// Own returns the usage of this process itself, without children: the load generator's.
func Own() Usage {
	stat, _ := read(os.Getpid())
	return Usage{CPU: own(stat)}
}

// own returns a process's own time, user and system, without its children.
func own(s procfs.ProcStat) time.Duration { return time.Duration(s.UTime+s.STime) * tick }

// Resident returns the resident memory of one process, in bytes.
func Resident(pid int) int64 { return int64(status(pid).VmRSS) }

// Below returns the process ids of all descendants of a process.
func Below(pid int) (pids []int) {
	for _, member := range family(pid) {
		if member.PID != pid {
			pids = append(pids, member.PID)
		}
	}
	return pids
}

// family returns a process and all its descendants. Processes that end meanwhile are missing.
func family(pid int) (members []procfs.ProcStat) {
	children := map[int][]procfs.ProcStat{}
	all, _ := procfs.AllProcs()
	for _, p := range all {
		if s, ok := read(p.PID); ok {
			children[s.PPID] = append(children[s.PPID], s)
		}
	}
	if s, ok := read(pid); ok {
		members = append(members, s)
	}
	// The slice grows while the loop runs: it becomes the whole tree, level by level.
	for i := 0; i < len(members); i++ {
		members = append(members, children[members[i].PID]...)
	}
	return members
}

// read returns the state of a process, and false when the process has ended.
func read(pid int) (procfs.ProcStat, bool) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, false
	}
	s, err := p.Stat()
	return s, err == nil
}

// status returns the memory of a process; it is zero when the process has ended.
func status(pid int) procfs.ProcStatus {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStatus{}
	}
	s, _ := p.NewStatus()
	return s
}

// Load returns the load average of the last minute; it is 0 where the system does not report it.
func Load() float64 {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	load, err := fs.LoadAvg()
	if err != nil {
		return 0
	}
	return load.Load1
}

// Stolen returns the processor time that a hypervisor gave to other machines, and the time of all processors.
// Both are seconds since the machine started, and 0 where the system does not report them.
func Stolen() (stolen, all float64) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, 0
	}
	stat, err := fs.Stat()
	if err != nil {
		return 0, 0
	}
	t := stat.CPUTotal // guests' time is in User and Nice already
	return t.Steal, t.User + t.Nice + t.System + t.Idle + t.Iowait + t.IRQ + t.SoftIRQ + t.Steal
}
