package serve

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// file is an upload, or what a job or a batch wrote.
type file struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Purpose      string `json:"purpose"`
	Bytes        int    `json:"bytes"`
	Blob         string `json:"blob"`
	ExpiresAfter int64  `json:"expires_after,omitempty"` // seconds
	Created      int64  `json:"-"`
	Expires      int64  `json:"-"` // 0 for never
}

// purposes that the protocol has for uploads.
var purposes = []string{"assistants", "batch", "evals", "fine-tune", "user_data", "vision"}

type fileView struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Bytes     int    `json:"bytes"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at,omitempty"`
	Filename  string `json:"filename"`
	Purpose   string `json:"purpose"`
	Status    string `json:"status"`
}

func (f *file) view() fileView {
	return fileView{f.ID, "file", f.Bytes, f.Created, f.Expires, f.Name, f.Purpose, "processed"}
}

// upload is what a multipart form held.
type upload struct {
	name, purpose string
	data          []byte
	expires       int64
	hasFile       bool
}

func (s *Server) createFile(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, s.options.MaxFile+64<<10)
	form, err := r.MultipartReader()
	if err != nil {
		return bad("", "invalid_form", "an upload is multipart/form-data with the parts file and purpose")
	}
	u, err := readUpload(form)
	if err != nil {
		return err
	}
	blob, err := s.journal.keep(u.data)
	if err != nil {
		return err
	}
	var made *file
	err = s.commit(func(n int) entry {
		made = &file{ID: s.journal.name("file-", n), Name: u.name, Purpose: u.purpose, Bytes: len(u.data), Blob: blob, ExpiresAfter: u.expires}
		return entry{Files: []*file{made}}
	})
	if err != nil {
		return err
	}
	s.counting.add(func(c *Counts) { c.Uploads++ })
	return reply(w, made.view())
}

func readUpload(form *multipart.Reader) (u upload, err error) {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u, unread(err)
		}
		if err := u.part(part); err != nil {
			return u, err
		}
	}
	switch {
	case !u.hasFile:
		return u, bad("file", "missing_required_parameter", "file: the form has no such part")
	case !slices.Contains(purposes, u.purpose):
		return u, bad("purpose", "invalid_value", "purpose: %.40q is not one of %s", u.purpose, strings.Join(purposes, ", "))
	case len(u.data) == 0:
		return u, bad("file", "empty_file", "file: it is empty")
	}
	return u, nil
}

func (u *upload) part(part *multipart.Part) error {
	switch name := part.FormName(); name {
	case "file":
		data, err := io.ReadAll(part)
		if err != nil {
			return unread(err)
		}
		u.data, u.name, u.hasFile = data, part.FileName(), true
		if u.name == "" || len(u.name) > 255 || !utf8.ValidString(u.name) || strings.ContainsFunc(u.name, unicode.IsControl) {
			return bad("file", "invalid_filename", "file: its name must be 1 to 255 bytes of UTF-8 without control characters")
		}
	case "purpose", "expires_after[seconds]":
		data, err := io.ReadAll(io.LimitReader(part, 1<<10))
		if err != nil {
			return unread(err)
		}
		if name == "purpose" {
			u.purpose = string(data)
			return nil
		}
		if u.expires, err = strconv.ParseInt(string(data), 10, 64); err != nil || u.expires < 3600 || u.expires > 2592000 {
			return bad(name, "invalid_value", "%s: %.40q is not a number of seconds from 3600 to 2592000", name, data)
		}
	default:
		if _, err := io.Copy(io.Discard, part); err != nil {
			return unread(err)
		}
	}
	return nil
}

// file finds an upload that is not deleted and has not expired.
func (s *Server) file(param, id string) (*file, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f, ok := s.state.byID[id].(*file); ok && (f.Expires == 0 || f.Expires > s.now()) {
		return f, nil
	}
	return nil, missing(param, "not_found", "there is no file %.80q", id)
}

func (s *Server) getFile(w http.ResponseWriter, r *http.Request) error {
	f, err := s.file("id", r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, f.view())
}

func (s *Server) fileContent(w http.ResponseWriter, r *http.Request) error {
	f, err := s.file("id", r.PathValue("id"))
	if err != nil {
		return err
	}
	data, err := s.journal.fetch(f.Blob)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, err = w.Write(data)
	return err
}

func (s *Server) deleteFile(w http.ResponseWriter, r *http.Request) error {
	f, err := s.file("id", r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.commit(func(int) entry { return entry{Gone: f.ID} }); err != nil {
		return err
	}
	return reply(w, map[string]any{"id": f.ID, "object": "file", "deleted": true})
}

func (s *Server) listFiles(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	order := q.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return bad("order", "invalid_value", "order: %.40q is not one of asc, desc", order)
	}
	s.mu.RLock()
	all := []fileView{}
	for _, f := range s.state.files {
		if (f.Expires == 0 || f.Expires > s.now()) && (q.Get("purpose") == "" || q.Get("purpose") == f.Purpose) {
			all = append(all, f.view())
		}
	}
	s.mu.RUnlock()
	if order != "asc" {
		slices.Reverse(all)
	}
	id := func(f fileView) string { return f.ID }
	cut, more, err := page(r, all, id, 10000, 10000)
	if err != nil {
		return err
	}
	return reply(w, newList(cut, more, id))
}

// write is a file that the server makes itself, for an entry to hold.
func (s *Server) write(n, k int, name, purpose string, data []byte) (*file, error) {
	blob, err := s.journal.keep(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &file{ID: s.journal.name("file-", n, k), Name: name, Purpose: purpose, Bytes: len(data), Blob: blob}, nil
}
