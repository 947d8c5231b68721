package serve

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Serve answers on a listener until the context ends, and then lets requests that
// are on their way finish, for at most so long.
func (s *Server) Serve(ctx context.Context, l net.Listener, leave time.Duration) error {
	web := &http.Server{
		Handler: sameOrigin(s), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if leave == 0 {
		return web.Close()
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), leave)
	defer cancel()
	if err := web.Shutdown(patience); err != nil {
		s.options.Log("requests that took longer than %s were cut off", leave)
		web.Close()
	}
	return nil
}

// sameOrigin keeps web pages that a browser has open from using a server that
// listens on their reader's machine alone.
func sameOrigin(h http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		(&problem{http.StatusForbidden, invalid, "cross_origin", "", "web pages of other origins may not use this server"}).write(w)
	}))
	return guard.Handler(h)
}
