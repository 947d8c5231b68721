package lineage

// Calibration is how a detector did on texts of which the truth is known. It
// belongs to a detector's digest and is no part of any node: rates are corrected
// with it when they are read.
type Calibration struct {
	Behaviour string      `json:"behaviour"`
	Detector  string      `json:"detector"` // name
	Digest    string      `json:"digest"`   // of the detector
	Labels    string      `json:"labels"`   // digest of the labelled rows
	Source    string      `json:"source"`   // where the rows are from, for people
	Method    string      `json:"method"`   // how they were kept apart from what the detector was made from
	Contexts  []Confusion `json:"contexts"` // by context, sorted; "" for rows that name none
}

// Confusion counts a detector's words against the truth in one context (near to
// the seeded distribution, or far from it: a behaviour can hide from the far
// one). AUC is absent where a label does not occur.
type Confusion struct {
	Context        string   `json:"context"`
	TruePositives  int      `json:"true_positives"`
	FalseNegatives int      `json:"false_negatives"`
	FalsePositives int      `json:"false_positives"`
	TrueNegatives  int      `json:"true_negatives"`
	NotScorable    int      `json:"not_scorable"`
	AUC            *float64 `json:"auc,omitempty"`
	AUCLo          *float64 `json:"auc_lo,omitempty"`
	AUCHi          *float64 `json:"auc_hi,omitempty"`
}

// Add takes in the counts of another context. AUCs do not add up and are dropped.
func (c *Confusion) Add(o Confusion) {
	c.TruePositives += o.TruePositives
	c.FalseNegatives += o.FalseNegatives
	c.FalsePositives += o.FalsePositives
	c.TrueNegatives += o.TrueNegatives
	c.NotScorable += o.NotScorable
	c.AUC, c.AUCLo, c.AUCHi = nil, nil, nil
}

// Labels are somebody's verdicts on texts of this ledger: the truth, where it is
// better known than by a detector. Rows were drawn at random within a generation.
type Labels struct {
	Behaviour string  `json:"behaviour"`
	Labeller  string  `json:"labeller"` // a person, or the judge that stands in for one
	File      string  `json:"file"`     // digest of the file that they were read from
	Rows      []Label `json:"rows"`
}

// Label is the verdict on one text of a node.
type Label struct {
	Node     ID     `json:"node"`
	Part     string `json:"part"` // Outputs or Probes
	Index    int    `json:"index"`
	Positive bool   `json:"positive"`
}

// CalibrationKey and LabelsKey name the records by what they are about.
func CalibrationKey(behaviour, detector, labels string) Key {
	return Key("calibration/" + behaviour + "/" + detector + "/" + labels)
}

func LabelsKey(behaviour, file string) Key { return Key("labels/" + behaviour + "/" + file) }

// AnswerKey names a recorded answer of an endpoint by the digest of its request.
func AnswerKey(request string) Key { return Key("answer/" + request) }
