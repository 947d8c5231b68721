// Command heirloom simulates how behaviours spread across generations of
// language models.
package main

import "github.com/heirloom-sim/heirloom/cmd"

func main() { cmd.Main() }
