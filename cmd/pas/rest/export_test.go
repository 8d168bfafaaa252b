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
