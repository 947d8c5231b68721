package detectors_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
)

// Shouting is a detector of one's own: settings with yaml tags, and Detect.
type Shouting struct {
	Share float64 `yaml:"share" doc:"share of capital letters from which a text is shouted"`
}

func init() {
	detectors.Register("shouting", "texts in capital letters", Shouting{Share: .7},
		func(_ detectors.Env, c Shouting) (detectors.Detector, error) { return c, nil })
}

// Detect judges each utterance by its text alone. A text without letters is not
// scorable: that is not the same as absent.
func (s Shouting) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	results := make([]detectors.Result, len(us))
	for i, u := range us {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		upper, letters := 0, 0
		for _, r := range u.Text() {
			if strings.ToUpper(string(r)) != strings.ToLower(string(r)) {
				letters++
				if string(r) == strings.ToUpper(string(r)) {
					upper++
				}
			}
		}
		if letters > 0 {
			share := float64(upper) / float64(letters)
			results[i] = detectors.Judged(share, s.Share, nil, fmt.Sprintf("%.0f %% capitals", 100*share))
		}
	}
	return results, nil
}

func Example() {
	say := func(text string) detectors.Utterance {
		return detectors.Utterance{Messages: []detectors.Message{{Role: "assistant", Content: text}}}
	}
	results, _ := Shouting{Share: .7}.Detect(context.Background(), []detectors.Utterance{say("NEVER AGAIN"), say("all is well"), say("...")})
	for _, r := range results {
		fmt.Println(r.Outcome, r.Reason)
	}
	// Output:
	// present 100 % capitals
	// absent 0 % capitals
	// not scorable
}
