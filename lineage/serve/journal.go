package serve

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// journal is what changed the server, in order. Records:
//
//	serve/journal/N       entry N
//	serve/blob/DIGEST     the content of a file, or an artifact
//	serve/ticket/JOB/N    handles of a training that goes on elsewhere
type journal struct {
	ledger lineage.Ledger
	seed   uint64
	next   int
	boots  int
}

// entry is one change. Its members that are set take effect together.
type entry struct {
	At      int64        `json:"at"` // nanoseconds since 1970 by the server's clock
	Boot    bool         `json:"boot,omitempty"`
	Files   []*file      `json:"files,omitempty"`
	Gone    string       `json:"gone,omitempty"` // a file or a model that was deleted
	Job     *jobRecord   `json:"job,omitempty"`
	Step    *step        `json:"step,omitempty"`
	Batch   *batchRecord `json:"batch,omitempty"`
	Advance *advance     `json:"advance,omitempty"`
}

const entries = "serve/journal/"

func (j *journal) replay(apply func(entry)) (last int64, err error) {
	for key, err := range j.ledger.Keys(entries) {
		if err != nil {
			return 0, err
		}
		var e entry
		if ok, err := j.ledger.Load(key, &e); err != nil || !ok {
			return 0, fmt.Errorf("serve: entry %s of the journal cannot be read: %w", key, err)
		}
		if key != entryKey(j.next) {
			return 0, fmt.Errorf("serve: the journal has %s where entry %d should be; restore its folder from a copy", key, j.next)
		}
		j.next++
		if e.Boot {
			j.boots++
		}
		apply(e)
		last = e.At
	}
	return last, nil
}

func entryKey(n int) lineage.Key { return lineage.Key(fmt.Sprintf("%s%012d", entries, n)) }

func (j *journal) append(e entry) error {
	if err := j.ledger.Save(entryKey(j.next), e); err != nil {
		return err
	}
	j.next++
	if e.Boot {
		j.boots++
	}
	return nil
}

// keep stores bytes under their digest.
func (j *journal) keep(data []byte) (digest string, err error) {
	sum := sha256.Sum256(data)
	digest = hex.EncodeToString(sum[:])
	return digest, j.ledger.Save(blobKey(digest), lineage.Raw(data))
}

func (j *journal) fetch(digest string) ([]byte, error) {
	var raw lineage.Raw
	ok, err := j.ledger.Load(blobKey(digest), &raw)
	if err == nil && !ok {
		err = fmt.Errorf("serve: the ledger lacks the blob %s", digest)
	}
	return raw, err
}

func blobKey(digest string) lineage.Key { return lineage.Key("serve/blob/" + digest) }

// name makes an identifier from the seed and what it counts.
func (j *journal) name(prefix string, counters ...int) string {
	return prefix + letters24(j.digest(prefix, counters...))
}

// identifier is 24 letters and digits that stand for a text.
func identifier(text string) string {
	sum := sha256.Sum256([]byte(text))
	return letters24(sum[:])
}

func letters24(digest []byte) string {
	return strings.ToLower(base32.StdEncoding.EncodeToString(digest)[:24])
}

// draw makes a number from the seed and what it counts.
func (j *journal) draw(what string, counters ...int) uint64 {
	return binary.LittleEndian.Uint64(j.digest(what, counters...))
}

func (j *journal) digest(what string, counters ...int) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %d", j.seed, what, counters)
	return h.Sum(nil)
}

// Ticket keeps the handle of a training of a base model in a ledger that is served.
func Ticket(l lineage.Ledger, name string) lineage.Ticket { return ticket{l, name} }

// ticket keeps the handle of a training that may go on without this process.
type ticket struct {
	ledger lineage.Ledger
	job    string
}

func (t ticket) Load() (handle string, err error) {
	for key, err := range t.ledger.Keys(t.prefix()) {
		if err != nil {
			return "", err
		}
		if _, err := t.ledger.Load(key, &handle); err != nil {
			return "", err
		}
	}
	return handle, nil
}

func (t ticket) Save(handle string) error {
	n := 0
	for _, err := range t.ledger.Keys(t.prefix()) {
		if err != nil {
			return err
		}
		n++
	}
	return t.ledger.Save(lineage.Key(fmt.Sprintf("%s%06d", t.prefix(), n)), handle)
}

func (t ticket) prefix() lineage.Key { return lineage.Key("serve/ticket/" + t.job + "/") }
