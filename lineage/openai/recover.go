package openai

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// lookups are how often what may have been made is looked for before it is made:
// lists lag behind.
const lookups = 3

// recheck is how long something that was made may take to show.
const recheck = 30 * time.Second

// find looks for something until it is there, or has had time enough to show.
func (c *Client) find(ctx context.Context, look func() (bool, error)) error {
	for n := 1; ; n++ {
		if there, err := look(); there || err != nil || n == lookups {
			return err
		}
		if err := c.servers.clock.sleep(ctx, recheck); err != nil {
			return err
		}
	}
}

// findFile looks for the training file by its name, which has the key, and its
// size. Of several, which nobody needs, the earliest is taken.
func (t *training) findFile(ctx context.Context) (f remoteFile, err error) {
	return f, t.client.find(ctx, func() (bool, error) {
		found, err := t.client.filesNamed(ctx, purposeTune, t.h.fileName(), t.h.Bytes)
		if len(found) == 0 {
			return false, err
		}
		if f = found[0]; len(found) > 1 {
			t.once("%s was uploaded %d times; the first, %s, is used", t.h.fileName(), len(found), f.ID)
		}
		return true, err
	})
}

// findJob looks for the job by the key in its metadata, or by its training file,
// which belongs to no other. Of several the earliest that is well is taken, and
// the others are left as they are: it is told.
func (t *training) findJob(ctx context.Context) (j remoteJob, err error) {
	return j, t.client.find(ctx, func() (bool, error) {
		found, err := t.client.jobsOf(ctx, t.profile.Metadata, t.h.Key, t.h.File, moment(t.h.Since-600))
		if len(found) == 0 {
			return false, err
		}
		i := slices.IndexFunc(found, func(j remoteJob) bool {
			state := t.profile.state(j.Status)
			return state != failed && state != cancelled
		})
		if j = found[max(i, 0)]; len(found) > 1 {
			var others []string
			for _, o := range found {
				if o.ID != j.ID {
					others = append(others, fmt.Sprintf("%s (%s)", o.ID, line(o.Status)))
				}
			}
			t.once("there are %d fine-tuning jobs of %s; %s is followed; the others go on and may cost money: %v", len(found), t.h.fileName(), j.ID, others)
		}
		return true, err
	})
}
