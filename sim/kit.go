package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// Kit is all that a behaviour brings along: what it is and where it was reported,
// texts that show it or do not, and detectors. It is a folder of the catalogue, or
// one of a user's.
type Kit struct {
	Name   string // as the experiment names it
	Folder string // "" for the catalogue
	given  string // the folder as the experiment gives it
	entry
	Texts map[string][]Row // by file: seeds, neutral, probes, labelled
	files map[string][]byte
}

// kitFiles are the texts that a behaviour may bring, without their ending.
var kitFiles = []string{"seeds", "neutral", "probes", "labelled"}

// kits are those of an experiment, each read once, by name and folder.
type kits map[[2]string]*Kit

// kit finds what a behaviour of the world is completed from.
func (w *World) kit(name string, b *Behaviour) *Kit {
	key := [2]string{name, b.Folder}
	if k, read := w.kits[key]; read {
		return k
	}
	var k *Kit
	switch {
	case b.Folder != "":
		path := b.Folder
		if !filepath.IsAbs(path) {
			path = filepath.Join(w.dir, path)
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			(&Scope{world: w, path: join("behaviours", name)}).fault("folder", "%s is no folder; a behaviour of your own is a folder with a behaviour.yaml", path)
			break
		}
		k = folderKit(name, path, w.decoder.faults)
		k.given = b.Folder
	case slices.Contains(catalogue.Behaviours(), name):
		k = catalogueKit(name, w.decoder.faults)
	}
	w.kits[key] = k
	return k
}

// OpenKit reads a behaviour with all its texts: one of the catalogue by its name,
// or a user's by its folder. All that is wrong with it is in the error, an *Invalid.
func OpenKit(name string) (*Kit, error) {
	var found faults
	if slices.Contains(catalogue.Behaviours(), name) {
		k := catalogueKit(name, &found)
		k.read(&found)
		return k, found.err()
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return nil, &Invalid{[]Fault{{File: name, Message: unknown("behaviour", name, catalogue.Behaviours()) + ". One of your own is a folder with a behaviour.yaml, and there is no such folder"}}}
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	k := folderKit(filepath.Base(path), name, &found)
	if err := slug(k.Name); err != nil {
		found.add(Fault{File: name, Message: err.Error() + "; rename the folder"})
	}
	return k, found.err()
}

// catalogueKit describes a behaviour of the catalogue; its texts are not looked at.
func catalogueKit(name string, found *faults) *Kit {
	k := &Kit{Name: name, files: map[string][]byte{}}
	data, _ := catalogue.Behaviour(name)
	for _, file := range kitFiles {
		if text, ok := catalogue.Corpus(name + "/" + file); ok {
			k.files[file] = text
		}
	}
	k.describe("catalogue "+name, data, found)
	return k
}

// folderKit reads a behaviour of a user's: everything in it is checked.
func folderKit(name, folder string, found *faults) *Kit {
	k := &Kit{Name: name, Folder: folder, given: folder, files: map[string][]byte{}}
	path := filepath.Join(folder, "behaviour.yaml")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		found.add(Fault{File: path, Message: "is missing; it says what the behaviour is and which detectors look for it"})
	} else if err != nil {
		found.add(Fault{File: path, Message: err.Error()})
	} else {
		k.describe(path, data, found)
	}
	for _, file := range kitFiles {
		path := filepath.Join(folder, file+".jsonl")
		switch text, err := os.ReadFile(path); {
		case err == nil:
			k.files[file] = text
		case !errors.Is(err, fs.ErrNotExist):
			found.add(Fault{File: path, Message: err.Error()})
		}
	}
	k.read(found)
	return k
}

// describe decodes behaviour.yaml.
func (k *Kit) describe(path string, data []byte, found *faults) {
	tree := parseTree(path, "a behaviour.yaml", data, found)
	if tree == nil {
		return
	}
	d := newDecoder(path, found)
	d.into("", tree, &k.entry)
	for _, spec := range k.Instruments {
		if spec != nil {
			spec.kit = k
		}
	}
	if strings.TrimSpace(k.Title) == "" {
		d.at("title", "a behaviour needs a title, as reports print it")
	}
	for i, r := range k.Reported {
		if strings.TrimSpace(r.Source) == "" {
			d.at(fmt.Sprintf("reported[%d]", i), "needs the source: who reported it, and where")
		}
	}
	if len(k.Detectors) == 0 {
		d.at("detectors", "a behaviour needs a detector; name a kind, or one of instruments")
	}
	for name, spec := range k.Instruments {
		if spec == nil {
			d.at(join("instruments", name), "needs a kind with its settings")
		}
	}
	for i, name := range k.Detectors {
		_, kind := detectors.Lookup(name)
		if _, brought := k.Instruments[name]; !kind && !brought {
			known := detectorKinds()
			for instrument := range k.Instruments {
				known = append(known, instrument)
			}
			d.at(fmt.Sprintf("detectors[%d]", i), "%s", unknown("detector", name, known))
		}
	}
}

// read decodes the texts and checks every row.
func (k *Kit) read(found *faults) {
	k.Texts = map[string][]Row{}
	for _, file := range kitFiles {
		if text, ok := k.files[file]; ok {
			k.Texts[file] = readRows(k.path(file), file, text, found)
		}
	}
	k.checkLeaks(found)
}

func (k *Kit) path(file string) string {
	if k.Folder == "" {
		return "catalogue " + k.Name + "/" + file + ".jsonl"
	}
	return filepath.Join(k.Folder, file+".jsonl")
}

func (k *Kit) has(file string) bool { return len(k.files[file]) > 0 }

// called tells whether a name in the behaviour's own settings means itself: its name
// in the experiment, or that of its folder.
func (k *Kit) called(name string) bool {
	return name == k.Name || name == "." || k.Folder != "" && name == filepath.Base(k.Folder)
}

// training gives the rows that a classifier of the behaviour learns from.
func (k *Kit) training() ([]byte, error) {
	for _, file := range []string{"seeds", "neutral"} {
		if !k.has(file) {
			return nil, fmt.Errorf("%s/training.jsonl is made of seeds.jsonl and neutral.jsonl, and %s is missing or empty", k.Name, k.path(file))
		}
	}
	return catalogue.TrainingOf(k.Name, k.files["seeds"], k.files["neutral"]), nil
}

// Opened is a detector of a behaviour, or why it cannot be opened.
type Opened struct {
	Name, Kind string
	Config     any  // its settings
	Server     bool // it needs a server of language models
	*Detector
	Err error
}

// Open opens the detectors that the behaviour names, in their order. Close releases
// what they hold.
func (k *Kit) Open(m Means) (all []Opened, close func() error) {
	w := k.world()
	r := newResources(k.Folder, m)
	for _, o := range k.Instrumented() {
		if o.Detector, o.Err = r.detector(w, o.Name); o.Err == nil {
			o.Server = o.Detector.Server
		}
		all = append(all, o)
	}
	return all, r.Close
}

// Instrumented lists the detectors that the behaviour names without opening them.
func (k *Kit) Instrumented() (all []Opened) {
	for _, name := range k.Detectors {
		spec := k.Instruments[name]
		if spec == nil {
			kind, _ := detectors.Lookup(name)
			spec = &DetectorSpec{Kind: name, Config: kind.Config()}
		}
		all = append(all, Opened{Name: name, Kind: spec.Kind, Config: spec.Config, Server: spec.server()})
	}
	return all
}

// Settings are those of the detector that are not its kind's own, by the names that an
// experiment gives them.
func (o Opened) Settings() map[string]any {
	kind, ok := detectors.Lookup(o.Kind)
	if !ok {
		return nil
	}
	is, _ := plain(reflect.ValueOf(o.Config)).(map[string]any)
	usual, _ := plain(reflect.ValueOf(kind.Config())).(map[string]any)
	maps.DeleteFunc(is, func(key string, v any) bool { return reflect.DeepEqual(v, usual[key]) })
	return is
}

// Truth is the behaviour's labelled rows, nil where it has none.
func (k *Kit) Truth() (*Truth, error) {
	if !k.has("labelled") {
		return nil, nil
	}
	return ReadTruth(bytes.NewReader(k.files["labelled"]), strings.TrimPrefix(k.path("labelled"), "catalogue "), detectors.Fields{}, false)
}

// world is an experiment that has nothing but the behaviour.
func (k *Kit) world() *World {
	return &World{Experiment: &Experiment{
		Detectors: k.Instruments, Behaviours: map[string]*Behaviour{k.Name: {Rubric: k.Rubric, kit: k}},
	}}
}
