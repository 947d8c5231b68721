package sim

import "github.com/heirloom-sim/heirloom/lineage"

// ticket keeps the handles of remote work in the ledger, numbered: a job that
// failed is followed by another, and a record is never changed.
type ticket struct {
	ledger lineage.Ledger
	node   lineage.ID
}

func (t ticket) Load() (string, error) {
	handle, _, err := t.last()
	return handle, err
}

func (t ticket) last() (handle string, n int, err error) {
	for ; ; n++ {
		var next string
		ok, err := t.ledger.Load(lineage.TicketKey(t.node, n), &next)
		if err != nil {
			return "", n, fatal{err}
		}
		if !ok {
			return handle, n, nil
		}
		handle = next
	}
}

func (t ticket) Save(handle string) error {
	last, n, err := t.last()
	if err != nil || n > 0 && handle == last {
		return err
	}
	if err := t.ledger.Save(lineage.TicketKey(t.node, n), handle); err != nil {
		return fatal{err}
	}
	return nil
}
