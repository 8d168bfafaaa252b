// Package recordbatch reads a partition one record batch at a time, in bounded memory.
//
// A record batch is the unit in which Kafka stores and compresses records. A few bytes can inflate to gigabytes: the client
// that reads them is killed, restarts and is killed again. This package fetches one record batch with each request, and
// inflates it up to a limit. The header of a batch that is too large or damaged still has its first and last offset. A reader
// can note them and continue behind the batch.
//
// One request for each record batch is slower than the services' own client (sarama). The bus uses this package only for
// partitions on which that client is stuck.
package recordbatch
