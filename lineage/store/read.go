package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Reader is a lineage.Ledger that cannot be written. It reads the folder
// itself, or through the process that writes it; when that ends, it goes on by
// itself.
type Reader struct {
	dir    string
	mu     sync.Mutex
	source source
}

// Read opens the ledger in dir for reading. What a killed process left
// half-written is put in order first, which needs the right to write.
func Read(dir string) (*Reader, error) {
	source, err := connect(dir)
	if err != nil {
		return nil, err
	}
	return &Reader{dir: dir, source: source}, nil
}

// connect tries both ways for a while, since the writing process may be about
// to open or to close.
func connect(dir string) (source, error) {
	for end := time.Now().Add(patience); ; time.Sleep(patience / 250) {
		if r, err := dial(dir); err == nil {
			return r, nil
		}
		s, err := openAlone(dir)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, ErrHeld) {
			return nil, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("ledger %s %w by process %d, which does not answer readers: wait for it to end or stop it", dir, ErrHeld, writer(dir))
		}
	}
}

// openAlone opens the folder. Badger refuses to read what was not closed, so
// that is opened for writing and closed before.
func openAlone(dir string) (source, error) {
	if fresh, err := untouched(dir); fresh || err != nil {
		return empty{}, err
	}
	s, err := openStore(dir, reading, nil)
	if err == nil || errors.Is(err, ErrHeld) || checkFolder(dir) != nil {
		return s, err
	}
	w, err := openStore(dir, mending, nil)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: it was not closed, so the first to open it must have the right to write", err)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	return openStore(dir, reading, nil)
}

// empty is a ledger that nobody has written yet. It is not opened: Badger would
// make an index, and lock out the process that is about to make one.
type empty struct{}

func (empty) get(lineage.Key) ([]byte, bool, error)   { return nil, false, nil }
func (empty) keys(lineage.Key) ([]lineage.Key, error) { return nil, nil }
func (empty) Close() error                            { return nil }

// with asks the source, and another where the process behind it has ended.
func (r *Reader) with(ask func(source) error) error {
	for tries := 3; ; tries-- {
		r.mu.Lock()
		src := r.source
		r.mu.Unlock()
		if src == nil {
			return fmt.Errorf("ledger %s: %w", r.dir, errClosed)
		}
		err := ask(src)
		if tries == 0 || !errors.Is(err, errGone) {
			return err
		}
		if err := r.reconnect(src); err != nil {
			return err
		}
	}
}

func (r *Reader) reconnect(gone source) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source != gone {
		return nil
	}
	src, err := connect(r.dir)
	if err != nil {
		return err
	}
	gone.Close()
	r.source = src
	return nil
}

// Load is that of lineage.Ledger.
func (r *Reader) Load(key lineage.Key, v any) (bool, error) { return load(r, key, v) }

// Save fails.
func (r *Reader) Save(key lineage.Key, _ any) error {
	return fmt.Errorf("ledger %s: %s: %w", r.dir, key, errReadOnly)
}

// Keys yields the keys that were there when the iteration began.
func (r *Reader) Keys(prefix lineage.Key) iter.Seq2[lineage.Key, error] { return list(r, prefix) }

func (r *Reader) get(key lineage.Key) (data []byte, ok bool, err error) {
	err = r.with(func(src source) error {
		data, ok, err = src.get(key)
		return err
	})
	return data, ok, err
}

func (r *Reader) keys(prefix lineage.Key) (all []lineage.Key, err error) {
	err = r.with(func(src source) error {
		all, err = src.keys(prefix)
		return err
	})
	return all, err
}

// Close lets go of the ledger. A second Close does nothing.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source == nil {
		return nil
	}
	err := r.source.Close()
	r.source = nil
	return err
}

var _ lineage.Ledger = (*Reader)(nil)

// remote is the client of a server.
type remote struct {
	dir  string
	http http.Client
}

// errGone says that the process on the other side has ended or is closing.
var errGone = errors.New("the process that writes it does not answer")

func dial(dir string) (*remote, error) {
	address, err := os.ReadFile(filepath.Join(dir, addressName))
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: patience}
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", string(address))
	}
	probe, err := connect(context.Background(), "", "")
	if err != nil {
		return nil, err
	}
	probe.Close()
	return &remote{dir, http.Client{Transport: &http.Transport{DialContext: connect, ResponseHeaderTimeout: 6 * patience}}}, nil
}

// served tells whether a process answers readers of the ledger.
func served(dir string) bool {
	m, err := dial(dir)
	if err != nil {
		return false
	}
	m.Close()
	return true
}

func (m *remote) ask(path string, args url.Values) (body []byte, ok bool, err error) {
	resp, err := m.http.Get("http://ledger" + path + "?" + args.Encode())
	if err != nil {
		return nil, false, fmt.Errorf("ledger %s: %w: %v", m.dir, errGone, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode == http.StatusServiceUnavailable:
		return nil, false, fmt.Errorf("ledger %s: %w: %v", m.dir, errGone, err)
	case resp.StatusCode == http.StatusNotFound:
		return nil, false, nil
	case resp.StatusCode != http.StatusOK:
		return nil, false, errors.New(strings.TrimSpace(string(body)))
	}
	return body, true, nil
}

func (m *remote) get(key lineage.Key) ([]byte, bool, error) {
	return m.ask("/record", url.Values{"key": {string(key)}})
}

func (m *remote) keys(prefix lineage.Key) ([]lineage.Key, error) {
	body, _, err := m.ask("/keys", url.Values{"prefix": {string(prefix)}})
	if err != nil {
		return nil, err
	}
	var all []lineage.Key
	for len(body) > 0 {
		length, n := binary.Uvarint(body)
		if n <= 0 || length > uint64(len(body)-n) {
			return nil, fmt.Errorf("ledger %s: the list of keys is broken", m.dir)
		}
		body = body[n:]
		all = append(all, lineage.Key(body[:length]))
		body = body[length:]
	}
	return all, nil
}

func (m *remote) Close() error {
	m.http.CloseIdleConnections()
	return nil
}
