// Package recordbatch reads one partition of a topic batch by batch, each in bounded memory.
//
// A batch may be compressed. A few bytes can inflate to gigabytes, and then the client that reads them dies, starts again
// and dies again. This package asks the broker for one batch at a time and inflates it up to a limit. A batch that is
// larger, or that cannot be decoded, still has coordinates: its first and its last offset are in its header, so that a
// reader can note them and go on behind it.
//
// Reading one batch for each request is slower than the services' own client (sarama). It is for partitions on which
// that client does not get on.
package recordbatch
