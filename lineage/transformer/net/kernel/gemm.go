package kernel

// Matrix is a view of a matrix: element (i, j) is at Data[i*Row+j*Col].
type Matrix struct {
	Data     []float32
	Row, Col int
}

// T is the transposed view.
func (m Matrix) T() Matrix { return Matrix{m.Data, m.Col, m.Row} }

// Packed is a matrix of K rows and N columns in the order in which products read
// it: panels of columns, each contiguous, the last filled up with zeros.
type Packed struct {
	K, N   int
	stored int // rows of a panel
	panel  int // columns of a panel
	data   []float32
}

func round(n, to int) int { return (n + to - 1) / to * to }

// PackedSize is the number of elements that a packed matrix takes.
func PackedSize(k, n int) int { return k * round(n, Lanes) }

// NewPacked is a packed matrix of zeros, in data where that is long enough; what
// data held is then not cleared.
func NewPacked(k, n int, data []float32) Packed {
	size := PackedSize(k, n)
	if cap(data) < size {
		data = make([]float32, size)
	}
	return Packed{K: k, N: n, stored: k, panel: active.cols, data: data[:size]}
}

// Pack copies b[k×n] into panels, in the memory of p where that is long enough.
func (p *Packed) Pack(b Matrix, k, n int) {
	*p = NewPacked(k, n, p.data)
	for j := 0; j < n; j += p.panel {
		width := p.width(j)
		packPanel(p.data[j*k:][:width*k], b.Data[j*b.Col:], b.Row, b.Col, k, min(width, n-j), width)
	}
}

// width is the number of columns of the panel that begins at column j.
func (p *Packed) width(j int) int { return min(p.panel, round(p.N-j, Lanes)) }

// Columns are the first columns of a packed matrix: at least n, up to the end of
// a panel.
func (p Packed) Columns(n int) Packed {
	p.N = min(p.N, round(n, p.panel))
	return p
}

// Rows are the first k rows of a packed matrix.
func (p Packed) Rows(k int) Packed {
	p.K = k
	return p
}

// SetColumn writes column j.
func (p *Packed) SetColumn(j int, column []float32) {
	first := j / p.panel * p.panel
	width := p.width(first)
	at := p.data[first*p.stored+j-first:]
	for i, v := range column {
		at[i*width] = v
	}
}

// SetRow writes row i.
func (p *Packed) SetRow(i int, row []float32) {
	for j := 0; j < p.N; j += p.panel {
		width := p.width(j)
		copy(p.data[j*p.stored+i*width:][:width], row[j:])
	}
}

func packPanel(dst, src []float32, row, col, k, n, width int) {
	if n < width {
		clear(dst)
	}
	if col == 1 {
		for i := range k {
			copy(dst[i*width:][:n], src[i*row:])
		}
		return
	}
	// By columns, which lie together where the matrix is a transposed one.
	for j := range n {
		s, at := src[j*col:], j
		for i := range k {
			dst[at] = s[i*row]
			at += width
		}
	}
}

// Mul computes C[m×N] = A[m×K]·B, or adds it to C, whose rows are ld apart.
// Every element is summed over k in ascending order.
func Mul(c []float32, ld int, a Matrix, m int, b Packed, add bool) {
	if m == 0 || b.K == 0 {
		panic("kernel: a product of nothing")
	}
	_ = a.Data[(m-1)*a.Row+(b.K-1)*a.Col]
	_ = c[(m-1)*ld+b.N-1]
	for j := 0; j < b.N; j += b.panel {
		width := b.width(j)
		t := tile{
			c: c[j:], ci: ld, a: a.Data, ai: a.Row, ak: a.Col, b: b.data[j*b.stored:][:width*b.K],
			rows: m, cols: width, k: b.K, add: add,
		}
		if n := b.N - j; n < width {
			t.narrow(n)
		} else {
			active.tile(t)
		}
	}
}

// tile is one call of the inner loop: a panel of C.
type tile struct {
	c, a, b       []float32
	ci, ai, ak    int
	rows, cols, k int // cols is 16 or the columns of a panel
	add           bool
}

// narrow computes the last panel, which is wider than what is left of C: it is
// summed beside C.
func (t tile) narrow(n int) {
	const rows = 8
	var side [rows * 2 * Lanes]float32
	part := t
	part.c, part.ci = side[:], t.cols
	for i := 0; i < t.rows; i += rows {
		part.rows, part.a = min(rows, t.rows-i), t.a[i*t.ai:]
		if t.add {
			for r := range part.rows {
				copy(side[r*t.cols:], t.c[(i+r)*t.ci:][:n])
			}
		}
		active.tile(part)
		for r := range part.rows {
			copy(t.c[(i+r)*t.ci:][:n], side[r*t.cols:])
		}
	}
}

// Prefetch asks for the first rows and columns of a packed matrix.
func (p Packed) Prefetch(k, n int) {
	for j := 0; j < min(n, p.N); j += p.panel {
		Prefetch(p.data[j*p.stored:][:p.width(j)*k])
	}
}
