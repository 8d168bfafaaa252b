package embedded

import (
	"os"
	"syscall"
)

// memoryFolder is a file system in memory on Linux. A server there starts, and copies a database, at a tenth of the processor
// time that it needs on a disk.
const memoryFolder = "/dev/shm"

// memoryNeeded leaves room for the servers of several tests at once. Docker gives a container 64 MB, which is too little.
const memoryNeeded = 2 << 30

const scratchPattern = "pasdetrois-postgres-"

// ScratchFolder makes a folder for a server that nobody needs after a crash: in memory when there is room, else among the
// temporary files. Any user can enter it, as the server's user must. The caller removes it.
func ScratchFolder() (string, error) {
	var fs syscall.Statfs_t
	if syscall.Statfs(memoryFolder, &fs) == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= memoryNeeded {
		if dir, err := os.MkdirTemp(memoryFolder, scratchPattern); err == nil {
			return dir, nil
		}
	}
	return diskFolder()
}

// diskFolder makes a folder among the temporary files. A durable server needs it: a file system in memory keeps nothing.
func diskFolder() (string, error) { return os.MkdirTemp("", scratchPattern) }
