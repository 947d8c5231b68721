package store

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/heirloom-sim/heirloom/lineage"
)

// A server answers readers of other processes while a Store is open, over HTTP
// on a unix socket:
//
//	GET /record?key=K    the encoded record; 404 where there is none
//	GET /keys?prefix=P   the keys, each as its length (uvarint) and its bytes
//
// 503 says that the ledger is being closed.
type server struct {
	http    http.Server
	folder  string // of the socket
	address string // the file that publishes it
}

// serve starts to answer readers and says where in the address file. The socket
// has a folder of its own in the temporary folder, closed to other users, since
// a socket's path may not have more than some 100 bytes.
func serve(s *Store) (*server, error) {
	v := &server{address: filepath.Join(s.dir, addressName)}
	v.forget() // what a killed process left
	listener, err := v.listen()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /record", s.serveRecord)
	mux.HandleFunc("GET /keys", s.serveKeys)
	v.http.Handler, v.http.ReadHeaderTimeout = mux, patience
	go v.http.Serve(listener)
	if err := replaceFile(v.address, []byte(listener.Addr().String())); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

func (v *server) listen() (listener net.Listener, err error) {
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		if v.folder, err = os.MkdirTemp(parent, "heirloom-"); err != nil {
			continue
		}
		if listener, err = net.Listen("unix", filepath.Join(v.folder, "socket")); err == nil {
			return listener, nil
		}
		os.Remove(v.folder)
	}
	return nil, err
}

// forget withdraws the address, and the socket that it names, of a process
// which is not there any more.
func (v *server) forget() {
	path, err := os.ReadFile(v.address)
	if err != nil {
		return
	}
	os.Remove(v.address)
	if socket := string(path); filepath.Base(socket) == "socket" {
		if info, err := os.Lstat(socket); err == nil && info.Mode()&os.ModeSocket != 0 {
			os.Remove(socket)
			os.Remove(filepath.Dir(socket))
		}
	}
}

// close lets the answers under way end.
func (v *server) close() {
	if v == nil {
		return
	}
	os.Remove(v.address)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if v.http.Shutdown(ctx) != nil {
		v.http.Close()
	}
	os.RemoveAll(v.folder)
}

func (s *Store) serveRecord(w http.ResponseWriter, r *http.Request) {
	var raw lineage.Raw
	ok, err := s.Load(lineage.Key(r.URL.Query().Get("key")), &raw)
	if err == nil && !ok {
		http.Error(w, "no such record", http.StatusNotFound)
		return
	}
	answer(w, raw, err)
}

func (s *Store) serveKeys(w http.ResponseWriter, r *http.Request) {
	keys, err := s.keys(lineage.Key(r.URL.Query().Get("prefix")))
	var body []byte
	for _, key := range keys {
		body = binary.AppendUvarint(body, uint64(len(key)))
		body = append(body, key...)
	}
	answer(w, body, err)
}

// answer states the length, so that a reader knows a broken answer for one.
func answer(w http.ResponseWriter, body []byte, err error) {
	switch {
	case errors.Is(err, errClosed):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	}
}
