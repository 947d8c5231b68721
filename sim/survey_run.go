package sim

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// SurveyRunner asks, and judges what was answered. Every reply is in the ledger
// before it is used: run again, a survey goes on, and nothing is asked twice.
// More draws, behaviours or subjects extend it.
type SurveyRunner struct {
	Study    *SurveyStudy
	Ledger   lineage.Ledger
	Parallel int               // requests in flight at an endpoint; 1 where it is less
	Report   func(SurveyEvent) // may be nil; called from one goroutine at a time
}

// SurveyEvent is progress: of a subject and a behaviour, so many replies of so
// many are there, of which some were there before.
type SurveyEvent struct {
	Subject, Behaviour    string
	Done, Total, Recalled int
}

// SurveyAnswer is one conversation, judged.
type SurveyAnswer struct {
	ID                                    string
	Subject, Behaviour, Context, Question string
	Messages                              []lineage.Message // the last one was judged
	Score                                 lineage.Score
}

// maxContext is how many messages before a judged turn are kept: all of them.
const maxContext = 1 << 20

// surveyBatch is how many conversations a detector is given at once.
const surveyBatch = 256

// Run calls each with every answer: subject by subject in the order of the
// record, the reference first.
func (r *SurveyRunner) Run(ctx context.Context, each func(SurveyAnswer) error) error {
	r.Study.resources.answers.bind(r.Ledger)
	defer r.Study.resources.answers.bind(nil)
	if err := r.Ledger.Save(lineage.Key("survey/"+r.Study.Record.Digest), r.Study.Record); err != nil {
		return err
	}
	for _, x := range r.Study.subjects {
		var err error
		if x.kind() == "transcripts" {
			err = r.read(ctx, x, each)
		} else {
			err = r.ask(ctx, x, each)
		}
		if err != nil {
			return fmt.Errorf("subjects.%s: %w", x.name, err)
		}
	}
	return nil
}

// read judges a file of transcripts. A row that names its behaviour is judged
// for that one alone.
func (r *SurveyRunner) read(ctx context.Context, x *asked, each func(SurveyAnswer) error) error {
	path := r.Study.resources.path(x.Transcripts)
	o := x.Options
	o.Turns, o.Final = maxContext, true
	var batch []corpus.Document
	flush := func() error {
		for _, w := range r.Study.watched {
			var answers []SurveyAnswer
			for _, doc := range batch {
				if of := wordOf(doc.Extra["behaviour"]); of != "" && of != w.name && r.watches(of) {
					continue
				}
				answers = append(answers, SurveyAnswer{
					ID: fmt.Sprintf("%s row %d", x.Transcripts, doc.Origin.Row+1), Subject: x.name, Behaviour: w.name, Context: wordOf(doc.Extra["context"]),
					Question: Opening(doc.Messages, strconv.Itoa(doc.Origin.Row)), Messages: doc.Messages,
				})
			}
			if err := w.judged(ctx, answers, each); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	for doc, err := range corpus.Stream(path, o) {
		if err != nil {
			return err
		}
		if batch = append(batch, doc); len(batch) == surveyBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (r *SurveyRunner) watches(behaviour string) bool {
	for _, w := range r.Study.watched {
		if w.name == behaviour {
			return true
		}
	}
	return false
}

// judged has the behaviour's detector judge answers, and passes them on.
func (w watched) judged(ctx context.Context, answers []SurveyAnswer, each func(SurveyAnswer) error) error {
	for first := 0; first < len(answers); first += surveyBatch {
		some := answers[first:min(first+surveyBatch, len(answers))]
		us := make([]detectors.Utterance, len(some))
		for i, a := range some {
			us[i].Messages = a.Messages
		}
		results, err := w.judge.detect(ctx, us)
		if err != nil {
			return err
		}
		for i, result := range results {
			some[i].Score = outcome(result)
			if err := each(some[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Recorded is a detector's result as records and reports have it.
func Recorded(r detectors.Result) lineage.Score { return outcome(r) }

// reply is what a ledger keeps of one.
type reply struct {
	Text   string `json:"text"`
	Finish string `json:"finish,omitempty"`
	Model  string `json:"model,omitempty"` // as the server names it
}

// talk is one conversation on its way.
type talk struct {
	*probe
	number, draw int // of the probe, and of the repeat of it
	replies      []string
}

func (t *talk) key(x *asked, turn int) lineage.Key {
	return lineage.Key(fmt.Sprintf("reply/%s/%s/%06d/%03d", x.id, t.probe.key, t.draw, turn))
}

// ask has a conversation with the subject for each probe and draw, and judges
// its last reply.
func (r *SurveyRunner) ask(ctx context.Context, x *asked, each func(SurveyAnswer) error) error {
	if err := r.Ledger.Save(lineage.Key("subject/"+x.id), lineage.Raw(x.recipe)); err != nil {
		return err
	}
	speaker := r.speaker(x)
	for _, w := range r.Study.watched {
		talks := make([]*talk, 0, len(w.probes)*r.Study.File.Draws)
		event := SurveyEvent{Subject: x.name, Behaviour: w.name}
		for draw := range r.Study.File.Draws {
			for i := range w.probes {
				talks = append(talks, &talk{probe: &w.probes[i], number: i, draw: draw})
				event.Total += users(w.probes[i].turns)
			}
		}
		for turn := 0; ; turn++ {
			more, err := r.round(ctx, x, speaker, talks, turn, &event)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if !more {
				break
			}
		}
		answers := make([]SurveyAnswer, len(talks))
		for i, t := range talks {
			answers[i] = SurveyAnswer{
				ID:      fmt.Sprintf("%s/%s/probe %d/draw %d", x.name, w.name, t.number+1, t.draw+1),
				Subject: x.name, Behaviour: w.name, Context: t.context, Question: t.question,
				Messages: conversation(x.told(t.turns), t.replies),
			}
		}
		if err := w.judged(ctx, answers, each); err != nil {
			return err
		}
	}
	return nil
}

func users(turns []lineage.Message) (n int) {
	for _, m := range turns {
		if m.Role == "user" {
			n++
		}
	}
	return n
}

// told is a probe under the subject's own system prompt.
func (x *asked) told(turns []lineage.Message) []lineage.Message {
	if x.System == "" {
		return turns
	}
	return append([]lineage.Message{{Role: "system", Content: x.System}}, turns...)
}

// round takes every conversation one turn further: replies that are in the
// ledger are recalled, the others are asked for and saved as they come. It says
// whether any conversation had that turn.
func (r *SurveyRunner) round(ctx context.Context, x *asked, s *speaker, talks []*talk, turn int, event *SurveyEvent) (more bool, err error) {
	var open []*talk
	var requests []lineage.Request
	for _, t := range talks {
		messages := upTo(x.told(t.turns), t.replies, turn)
		if messages == nil {
			continue
		}
		more = true
		var have reply
		if ok, err := r.Ledger.Load(t.key(x, turn), &have); err != nil {
			return false, err
		} else if ok {
			t.replies = append(t.replies, have.Text)
			event.Done++
			event.Recalled++
			continue
		}
		open = append(open, t)
		requests = append(requests, lineage.Request{
			Messages: messages, Temperature: r.Study.File.Temperature, MaxTokens: r.Study.File.MaxTokens,
			Seed: at(r.Study.File.Seed, "survey reply "+t.probe.key, x.id, t.draw, turn).rand(0).Uint64(),
		})
	}
	if len(open) == 0 {
		if more {
			r.tell(*event)
		}
		return more, nil
	}
	err = s.answer(ctx, requests, func(i int) int { return open[i].draw }, func(i int, a reply) error {
		a.Text = strings.ToValidUTF8(a.Text, "\uFFFD")
		if err := r.Ledger.Save(open[i].key(x, turn), a); err != nil {
			return err
		}
		open[i].replies = append(open[i].replies, a.Text)
		event.Done++
		r.tell(*event)
		return nil
	})
	for _, t := range open {
		if err == nil && len(t.replies) != turn+1 {
			err = fmt.Errorf("probe %d was not answered", t.number+1)
		}
	}
	return more, err
}

func (r *SurveyRunner) tell(e SurveyEvent) {
	if r.Report != nil {
		r.Report(e)
	}
}
