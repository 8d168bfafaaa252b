package adminauth

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"pasdetrois/pkg/platform/httpx"
)

// isOwnUser reports whether the client of the request is a process of this process's own user on this machine. The kernel lists
// each TCP connection with the user that opened it. Root is another user: a proxy that runs as root serves strangers.
func isOwnUser(r *http.Request) bool {
	client, server := httpx.Ends(r.Context())
	from, ok := client.(*net.TCPAddr)
	to, ok2 := server.(*net.TCPAddr)
	if !ok || !ok2 || !from.IP.IsLoopback() || !to.IP.IsLoopback() {
		return false
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if uid, ok := ownerOf(table, from, to); ok {
			return uid == os.Getuid()
		}
	}
	return false
}

// established is the state of a connection in the kernel's table.
const established = "01"

// ownerOf returns the user of the socket whose own address is from and whose peer is to.
func ownerOf(table string, from, to *net.TCPAddr) (uid int, ok bool) {
	f, err := os.Open(table)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	own, peer := hexAddress(from, strings.HasSuffix(table, "6")), hexAddress(to, strings.HasSuffix(table, "6"))
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid …
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 || fields[1] != own || fields[2] != peer || fields[3] != established {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, err == nil
	}
	return 0, false
}

// hexAddress returns an address as the kernel's table has it: words of 32 bits in the machine's byte order, and the port.
func hexAddress(a *net.TCPAddr, six bool) string {
	ip := a.IP.To4()
	if six {
		ip = a.IP.To16()
	}
	var s strings.Builder
	for ; len(ip) >= 4; ip = ip[4:] {
		fmt.Fprintf(&s, "%08X", binary.NativeEndian.Uint32(ip))
	}
	return fmt.Sprintf("%s:%04X", s.String(), a.Port)
}
