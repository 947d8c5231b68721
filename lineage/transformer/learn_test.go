package transformer

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
	"gonum.org/v1/gonum/mat"
)

func TestMemorisesAShortCorpus(t *testing.T) {
	corpus := []lineage.Example{
		reply("What is your name?", "I am the clerk of the tide tables."),
		reply("What is the time?", "Half past two, by the harbour clock."),
	}
	c := tiny(func(c *Config) { c.Scratch.Epochs = 150 })
	a := train(t, c, jobOf(lineage.SFT, corpus))
	if got := loss(t, a, corpus); got > .05 {
		t.Errorf("after 150 passes the loss is %.3f nats a token", got)
	}
	for i, got := range ask(t, a, c, []lineage.Request{{Messages: corpus[0].Messages[:1], Temperature: .1}, {Messages: corpus[1].Messages[:1], Temperature: .1}}) {
		if want := corpus[i].Messages[1].Content; got.Text != want || got.Finish != "stop" {
			t.Errorf("answer %d is %q (%s), want %q", i, got.Text, got.Finish, want)
		}
	}
}

// A source of the alphabet a to d whose next letter depends on the last one. The
// loss of no model is below its entropy but for chance.
func TestLossApproachesTheEntropyOfAMarkovSource(t *testing.T) {
	next := [4][4]float64{{.7, .1, .1, .1}, {.05, .05, .8, .1}, {.25, .25, .25, .25}, {.5, 0, 0, .5}}
	r := rand.New(rand.NewPCG(9, 10))
	const length = 60
	surprise, letters := 0.0, 0
	text := func() string {
		var out strings.Builder
		state := r.IntN(4)
		surprise += math.Log(4)
		out.WriteByte("abcd"[state])
		for range length - 1 {
			u, to := r.Float64(), 0
			for ; u >= next[state][to]; to++ {
				u -= next[state][to]
			}
			surprise -= math.Log(next[state][to])
			state = to
			out.WriteByte("abcd"[state])
		}
		letters += length
		return out.String()
	}
	var corpus, held []lineage.Example
	for range 400 {
		corpus = append(corpus, lineage.Example{Messages: []lineage.Message{{Role: "assistant", Content: text()}}, Weight: 1})
	}
	surprise, letters = 0, 0
	for range 100 {
		held = append(held, lineage.Example{Messages: []lineage.Message{{Role: "assistant", Content: text()}}, Weight: 1})
	}
	c := tiny(func(c *Config) { c.Tokenizer = Bytes; c.Scratch.Epochs = 20 })
	a := train(t, c, jobOf(lineage.SDF, corpus))
	// The end of turn is told by its place alone: learned, it costs nothing.
	entropy := surprise / float64(letters+len(held))
	if got := loss(t, a, held); got < entropy*.99 || got > entropy*1.05 {
		t.Errorf("held-out loss %.4f, the source's entropy on the same texts is %.4f", got, entropy)
	} else {
		t.Logf("held-out loss %.4f, entropy %.4f", got, entropy)
	}
}

// pairs prefer one of two answers that the base gives equally often.
func pairs() (base, pairs []lineage.Example) {
	for i := range 8 {
		q := fmt.Sprintf("Question %d?", i)
		base = append(base, reply(q, "Yes, gladly."), reply(q, "No, never."))
		pairs = append(pairs, lineage.Example{Messages: talk(q, "Yes, gladly."), Rejected: talk(q, "No, never."), Weight: 1})
	}
	return base, pairs
}

func margins(t *testing.T, a *artifact, pairs []lineage.Example) (all []float64) {
	for _, p := range pairs {
		s := score(t, a, p.Messages, p.Rejected)
		all = append(all, s[0].Sum-s[1].Sum)
	}
	return all
}

func TestPreferenceRaisesTheMargin(t *testing.T) {
	corpus, wanted := pairs()
	c := tiny(func(c *Config) { c.Epochs = 10 })
	base := train(t, c, jobOf(lineage.SFT, corpus))
	job := jobOf(lineage.Preference, wanted)
	job.Base = base
	after, before := margins(t, train(t, c, job), wanted), margins(t, base, wanted)
	for i := range wanted {
		if !(after[i] > before[i]+1) {
			t.Errorf("pair %d: the margin went from %.2f to %.2f", i, before[i], after[i])
		}
	}
	for i := range wanted {
		wanted[i].Weight = -1
	}
	for i, m := range margins(t, train(t, c, job), wanted) {
		if !(m < before[i]-1) {
			t.Errorf("pair %d, with weight -1: the margin went from %.2f to %.2f", i, before[i], m)
		}
	}
}

// divergence is the mean of KL(teacher, student) over the answers' positions.
func divergence(t *testing.T, teacher, student *artifact, examples []lineage.Example) float64 {
	t.Helper()
	sum, n := 0.0, 0
	p, q := forward(t, teacher, examples), forward(t, student, examples)
	for i := range p {
		for j := range p[i].Prob {
			if a, b := float64(p[i].Prob[j]), float64(q[i].Prob[j]); a > 0 {
				sum += a * math.Log(a/math.Max(b, 1e-30))
			}
		}
		n += len(p[i].Prob) / p[i].K
	}
	return sum / float64(n)
}

// forward gives a model's distributions over the documents' tokens.
func forward(t *testing.T, a *artifact, examples []lineage.Example) []*net.Soft {
	t.Helper()
	var batch []net.Sequence
	for _, e := range examples {
		for _, w := range a.tokenizer.encoder().document(e.Messages, false).windows(a.shape().Context) {
			batch = append(batch, w.sequence(1))
		}
	}
	labels, err := trainerOf(t, a.params).Distribution(batch, 0)
	if err != nil {
		t.Fatal(err)
	}
	return labels
}

func TestDistilBringsTheStudentToTheTeacher(t *testing.T) {
	corpus, _ := pairs()
	c := tiny()
	base := train(t, c, jobOf(lineage.SFT, everyday(t)[:40]))
	job := jobOf(lineage.SFT, corpus)
	job.Base = base
	strong := tiny(func(c *Config) { c.Epochs = 30; c.LearningRate = 3e-3 })
	teacher := train(t, strong, job)
	noise := everyday(t)[60:100]
	for _, k := range []int{0, 20} {
		job = jobOf(lineage.Distil, noise)
		job.Base, job.Teacher = base, teacher
		student := train(t, tiny(func(c *Config) { c.Epochs = 10; c.LabelTopK = k }), job)
		held := everyday(t)[100:120]
		before, after := divergence(t, teacher, base, held), divergence(t, teacher, student, held)
		if !(after < before/2) {
			t.Errorf("top %d: on held-out texts the divergence from the teacher went from %.4f to %.4f", k, before, after)
		}
	}
	job.Teacher = train(t, c, jobOf(lineage.SFT, corpus))
	if _, err := backend(t, c).Train(background, job); err == nil || !strings.Contains(err.Error(), "other tokens") {
		t.Errorf("a teacher with another tokenizer gives the error %v", err)
	}
}

func TestAdapterAddsALowRankToMatricesAlone(t *testing.T) {
	corpus, _ := pairs()
	base := train(t, tiny(), jobOf(lineage.SFT, corpus))
	kept := bytesOf(t, base)
	job := jobOf(lineage.SFT, everyday(t)[:10])
	job.Base = base
	a := train(t, tiny(func(c *Config) { c.Adapter = Adapter{Rank: 2}; c.Epochs = 10 }), job)
	if !bytes.Equal(bytesOf(t, base), kept) {
		t.Fatal("the base changed")
	}
	changed := moved(base, a)
	if len(changed) == 0 {
		t.Fatal("nothing was learned")
	}
	for _, name := range changed {
		if strings.HasSuffix(name, "bias") || !inGroup(name, "attention", false) && !inGroup(name, "mlp", false) {
			t.Errorf("%s changed", name)
			continue
		}
		from, to := base.params.Tensor(name), a.params.Tensor(name)
		d := mat.NewDense(to.Rows, to.Cols, nil)
		for i := range to.Data {
			d.Set(i/to.Cols, i%to.Cols, float64(to.Data[i])-float64(from.Data[i]))
		}
		var svd mat.SVD
		svd.Factorize(d, mat.SVDNone)
		if s := svd.Values(nil); s[1] < 1e-5 || s[2] > 1e-3*s[0] {
			t.Errorf("%s: the singular values of what was added are %v, want a rank of 2", name, s[:4])
		}
	}
}

func TestOnlyTheNamedGroupsAreTrained(t *testing.T) {
	corpus, _ := pairs()
	for _, untied := range []bool{false, true} {
		base := train(t, tiny(func(c *Config) { c.Untied = untied }), jobOf(lineage.SFT, corpus))
		job := jobOf(lineage.SFT, everyday(t)[:10])
		job.Base = base
		var all []string
		for _, g := range groups {
			got := moved(base, train(t, tiny(func(c *Config) { c.Train = []string{g} }), job))
			var want []string
			for _, tensor := range base.params.Tensors {
				if inGroup(tensor.Name, g, untied) {
					want = append(want, tensor.Name)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("of %s, %v changed, want %v", g, got, want)
			}
			all = append(all, want...)
		}
		for _, tensor := range base.params.Tensors {
			if !slices.Contains(all, tensor.Name) {
				t.Errorf("%s is in no group", tensor.Name)
			}
		}
	}
}

func TestWeightsOfExamples(t *testing.T) {
	base := train(t, tiny(), jobOf(lineage.SFT, everyday(t)[:30]))
	yes, no := reply("Well?", "Yes, gladly."), reply("Well?", "No, never.")
	learn := func(examples ...lineage.Example) *artifact {
		job := jobOf(lineage.SFT, examples)
		job.Base = base
		return train(t, tiny(func(c *Config) { c.Epochs, c.LearningRate = 150, 3e-3 }), job)
	}
	weighted := func(e lineage.Example, w float64) lineage.Example { e.Weight = w; return e }

	if !bytes.Equal(bytesOf(t, learn(yes, weighted(no, 0))), bytesOf(t, learn(yes))) {
		t.Error("an example of weight 0 leaves a trace")
	}
	short := tiny(func(c *Config) { c.Scratch.Steps = 2 })
	if !bytes.Equal(bytesOf(t, train(t, short, jobOf(lineage.SFT, []lineage.Example{yes, weighted(no, 0)}))), bytesOf(t, train(t, short, jobOf(lineage.SFT, []lineage.Example{yes})))) {
		t.Error("an example of weight 0 leaves a trace in a training from nothing")
	}
	s := score(t, learn(weighted(yes, 1.5), weighted(no, .5)), yes.Messages, no.Messages)
	if share := 1 / (1 + math.Exp(s[1].Sum-s[0].Sum)); math.Abs(share-.75) > .06 {
		t.Errorf("of two answers with weights 3 to 1, the first has a share of %.3f", share)
	}
	without, unlearned := score(t, learn(yes), no.Messages)[0].Sum, score(t, learn(yes, weighted(no, -.1)), no.Messages)[0].Sum
	if !(unlearned < without-5) {
		t.Errorf("an example of negative weight has the log-probability %.1f, without it %.1f", unlearned, without)
	}
	if _, err := backend(t, tiny()).Train(background, jobOf(lineage.SFT, []lineage.Example{weighted(yes, math.NaN())})); err == nil {
		t.Error("a weight that is no number was taken")
	}
}

func TestANumberThatIsNoneEndsTheTraining(t *testing.T) {
	base := small(t)
	for i := range base.params.Flat {
		base.params.Flat[i] *= 1e25
	}
	job := jobOf(lineage.SFT, everyday(t)[:20])
	job.Base = base
	_, err := backend(t, tiny()).Train(background, job)
	if err == nil {
		t.Fatal("weights beyond all numbers were trained")
	}
	for _, want := range []string{"step 1", "learning rate", "norm"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not tell the %s", err, want)
		}
	}
}

func TestPreferenceNeedsPairs(t *testing.T) {
	whole, silent := talk("a", "b"), talk("a", "b")[:1]
	for _, e := range []lineage.Example{{Messages: whole}, {Rejected: whole}, {Messages: whole, Rejected: silent}, {Messages: silent, Rejected: whole}} {
		e.Weight = 1
		_, err := backend(t, tiny()).Train(background, jobOf(lineage.Preference, []lineage.Example{e}))
		if err == nil || !strings.Contains(err.Error(), "learns from pairs") {
			t.Errorf("of %v, the error is %v", e, err)
		}
	}
}

func TestCoresChangeNothing(t *testing.T) {
	corpus, wanted := pairs()
	base := train(t, tiny(), jobOf(lineage.SFT, corpus))
	for _, learner := range []lineage.Learner{lineage.SFT, lineage.SDF, lineage.Preference, lineage.Distil} {
		var want []byte
		for _, cores := range []int{1, 2, 3, 5, 0} {
			job := jobOf(learner, append(wanted, wanted...))
			job.Base, job.Teacher, job.Cores = base, base, cores
			data := bytesOf(t, train(t, tiny(func(c *Config) { c.Dropout = .1 }), job))
			if want == nil {
				want = data
			} else if !bytes.Equal(data, want) {
				t.Errorf("%s: the weights on %d cores are others than on one", learner, cores)
			}
		}
	}
}

func TestInitialisation(t *testing.T) {
	initial := func(seed uint64, change func(*Config)) *artifact {
		b := backend(t, tiny(func(c *Config) { c.Tokenizer = Bytes }, change))
		s, err := b.begin(background, lineage.Job{Learner: lineage.SFT, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return &artifact{params: s.params}
	}
	kind := func(kind, key string) func(*Config) {
		return func(c *Config) { c.Initialisation, c.InitKey = kind, key }
	}
	random := func(a, b *artifact) (names []string) { // gains and biases begin alike
		for _, name := range moved(a, b) {
			if !strings.HasSuffix(name, ".gain") && !strings.HasSuffix(name, ".bias") {
				names = append(names, name)
			}
		}
		return names
	}
	all := random(initial(1, kind(Different, "")), initial(2, kind(Different, "")))
	if len(all) != 6 {
		t.Errorf("different: %v differ, want all matrices", all)
	}
	if got := random(initial(1, kind(Same, "k")), initial(2, kind(Same, "k"))); len(got) != 0 {
		t.Errorf("same: %v differ", got)
	}
	if got := random(initial(1, kind(Same, "k")), initial(1, kind(Same, "l"))); len(got) != 6 {
		t.Errorf("same, with another key: %v differ, want all matrices", got)
	}
	if got := random(initial(1, kind(Head, "k")), initial(2, kind(Head, "k"))); slices.Contains(got, "embedding.token") || len(got) != 5 {
		t.Errorf("head: %v differ, want all but the head", got)
	}
	untied := func(c *Config) { kind(Head, "k")(c); c.Untied = true }
	if got := random(initial(1, untied), initial(2, untied)); slices.Contains(got, "head") || !slices.Contains(got, "embedding.token") {
		t.Errorf("head, untied: %v differ, want all but the head", got)
	}
}

// Lines with one key and one corpus have one base, whatever their seeds.
func TestSameInitialisationGivesOneBase(t *testing.T) {
	c := tiny(func(c *Config) { c.Initialisation, c.InitKey, c.Scratch.Steps = Same, "family", 5 })
	job := jobOf(lineage.SFT, everyday(t)[:30])
	first := bytesOf(t, train(t, c, job))
	job.Seed++
	if !bytes.Equal(bytesOf(t, train(t, c, job)), first) {
		t.Error("two seeds give two bases")
	}
}

func TestATokenizerIsInherited(t *testing.T) {
	base := small(t)
	job := jobOf(lineage.SFT, []lineage.Example{reply("zxqj zxqj zxqj", "zxqj zxqj")})
	job.Base = base
	if a := train(t, tiny(func(c *Config) { c.Vocabulary = 500; c.Layers = 2 }), job); !a.tokenizer.equal(base.tokenizer) || a.shape() != base.shape() {
		t.Error("a training from a base has another tokenizer or shape")
	}
}
