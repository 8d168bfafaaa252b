package lanes

// stackOfHandling is about how deep the stack gets while a message is handled.
const stackOfHandling = 9 << 10

// growStack makes room on the stack for what is called next. The router starts a goroutine with a small stack for each message;
// growing it bit by bit, deep down in the middleware, each time with all frames to be moved, took a fifth of what a message costs.
//
//go:noinline
func growStack(at int) byte {
	var room [stackOfHandling]byte
	return room[at]
}
