package openai

import (
	"net/http/httptest"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestServerThatIsNotThereCostsNothing(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	c, err := (&Servers{clock: new(leap).clock()}).Open("model", Server{BaseURL: gone.URL})
	if err != nil {
		t.Fatal(err)
	}
	money := rich()
	p := Profile{MaxTokens: "max_tokens", Given: &Price{Input: 1, Output: 1}}
	m := newModel(c, &Artifact{Model: "m"}, DefaultSampling(), p, lineage.World{Purse: money, Log: t.Logf})
	if _, err := collect(t, t.Context(), m, prompts(1)); err == nil || money.spent != 0 || money.held != 0 || money.high == 0 {
		t.Errorf("%v is spent and %v held, of %v at most: %v", money.spent, money.held, money.high, err)
	}
}
