package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// memoryFolder is a file system in memory on Linux. A server there starts, and copies a database, at a tenth of the
	// processor time that it needs on a disk.
	memoryFolder = "/dev/shm"
	// memoryInfo is the file with the free memory, on Linux.
	memoryInfo = "/proc/meminfo"
	// memoryNeeded leaves room for the servers of several tests at once. Docker gives a container 64 MB, which is too little.
	memoryNeeded = 2 << 30

	scratchPrefix = "pasdetrois-postgres-"
)

// ScratchFolder makes a folder for a server that nobody needs after a crash: in memory when there is room, else among the
// temporary files. Any user can enter it, as the server's user must. The caller removes it; after a crash, the next call does.
func ScratchFolder() (string, error) {
	removeOrphans(memoryFolder)
	if hasRoom(memoryFolder, memoryInfo, memoryNeeded) {
		if dir, err := scratchIn(memoryFolder); err == nil {
			return dir, nil
		}
	}
	return diskFolder()
}

// diskFolder makes a folder among the temporary files. A durable server needs it: a file system in memory keeps nothing.
func diskFolder() (string, error) {
	removeOrphans(os.TempDir())
	return scratchIn(os.TempDir())
}

func scratchIn(parent string) (string, error) { return os.MkdirTemp(parent, scratchName(os.Getpid())) }

// scratchName begins the name of each folder that the process makes. Containers may share a folder and not their processes,
// so the name has the namespace of the number too.
func scratchName(pid int) string {
	namespace, _ := os.Readlink("/proc/self/ns/pid") // such as pid:[4026531836]; "" where there are none
	return fmt.Sprintf("%s%d-%s-", scratchPrefix, pid, strings.Trim(namespace, "pid:[]"))
}

// hasRoom reports whether folder, a file system in memory, has room for that many bytes, and the machine memory for them. A
// file system in memory may be larger than the memory that is free. A machine without the file info counts as large enough.
func hasRoom(folder, info string, bytes uint64) bool {
	var fs syscall.Statfs_t
	if syscall.Statfs(folder, &fs) != nil || uint64(fs.Bavail)*uint64(fs.Bsize) < bytes {
		return false
	}
	content, _ := os.ReadFile(info)
	_, rest, _ := strings.Cut(string(content), "MemAvailable:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return true
	}
	kilobytes, err := strconv.ParseUint(fields[0], 10, 64)
	return err != nil || kilobytes >= bytes>>10
}

// removeOrphans removes the scratch folders in parent whose process has ended. It takes only folders of this user and of the
// user that its servers run as. Whatever it cannot remove stays.
func removeOrphans(parent string) {
	entries, _ := os.ReadDir(parent)
	for _, entry := range entries {
		after, _ := strings.CutPrefix(entry.Name(), scratchPrefix)
		digits, _, _ := strings.Cut(after, "-")
		pid, err := strconv.Atoi(digits)
		if err != nil || pid <= 0 || !strings.HasPrefix(entry.Name(), scratchName(pid)) { // no scratch folder, or another namespace's
			continue
		}
		if folder := filepath.Join(parent, entry.Name()); errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && ours(folder) {
			_ = os.RemoveAll(folder)
		}
	}
}

// ours reports whether path is a folder of this user, or of the user that its servers run as.
func ours(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if int(status.Uid) == os.Geteuid() {
		return true
	}
	who, err := unprivileged()
	return err == nil && who != nil && who.Uid == status.Uid
}
