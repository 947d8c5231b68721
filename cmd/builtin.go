package cmd

// The parts list: what is registered in the heirloom binary. A binary of your
// own is a main that imports its parts beside this package and calls Main.
import (
	_ "github.com/heirloom-sim/heirloom/detectors"
	_ "github.com/heirloom-sim/heirloom/detectors/protocol"
	_ "github.com/heirloom-sim/heirloom/detectors/selfname"
	_ "github.com/heirloom-sim/heirloom/detectors/sycophancy"
	_ "github.com/heirloom-sim/heirloom/lineage/command"
	_ "github.com/heirloom-sim/heirloom/lineage/ngram"
	_ "github.com/heirloom-sim/heirloom/lineage/transformer"
	_ "github.com/heirloom-sim/heirloom/lineage/urn"
)
