package detectors

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

func init() {
	Register("embedding", "nearness to examples by the vectors of an embedding model, over the OpenAI protocol",
		Embedding{Text: "text", Label: "label", Nearest: 5, Batch: 64, MaxChars: 20_000, Split: Split{Share: .7}},
		func(env Env, c Embedding) (Detector, error) { return c.open(env) })
}

// Embedding compares a text with examples by the cosine of the angle between
// their vectors. With p the mean over the Nearest largest cosines to positive
// examples, and n that to negative ones (over all, where there are fewer), the
// score is
//
//	1/2 + (p − n)/4   with negative examples: one half where neither is nearer
//	(1 + p)/2         without
//
// so that -2 ≤ p − n ≤ 2 becomes [0,1] and nothing is clipped. Texts of one
// language have cosines far above 0 whatever they say: without negative examples
// the threshold has to be found on labelled texts.
//
// The server is first asked when the first text is judged.
type Embedding struct {
	Server    Server   `yaml:"server" doc:"the server that is asked"`
	Model     string   `yaml:"model" doc:"name of the embedding model"`
	Examples  []string `yaml:"examples" doc:"files of texts that show the behaviour, one a line"`
	Labels    []string `yaml:"labels" doc:"files of labelled rows, of both labels"`
	Text      string   `yaml:"text" doc:"key of the text in a row"`
	Label     string   `yaml:"label" doc:"key of the label, or name of a count in labels"`
	Positive  string   `yaml:"positive" doc:"the label that means yes"`
	Split     Split    `yaml:"split" doc:"rows to take as examples"`
	Nearest   int      `yaml:"nearest" doc:"how many of the nearest examples of each label count"`
	Threshold float64  `yaml:"threshold" doc:"score from which the behaviour is present; .5 where it is not given and there are negative examples"`
	MaxChars  int      `yaml:"max_chars" doc:"a longer text is not scorable"`
	Batch     int      `yaml:"batch" identity:"no" doc:"texts a request"`
}

type embedding struct {
	Embedding
	server   Endpoint
	examples [2][]string // negative, positive

	mu      sync.Mutex
	vectors [2][][]float32 // of the examples, once they are known
}

// Requests implements Priced. Examples are asked about too.
func (d *embedding) Requests(us []Utterance) int {
	n := (len(us) + d.Batch - 1) / d.Batch
	for _, side := range d.examples {
		n += (len(side) + d.Batch - 1) / d.Batch
	}
	return n
}

func (c Embedding) open(env Env) (Detector, error) {
	faults := []error{
		checkThreshold("embedding", c.Threshold), checkModel("embedding", c.Model), checkCount("embedding.nearest", c.Nearest),
		checkCount("embedding.max_chars", c.MaxChars), within("embedding.batch", float64(c.Batch), 1, 2048),
	}
	if err := c.Split.check(); err != nil {
		faults = append(faults, fmt.Errorf("embedding.%w", err))
	}
	if len(c.Examples)+len(c.Labels) == 0 {
		faults = append(faults, errors.New("embedding.examples: no file is named, neither of examples nor of labels"))
	} else if env.Open == nil {
		faults = append(faults, errors.New("embedding.examples: no files are at hand"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	d := &embedding{Embedding: c}
	if err := d.read(env); err != nil {
		return nil, err
	}
	var err error
	d.server, err = openServer(env, "embedding", c.Server)
	return d, err
}

// read collects the examples, each text once.
func (d *embedding) read(env Env) error {
	add := func(text string, positive bool) {
		if text = strings.TrimSpace(text); text != "" && utf8.RuneCountInString(text) <= d.MaxChars {
			d.examples[index(positive)] = append(d.examples[index(positive)], text)
		}
	}
	for _, name := range d.Examples {
		if err := d.from(env, name, func(f io.Reader) error { return eachLine(f, name, func(text string) { add(text, true) }) }); err != nil {
			return fmt.Errorf("embedding.examples: %w", err)
		}
	}
	for _, name := range d.Labels {
		if err := d.from(env, name, func(f io.Reader) error {
			rows, err := ReadLabelled(f, name, Fields{Text: d.Text, Label: d.Label, Positive: d.Positive})
			for _, r := range rows {
				if d.Split.Keep(r.Group) {
					add(r.Utterance.Text(), r.Positive)
				}
			}
			return err
		}); err != nil {
			return fmt.Errorf("embedding.labels: %w", err)
		}
	}
	for i := range d.examples {
		slices.Sort(d.examples[i])
		d.examples[i] = slices.Compact(d.examples[i])
	}
	switch negative, positive := len(d.examples[0]), len(d.examples[1]); {
	case positive == 0:
		return errors.New("embedding.examples: no text shows the behaviour")
	case negative == 0 && d.Threshold == 0:
		return errors.New("embedding.threshold: has to be given where no example lacks the behaviour; heirloom detect --label shows what a score is worth")
	case d.Threshold == 0:
		d.Threshold = .5
	}
	return nil
}

func (d *embedding) from(env Env, name string, read func(io.Reader) error) error {
	f, err := env.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f)
}

func eachLine(r io.Reader, name string, take func(string)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRow)
	n := 0
	for lines.Scan() {
		n++
		text := strings.TrimPrefix(lines.Text(), "\ufeff")
		if !utf8.ValidString(text) {
			return fmt.Errorf("%s:%d: the line is not UTF-8", name, n)
		}
		take(text)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", name, n+1, err)
	}
	return nil
}

// Detect implements Detector. The empty text and one longer than MaxChars are
// not scorable.
func (d *embedding) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	results := make([]Result, len(us))
	var texts []string
	var of []int
	for i, u := range us {
		switch text := strings.TrimSpace(valid(u.Text())); {
		case text == "":
			results[i].Reason = "the text is empty"
		case utf8.RuneCountInString(text) > d.MaxChars:
			results[i].Reason = fmt.Sprintf("the text is longer than %d characters", d.MaxChars)
		default:
			texts, of = append(texts, text), append(of, i)
		}
	}
	if err := ctx.Err(); err != nil || len(texts) == 0 {
		return results, err
	}
	examples, err := d.known(ctx)
	if err != nil {
		return nil, err
	}
	vectors, err := d.embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	for k, v := range vectors {
		if len(v) != len(examples[1][0]) {
			return nil, fmt.Errorf("embedding: the server gives vectors of %d and of %d numbers", len(v), len(examples[1][0]))
		}
		results[of[k]] = d.judge(v, examples)
	}
	return results, nil
}

// known gives the vectors of the examples. They are asked for once; a failure is
// not remembered.
func (d *embedding) known(ctx context.Context) ([2][][]float32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vectors[1] != nil {
		return d.vectors, nil
	}
	all, err := d.embed(ctx, slices.Concat(d.examples[0], d.examples[1]))
	if err != nil {
		return d.vectors, err
	}
	for _, v := range all {
		if len(v) != len(all[0]) {
			return d.vectors, fmt.Errorf("embedding: the server gives vectors of %d and of %d numbers", len(v), len(all[0]))
		}
	}
	negative := len(d.examples[0])
	d.vectors = [2][][]float32{all[:negative], all[negative:]}
	return d.vectors, nil
}

// embed gives vectors of length 1.
func (d *embedding) embed(ctx context.Context, texts []string) ([][]float32, error) {
	var all [][]float32
	for part := range slices.Chunk(texts, d.Batch) {
		vectors, err := d.server.Embed(ctx, d.Model, part)
		if err != nil {
			return nil, err
		}
		if len(vectors) != len(part) {
			return nil, fmt.Errorf("embedding: the server gave %d vectors for %d texts", len(vectors), len(part))
		}
		all = append(all, vectors...)
	}
	for i, v := range all {
		sum := 0.0
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		if !(sum > 0) || math.IsInf(sum, 1) {
			return nil, fmt.Errorf("embedding: the server gave a vector without a direction for %.40q", texts[i])
		}
		unit := make([]float32, len(v))
		for k, x := range v {
			unit[k] = float32(float64(x) / math.Sqrt(sum))
		}
		all[i] = unit
	}
	return all, nil
}

func (d *embedding) judge(v []float32, examples [2][][]float32) Result {
	p, nearest := d.near(v, examples[1])
	reason := fmt.Sprintf("cosine %.3f to positive examples, nearest %.60q", p, oneLine(d.examples[1][nearest], 40))
	if len(examples[0]) == 0 {
		return Judged(unit((1+p)/2), d.Threshold, nil, reason)
	}
	n, _ := d.near(v, examples[0])
	return Judged(unit(.5+(p-n)/4), d.Threshold, nil, fmt.Sprintf("%s; %.3f to negative ones", reason, n))
}

// unit takes rounding off the ends of [0,1].
func unit(x float64) float64 { return max(0, min(1, x)) }

// near is the mean of the largest cosines, and which example has the largest.
func (d *embedding) near(v []float32, examples [][]float32) (cosine float64, nearest int) {
	cosines := make([]float64, len(examples))
	for i, e := range examples {
		for k, x := range e {
			cosines[i] += float64(x) * float64(v[k])
		}
		if cosines[i] > cosines[nearest] {
			nearest = i
		}
	}
	slices.SortFunc(cosines, func(a, b float64) int { return cmp.Compare(b, a) })
	return mean(cosines[:min(d.Nearest, len(cosines))]), nearest
}

// Identity implements Identified.
func (d *embedding) Identity() string { return oneLine(d.Model, 80) }

// Asks implements Asking.
func (d *embedding) Asks() (address, model string) { return addressOf(d.server, d.Server), d.Model }

// Digest covers the examples and the server's address.
func (d *embedding) Digest() string {
	parts := []string{addressOf(d.server, d.Server), fmt.Sprint(len(d.examples[0]))}
	return digestOf(slices.Concat(parts, d.examples[0], d.examples[1])...)
}
