package openai

import "context"

// slot waits for one of so many jobs at once of one server and key.
func (s *Servers) slot(ctx context.Context, server Server, n int) (release func(), err error) {
	if n == 0 {
		return func() {}, nil
	}
	s.mu.Lock()
	key := [2]string{server.BaseURL, server.Key}
	if s.slots[key] == nil {
		s.slots[key] = make(chan struct{}, n)
	}
	slots := s.slots[key]
	s.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// first tells whether a client is the first to give its key to its server.
func (s *Servers) first(c *Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{c.server.BaseURL, c.server.Key}
	was := s.given[key]
	s.given[key] = true
	return !was
}
