package detectors

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// Split keeps one part of the rows: "train" the share that a detector may be
// made from, "test" the rest, "" all. A row's side is decided by its group
// alone, so the two parts never share one, whatever file they are read from.
type Split struct {
	Part  string  `yaml:"part" doc:"train or test; all rows where it is not given"`
	Share float64 `yaml:"share" doc:"share of the groups that go to train, in (0,1)"`
}

func (s Split) check() error {
	switch s.Part {
	case "":
		return nil
	case "train", "test":
		if s.Share > 0 && s.Share < 1 {
			return nil
		}
		return fmt.Errorf("split.share: %v is not within (0,1)", s.Share)
	}
	return fmt.Errorf("split.part: %q is neither train nor test", s.Part)
}

// Keep tells whether a group belongs to the part.
func (s Split) Keep(group string) bool {
	if s.Part == "" {
		return true
	}
	return (position(group) < s.Share) == (s.Part == "train")
}

// position spreads groups evenly over [0,1).
func position(group string) float64 {
	sum := sha256.Sum256([]byte(group))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) * math.Exp2(-53)
}
