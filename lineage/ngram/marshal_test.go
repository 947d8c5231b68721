package ngram

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// sealed gives a body its header and its checksum.
func sealed(body []byte) []byte {
	out := append([]byte(header), body...)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func bodyOf(data []byte) []byte { return data[len(header) : len(data)-4] }

func TestLoadSaysWhatIsWrong(t *testing.T) {
	good := encoded(t, train(t, Defaults(), babble(60, 20, 6, 8, 3)))
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 4
	for want, data := range map[string][]byte{
		"another backend":         []byte("heirloom-urn 1\n"),
		"does not begin":          nil,
		"cut short":               []byte(header),
		"damaged":                 flipped,
		"damaged or cut":          good[:len(good)-9],
		"bytes follow":            sealed(append(bytes.Clone(bodyOf(good)), 0)),
		"order is not":            sealed([]byte{99}),
		"order: 0":                sealed(append([]byte{0}, bodyOf(good)[1:]...)),
		"number of pieces is not": sealed(append(bytes.Clone(bodyOf(good)[:13]), 0xff, 0xff, 0xff, 0x7f)),
	} {
		b, _ := New(Defaults())
		if _, err := b.Load(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// What loads must work and come back as the same bytes, whatever the bytes were.
func FuzzLoad(f *testing.F) {
	for _, all := range [][]lineage.Example{nil, replies("a b"), babble(61, 12, 5, 6, 2), babble(62, 12, 5, 6, 0)} {
		f.Add(bodyOf(encoded(f, train(f, Defaults(), all))))
	}
	f.Add([]byte{})
	f.Add([]byte("\x04\x0000000000\x010\x01\b0000000")) // a text one byte longer than the rest
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	b, _ := New(Defaults())
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := b.Load(sealed(body))
		if err != nil {
			return
		}
		m, err := b.Open(background, a)
		if err != nil {
			t.Fatal(err)
		}
		for _, temperature := range []float64{1, 0.5} {
			r := lineage.Request{Messages: conversation("user: a b"), Seed: 1, Temperature: temperature, MaxTokens: 20}
			if err := m.Sample(background, []lineage.Request{r}, func(int, lineage.Completion) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		again, err := b.Load(encoded(t, a))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded(t, a), encoded(t, again)) {
			t.Fatal("what was loaded is not what is written")
		}
	})
}
