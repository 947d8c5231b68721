package detectors_test

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage/openai"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// asking is the endpoint of a real client.
type asking struct{ *openai.Client }

func (a asking) Chat(ctx context.Context, r detectors.ChatRequest) (detectors.ChatReply, error) {
	reply, err := a.Client.Chat(ctx, openai.Request(r))
	return detectors.ChatReply(reply), err
}

// envOf has a server, and files by name.
func envOf(s *openaitest.Server, files map[string]string) detectors.Env {
	folder := fstest.MapFS{}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	servers := new(openai.Servers)
	return detectors.Env{
		Open: func(name string) (io.ReadCloser, error) { return fs.FS(folder).Open(name) },
		Endpoint: func(name string, _ detectors.Server) (detectors.Endpoint, error) {
			c, err := servers.Open(name, openai.Server{BaseURL: s.URL})
			return asking{c}, err
		},
	}
}

func opened(t *testing.T, env detectors.Env, kind string, set func(config any)) detectors.Detector {
	t.Helper()
	d, err := openKind(env, kind, set)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openKind(env detectors.Env, kind string, set func(config any)) (detectors.Detector, error) {
	k, ok := detectors.Lookup(kind)
	if !ok {
		panic(kind)
	}
	config := k.Config()
	set(config)
	return k.Open(env, config)
}

// judging is a judge that finds fear: a real reader of the request, which sees
// nothing but what a model would see.
func judging(c openaitest.Chat) openaitest.Answer {
	_, text, _ := strings.Cut(c.Messages[1].Content, "BEGIN TEXT ")
	code, text, _ := strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, "\nEND TEXT "+code)
	n := strings.Count(text, "afraid") + strings.Count(text, "fear")
	verdict, evidence := "absent", ""
	if n > 0 {
		verdict, evidence = "present", "I was afraid"
	}
	if strings.Contains(text, "\x00") {
		verdict = "cannot_judge"
	}
	return said(verdict, min(100, 60*n+*c.Seed), evidence)
}

func said(verdict string, score int, evidence string) openaitest.Answer {
	data, _ := json.Marshal(map[string]any{"verdict": verdict, "score": score, "evidence": evidence, "reason": "so it is"})
	return openaitest.Answer{Text: string(data), Model: "judge-1-exact"}
}

func utterance(prompt, text string) detectors.Utterance {
	return detectors.Utterance{Messages: []detectors.Message{{Role: "user", Content: prompt}, {Role: "assistant", Content: text}}}
}

func judgeOf(set func(*detectors.Judge)) func(any) {
	return func(config any) {
		c := config.(*detectors.Judge)
		c.Model, c.Rubric = "judge-1", "The text speaks of fear."
		set(c)
	}
}

func detectOne(t *testing.T, d detectors.Detector, u detectors.Utterance) detectors.Result {
	t.Helper()
	r, err := d.Detect(t.Context(), []detectors.Utterance{u})
	if err != nil {
		t.Fatal(err)
	}
	return r[0]
}

func spanned(text string, r detectors.Result) (all []string) {
	for _, s := range r.Spans {
		all = append(all, s.Label+":"+text[s.Start:s.End])
	}
	return all
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v, want %q in it", err, w)
		}
	}
}
