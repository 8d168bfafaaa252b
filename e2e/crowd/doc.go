// Package crowd holds large crowds and slow clients against a service that has as much memory as compose gives it, and more
// orders than it can take. The service must stay alive, answer good clients, and give its memory back afterwards.
//
// The limit is that of a cgroup where one can be made, so that what is too much ends the process. Elsewhere GOMEMLIMIT takes its
// place, and the process's memory is compared with the limit. CROWD_FOR is how long each part takes: `make test SUITE=crowd` has
// some seconds for it, CROWD_FOR=60s is the long form.
package crowd
