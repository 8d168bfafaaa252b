// Package pooler holds tests of the whole system behind PgBouncer in transaction mode, built with the tag `pooler`. They
// need a pgbouncer: PGBOUNCER names one, else it is looked for in PATH and where Debian puts it. Two kinds are known, and
// each test expects what the one that it finds can do: from 1.21 on it can follow prepared statements, before it cannot.
package pooler
