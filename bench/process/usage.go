package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc: 100 a second on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Usage is what a program and its children have cost so far. Without /proc it is all zero.
type Usage struct {
	CPU  time.Duration // user and system, of ended children too
	Peak int64         // the most memory that was resident, bytes; of several processes, the sum of their peaks
}

// UsageOf reads the usage of a process and everything below it.
func UsageOf(pid int) Usage {
	stats, family := tree(pid)
	var sum Usage
	for _, member := range family {
		sum.CPU += stats[member].own + stats[member].reaped
		sum.Peak += peak(member)
	}
	return sum
}

// Below returns the processes that a process has started, and those that they have.
func Below(pid int) []int {
	_, family := tree(pid)
	return family[min(1, len(family)):]
}

// tree returns what /proc tells of all processes, and which of them are one process and everything below it.
func tree(pid int) (stats map[int]stat, family []int) {
	stats = map[int]stat{}
	children := map[int][]int{}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		if s, ok := readStat(folder); ok {
			stats[s.pid] = s
			children[s.parent] = append(children[s.parent], s.pid)
		}
	}
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		if _, alive := stats[next[0]]; alive {
			family = append(family, next[0])
			next = append(next, children[next[0]]...)
		}
	}
	return stats, family
}

type stat struct {
	pid, parent int
	own, reaped time.Duration
}

func readStat(folder string) (s stat, ok bool) {
	content, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return s, false
	}
	return parseStat(content)
}

// parseStat reads a line of /proc/<pid>/stat. The second field, the program's name, may hold anything, so counting begins
// after its last parenthesis.
func parseStat(content []byte) (s stat, ok bool) {
	end := bytes.LastIndexByte(content, ')')
	begin := bytes.IndexByte(content, ' ')
	if end < 0 || begin < 0 {
		return s, false
	}
	fields := strings.Fields(string(content[end+1:]))
	const parent, user, system, reapedUser, reapedSystem = 1, 11, 12, 13, 14
	if len(fields) <= reapedSystem {
		return s, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	s.pid, _ = strconv.Atoi(string(content[:begin]))
	s.parent = number(parent)
	s.own = time.Duration(number(user)+number(system)) * tick
	s.reaped = time.Duration(number(reapedUser)+number(reapedSystem)) * tick
	return s, true
}

func peak(pid int) int64 { return statusKB(pid, "VmHWM:") << 10 }

// Resident returns the memory of one process that is resident now, in bytes.
func Resident(pid int) int64 { return statusKB(pid, "VmRSS:") << 10 }

func statusKB(pid int, name string) int64 {
	content, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// Load returns the load average of the last minute.
func Load() float64 {
	content, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(content), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

// Stolen returns the time of all processors that a hypervisor gave to others, and the time of all processors, since the
// machine started; 0 and 0 where that is not told.
func Stolen() (stolen, all time.Duration) {
	content, _ := os.ReadFile("/proc/stat")
	return parseStolen(string(content))
}

func parseStolen(stat string) (stolen, all time.Duration) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	const first, steal = 1, 8 // "cpu", user, nice, system, idle, iowait, irq, softirq, steal; guests' time is user's too
	if len(fields) <= steal {
		return 0, 0
	}
	for i := first; i <= steal; i++ {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		all += time.Duration(n) * tick
		if i == steal {
			stolen = time.Duration(n) * tick
		}
	}
	return stolen, all
}

// Own returns what this process has spent itself.
func Own() Usage {
	content, _ := os.ReadFile("/proc/self/stat")
	s, _ := parseStat(content)
	return Usage{CPU: s.own}
}
