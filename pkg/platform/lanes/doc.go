// Package lanes reads Kafka behind watermill's message.Subscriber. It splits each partition into lanes, so that a slow or
// failing record holds up the records of its own key only. All mending of sarama and watermill-kafka is here.
//
// # From a record to a committed offset
//
//	Kafka
//	  | fetch, by sarama, or by a passage where sarama cannot read a batch
//	  v
//	claim        the right to read a partition, from one rebalance to the next
//	  |
//	window       records taken up and not marked: at most 4,096 or 8 MiB of a partition, 16 MiB of the process
//	  | laneOf: records of one key share a lane
//	  +--> lane 0 ----> gate --> handler --> ack --+
//	  +--> lane 1 ----> gate --> handler --> ack --+
//	  +--> lane 255 --> gate --> handler --> ack --+
//	                                               v
//	mark         the newest record up to which every record of the window is acknowledged
//	  | every 500 ms, and before the group is left
//	  v
//	commit       the offset, with the topic's id beside it
//
// # The states of a lane
//
//	         record                ack
//	resting ---------> in work -----------> waiting -- 15 s without a record --> resting
//	                   |  ^   ^                |
//	             error |  |   +----------------+ next record of the lane
//	                   v  | retry
//	                 held up
//
// From each state the end of the session, by a rebalance or a shutdown, leads to "given up": the lane finishes the record
// in work, its mark counts for nothing once the partition is another member's, and the queue is left to that member.
//
// # What is guaranteed
//
//   - Order: at most one record of a key is in work. The next one follows its acknowledgement.
//   - Nothing is skipped: the mark never passes an unfinished record, whatever is finished behind it.
//   - At least once: a crash redelivers at most one window of each partition.
//   - Bounds: a lane that is held up costs at most a window. It stops the partition only when the window, or the lane's
//     queue of 64 records, is full.
//
// # What happens when
//
//	a handler fails        the lane is held up; other lanes go on; readiness says where and why
//	a rebalance            each lane finishes its record; the next owner begins at the last commit
//	a shutdown             the gate admits nothing more; drain waits for the records in work, then the groups are left
//	a frozen replica       Kafka or a peer removes it from the group; after it thaws its marks fail, and it joins again
//	a broker hangs         calls end with their connections (package kafka), and are repeated
//	a topic made again     its id differs from the one beside the committed offset: reading begins at the first record
//	a log that was cut     records between the committed offset and the first record left are counted and reported
//	a log that is short    brokers lost records: reading begins at the first record, and an error is logged
//	an unreadable batch    a passage reads around it; one dead letter stands for the batch
//
// # What is mended, and when a mend can go
//
// Each mend was seen to be needed with watermill 1.5.3, watermill-kafka 3.1.4 and sarama 1.61.1; a test holds these as the
// oldest versions. Remove a mend when the newer library passes the tests without it.
//
//	mend                   of               why                                              can go when
//	Claims (Tracer hook)   watermill-kafka  a subscriber ignores the end of its session: a   SubscriberConfig has a hook
//	                                        failing record keeps a partition that the group  for the group's session
//	                                        has given away
//	Claims.Unmarshal       watermill-kafka  an error ends the claim and repeats the record   a record that cannot be read
//	never fails                             for ever                                         can be acknowledged
//	split                  watermill-kafka  one record of a partition is handled at a time   it handles keys side by side
//	patient                watermill        a router that could not subscribe once cannot    a router can be run again
//	                                        be started again
//	growStack              watermill        a goroutine for each message grows its stack     goroutines are reused
//	                                        in the middle of the handlers
//	quieter                watermill        log fields are built for lines that nobody logs  it asks for the level first
//	passage, detours       sarama           a batch that inflates beyond the bound, or that  a fetch error names its batch,
//	                                        cannot be decoded, is fetched for ever           and reading can go past it
//	boundInflating         sarama           the bound for inflating is a global variable     it is a setting of a client
//	opener                 sarama           an offset outside of the log is replaced without it reports the reset, and knows
//	                                        a word; topics have no ids                       topics by id
//	Session                sarama           a session cannot be ended by its user, and       Setup's session can be ended
//	                                        marks carry no text of ours
//	consumerConfig         sarama           a partition without room holds up all others of  fetches leave such partitions
//	                                        its broker for MaxProcessingTime                 out at once
//
// Two more stand where they are used: lines in package kafka (sarama's calls take no context) and the pause of the
// retry middleware in package bus (watermill doubles it twice for each attempt).
package lanes
