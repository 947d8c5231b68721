// Package lineagetest holds the tests that every Ledger and every Backend must
// pass. They say nothing of what a model learns; that is the business of the
// backend's own tests.
package lineagetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// OpenLedger gives an empty ledger and a function that closes and reopens it. A
// ledger that does not outlive its process may return itself from reopen.
type OpenLedger func(t *testing.T) (l lineage.Ledger, reopen func() lineage.Ledger)

// Ledger tests the contract of lineage.Ledger against a map.
func Ledger(t *testing.T, open OpenLedger) {
	t.Run("WritesOnce", func(t *testing.T) { writesOnce(t, open) })
	t.Run("MissingIsNotAnError", func(t *testing.T) { missing(t, open) })
	t.Run("ValuesComeBack", func(t *testing.T) { valuesComeBack(t, open) })
	t.Run("UnencodableIsAnError", func(t *testing.T) { unencodable(t, open) })
	t.Run("DoesNotShareMemory", func(t *testing.T) { sharesNothing(t, open) })
	t.Run("KeepsSizesAndBytes", func(t *testing.T) { keepsSizes(t, open) })
	t.Run("AnyKeyInOrder", func(t *testing.T) { anyKey(t, open) })
	t.Run("KeysCanBeLeftAndWritten", func(t *testing.T) { keysCanBeLeft(t, open) })
	t.Run("AgreesWithAMap", func(t *testing.T) { agreesWithMap(t, open) })
	t.Run("ManyWritersAtOnce", func(t *testing.T) { manyWriters(t, open) })
}

func save(t *testing.T, l lineage.Ledger, key lineage.Key, v any) {
	t.Helper()
	if err := l.Save(key, v); err != nil {
		t.Fatalf("Save(%.40q): %v", key, err)
	}
}

func wantRaw(t *testing.T, l lineage.Ledger, key lineage.Key, want []byte) {
	t.Helper()
	var got lineage.Raw
	ok, err := l.Load(key, &got)
	if err != nil || !ok {
		t.Fatalf("Load(%.40q) = %v, %v; want the record", key, ok, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Load(%.40q) gave %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(want), want)
	}
}

func keysOf(t *testing.T, l lineage.Ledger, prefix lineage.Key) []lineage.Key {
	t.Helper()
	var all []lineage.Key
	for key, err := range l.Keys(prefix) {
		if err != nil {
			t.Fatalf("Keys(%.40q): %v", prefix, err)
		}
		all = append(all, key)
	}
	return all
}

func writesOnce(t *testing.T, open OpenLedger) {
	l, reopen := open(t)
	for range 2 {
		for _, size := range []int{0, 3, 5000} {
			key := lineage.Key(fmt.Sprintf("node/%d", size))
			data := bytes.Repeat([]byte{'a'}, size)
			save(t, l, key, lineage.Raw(data))
			save(t, l, key, lineage.Raw(data))
			err := l.Save(key, lineage.Raw(append(data, 'b')))
			if !errors.Is(err, lineage.ErrRewritten) || !strings.Contains(err.Error(), string(key)) {
				t.Errorf("saving something else as %s gave %v, want ErrRewritten with the key", key, err)
			}
			wantRaw(t, l, key, data)
		}
		l = reopen()
	}
}

func missing(t *testing.T, open OpenLedger) {
	l, _ := open(t)
	save(t, l, "node/ab", 1)
	for _, key := range []lineage.Key{"", "node/", "node/a", "node/abc", "nodf"} {
		v := "untouched"
		if ok, err := l.Load(key, &v); ok || err != nil || v != "untouched" {
			t.Errorf("Load(%q) = %v, %v and the value %q; want false, nil and the value left alone", key, ok, err, v)
		}
	}
	if keys := keysOf(t, l, "outputs/"); keys != nil {
		t.Errorf("Keys of an unused prefix gave %q", keys)
	}
}

func valuesComeBack(t *testing.T, open OpenLedger) {
	l, reopen := open(t)
	node := lineage.Node{ID: "n", Line: "a", Documents: 7, Parents: []lineage.Descent{{Node: "p", Documents: 7}}, Recipe: []byte(`{"seed":1}`)}
	texts := lineage.Texts{{Replies: []string{"I \x00 remember", "\xff\xfe"}, Finish: "stop"}, {Replies: []string{}}, {Replies: []string{"I \x00 remember", "\xff\xfe"}, Finish: "stop"}}
	table := map[string]float64{"b": 2, "a": 1, "é": 0.1}
	save(t, l, "node/n", node)
	save(t, l, "outputs/n/000000", texts)
	save(t, l, "health/n", table)
	for range 2 {
		var gotNode lineage.Node
		var gotTexts lineage.Texts
		var gotTable map[string]float64
		for key, v := range map[lineage.Key]any{"node/n": &gotNode, "outputs/n/000000": &gotTexts, "health/n": &gotTable} {
			if ok, err := l.Load(key, v); !ok || err != nil {
				t.Fatalf("Load(%s) = %v, %v", key, ok, err)
			}
		}
		if !reflect.DeepEqual(gotNode, node) || !reflect.DeepEqual(gotTexts, texts) || !reflect.DeepEqual(gotTable, table) {
			t.Errorf("came back changed:\n%+v\n%+v\n%+v", gotNode, gotTexts, gotTable)
		}
		var wrong int
		if _, err := l.Load("node/n", &wrong); err == nil {
			t.Error("loading a node into a number gave no error")
		}
		l = reopen()
	}
}

type unwilling struct{}

var errUnwilling = errors.New("unwilling")

func (unwilling) MarshalBinary() ([]byte, error) { return nil, errUnwilling }

func unencodable(t *testing.T, open OpenLedger) {
	l, _ := open(t)
	if err := l.Save("node/u", unwilling{}); !errors.Is(err, errUnwilling) || !strings.Contains(err.Error(), "node/u") {
		t.Errorf("Save gave %v, want the error of MarshalBinary with the key", err)
	}
	if ok, err := l.Load("node/u", new(lineage.Raw)); ok || err != nil {
		t.Errorf("a record that could not be encoded is there: %v, %v", ok, err)
	}
}

func sharesNothing(t *testing.T, open OpenLedger) {
	l, _ := open(t)
	data := []byte("as it was saved")
	save(t, l, "node/s", lineage.Raw(data))
	data[0] = '!'
	var got lineage.Raw
	l.Load("node/s", &got)
	got[0] = '?'
	wantRaw(t, l, "node/s", []byte("as it was saved"))
}

// keepsSizes crosses every bound at which a ledger might change the way it
// keeps a record, with bytes that compress and bytes that do not.
func keepsSizes(t *testing.T, open OpenLedger) {
	l, reopen := open(t)
	r := rand.New(rand.NewPCG(1, 1))
	records := map[lineage.Key][]byte{}
	for _, size := range []int{0, 1, 255, 256, 257, 1023, 1024, 1025, 1200, 4096, 65535, 65536, 1 << 20, 8 << 20} {
		noise, text := make([]byte, size), bytes.Repeat([]byte("I remember. "), size/12+1)[:size]
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		records[lineage.Key(fmt.Sprintf("noise/%d", size))] = noise
		records[lineage.Key(fmt.Sprintf("text/%d", size))] = text
	}
	for key, data := range records {
		save(t, l, key, lineage.Raw(data))
	}
	for range 2 {
		for key, data := range records {
			wantRaw(t, l, key, data)
		}
		l = reopen()
	}
}

func anyKey(t *testing.T, open OpenLedger) {
	l, reopen := open(t)
	keys := []lineage.Key{
		"", "/", "a", "a/", "a/\x00", "a/\x00\x00", "a/b", "a/b/c", "a0", "a\xff", "a\xff\xff", "b", "é", "世界",
		"!badger!txn", "\x00", "\xff", "\xff\xff", "k?x=1&y=%2F;z#f +", "line\nbreak", "synced", "msynced", "rmsynced",
		lineage.Key(strings.Repeat("long", 5000)),
	}
	for i, key := range rand.New(rand.NewPCG(2, 2)).Perm(len(keys)) {
		save(t, l, keys[key], lineage.Raw{byte(i), 'v'})
	}
	slices.Sort(keys)
	for range 2 {
		for _, prefix := range append([]lineage.Key{"a/b/", "zz", "a\xff\xff\xff"}, keys...) {
			var want []lineage.Key
			for _, key := range keys {
				if strings.HasPrefix(string(key), string(prefix)) {
					want = append(want, key)
				}
			}
			if got := keysOf(t, l, prefix); !slices.Equal(got, want) {
				t.Errorf("Keys(%.40q) = %.60q, want %.60q", prefix, got, want)
			}
		}
		for _, key := range keys {
			if ok, err := l.Load(key, new(lineage.Raw)); !ok || err != nil {
				t.Errorf("Load(%.40q) = %v, %v", key, ok, err)
			}
		}
		l = reopen()
	}
}

func keysCanBeLeft(t *testing.T, open OpenLedger) {
	l, _ := open(t)
	for i := range 10 {
		save(t, l, lineage.Key(fmt.Sprintf("node/%d", i)), i)
	}
	for range l.Keys("node/") {
		break
	}
	seen := 0
	for key, err := range l.Keys("node/") {
		if err != nil {
			t.Fatal(err)
		}
		save(t, l, "node/9"+key, seen) // sorts after every key to come
		seen++
	}
	if seen != 10 {
		t.Errorf("an iteration saw %d keys, want the 10 that were there when it began", seen)
	}
	if n := len(keysOf(t, l, "node/")); n != 20 {
		t.Errorf("%d keys after writing during an iteration, want 20", n)
	}
}

// agreesWithMap runs random calls against the ledger and lineage.Memory, the
// plainest ledger there is.
func agreesWithMap(t *testing.T, open OpenLedger) {
	l, reopen := open(t)
	var reference lineage.Memory
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 2000 {
		key := lineage.Key(fmt.Sprintf("%c/%d", 'a'+rune(r.IntN(4)), r.IntN(150)))
		value := lineage.Raw(strings.Repeat(string(key), 1+r.IntN(2)*r.IntN(400)))
		want, got := reference.Save(key, value), l.Save(key, value)
		if (want == nil) != (got == nil) || errors.Is(want, lineage.ErrRewritten) != errors.Is(got, lineage.ErrRewritten) {
			t.Fatalf("call %d: Save(%s) = %v, want %v", i, key, got, want)
		}
		if i%900 == 899 {
			l = reopen()
		}
	}
	for _, prefix := range []lineage.Key{"", "a/", "c/1"} {
		want, _ := lineage.Fingerprint(&reference, prefix)
		if got, err := lineage.Fingerprint(l, prefix); got != want || err != nil {
			t.Errorf("Fingerprint(%q) = %s, %v; want %s", prefix, got, err, want)
		}
	}
}

func manyWriters(t *testing.T, open OpenLedger) {
	l, reopen := open(t)
	const writers, each, shared = 8, 40, 20
	var wg sync.WaitGroup
	won := make([]int, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := lineage.Key(fmt.Sprintf("own/%d/%03d", w, i))
				data := lineage.Raw(strings.Repeat(string(key), 1+i*20))
				var got lineage.Raw
				if err := l.Save(key, data); err != nil {
					t.Errorf("Save(%s): %v", key, err)
				} else if ok, err := l.Load(key, &got); !ok || err != nil || !bytes.Equal(got, data) {
					t.Errorf("Load(%s) right after Save = %v, %v, %d bytes", key, ok, err, len(got))
				}
				last := lineage.Key("")
				for key, err := range l.Keys("own/") {
					if err != nil || key <= last {
						t.Errorf("Keys gave %q after %q, %v", key, last, err)
					}
					last = key
				}
			}
			for i := range shared {
				switch err := l.Save(lineage.Key(fmt.Sprintf("shared/%d", i)), w); {
				case err == nil:
					won[w]++
				case !errors.Is(err, lineage.ErrRewritten):
					t.Errorf("Save(shared/%d): %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range won {
		total += n
	}
	if total != shared {
		t.Errorf("%d writes of %d contested records succeeded, want one each", total, shared)
	}
	before, _ := lineage.Fingerprint(l, "")
	if after, err := lineage.Fingerprint(reopen(), ""); after != before || err != nil {
		t.Errorf("the ledger changed when it was reopened: %v", err)
	}
}
