package cmd

import (
	"context"
	"os"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
)

// testServer is a detector with the settings of one that asks a server, and as slow. It
// is only in the child processes that ask for it, so that no list shows it.
type testServer struct {
	detectors.Server `yaml:",inline"`
}

func registerTestServer() {
	wait := os.Getenv("HEIRLOOM_TEST_SERVER")
	if wait == "" {
		return
	}
	detectors.Register("test-server", "for tests", testServer{}, func(_ detectors.Env, c testServer) (detectors.Detector, error) { return c, nil })
}

func (testServer) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	wait, _ := time.ParseDuration(os.Getenv("HEIRLOOM_TEST_SERVER"))
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(wait):
	}
	results := make([]detectors.Result, len(us))
	for i, u := range us {
		results[i] = detectors.Judged(float64(len(u.Text())%10)/10, .5, nil, "")
	}
	return results, nil
}
