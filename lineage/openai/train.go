package openai

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// training is one fine-tuning on its way. Every step is durable in the ticket
// before the next request is sent:
//
//	uploading -> uploaded -> creating -> created -> succeeded, failed, cancelled, blocked
//
// so that a process which dies anywhere is followed by one that finds what is
// there and pays for nothing twice. There is no Idempotency-Key: servers have
// none, and Go's transport repeats a POST that has one.
type training struct {
	*Backend
	job    lineage.Job
	start  string // the model to start from
	h      handle
	doubt  bool                    // the request that the step announces may have been sent
	settle func(lineage.USD) error // of the reservation; nil before it
	told   map[string]bool
	ending bool // it was told to cancel
}

// tune fine-tunes, or goes on with what the ticket tells of.
func (b *Backend) tune(ctx context.Context, job lineage.Job, start string) (lineage.Artifact, error) {
	text, err := job.Ticket.Load()
	if err != nil {
		return nil, err
	}
	h, err := readHandle(text)
	if err != nil {
		return nil, err
	}
	if h.Where != "" && h.Where != b.client.Address() {
		return nil, fmt.Errorf("openai: the training was begun at %s, and base_url is now %s", h.Where, b.client.Address())
	}
	t := &training{Backend: b, job: job, start: start, h: h, doubt: true, told: map[string]bool{}}
	if h.Step == failed || h.Step == cancelled { // it has been told; this is another attempt
		t.h = handle{Kind: jobKind, Left: h.Left}
		if h.File != "" {
			t.h.Left = append(t.h.Left, h.File)
		}
	}
	release, err := b.client.servers.slot(ctx, b.client.server, b.profile.Jobs)
	if err != nil {
		return nil, err
	}
	defer release()
	for {
		step := t.h.Step
		if err := t.next(ctx); err != nil {
			return nil, t.wrap(err)
		}
		if step == succeeded {
			return t.artifact(ctx)
		}
	}
}

// next does one step.
func (t *training) next(ctx context.Context) error {
	switch t.h.Step {
	case "":
		return t.begin(ctx)
	case uploading:
		return t.upload(ctx)
	case uploaded:
		return t.announce(ctx)
	case creating:
		return t.create(ctx)
	case created:
		return t.follow(ctx)
	case succeeded:
		return t.pay()
	case blocked:
		if err := t.pay(); err != nil {
			return err
		}
		return t.h.Blocked
	}
	return fmt.Errorf("the step %q is of another version of this program", t.h.Step)
}

// wrap names the work in an error, and marks one that no model would be spared.
func (t *training) wrap(err error) error {
	var b *lineage.Blocked
	var r *rejection
	if errors.As(err, &b) {
		return err
	}
	if errors.As(err, &r) && (slices.Contains([]int{http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden}, r.status) || r.said.broke()) {
		err = halt(err)
	}
	switch {
	case t.h.Job != "" && !t.h.ended():
		return fmt.Errorf("fine-tuning job %s, which goes on at %s: %w", t.h.Job, t.h.Where, err)
	case t.h.Job != "":
		return fmt.Errorf("fine-tuning job %s: %w", t.h.Job, err)
	}
	return err
}

// save makes a step durable. No request goes out after a step that was not.
func (t *training) save(step string) error {
	t.h.Step = step
	return t.job.Ticket.Save(t.h.String())
}

// begin reads the corpus through, names the training, and says that it will be
// uploaded.
func (t *training) begin(ctx context.Context) error {
	f, err := t.measure(ctx, t.job)
	if err != nil {
		return err
	}
	t.h.Provider, t.h.Where = t.profile.Name, t.client.Address()
	t.h.At = t.now().Unix()
	t.h.Bytes, t.h.Digest, t.h.LeftOut = f.Bytes, f.Digest, f.LeftOut
	t.h.Most = t.most(f.Tokens)
	t.h.Key = t.key()
	if f.LeftOut > 0 {
		t.world.Log("%s: %d of %d documents cannot be in a training file and are left out", t.h.fileName(), f.LeftOut, f.LeftOut+f.Rows)
	}
	t.doubt = false
	return t.save(uploading)
}

// key names a training: what decides it, and when it began, so that two runs of one
// experiment, or two attempts, do not take each other's for their own.
func (t *training) key() string {
	data, err := json.Marshal([]any{t.job.Node, t.start, t.job.Learner, t.hypers(), t.seed(), t.h.Digest, t.h.At})
	if err != nil {
		panic("openai: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// seed is that of the job in the range that OpenAI takes.
func (t *training) seed() int32 { return int32(t.job.Seed >> 33) }

func (t *training) hypers() hypers {
	c := t.config
	h := hypers{Epochs: hyper(c.Epochs), BatchSize: hyper(c.BatchSize), LearningRate: hyper(c.LearningRate)}
	if t.job.Learner == lineage.Preference {
		h.Beta = hyper(c.Beta)
	}
	return h
}

// upload sends the training file, or finds the one that was sent.
func (t *training) upload(ctx context.Context) error {
	for p := t.pace(t.h.Key); ; {
		if t.doubt {
			f, err := t.findFile(ctx)
			if err != nil {
				return err
			}
			if f.ID != "" {
				t.h.File = f.ID
				return t.save(uploaded)
			}
			if err := t.unchanged(ctx); err != nil {
				return err
			}
		}
		t.doubt = true
		sent, v, header, err := t.client.upload(ctx, purposeTune, t.h.fileName(), t.h.Bytes, func(w io.Writer) error {
			_, err := t.write(ctx, t.job, w)
			return err
		})
		if v == done && sent.ID != "" {
			t.h.File = sent.ID
			return t.save(uploaded)
		}
		if v == refused {
			return t.refused(ctx, err)
		}
		if err := t.again(ctx, p, v, header, err); err != nil {
			return err
		}
	}
}

// unchanged tells whether the corpus is still the one that the training was begun
// with.
func (t *training) unchanged(ctx context.Context) error {
	f, err := t.measure(ctx, t.job)
	if err == nil && f.Digest != t.h.Digest {
		err = fmt.Errorf("the corpus is not the one that %s was begun with, so it is not uploaded", t.h.fileName())
	}
	return err
}

// announce waits for the file to be read, sets the money aside and says that the
// job will be created.
func (t *training) announce(ctx context.Context) error {
	f, err := t.processed(ctx, t.h.File)
	if err != nil {
		return err
	}
	if f.Status == "error" || f.Status == "failed" {
		return t.badFile(f)
	}
	if err := t.reserve(); err != nil {
		return err
	}
	t.h.Since = t.now().Unix()
	t.doubt = false
	return t.save(creating)
}

// create creates the job, or finds the one that was created.
func (t *training) create(ctx context.Context) error {
	if err := t.reserve(); err != nil {
		return err
	}
	for p := t.pace(t.h.Key); ; {
		if t.doubt {
			j, err := t.findJob(ctx)
			if err != nil {
				return err
			}
			if j.ID != "" {
				t.h.Job = j.ID
				return t.save(created)
			}
			if t.h.Odd {
				return t.notCompatible()
			}
		}
		t.doubt = true
		j, v, header, err := t.client.createJob(ctx, t.request())
		if v == done && j.ID != "" {
			t.h.Job = j.ID
			return t.save(created)
		}
		var r *rejection
		if v == done || v == uncertain && errors.As(err, &r) && r.status >= 200 && r.status < 300 {
			t.h.Odd = true
			if err := t.save(creating); err != nil {
				return err
			}
			continue
		}
		if v == refused {
			return t.refused(ctx, err)
		}
		if err := t.again(ctx, p, v, header, err); err != nil {
			return err
		}
	}
}

func (t *training) notCompatible() error {
	return fmt.Errorf("%s took the job and answered in another protocol than OpenAI's, so it cannot be followed: it is not compatible; look for %s in the provider's console, and use a profile or backend that fits", t.h.Where, t.h.File)
}

func (t *training) request() jobRequest {
	r := jobRequest{
		Model: t.start, TrainingFile: t.h.File, Seed: t.seed(), Suffix: t.config.suffix(t.h.Key, t.profile.SuffixMax),
		Method: method{Type: "supervised", Supervised: &methodHyper{t.hypers()}},
	}
	if t.job.Learner == lineage.Preference {
		r.Method = method{Type: "dpo", DPO: &methodHyper{t.hypers()}}
	}
	if t.profile.Metadata {
		r.Metadata = map[string]string{keyName: t.h.Key, "heirloom_node": string(t.job.Node)}
	}
	return r
}

// mostSends bounds how often a request of which nothing came is sent again.
const mostSends = 6

// again waits before a request that was not taken is sent again; an error tells
// that it is not to be.
func (t *training) again(ctx context.Context, p *pace, v verdict, header http.Header, err error) error {
	if err == nil {
		err = fmt.Errorf("%s: answered without an ID", t.h.Where)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case v == wait: // whoever has jobs there is waited for as long as it takes
		t.once("%s: %v; it is sent again when there is room", t.h.fileName(), err)
		return t.sleep(ctx, min(time.Hour, max(pause(http.StatusTooManyRequests, header, 1, t.now()), p.next())))
	}
	if p.sends++; p.sends == mostSends {
		return fmt.Errorf("%w; it was sent %d times, and nothing came of it", err, mostSends)
	}
	t.world.Log("%s: %v; whether it was taken is looked up before it is sent again", t.h.fileName(), err)
	return nil
}

// once logs a line that has not been told yet.
func (t *training) once(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !t.told[line] {
		t.told[line] = true
		t.world.Log("%s", line)
	}
}
