package rest

// InUse counts the calls to instances that are in work or wait for their turn.
func (s *Server) InUse() int {
	s.consumers.mu.Lock()
	defer s.consumers.mu.Unlock()
	count := 0
	for _, e := range s.consumers.all {
		count += e.calls
	}
	return count
}

// Memory returns how many bytes of the budget are used.
func (s *Server) Memory() int {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.used
}
