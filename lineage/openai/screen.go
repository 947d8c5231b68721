package openai

import (
	"context"
	"fmt"
	"net/http"

	"github.com/heirloom-sim/heirloom/lineage"
)

// perScreen is how many documents are shown to the moderation at once.
const perScreen = 32

// Screen implements lineage.Screener: it asks the provider's moderation, which is
// free, and is not the one that training files go through: what it passes may
// still be blocked.
func (b *Backend) Screen(ctx context.Context, docs [][]lineage.Message) (flagged []int, err error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	if !b.profile.Moderation {
		return nil, fmt.Errorf("openai: %s has no moderation endpoint that could tell which documents it would not take", b.profile.Name)
	}
	for from := 0; from < len(docs); from += perScreen {
		part := docs[from:min(from+perScreen, len(docs))]
		texts := make([]string, len(part))
		for i, doc := range part {
			for _, m := range doc {
				texts[i] += m.Role + ": " + m.Content + "\n"
			}
		}
		var said struct {
			Results []struct {
				Flagged bool `json:"flagged"`
			} `json:"results"`
		}
		k := call{method: http.MethodPost, path: "/moderations", about: "moderation", body: map[string]any{"input": texts}}
		if err := b.client.repeat(ctx, k, &said); err != nil {
			return nil, err
		}
		if len(said.Results) != len(part) {
			return nil, fmt.Errorf("openai: %s judged %d of %d documents", b.profile.Name, len(said.Results), len(part))
		}
		for i, r := range said.Results {
			if r.Flagged {
				flagged = append(flagged, from+i)
			}
		}
	}
	return flagged, nil
}
