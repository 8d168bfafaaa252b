// Package mirror moves the system to another cluster: two real brokers, MirrorMaker 2 between them, killed once, and the
// services on the first, then on the second. Its test needs the build tag mirror, KAFKA_LOCAL, which runs brokers, and
// MIRROR_JARS, the folder that `e2e/mirror/install` fills (`make test SUITE=mirror` names both).
package mirror
