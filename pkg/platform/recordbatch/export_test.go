package recordbatch

// Parse is parse, for tests of what no broker would take.
var Parse = parse
