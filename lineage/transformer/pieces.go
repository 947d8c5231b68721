package transformer

// maxPiece bounds a piece in bytes: the time to encode one grows with its square.
const maxPiece = 64

type class uint8

const (
	blank class = iota
	letter
	digit
	mark
)

// classes of bytes. Every byte of a character beyond ASCII is a letter, so that
// no character is cut and text that is no UTF-8 needs no rule of its own.
var classes = func() (table [256]class) {
	for b := range table {
		switch c := byte(b); {
		case c == ' ' || c >= '\t' && c <= '\r':
			table[b] = blank
		case c >= '0' && c <= '9':
			table[b] = digit
		case c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80:
			table[b] = letter
		default:
			table[b] = mark
		}
	}
	return table
}()

// pieceEnd is where the piece that begins at s[start] ends: a run of one class,
// with the space before it where there is one. White space leaves its last
// space to the piece that follows. No token reaches over the end of a piece.
func pieceEnd(s string, start int) int {
	i := start
	if s[i] == ' ' && i+1 < len(s) && classes[s[i+1]] != blank {
		i++
	}
	kind := classes[s[i]]
	for i++; i < len(s) && classes[s[i]] == kind && i-start < maxPiece; i++ {
	}
	if kind == blank && i < len(s) && s[i-1] == ' ' && i-start > 1 && classes[s[i]] != blank {
		return i - 1
	}
	return i
}
