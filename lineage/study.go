package lineage

// Study is what a ledger knows of one experiment: enough to read its results
// without the program that ran it. It is written before the first node.
type Study struct {
	Digest      string      `json:"digest"` // of the experiment as it was resolved
	Name        string      `json:"name"`
	Question    string      `json:"question,omitempty"`
	Seed        uint64      `json:"seed"`
	Generations int         `json:"generations"` // 0 .. Generations-1
	Replicates  int         `json:"replicates"`
	Lines       []string    `json:"lines"`
	Behaviours  []Behaviour `json:"behaviours"`
	Detectors   []Detector  `json:"detectors"`
	Arms        []Arm       `json:"arms"`
	Sources     []Source    `json:"sources"`
	Experiment  string      `json:"experiment"` // the YAML, with defaults and overrides written back
}

// Behaviour is one that the study watches. Its prevalence is judged by the
// first of its detectors.
type Behaviour struct {
	Name      string   `json:"name"`
	Title     string   `json:"title"`
	About     string   `json:"about,omitempty"`
	Detectors []string `json:"detectors"`        // names in Study.Detectors
	Labels    string   `json:"labels,omitempty"` // digest of the labelled rows that the run measures them on
}

// Detector is one that scored the study.
type Detector struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Digest string `json:"digest"`          // its key in scores
	Judge  string `json:"judge,omitempty"` // the model that it asks, where it asks one
}

// Source is an input file or a built-in corpus.
type Source struct {
	Name      string `json:"name"`
	Documents int    `json:"documents"`
	Digest    string `json:"digest"`
}

// Arm is one matched world of the study.
type Arm struct {
	Name     string            `json:"name"`
	About    string            `json:"about,omitempty"`
	Control  bool              `json:"control,omitempty"` // nothing is seeded
	Baseline string            `json:"baseline"`          // the control arm that this one is compared with; its own name on a control
	Cell     map[string]string `json:"cell,omitempty"`    // the sweep's values, where a sweep made the arm
	Events   []Event           `json:"events,omitempty"`
	Nodes    [][][]ID          `json:"nodes"` // [line][replicate][generation], lines as in Study.Lines
}

// Event is an intervention as a reader of the report should know it.
type Event struct {
	Kind  string   `json:"kind"`
	What  string   `json:"what"` // one line
	Lines []string `json:"lines,omitempty"`
	From  int      `json:"from"`
	To    int      `json:"to"` // inclusive
}

// Studies lists the digests of the studies in a ledger.
func Studies(l Ledger) ([]string, error) {
	var all []string
	for key, err := range l.Keys("study/") {
		if err != nil {
			return nil, err
		}
		all = append(all, string(key[len("study/"):]))
	}
	return all, nil
}
