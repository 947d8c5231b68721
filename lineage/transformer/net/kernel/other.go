//go:build !amd64

package kernel

// available are the sets that can run here, the fastest first.
func available() []*set { return []*set{plain} }

// Prefetch asks for memory that is needed soon.
func Prefetch([]float32) {}
