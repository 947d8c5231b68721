package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of the pages that are asked for.
const hugePage = 2 << 20

// Memory is a slice of zeros, in large pages where it is large: a walk through the
// caches of many sequences would spend more time on finding pages than on reading.
func Memory(n int) []float32 {
	s := make([]float32, n)
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 4*n)
	if skip := -uintptr(unsafe.Pointer(unsafe.SliceData(s))) % hugePage; skip+hugePage <= uintptr(len(b)) {
		b = b[skip:]
		_ = unix.Madvise(b[:len(b)/hugePage*hugePage], unix.MADV_HUGEPAGE) // else small pages do
	}
	return s
}
