package transformer

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func small(t testing.TB, change ...func(*Config)) *artifact {
	return train(t, tiny(append(change, func(c *Config) { c.Scratch.Steps = 3 })...), jobOf(lineage.SFT, everyday(t)[:20]))
}

func TestCheckpointCanBeRead(t *testing.T) {
	data := bytesOf(t, small(t))
	lines := bytes.SplitN(data, []byte("\n"), 3)
	for _, want := range []string{`"layers":1`, `"width":32`, `"vocabulary":320`, `"learner":"sft"`, `"steps":3`, `"loss":`, `"arithmetic":`} {
		if !strings.Contains(string(lines[1]), want) {
			t.Errorf("the head %s does not tell %s", lines[1], want)
		}
	}
	var squeezed bytes.Buffer
	w, _ := flate.NewWriter(&squeezed, flate.BestCompression)
	w.Write(data)
	w.Close()
	t.Logf("%d bytes, compressed %d", len(data), squeezed.Len())
}

// signed ends a body with its digest, as whoever forges a checkpoint would.
func signed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestFaultyCheckpointsAreRefusedWithAReason(t *testing.T) {
	data := bytesOf(t, small(t))
	body := data[:len(data)-sha256.Size]
	edit := func(old, new string) []byte { return signed(bytes.Replace(body, []byte(old), []byte(new), 1)) }
	last := bytes.Clone(body)
	copy(last[len(last)-4:], []byte{0, 0, 0xc0, 0x7f})
	flipped := bytes.Clone(data)
	flipped[len(data)/2] ^= 1
	for _, c := range []struct {
		why  string
		data []byte
	}{
		{"another backend or version", []byte("heirloom-ngram 1\n")},
		{"another backend or version", edit("transformer 1", "transformer 2")},
		{"cut short", []byte(header + "{}")},
		{"digest differs", data[:len(data)-1]},
		{"digest differs", flipped},
		{"digest differs", append(bytes.Clone(data), 0)},
		{"cannot be read", edit(`"layers":1`, `"layers":x`)},
		{"unknown field", edit(`"layers"`, `"layerz"`)},
		{"layers: -1", edit(`"layers":1`, `"layers":-1`)},
		{"not within 1 to 4096", edit(`"width":32`, `"width":99999999999`)},
		{"contradicts itself", edit(`"hidden":64`, `"hidden":65`)},
		{"contradicts itself", edit(`"merges":60`, `"merges":61`)},
		{"bytes of merges and weights", signed(body[:len(body)-4])},
		{"is NaN", signed(last)},
	} {
		if _, err := backend(t, tiny()).Load(c.data); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("the error is %v, want one that says %q", err, c.why)
		}
	}
}

func TestMergesThatNoTrainingGivesAreRefused(t *testing.T) {
	a := firstByte
	for name, merges := range map[string][]pair{
		"forward":  {{a, firstMerge}},
		"mark":     {{endOfTurn, a}},
		"negative": {{-1, a}},
		"twice":    {{a, a}, {a, a}},
		"long":     {{a, a}, {firstMerge, firstMerge}, {firstMerge + 1, firstMerge + 1}, {firstMerge + 2, firstMerge + 2}, {firstMerge + 3, firstMerge + 3}, {firstMerge + 4, firstMerge + 4}, {firstMerge + 5, firstMerge + 5}},
	} {
		if _, err := newTokenizer(merges); err == nil {
			t.Errorf("%s: merges %v were taken", name, merges)
		}
	}
}

// FuzzLoad signs whatever it is given, so that the digest does not stop it.
func FuzzLoad(f *testing.F) {
	data := bytesOf(f, small(f, func(c *Config) { c.Tokenizer = Bytes; c.Width, c.Heads, c.Hidden, c.Context = 4, 1, 4, 8 }))
	f.Add(data[:len(data)-sha256.Size])
	f.Add([]byte(header + "{}\n"))
	b := backend(f, tiny())
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := b.Load(signed(body))
		if err != nil {
			return
		}
		if again := bytesOf(t, a.(*artifact)); !bytes.Equal(again, signed(body)) && len(again) != len(body)+sha256.Size {
			t.Errorf("%d bytes were read and %d written", len(body)+sha256.Size, len(again))
		}
	})
}
