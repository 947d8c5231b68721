package cmd

import (
	"fmt"
	"math/big"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

// Flags of what a run may spend.
var (
	maxCostFlag = &cli.StringFlag{
		Name: "max-cost", Usage: "most that the runs of the folder may spend together, in US `dollars`, what is in flight included; at the cap the run stops and can go on",
	}
	allowUnpricedFlag = &cli.BoolFlag{
		Name: "allow-unpriced", Usage: "under --max-cost, also ask models whose price is not known; they are not counted",
	}
	yesFlag = &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "spend without --max-cost what plan says"}
)

// unasked is what a run may cost at most without --max-cost or --yes.
const unasked = 5 * lineage.Dollar

// budget reads what a run may spend.
func budget(c *cli.Context) (b sim.Budget, err error) {
	b.AllowUnpriced = c.Bool("allow-unpriced")
	text := c.String("max-cost")
	if !c.IsSet("max-cost") {
		if b.AllowUnpriced {
			return b, usage("--allow-unpriced says what is done under a cap; give one with --max-cost")
		}
		return b, nil
	}
	b.Capped = true
	b.Most, err = dollars(text)
	if err != nil {
		return b, usage("--max-cost: %v", err)
	}
	return b, nil
}

// dollars reads an amount such as 12.50 or $12.50, exactly.
func dollars(text string) (lineage.USD, error) {
	r, ok := new(big.Rat).SetString(strings.TrimPrefix(strings.TrimSpace(text), "$"))
	if !ok || r.Sign() < 0 || strings.ContainsAny(text, "/eExXpP_") {
		return 0, fmt.Errorf("%q is not an amount of US dollars, such as 12.50", text)
	}
	r.Mul(r, new(big.Rat).SetInt64(int64(lineage.Dollar)))
	if n := new(big.Int).Quo(r.Num(), r.Denom()); n.IsInt64() {
		return lineage.USD(n.Int64()), nil
	}
	return 0, fmt.Errorf("%q is more than can be counted", text)
}

// agreed tells what a run can cost, and refuses a large bill that nobody agreed to.
func (p *program) agreed(c *cli.Context, study *sim.Study, ledger lineage.Ledger, b sim.Budget) error {
	bill, err := study.Cost(ledger)
	if err != nil || bill == nil {
		return err
	}
	cost := bill.Most.String()
	if bill.Unpriced > 0 {
		cost += fmt.Sprintf(", without %d models whose price is not known", bill.Unpriced)
	}
	if bill.Unbounded != "" {
		cost += fmt.Sprintf(" or more (%s)", bill.Unbounded)
	}
	if bill.Most > 0 && !c.Bool("quiet") && !c.Bool("json") {
		fmt.Fprintf(p.err, "%d models to pay for: at most %s\n", bill.Nodes, cost)
	}
	if bill.Most <= unasked || b.Capped || c.Bool("yes") {
		return nil
	}
	return p.consent(c, fmt.Sprintf("the run can cost up to %s, and heirloom plan shows for what; give --max-cost, or --yes to spend it", cost), "nothing was spent")
}

// spent is a line on what the runs of a ledger spent, "" where they spent nothing.
func spent(ledger lineage.Ledger) string {
	s, err := sim.Spent(ledger)
	switch {
	case err != nil:
		return fmt.Sprintf("what was spent cannot be told: %v\n", err)
	case s == (sim.Spending{}):
		return ""
	case s.Uncertain > 0:
		return fmt.Sprintf("spent in all: %v; %v more may have been, by work that was cut off or goes on\n", s.Spent, s.Uncertain)
	}
	return fmt.Sprintf("spent in all: %v\n", s.Spent)
}

// larger is the command that goes on with a cap that is enough by the plan.
func larger(c *cli.Context, where folder, study *sim.Study, ledger lineage.Ledger) string {
	most := unasked
	if s, err := sim.Spent(ledger); err == nil {
		most = s.Spent + s.Uncertain
	}
	if bill, err := study.Cost(ledger); err == nil && bill != nil {
		most += bill.Most
	}
	const cent = lineage.Dollar / 100
	most = (most + cent - 1) / cent * cent
	return resume(c, where, fmt.Sprintf("%.2f", most.Dollars()))
}

// showBill tells what a plan costs, where it costs anything.
func (p *program) showBill(study *sim.Study, ledger lineage.Ledger, stages []sim.Stage) error {
	all, err := study.Cost(ledger)
	if err != nil || all == nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "arm\tgeneration\tline\tto pay for\ttrained tokens\tprompt tokens\tanswer tokens\tat most\ttime")
	rest := *all
	for _, s := range stages {
		if s.Bill != nil {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", s.Arm, s.Generation, s.Line, billed(*s.Bill))
			rest = without(rest, *s.Bill)
		}
	}
	if rest.Nodes > 0 {
		fmt.Fprintf(w, "foundations\t\t\t%s\n", billed(rest))
	}
	fmt.Fprintf(w, "all\t\t\t%s\n", billed(*all))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "prices: %s. Tokens of texts that are not written yet are counted as long as they may be\n", all.Basis)
	for _, note := range notes(study, all) {
		fmt.Fprintln(p.out, note)
	}
	return nil
}

// notes says what the sum of a bill leaves out.
func notes(study *sim.Study, all *sim.Bill) (list []string) {
	note := func(format string, a ...any) { list = append(list, fmt.Sprintf(format, a...)) }
	if all.Unpriced > 0 {
		note("the price of %d models is not known, and they are not in the sum; prices can be given in the backend's settings", all.Unpriced)
	}
	if all.Unbounded != "" {
		note("the sum is no bound: %s", all.Unbounded)
	}
	if all.OpenEnded > 0 {
		note("answers of %d models have no max_tokens, and are counted as the backend bounds them", all.OpenEnded)
	}
	for _, j := range study.Judges() {
		note("detector %s asks %s of %s, which is not in the sum", j.Detector, j.Model, j.Address)
	}
	return list
}

func billed(b sim.Bill) string {
	cost := b.Most.String()
	if b.Unpriced > 0 {
		cost = "not known"
		if b.Most > 0 {
			cost = b.Most.String() + " and more"
		}
	}
	took := "-"
	if b.Time > 0 {
		took = b.Time.Round(time.Second).String()
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%s\t%s", b.Nodes, b.Trained, b.Prompts, b.Answers, cost, took)
}

func without(a, b sim.Bill) sim.Bill {
	a.Nodes, a.Unpriced = a.Nodes-b.Nodes, a.Unpriced-b.Unpriced
	a.Trained, a.Prompts, a.Answers = a.Trained-b.Trained, a.Prompts-b.Prompts, a.Answers-b.Answers
	a.Most, a.Time = a.Most-b.Most, a.Time-b.Time
	return a
}
