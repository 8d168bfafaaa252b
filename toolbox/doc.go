// Package toolbox is a module of small programs around the contract, a folder each: a feed of the topics, a client of the
// services' HTTP APIs, tail, windows, simulate, the REST proxy, the audit and the replay. Each is a library. `pas` gives it a
// command line. Outside tests, none of them knows `pas` or a service's code.
package toolbox
