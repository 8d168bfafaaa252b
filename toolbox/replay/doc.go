// Package replay lets a service read its topics again, and shows that nothing came of it.
//
// The service's consumers are paused on every replica, which leaves their consumer groups empty; the groups' offsets are
// moved back; the consumers go on. What is read a second time finds its work done, because state is the inbox. That is
// compared: every row that was settled when the pause began must be the same when everything was read again, and no row
// may have been added.
//
// A system at work moves on meanwhile. A difference counts only when nothing else explains it: a message about the order
// that the service had not handled before the pause, or a step that no message causes (a call over HTTP, a deadline). A
// message counts as not handled before when it stands behind what the group had committed and none with its id stands
// before that: what a replay publishes again has the ids of the first time, and explains nothing.
package replay
