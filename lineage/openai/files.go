package openai

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Purposes of files.
const (
	purposeTune  = "fine-tune"
	purposeBatch = "batch"
)

// remoteFile is a file as a provider tells of it.
type remoteFile struct {
	ID      string `json:"id"`
	Name    string `json:"filename"`
	Bytes   int    `json:"bytes"`
	Created moment `json:"created_at"`
	Purpose string `json:"purpose"`
	Status  string `json:"status"`
	Details string `json:"status_details"`
}

// upload sends a file, written as it is sent.
func (c *Client) upload(ctx context.Context, purpose, name string, size int, write func(io.Writer) error) (remoteFile, verdict, http.Header, error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	form.WriteField("purpose", purpose)
	form.CreateFormFile("file", name) // into memory: these do not fail
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(write(w)) }()
	var f remoteFile
	verdict, header, err := c.once(ctx, call{
		method: http.MethodPost, path: "/files", about: name,
		raw:  io.MultiReader(&head, r, bytes.NewReader([]byte(tail))),
		kind: form.FormDataContentType(), size: int64(head.Len() + size + len(tail)),
	}, &f)
	return f, verdict, header, err
}

func (c *Client) file(ctx context.Context, id string) (f remoteFile, err error) {
	path, err := at("/files", id)
	if err == nil {
		err = c.get(ctx, call{path: path, about: id}, &f)
	}
	return f, err
}

func (c *Client) fileContent(ctx context.Context, id string) (data []byte, err error) {
	path, err := at("/files", id, "content")
	if err == nil {
		err = c.get(ctx, call{path: path, about: id}, &data)
	}
	return data, err
}

// delete removes a file or a model; was is false where it is gone already.
func (c *Client) delete(ctx context.Context, collection, id string) (was bool, err error) {
	path, err := at(collection, id)
	if err == nil {
		err = c.repeat(ctx, call{method: http.MethodDelete, path: path, about: id}, nil)
	}
	if gone(err) {
		return false, nil
	}
	return err == nil, err
}

// page is one page of a list.
type page[T any] struct {
	Data []T  `json:"data"`
	More bool `json:"has_more"`
}

// mostPages bounds how far a list is read.
const mostPages = 1000

// pages reads a list page by page until each has seen enough of it. Servers that
// do not page give the same again, which ends it.
func pages[T any](ctx context.Context, c *Client, k call, limit int, id func(T) string, each func(T) (more bool)) error {
	seen := map[string]bool{}
	after := ""
	for range mostPages {
		query := url.Values{"limit": {strconv.Itoa(limit)}}
		for name, values := range k.query {
			query[name] = values
		}
		if after != "" {
			query.Set("after", after)
		}
		var p page[T]
		if err := c.get(ctx, call{path: k.path, query: query, about: k.about}, &p); err != nil {
			return err
		}
		fresh := false
		for _, item := range p.Data {
			name := id(item)
			if name != "" && seen[name] {
				continue
			}
			fresh, seen[name], after = true, true, name
			if !each(item) {
				return nil
			}
		}
		if !p.More || !fresh || after == "" {
			return nil
		}
	}
	return nil
}

// filesNamed are the files of a purpose, name and size, the earliest first.
func (c *Client) filesNamed(ctx context.Context, purpose, name string, size int) (found []remoteFile, err error) {
	k := call{path: "/files", query: url.Values{"purpose": {purpose}}, about: "/files"}
	err = pages(ctx, c, k, 10_000, func(f remoteFile) string { return f.ID }, func(f remoteFile) bool {
		if f.Name == name && f.Bytes == size && f.ID != "" {
			found = append(found, f)
		}
		return true
	})
	slices.SortStableFunc(found, func(a, b remoteFile) int { return cmp.Compare(a.Created, b.Created) })
	return found, err
}

// processed waits until a file has been read by its provider, and gives what
// became of it. Not all tell.
func (t *training) processed(ctx context.Context, id string) (remoteFile, error) {
	for p := t.pace(id); ; {
		f, err := t.client.file(ctx, id)
		if err != nil || slices.Contains([]string{"", "processed", "uploaded", "error", "failed"}, f.Status) {
			return f, err
		}
		if err := t.sleep(ctx, p.next()); err != nil {
			return f, err
		}
	}
}

// moment is a time in Unix seconds, read leniently: some providers write text.
type moment int64

func (m *moment) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		*m = moment(n)
	} else if t, err := time.Parse(time.RFC3339, text); err == nil {
		*m = moment(t.Unix())
	}
	return nil
}
