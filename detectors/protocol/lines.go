package protocol

import (
	"bufio"
	"errors"
	"io"
)

// longestLine bounds an answer, and with it the memory that a detector can take.
const longestLine = 256 << 10

var errTooLong = errors.New("the line is too long")

// lines reads lines of bounded length.
type lines struct {
	r    *bufio.Reader
	most int
	long []byte
}

func newLines(r io.Reader, most int) *lines {
	return &lines{r: bufio.NewReaderSize(r, 64<<10), most: most}
}

// next gives a line without its end; it is valid until the next call. A line that
// is too long gives its beginning and errTooLong, and goes on in the next call.
func (l *lines) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if err == nil && len(l.long) == 0 {
			return part[:len(part)-1], nil
		}
		l.long = append(l.long, part...)
		switch {
		case err == nil:
			return l.long[:len(l.long)-1], nil
		case len(l.long) > l.most:
			return l.long, errTooLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case len(l.long) > 0:
			return l.long, nil // a last line without an end
		}
		return nil, err
	}
}
