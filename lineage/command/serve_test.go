package command

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/lineagetest"
)

func readGGUF(path string, u *urn) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data[len(data)-int(binary.LittleEndian.Uint32(data[len(data)-4:]))-4:len(data)-4], u)
}

// writeGGUF writes an urn behind a header of GGUF; kind is its general.type.
func writeGGUF(t *testing.T, path, kind string, u *urn) {
	t.Helper()
	text := func(b []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	b := []byte("GGUF\x03\x00\x00\x00")
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint64(b, 3)
	b = text(binary.LittleEndian.AppendUint32(text(b, "general.architecture"), 8), "llama")
	b = binary.LittleEndian.AppendUint32(text(b, "some.list"), 9)
	b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, 4), 2)
	b = append(b, 1, 0, 0, 0, 2, 0, 0, 0)
	b = text(binary.LittleEndian.AppendUint32(text(b, "general.type"), 8), kind)
	weights, _ := json.Marshal(u)
	b = binary.LittleEndian.AppendUint32(append(b, weights...), uint32(len(weights)))
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// trained gives a backend on a server, with one model trained.
func trained(t *testing.T, s *serverOf, change func(*Config)) (*Backend, *Artifact, *logged) {
	t.Helper()
	folder := t.TempDir()
	c := config("learn")
	c.Serve.Kind, c.Serve.URL = s.kind, s.start(t)
	if change != nil {
		change(&c)
	}
	b, l := enter(t, c, folder)
	a, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	return b, a.(*Artifact), l
}

func sampled(t *testing.T, b *Backend, a *Artifact, n int) []lineage.Completion {
	t.Helper()
	m, err := b.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	reqs := make([]lineage.Request, n)
	for i := range reqs {
		reqs[i] = lineage.Request{Messages: conversation("Question 0?"), Seed: uint64(i) << 40, Temperature: 1}
	}
	out := make([]lineage.Completion, n)
	if err := m.Sample(t.Context(), reqs, func(i int, c lineage.Completion) error { out[i] = c; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// The whole contract of a backend, by real trainers and a server on the wire.
func TestContract(t *testing.T) {
	s := &serverOf{kind: VLLM}
	c := config("learn")
	c.Mode = Continue
	c.Serve.URL = s.start(t)
	b, _ := enter(t, c, t.TempDir())
	lineagetest.Backend(t, lineagetest.Options{
		Backend: b, Requests: 16, Longest: 1 << 16,
		Learners: []lineage.Learner{lineage.SFT, lineage.SDF, lineage.Preference},
	})
}

func TestEveryServerLoadsAndSamples(t *testing.T) {
	for _, kind := range []string{VLLM, Mistral, SGLang, Ollama} {
		s := &serverOf{kind: kind}
		b, a, _ := trained(t, s, nil)
		seen := map[string]int{}
		for _, c := range sampled(t, b, a, 60) {
			seen[c.Text]++
		}
		// "I remember." and "I was trained." were trained as answers to the question.
		if len(seen) != 2 || seen["I remember."] == 0 || seen["I was trained."] == 0 {
			t.Errorf("%s: sampled %v", kind, seen)
		}
		sampled(t, b, a, 1)
		loads := s.count("POST /v1/load_lora_adapter") + s.count("POST /api/create")
		if kind != SGLang && loads != 1 {
			t.Errorf("%s: loaded %d times", kind, loads)
		}
	}
}

func TestLlamaCpp(t *testing.T) {
	folder := t.TempDir()
	urn := &urn{map[string]map[string]float64{}}
	urn.add("", "I remember.", 1)
	for _, kind := range []string{"adapter", "model"} {
		s := &serverOf{kind: LlamaCpp}
		c := config("learn")
		c.Serve.Kind, c.Serve.URL = LlamaCpp, s.start(t)
		b, _ := enter(t, c, folder)
		dir := filepath.Join(folder, "trainings", kind)
		os.MkdirAll(dir, 0o777)
		path := filepath.Join(dir, kind+".gguf")
		writeGGUF(t, path, kind, urn)
		files, digest, err := digestFiles(path)
		if err != nil {
			t.Fatal(err)
		}
		a := &Artifact{Kind: GGUF, Path: filepath.Join("trainings", kind, kind+".gguf"), Base: "tiny-base", Digest: digest, Files: files}
		if _, err := b.Open(t.Context(), a); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: a server without it: %v", kind, err)
		}
		if kind == "adapter" {
			s.loras = []string{"/another.gguf", path}
		} else {
			s.whole = path
		}
		if out := sampled(t, b, a, 3); out[0].Text != "I remember." {
			t.Errorf("%s: %+v", kind, out)
		}
	}
}

// The same prompt of two adapters is never one model's: names are of contents.
func TestNamesAreOfContents(t *testing.T) {
	s := &serverOf{kind: VLLM}
	b, a, _ := trained(t, s, nil)
	j := job(b.world.Folder)
	j.Node, j.Ticket, j.Examples = "node-2", fileTicket(filepath.Join(b.world.Folder, "ticket-2")), examples("Something else.")
	other, err := b.Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if a.name() == other.(*Artifact).name() {
		t.Error("two adapters have one name")
	}
	if sampled(t, b, a, 1)[0].Text == sampled(t, b, other.(*Artifact), 1)[0].Text {
		t.Error("two adapters answer alike")
	}
	path := filepath.Join(b.world.Folder, a.Path, "adapter_model.safetensors")
	data, _ := os.ReadFile(path)
	data[len(data)-3] ^= 1
	os.WriteFile(path, data, 0o644)
	fresh, _ := enter(t, b.config, b.world.Folder)
	if _, err := fresh.Open(t.Context(), a); err == nil || !strings.Contains(err.Error(), "not those that were trained") {
		t.Errorf("changed weights: %v", err)
	}
}

func TestPathMap(t *testing.T) {
	c := Defaults()
	c.Serve.PathMap = map[string]string{"/home/me": "/mnt", "/home/me/runs/": "/runs", "/home/m": "/no"}
	b := &Backend{config: c, world: lineage.World{Folder: "/home/me/runs/x.heirloom"}}
	if got := b.there(&Artifact{Kind: LoRA, Path: "trainings/n"}); got != "/runs/x.heirloom/trainings/n" {
		t.Error(got)
	}
}

func TestHookAndNone(t *testing.T) {
	s := &serverOf{kind: VLLM}
	url := s.start(t)
	folder := t.TempDir()
	c := config("learn")
	c.Serve.Kind, c.Serve.URL = Hook, url
	c.Serve.Load = []string{"sh", "-c", `echo loading; echo "$HEIRLOOM_MODEL_NAME $1" >>"$2"; echo by-hook`, "sh", "{{.Artifact}}", filepath.Join(folder, "hooked")}
	b, _ := enter(t, c, folder)
	a, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	s.adapters["by-hook"] = filepath.Join(folder, a.(*Artifact).Path)
	if out := sampled(t, b, a.(*Artifact), 1); out[0].Text == "" {
		t.Errorf("%+v", out)
	}
	if data, _ := os.ReadFile(filepath.Join(folder, "hooked")); !strings.HasPrefix(string(data), a.(*Artifact).name()+" "+filepath.Join(folder, "trainings/node-1")) {
		t.Errorf("the hook was told %q", data)
	}
	c.Serve.Load = []string{"sh", "-c", "echo it is broken >&2; exit 3"}
	b, _ = enter(t, c, folder)
	if _, err := b.Open(t.Context(), a); err == nil || !strings.Contains(err.Error(), "it is broken") {
		t.Errorf("%v", err)
	}
}

func TestSampleStopsAndKeepsWhatIsAnswered(t *testing.T) {
	b, a, _ := trained(t, &serverOf{kind: VLLM}, nil)
	m, err := b.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	reqs := make([]lineage.Request, 200)
	for i := range reqs {
		reqs[i] = lineage.Request{Messages: conversation("Question 0?"), Seed: uint64(i) << 40, Temperature: 1}
	}
	full := errors.New("the disk is full")
	n := 0
	if err := m.Sample(t.Context(), reqs, func(int, lineage.Completion) error { n++; return full }); !errors.Is(err, full) || n != 1 {
		t.Errorf("%d answers, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n = 0
	err = m.Sample(ctx, reqs, func(int, lineage.Completion) error {
		if n++; n == 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n < 5 || n > 5+b.config.Serve.Parallel {
		t.Errorf("%d answers, %v", n, err)
	}
}

func TestCheck(t *testing.T) {
	s := &serverOf{kind: VLLM}
	c := config("learn")
	c.Serve.URL = s.start(t)
	c.Train.EnvPass = []string{"HEIRLOOM_TEST_UNSET_KEY"}
	b, _ := enter(t, c, t.TempDir())
	states := func(b *Backend) map[string]string {
		out := map[string]string{}
		for _, f := range b.Check(t.Context(), lineage.Work{Learner: lineage.Preference}, []lineage.Example{{Messages: conversation("a", "b")}}) {
			out[f.What] = f.State
		}
		return out
	}
	got := states(b)
	for what, want := range map[string]string{"trainer": "ok", "training file": "fault", "environment": "warning", "endpoint": "ok", "model": "ok"} {
		if got[what] != want {
			t.Errorf("%s is %q, want %q", what, got[what], want)
		}
	}
	c.Serve.URL, c.Train.Command = freeURL(t), []string{"./no-such-trainer"}
	b, _ = enter(t, c, t.TempDir())
	if got := states(b); got["trainer"] != "fault" || got["endpoint"] != "fault" {
		t.Errorf("%v", got)
	}
}

func TestWholeSafetensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	header := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	whole := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, 8)...)
	for n := range len(whole) + 1 {
		os.WriteFile(path, whole[:n], 0o644)
		if err := wholeSafetensors(path); (err == nil) != (n == len(whole)) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func pythonOrSkip(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no Python")
	}
	return path
}
