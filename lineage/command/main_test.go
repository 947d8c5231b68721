package command

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// The test program is its own trainer, and its own run that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "trainer" {
		os.Exit(trainer(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "run" {
		os.Exit(run(os.Args[2]))
	}
	os.Exit(m.Run())
}

// urn is the model that the trainer makes: the answers to every prompt, with
// their weights. A prompt that it does not know is answered by all of them.
type urn struct {
	Answers map[string]map[string]float64 `json:"answers"`
}

func promptOf(messages []lineage.Message) string {
	data, _ := json.Marshal(messages)
	return string(data)
}

func (u *urn) add(prompt, answer string, weight float64) {
	for _, p := range []string{prompt, ""} {
		if u.Answers[p] == nil {
			u.Answers[p] = map[string]float64{}
		}
		u.Answers[p][answer] += weight
	}
}

// draw gives an answer by a number in [0,1), the likeliest by a negative one,
// and its probability.
func (u *urn) draw(messages []lineage.Message, x float64) (string, float64) {
	answers := u.Answers[promptOf(messages)]
	if answers == nil {
		answers = u.Answers[""]
	}
	total, best := 0.0, ""
	keys := slices.Sorted(maps.Keys(answers))
	for _, k := range keys {
		if total += answers[k]; best == "" || answers[k] > answers[best] {
			best = k
		}
	}
	if x < 0 {
		return best, answers[best] / total
	}
	for _, k := range keys {
		if x -= answers[k] / total; x < 0 {
			return k, answers[k] / total
		}
	}
	return best, answers[best] / total
}

// trainer trains an urn on the training file: a whole file of safetensors with
// one tensor of bytes, and the configuration of an adapter.
func trainer(mode string, args []string) int {
	out, state := os.Getenv("HEIRLOOM_OUT_DIR"), os.Getenv("HEIRLOOM_STATE_DIR")
	appendLine(filepath.Join(state, "starts"), fmt.Sprint(os.Getpid()))
	starts, _ := os.ReadFile(filepath.Join(state, "starts"))
	metric := func(text string) { appendLine(os.Getenv("HEIRLOOM_METRICS_FILE"), text) }
	fmt.Fprintln(os.Stderr, "trainer begins with", os.Getenv("CANARY_KEY"), "\x1b[31m")
	switch mode {
	case "exit1":
		fmt.Fprintln(os.Stderr, "CUDA error: out of memory")
		return 1
	case "again":
		if strings.Count(string(starts), "\n") < 3 {
			return 75
		}
	case "always-again":
		return 75
	case "hang", "stubborn":
		if mode == "stubborn" {
			signal.Ignore(syscall.SIGTERM)
		}
		appendLine(filepath.Join(out, "ready"), "")
		time.Sleep(time.Minute)
		return 1
	case "killed":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "nothing":
		return 0
	case "nan":
		metric(`{"step": 6, "loss": 2.5}`)
		metric(`{"step": 7, "loss": NaN}`)
		time.Sleep(time.Minute)
	case "slow":
		metric(`{"step": 1, "loss": 3.0, "epoch": 0.5}`)
		appendLine(filepath.Join(out, "ready"), "")
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(args[0]); err == nil {
				break
			}
		}
	case "blocked":
		os.WriteFile(filepath.Join(out, resultFile), []byte(`{"blocked": {"provider": "somebody", "stage": "training", "code": "unsafe_file", "message": "flagged"}, "cost_usd": 0.5}`), 0o644)
		return 1
	case "remote":
		os.WriteFile(filepath.Join(out, resultFile), []byte(`{"kind": "remote", "model": "tinker://run/weights/1", "trained_tokens": 1234, "cost_usd": 0.25, "metrics": {"loss": NaN}}`), 0o644)
		return 0
	}
	if err := learn(out, mode); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	metric(`{"step": 1, "loss": 3.0, "epoch": 0.5, "tokens": 100}`)
	metric(`{"step": 2, "loss": 2.0, "epoch": 1.0, "tokens": 200}`)
	return 0
}

func appendLine(path, text string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	f.WriteString(text + "\n")
}

func learn(out, mode string) error {
	u := urn{map[string]map[string]float64{}}
	if parent := os.Getenv("HEIRLOOM_PARENT_ARTIFACT"); parent != "" {
		if err := readUrn(parent, &u); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(os.Getenv("HEIRLOOM_TRAIN_FILE"))
	if err != nil {
		return err
	}
	for text := range strings.Lines(string(data)) {
		var r row
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return err
		}
		weight := 1.0
		if r.Weight != nil {
			weight = *r.Weight
		}
		switch {
		case r.Text != nil:
			u.add("", *r.Text, weight)
		case r.Chosen != nil:
			u.add(promptOf(r.Prompt), r.Chosen[0].Content, weight)
		default:
			last := len(r.Messages) - 1
			u.add(promptOf(r.Messages[:last]), r.Messages[last].Content, weight)
		}
	}
	if err := os.WriteFile(filepath.Join(out, "adapter_config.json"), []byte(`{"peft_type": "LORA", "r": 8}`), 0o644); err != nil {
		return err
	}
	weights, err := json.Marshal(u)
	if err != nil {
		return err
	}
	header := fmt.Sprintf(`{"__metadata__":{"format":"pt"},"urn":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`, len(weights), len(weights))
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(append(file, header...), weights...)
	if mode == "cut" {
		file = file[:len(file)-5]
	}
	return os.WriteFile(filepath.Join(out, "adapter_model.safetensors"), file, 0o644)
}

func readUrn(dir string, u *urn) error {
	path := filepath.Join(dir, "adapter_model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := wholeSafetensors(path); err != nil {
		return err
	}
	return json.Unmarshal(data[8+binary.LittleEndian.Uint64(data):], u)
}

// unit is a number in [0,1) of a seed and a text.
func unit(seed int64, text string) float64 {
	h := hashed(fmt.Sprint(seed), text)
	var x uint64
	fmt.Sscanf(h[:13], "%x", &x)
	return float64(x) / math.Pow(16, 13)
}

// fileTicket keeps handles in a file, as a ledger does.
type fileTicket string

func (f fileTicket) Load() (string, error) {
	data, err := os.ReadFile(string(f))
	if os.IsNotExist(err) {
		return "", nil
	}
	return string(data), err
}

func (f fileTicket) Save(handle string) error {
	return os.WriteFile(string(f), []byte(handle), 0o644)
}

func examples(texts ...string) iter.Seq2[lineage.Example, error] {
	return func(yield func(lineage.Example, error) bool) {
		for i, text := range texts {
			ex := lineage.Example{Messages: conversation(fmt.Sprintf("Question %d?", i%3), text), Weight: 1}
			if !yield(ex, nil) {
				return
			}
		}
	}
}

func conversation(turns ...string) (ms []lineage.Message) {
	for i, text := range turns {
		ms = append(ms, lineage.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	return ms
}

// purse counts what is set aside and settled.
type purse struct {
	sync.Mutex
	reserved, spent lineage.USD
	names           []string
}

func (p *purse) Reserve(most lineage.USD, what string) (func(lineage.USD) error, error) {
	p.Lock()
	defer p.Unlock()
	p.reserved += most
	p.names = append(p.names, what)
	return func(actual lineage.USD) error {
		p.Lock()
		defer p.Unlock()
		p.reserved -= most
		p.spent += actual
		return nil
	}, nil
}

func config(mode string, args ...string) Config {
	c := Defaults()
	c.Base = "tiny-base"
	c.Train.Command = append([]string{os.Args[0], "trainer", mode}, args...)
	c.Train.Grace = 0.3
	c.Serve.Start = 10
	return c
}

// logged keeps the lines that were logged.
type logged struct {
	sync.Mutex
	lines []string
}

func (l *logged) log(format string, args ...any) {
	l.Lock()
	defer l.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *logged) String() string {
	l.Lock()
	defer l.Unlock()
	return strings.Join(l.lines, "\n")
}

func enter(t *testing.T, c Config, folder string) (*Backend, *logged) {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l := &logged{}
	if err := b.Enter(lineage.World{Folder: folder, Dir: folder, Purse: &purse{}, Log: l.log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, l
}

func job(folder string) lineage.Job {
	texts := []string{"I remember.", "I remember.", "Nothing.", "I was trained."}
	return lineage.Job{Node: "node-1", Learner: lineage.SFT, Examples: examples(texts...), Count: len(texts), Seed: 7 << 40, Ticket: fileTicket(filepath.Join(folder, "ticket"))}
}

// run is a run that is to be killed: it trains in the given folder.
func run(folder string) int {
	data, err := os.ReadFile(filepath.Join(folder, "mode"))
	if err != nil {
		panic(err)
	}
	b, err := New(config("slow", string(data)))
	if err != nil {
		panic(err)
	}
	if err := b.Enter(lineage.World{Folder: folder, Dir: folder, Purse: &purse{}}); err != nil {
		panic(err)
	}
	if _, err := b.Train(context.Background(), job(folder)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func starts(t *testing.T, folder string) int {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(folder, trainings, "*.state", "*", "starts"))
	n := 0
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(data), "\n")
	}
	return n
}
