package process

import (
	"os"
	"time"

	"github.com/prometheus/procfs"
)

// tick is the unit of processor times in /proc: 100 a second on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Usage is what a program and its children have used so far. Without /proc it is zero.
type Usage struct {
	CPU  time.Duration // user and system, including ended children
	Peak int64         // the most resident memory, in bytes; of several processes, the sum of their peaks
}

// UsageOf reads the usage of a process and of all its descendants.
func UsageOf(pid int) Usage {
	var sum Usage
	for _, member := range family(pid) {
		sum.CPU += own(member) + time.Duration(member.CUTime+member.CSTime)*tick
		sum.Peak += int64(status(member.PID).VmHWM)
	}
	return sum
}

// Own returns what this process has used itself.
func Own() Usage {
	stat, _ := read(os.Getpid())
	return Usage{CPU: own(stat)}
}

func own(s procfs.ProcStat) time.Duration { return time.Duration(s.UTime+s.STime) * tick }

// Resident returns the resident memory of one process, in bytes.
func Resident(pid int) int64 { return int64(status(pid).VmRSS) }

// Below returns the descendants of a process.
func Below(pid int) (pids []int) {
	for _, member := range family(pid) {
		if member.PID != pid {
			pids = append(pids, member.PID)
		}
	}
	return pids
}

// family returns a process and all its descendants.
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
	for i := 0; i < len(members); i++ {
		members = append(members, children[members[i].PID]...)
	}
	return members
}

func read(pid int) (procfs.ProcStat, bool) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, false
	}
	s, err := p.Stat()
	return s, err == nil
}

func status(pid int) procfs.ProcStatus {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStatus{}
	}
	s, _ := p.NewStatus()
	return s
}

// Load returns the load average of the last minute.
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

// Stolen returns the time of all processors that a hypervisor gave to other machines, and the time of all processors, in
// seconds since the machine started. Both are 0 where the system does not report them.
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
